"""The index beside a shard: where each sample lies in it, and what is said of it.

It is read from its Parquet file, or drawn up again from the tar itself where that file is damaged.
"""

import json
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import CorruptOutputError
from eiclip.shards.write import INDEX_SCHEMA


def read_index(folder: Path, shard: dict[str, Any]) -> pa.Table:
    """The index of a shard that the folder's manifest lists; columns as `INDEX_SCHEMA`.

    Raises:
        CorruptOutputError: there is none, or it is not one of that shard.
    """
    if "index" not in shard:
        raise CorruptOutputError(f"{folder / shard['name']}: no index is listed; materialise the shards again")
    path = folder / shard["index"]["name"]
    try:
        table = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise CorruptOutputError(f"{path}: {error}; materialise the shards again") from error
    if table.schema != INDEX_SCHEMA or len(table) != shard["samples"]:
        raise CorruptOutputError(
            f"{path}: {len(table)} rows, the manifest says {shard['samples']} samples, or other columns; "
            "materialise the shards again"
        )
    return table


def index_of_tar(path: Path) -> pa.Table:
    """The index of a sound shard, from the tar alone.

    Raises:
        CorruptOutputError: it is no shard of this project.
    """
    rows: list[dict[str, Any]] = []
    try:
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            members = tar.getmembers()
            ends = [member.offset for member in members[3::3]] + [_end(member) for member in members[-1:]]
            for photo, text, rest, end in zip(members[::3], members[1::3], members[2::3], ends, strict=True):
                said = {name: _content(stream, member) for name, member in (("txt", text), ("json", rest))}
                row = json.loads(said["json"]) | {"description": said["txt"].decode()}
                row |= {"jpeg_offset": photo.offset_data, "jpeg_bytes": photo.size}
                row |= {"region_start": photo.offset, "region_end": end}
                stream.seek(photo.offset)
                rows.append(row | {"region_crc32": zlib.crc32(stream.read(end - photo.offset))})
    except (OSError, ValueError, tarfile.TarError) as error:
        raise CorruptOutputError(f"{path}: {error}; materialise the shards again") from error
    return pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)


def _content(stream: Any, member: tarfile.TarInfo) -> bytes:
    stream.seek(member.offset_data)
    content: bytes = stream.read(member.size)
    return content


def _end(member: tarfile.TarInfo) -> int:
    """Where a member's padding ends."""
    return member.offset_data + member.size + -member.size % tarfile.BLOCKSIZE
