"""Samples to shards: tars, the index beside each, and a manifest of checksums."""

import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.shards.sample import Sample
from eiclip.storage.cache import MANIFEST
from eiclip.storage.files import sha256_file, whole_folder, write_json

SAMPLES_PER_SHARD = 2000
LONGEST_KEY = 90
"""Tar headers have room for names of 100 characters, the ending included."""
SPLITS = ("train", "validation", "test")
INDEX_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("product_id", pa.string()),
        ("description", pa.string()),
        ("entities", pa.map_(pa.string(), pa.string())),
        ("jpeg_offset", pa.int64()),
        ("jpeg_bytes", pa.int64()),
        ("region_start", pa.int64()),
        ("region_end", pa.int64()),
        ("region_crc32", pa.uint32()),
    ]
)
"""A row a sample, in the tar's order; places are bytes from the tar's beginning. A sample's region is all its members
with their headers and padding: one begins where the one before it ends."""
_BLANK = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)


def write_shards(samples: Iterable[tuple[str, Sample]], folder: Path, *, photo_size: int) -> dict[str, Any]:
    """Write (split, sample) pairs, in their order, as `<split>-<number>.tar`, an index beside each, and a manifest.

    The folder is written whole or not at all.

    Returns:
        The manifest: photo size, samples per split, and for each shard its split, samples, bytes and SHA-256, with the
        name, bytes and SHA-256 of its index.
    """
    with whole_folder(folder) as part:
        writers: dict[str, _ShardWriter] = {}
        for split, sample in samples:
            writers.setdefault(split, _ShardWriter(part, split)).add(sample)
        shards = [shard for split in sorted(writers) for shard in writers[split].close()]
        manifest = manifest_of(photo_size, shards)
        write_json(part / MANIFEST, manifest)
    return manifest


def manifest_of(photo_size: int, shards: list[dict[str, Any]]) -> dict[str, Any]:
    """The manifest of these shards."""
    counts = {split: sum(shard["samples"] for shard in shards if shard["split"] == split) for split in SPLITS}
    return {"photo_size": photo_size, "samples": counts, "shards": shards}


class _ShardWriter:
    """Shards of one split; tar headers carry no time or owner, so that equal samples give equal bytes."""

    def __init__(self, folder: Path, split: str) -> None:
        self.folder, self.split = folder, split
        self.shards: list[dict[str, Any]] = []
        self.tar: IO[bytes] | None = None
        self.sha256 = hashlib.sha256()
        self.rows: list[dict[str, Any]] = []

    def add(self, sample: Sample) -> None:
        if self.tar is None:
            self.tar, self.sha256 = self._path().open("wb"), hashlib.sha256()
        start = self.tar.tell()
        region = _region(sample)
        self._write(region)
        places = {
            "jpeg_offset": start + tarfile.BLOCKSIZE,
            "jpeg_bytes": len(sample.jpeg),
            "region_start": start,
            "region_end": start + len(region),
            "region_crc32": zlib.crc32(region),
        }
        self.rows.append(_texts(sample) | {"description": sample.description} | places)
        if len(self.rows) == SAMPLES_PER_SHARD:
            self._finish()

    def close(self) -> list[dict[str, Any]]:
        if self.tar is not None:
            self._finish()
        return self.shards

    def _path(self) -> Path:
        return self.folder / f"{self.split}-{len(self.shards):06d}.tar"

    def _write(self, piece: bytes) -> None:
        assert self.tar is not None
        self.tar.write(piece)
        self.sha256.update(piece)

    def _finish(self) -> None:
        assert self.tar is not None
        end = self.tar.tell() + 2 * tarfile.BLOCKSIZE  # two empty blocks, then up to a whole record
        self._write(bytes(2 * tarfile.BLOCKSIZE + -end % tarfile.RECORDSIZE))
        size, path = self.tar.tell(), self._path()
        self.tar.close()
        shard = {"name": path.name, "split": self.split, "samples": len(self.rows), "bytes": size}
        shard |= {"sha256": self.sha256.hexdigest(), "index": self._write_index(path.with_suffix(".parquet"))}
        self.shards.append(shard)
        self.tar, self.rows = None, []

    def _write_index(self, path: Path) -> dict[str, Any]:
        pq.write_table(pa.Table.from_pylist(self.rows, schema=INDEX_SCHEMA), path, compression="zstd")
        return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _texts(sample: Sample) -> dict[str, Any]:
    """What a sample's JSON holds: all that is said of it but its description."""
    return {"image_id": sample.image_id, "product_id": sample.product_id, "entities": sample.entities}


def _region(sample: Sample) -> bytes:
    """A sample's members as they lie in the tar; the photo is the first."""
    key = _key(sample.image_id)
    text = json.dumps(_texts(sample), ensure_ascii=False, sort_keys=True)
    members = {"jpg": sample.jpeg, "txt": sample.description.encode(), "json": text.encode()}
    # Not `tarfile.addfile`, which takes a third of the time of encoding the photo.
    pieces = ((_header(f"{key}.{ending}", len(content)), content) for ending, content in members.items())
    return b"".join(header + content + bytes(-len(content) % tarfile.BLOCKSIZE) for header, content in pieces)


def _header(name: str, size: int) -> bytes:
    """The block that `tarfile` would write for a member of this name (ASCII, at most 100 characters) and size."""
    sized = b"%b%b%011o\0%b" % (name.encode("ascii").ljust(100, b"\0"), _BLANK[100:124], size, _BLANK[136:])
    return b"%b%06o%b" % (sized[:148], sum(sized) - sum(sized[148:156]) + 8 * ord(" "), b"\0 " + sized[156:])


def _key(image_id: str) -> str:
    """A tar member's name: ids that WebDataset would cut at a dot, long ones and odd ones are digested."""
    plain = image_id.replace("_", "").replace("-", "")
    fits = plain.isascii() and plain.isalnum() and len(image_id) <= LONGEST_KEY
    return image_id if fits else hashlib.sha256(image_id.encode()).hexdigest()[:24]
