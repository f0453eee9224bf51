"""Photos to show: the JPEG bytes of a product's first photo, read out of the shards where they lie."""

import os
import threading
from pathlib import Path
from typing import NamedTuple

from eiclip.errors import CorruptOutputError, SettingsError
from eiclip.shards import read_index, read_jpeg, read_manifest
from eiclip.storage.cache import MANIFEST

Stamp = tuple[int, int, int]
"""Time, size and number of a file."""


class Place(NamedTuple):
    """Where a photo lies: the tar and its stamp when its index was read, and the JPEG's first byte and length there."""

    path: Path
    stamp: Stamp
    offset: int
    length: int


class PhotoShelf:
    """Photos of a folder of shards, whose indexes are read when the first photo is asked for, and again when the
    shards have been made again. Threads may share it.
    """

    def __init__(self, shards: Path) -> None:
        self.shards = shards
        self._lock = threading.Lock()
        self._seen: Stamp | None = None  # of the manifest, when the indexes were read
        self._places: dict[str, Place] = {}

    def photo(self, product_id: str) -> bytes:
        """Return the JPEG bytes of a product's first photo, at training resolution.

        Raises SettingsError where the shards have none of that product, CorruptOutputError where they are damaged, or
        are being made again just now.
        """
        place = self._current().get(product_id)
        if place is None:
            raise SettingsError(f"product {product_id!r}: no photo of it in {self.shards}")
        try:
            with place.path.open("rb") as stream:
                if _stamp(os.fstat(stream.fileno())) != place.stamp:
                    what = "other than its index was read of, so a job is making the shards again"
                    raise CorruptOutputError(f"{place.path}: {what}; where none runs, materialise the shards again")
                content = read_jpeg(place.path, place.offset, place.length, lambda: product_id, stream.fileno())
        except OSError as error:
            raise CorruptOutputError(f"{place.path}: {error}; materialise the shards again") from error
        if not content.startswith(b"\xff\xd8"):
            what = f"no photo of {product_id!r} at byte {place.offset}"
            raise CorruptOutputError(f"{place.path}: {what}; materialise the shards again")
        return content

    def _current(self) -> dict[str, Place]:
        """Return by product the place of its first photo, by the manifest that lies there now."""
        try:
            seen = _stamp((self.shards / MANIFEST).stat())
        except OSError:  # none, or not to be read: the manifest's reader says so
            seen = None
        with self._lock:
            if seen is None or seen != self._seen:
                self._places, self._seen = self._read(), seen
            return self._places

    def _read(self) -> dict[str, Place]:
        places: dict[str, Place] = {}
        for shard in read_manifest(self.shards)["shards"]:
            path = self.shards / shard["name"]
            stamp = _stamp(path.stat()) if path.is_file() else (0, 0, 0)
            index = read_index(self.shards, shard).select(["product_id", "jpeg_offset", "jpeg_bytes"])
            for product, offset, length in zip(*(column.to_pylist() for column in index.columns), strict=True):
                places.setdefault(product, Place(path, stamp, offset, length))
        return places


def _stamp(fact: os.stat_result) -> Stamp:
    return fact.st_mtime_ns, fact.st_size, fact.st_ino
