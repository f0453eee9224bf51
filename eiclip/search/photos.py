"""Photos to show: the JPEG bytes of a product's first photo, read out of the shards where they lie."""

import threading
from pathlib import Path
from typing import Any

from eiclip.errors import CorruptOutputError, SettingsError
from eiclip.shards import read_index, read_jpeg, read_manifest

Place = tuple[Path, int, int]
"""A shard, and a JPEG's first byte in it and its length in bytes."""


class PhotoShelf:
    """Photos of a folder of shards. Indexes are read at the first photo asked for; threads may share a shelf."""

    def __init__(self, shards: Path) -> None:
        self.shards = shards
        self._lock = threading.Lock()
        self._places: dict[str, Place] | None = None

    def photo(self, product_id: str) -> bytes:
        """JPEG bytes of a product's first photo, at training resolution.

        Raises:
            SettingsError: no photo of that product is in the shards.
            CorruptOutputError: the shards are missing or cut.
        """
        places = self._read()
        if product_id not in places:
            raise SettingsError(f"product {product_id!r}: no photo of it in {self.shards}")
        path, offset, length = places[product_id]
        content = read_jpeg(path, offset, length, lambda: product_id)
        if not content.startswith(b"\xff\xd8"):
            raise CorruptOutputError(
                f"{path}: no photo of {product_id!r} at byte {offset}; materialise the shards again"
            )
        return content

    def _read(self) -> dict[str, Place]:
        with self._lock:
            if self._places is None:
                places: dict[str, Place] = {}
                for shard in read_manifest(self.shards)["shards"]:
                    _add(places, self.shards, shard)
                self._places = places
            return self._places


def _add(places: dict[str, Place], folder: Path, shard: dict[str, Any]) -> None:
    """The first photo of each product of a shard, unless an earlier shard had one."""
    path = folder / shard["name"]
    index = read_index(folder, shard).select(["product_id", "jpeg_offset", "jpeg_bytes"])
    for product, offset, length in zip(*(column.to_pylist() for column in index.columns), strict=True):
        places.setdefault(product, (path, offset, length))
