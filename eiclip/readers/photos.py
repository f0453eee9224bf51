"""The table `photos`, part by part: every listing's photo is fetched if need be, decoded in full, and described.

A part is so many raw rows of one raw file. Its photos are examined on their own, so parts can be made in any order, in
any process; rows that a raw file gains later make new parts and leave the old ones as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.readers.base import Examiner, RawReader, UnusablePhotoError
from eiclip.readers.download.photos import download_photos
from eiclip.settings.load import DownloadSettings
from eiclip.storage.files import whole_file
from eiclip.storage.lake import RECORDS, open_views
from eiclip.storage.lock import exclusive
from eiclip.storage.sql import read_sql

BATCH = 2_000
SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ("dataset", "source")),
        pa.field("place", pa.int64(), nullable=False),
        pa.field("photo", pa.string()),
        *(pa.field(name, pa.int32()) for name in ("width", "height")),
        pa.field("photo_sha256", pa.string()),
        pa.field("phash", pa.int64()),
        pa.field("other_name", pa.bool_()),
        pa.field("further_photos", pa.int32()),
        pa.field("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class PhotoRow:
    """Where a listing is in the raw files, and how its photo is found."""

    source: str
    place: int
    photo: str
    photo_urls: tuple[str, ...] = ()


def list_parts(records: list[Path], part_rows: int) -> list[str]:
    """Return the names of a dataset's parts, in order, from its records."""
    return [row[0] for row in _ask({RECORDS: records}, read_sql("ingest/listing_parts"), {"part_rows": part_rows})]


def part_rows_of(records: list[Path], part: str, part_rows: int) -> list[PhotoRow]:
    """Return the listings of one part, in the raw order."""
    rows = _ask({RECORDS: records}, read_sql("ingest/part_listings"), {"part": part, "part_rows": part_rows})
    return [PhotoRow(source, place, photo, tuple(urls or ())) for source, place, photo, urls in rows]


def _ask(
    tables: Mapping[str, Sequence[Path]], query: str, parameters: dict[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        open_views(connection, tables)
        return connection.sql(query, params=parameters).fetchall()


def download_missing(
    rows: list[PhotoRow], reader: RawReader, folder: Path, settings: DownloadSettings
) -> dict[str, str]:
    """Fetch the photos of `rows` that the reader lacks into `folder`; returns photo -> reason for those not had."""
    urls = {row.photo: row.photo_urls for row in rows if row.photo_urls}
    stems = reader.missing(list(urls))
    if not stems:
        return {}
    with exclusive(folder / ".lock"):  # parts made at once must not multiply the connections
        reasons = download_photos(((stem, urls[photo]) for photo, stem in stems.items()), folder, settings)
    return {photo: reasons[stem] for photo, stem in stems.items() if stem in reasons}


def write_photos(
    rows: list[PhotoRow], reader: Examiner, dataset: str, output: Path, failures: dict[str, str]
) -> dict[str, int]:
    """Examine the photos of `rows` and write their part of `photos`, whole; returns how many are usable and not."""
    usable = 0
    with whole_file(output) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for begin in range(0, len(rows), BATCH):
            batch, entries = rows[begin : begin + BATCH], []
            for row, facts in zip(batch, reader.examine([row.photo for row in batch]), strict=True):
                entry: dict[str, Any] = {"dataset": dataset, "source": row.source, "place": row.place}
                if isinstance(facts, UnusablePhotoError):
                    entry["reason"] = failures.get(row.photo, str(facts))
                else:
                    entry |= asdict(facts)
                    usable += 1
                entries.append(entry)
            writer.write_table(pa.Table.from_pylist(entries, schema=SCHEMA))
    return {"usable": usable, "unusable": len(rows) - usable}


def photos_found(
    records: Sequence[Path], photos: Sequence[Path], reader: RawReader
) -> tuple[bool, str, dict[str, Any]]:
    """Look at a dataset's `photos`: whether any can be used, a sentence for people, and the counts.

    Where none can, the sentence has the most common reason and the name that is most like the one missing. Raises
    RawDataError where the folder of photos cannot be listed.
    """
    [(count, usable, others, other, shared, sharing, further, kind, of_kind, example)] = _ask(
        {RECORDS: records, "photos": photos}, read_sql("checks/photos_are_usable")
    )
    facts = {
        "photos": count,
        "usable": usable,
        "under_another_name": others,
        "of_several_names": shared,
        "left_out_of_cells": further,
    }
    if count and not usable:
        where = f"{example['source']} {reader.unit} {example['place']}"
        said = [f"0 of {count:,} photos found", f"most common reason ({of_kind:,}): {example['reason']} ({where})"]
        if kind == "photo missing" and (nearest := reader.nearest(example["given"])):
            said.append(f"nearest existing name: {nearest}")
        return False, "; ".join(said), facts
    said = [f"{usable:,} of {count:,} photos found"]
    if others:
        said.append(f"{others:,} of them under another name, such as {other['given']} as {other['photo']}")
    if shared:
        both = f"{sharing['first']} and {sharing['last']}, both {sharing['photo']}"
        said.append(f"files found under several names: {shared:,}, such as {both}; see that they show one product")
    if further:
        said.append(f"{further:,} more are named in cells of several photos and left out: a row is one photo")
    return True, "; ".join(said), facts
