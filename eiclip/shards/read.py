"""Shards to samples: by the index beside each, or where there is none by one taken from the tar itself."""

import itertools
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eiclip.errors import CorruptOutputError
from eiclip.shards.sample import Sample
from eiclip.storage.cache import MANIFEST

INDEX_SCHEMA = pa.schema([
    ("image_id", pa.string()), ("product_id", pa.string()), ("description", pa.string()),
    ("entities", pa.map_(pa.string(), pa.list_(pa.string()))), ("jpeg_offset", pa.int64()), ("jpeg_bytes", pa.int64()),
    ("region_start", pa.int64()), ("region_end", pa.int64()), ("region_crc32", pa.uint32()),
])  # fmt: skip
"""A row a sample, in the tar's order; places are bytes from the tar's beginning. A sample's region is all its members
with their headers and padding: one begins where the one before it ends."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder of shards. Raises CorruptOutputError where there is none, or it is not JSON."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(folder / MANIFEST, str(error)) from error
    return manifest


def shard_paths(folder: Path, split: str) -> list[Path]:
    """Return the shards of a split, in order.

    Raises CorruptOutputError where there is none, or one is missing or of another size than its manifest says.
    """
    sizes = {folder / s["name"]: s["bytes"] for s in read_manifest(folder)["shards"] if s["split"] == split}
    if not sizes:
        raise _damaged(folder, f"no {split} shard")
    for path, size in sizes.items():
        if not path.is_file():
            raise _damaged(folder, f"missing {path.name}")
        if path.stat().st_size != size:
            raise _damaged(folder, f"{path.name} not of the size its manifest says")
    return list(sizes)


def read_index(folder: Path, shard: dict[str, Any]) -> pa.Table:
    """Return the index of a shard that the folder's manifest lists; columns as `INDEX_SCHEMA`.

    Raises CorruptOutputError where it cannot be read, or is not one of that shard.
    """
    return _index_file(folder / shard["index"]["name"], shard["samples"])


def _index_file(path: Path, samples: int | None = None) -> pa.Table:
    try:
        index = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, str(error)) from error
    if index.schema != INDEX_SCHEMA or samples not in (None, len(index)):
        raise _damaged(path, f"{len(index)} rows, the manifest says {samples} samples, or other columns")
    return index


def index_of(path: Path) -> pa.Table:
    """Return the index of a shard: the one beside it, or that of the tar. Raises CorruptOutputError."""
    beside = path.with_suffix(".parquet")
    return _index_file(beside) if beside.is_file() else index_of_tar(path)


def index_of_tar(path: Path) -> pa.Table:
    """Return the index of an intact shard, or of a plain image-caption tar (without `.json`), from the tar alone.

    Raises CorruptOutputError where it is neither.
    """
    try:
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            files = filter(tarfile.TarInfo.isfile, tar.getmembers())
            rows = [_row(stream, key, list(members)) for key, members in itertools.groupby(files, key=_key)]
    except (OSError, ValueError, TypeError, KeyError, tarfile.TarError) as error:
        raise _damaged(path, str(error)) from error
    return pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)


def _key(member: tarfile.TarInfo) -> str:
    """Return what the members of a sample have in common: as in WebDataset, the name up to its first dot."""
    folder, slash, name = member.name.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


def _row(stream: IO[bytes], key: str, members: list[tarfile.TarInfo]) -> dict[str, Any]:
    start, last = members[0].offset, members[-1]
    end = last.offset_data + last.size + -last.size % tarfile.BLOCKSIZE
    region = os.pread(stream.fileno(), end - start, start)
    places = {m.name[len(key) :]: (m.offset_data - start, m.size) for m in members}
    if not {".jpg", ".txt"} <= places.keys():
        raise ValueError(f"sample {key} lacks its .jpg or .txt")
    content = {ending: region[offset : offset + size] for ending, (offset, size) in places.items()}
    plain = {"image_id": key, "product_id": key, "entities": {}}
    texts = json.loads(content[".json"]) if ".json" in content else plain
    texts = {name: texts[name] for name in plain} | {"description": content[".txt"].decode()}
    return index_row(texts, region, start, *places[".jpg"])


def index_row(texts: dict[str, Any], region: bytes, start: int, offset: int, size: int) -> dict[str, Any]:
    """Return a row of an index: a sample's texts, and where its region and, `offset` bytes on, its photo lie."""
    texts = texts | {"jpeg_offset": start + offset, "jpeg_bytes": size}
    return texts | {"region_start": start, "region_end": start + len(region), "region_crc32": zlib.crc32(region)}


def read_samples(shards: Sequence[Path], only: Collection[str] | None = None) -> Iterator[Sample]:
    """Yield the samples of shards, or of plain image-caption tars, in order; `only` those of these image ids.

    Raises CorruptOutputError where a tar or its index cannot be read.
    """
    for path in shards:
        index = index_of(path)
        if only is not None:
            index = index.filter(pc.is_in(index["image_id"], pa.array(only, pa.string())))
        yield from indexed_samples(path, index)


def indexed_samples(path: Path, index: pa.Table) -> Iterator[Sample]:
    """Yield the samples of a shard that these rows of its index are of. Raises CorruptOutputError."""
    if not len(index):
        return
    with path.open("rb") as stream:
        yield from (_sample(path, row, stream.fileno()) for row in index.to_pylist())


def _sample(path: Path, row: dict[str, Any], file: int) -> Sample:
    jpeg = read_jpeg(path, row["jpeg_offset"], row["jpeg_bytes"], lambda: str(row["image_id"]), file)
    return Sample(row["image_id"], row["product_id"], row["description"], dict(row["entities"]), jpeg)


def read_jpeg(path: Path, offset: int, length: int, owner: Callable[[], str], file: int | None = None) -> bytes:
    """Return the bytes of a photo in a shard, of which `file` is the descriptor where it is open already.

    Raises CorruptOutputError, which names the image or product (`owner`), where the shard cannot be read or is cut.
    """
    try:
        if file is None:
            with path.open("rb") as stream:
                return read_jpeg(path, offset, length, owner, stream.fileno())
        jpeg = os.pread(file, length, offset)
    except OSError as error:
        raise _damaged(path, str(error)) from error
    if len(jpeg) != length:
        raise _damaged(path, f"no photo of {owner()!r} at byte {offset}")
    return jpeg


def _damaged(path: Path, what: str) -> CorruptOutputError:
    return CorruptOutputError(f"{path}: {what}; materialise the shards again")
