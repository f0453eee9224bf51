"""Photos to show: the JPEG bytes of a product's first photo, read out of the shards where they lie."""

from functools import cached_property
from pathlib import Path

from eiclip.errors import CorruptOutputError, SettingsError
from eiclip.shards import read_index, read_jpeg, read_manifest


class PhotoShelf:
    """Photos of a folder of shards, whose indexes are read when the first photo is asked for. Threads may share it."""

    def __init__(self, shards: Path) -> None:
        self.shards = shards

    def photo(self, product_id: str) -> bytes:
        """Return the JPEG bytes of a product's first photo, at training resolution.

        Raises SettingsError where the shards have none of that product, CorruptOutputError where they are damaged.
        """
        if product_id not in self._places:
            raise SettingsError(f"product {product_id!r}: no photo of it in {self.shards}")
        path, offset, length = self._places[product_id]
        content = read_jpeg(path, offset, length, lambda: product_id)
        if not content.startswith(b"\xff\xd8"):
            what = f"no photo of {product_id!r} at byte {offset}"
            raise CorruptOutputError(f"{path}: {what}; materialise the shards again")
        return content

    @cached_property
    def _places(self) -> dict[str, tuple[Path, int, int]]:
        """By product the shard of its first photo, and the JPEG's first byte and length there."""
        places: dict[str, tuple[Path, int, int]] = {}
        for shard in read_manifest(self.shards)["shards"]:
            index = read_index(self.shards, shard).select(["product_id", "jpeg_offset", "jpeg_bytes"])
            for product, offset, length in zip(*(column.to_pylist() for column in index.columns), strict=True):
                places.setdefault(product, (self.shards / shard["name"], offset, length))
        return places
