"""Raw rows -> the table `records`: every raw row is in it, usable or with the reason why not.

Nothing is dropped in silence: the table's rows are counted against the reader's own, independent count. Rows are
streamed, so memory does not grow with the dataset.
"""

import glob
import logging
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import RawDataError
from eiclip.readers.base import Listing, RawReader, Rejected
from eiclip.storage.files import whole_file
from eiclip.storage.sql import read_sql

logger = logging.getLogger(__name__)

ROW_GROUP = 10_000
UNREAD_SHOWN = 3
"""Texts that could not be read as prices, or as what else they were to be, shown in the log."""
MAPS = ("entities", "attributes")
SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ("dataset", "source")),
        pa.field("place", pa.int64()),  # empty: the row's number in the table, from 1 (`sql/views/records.sql`)
        pa.field("product_id", pa.string()),
        pa.field("photo", pa.string()),
        pa.field("photo_urls", pa.list_(pa.string())),
        pa.field("source_split", pa.string()),
        *(
            pa.field(name, pa.string())
            for name in ("title", "description", "description_raw", "category", "subcategory")
        ),
        *(pa.field(name, pa.string()) for name in ("pose", "department", "gender", "style")),
        pa.field("price", pa.float64()),
        *(pa.field(name, pa.string()) for name in ("price_unread", "currency")),
        pa.field("available", pa.bool_()),
        *(pa.field(name, pa.string()) for name in ("available_unread", "link", "link_unread")),
        pa.field("brand_raw", pa.string()),
        *(pa.field(name, pa.map_(pa.string(), pa.list_(pa.string()))) for name in MAPS),
        pa.field("reason", pa.string()),
    ]
)


def write_records(reader: RawReader, dataset: str, output: Path) -> dict[str, int]:
    """Write every raw row of `reader` to `output`, whole or not at all; the fast way where the reader has one.

    Returns how many raw rows there were and where they went: rows_in = usable + rejected. Raises RawDataError where a
    raw file is useless as a whole, nothing at all is usable, or the files changed while they were read. Prices, words
    of availability and links that could not be read are counted in the log.
    """
    with whole_file(output) as temporary:
        write = getattr(reader, "write", None)  # such as `AmazonReader.write`
        if write is None or not write(dataset, temporary):
            write_rows(temporary, dataset, reader.rows())
        reasons = count_reasons(temporary)
        rows_in, rejected = reader.rows_in(), sum(reasons.values())
        usable = pq.read_metadata(temporary).num_rows - rejected
        if rows_in != usable + rejected:
            raise RawDataError(
                f"{dataset}: {rows_in:,} raw rows, but {usable:,} usable and {rejected:,} rejected: "
                "the raw files changed while they were read; run again when nothing writes to them"
            )
        if usable == 0:
            common = [f"{number:,} as '{reason}'" for reason, number in list(reasons.items())[:3]]
            raise RawDataError(
                f"{dataset}: none of {rows_in:,} raw rows can be used: {'; '.join(common) or 'the files are empty'}; "
                f"check that the dataset's kind and paths are right: {reader.expected}"
            )
        _warn_of_unread(temporary, dataset)
    return {"rows_in": rows_in, "usable": usable, "rejected": rejected}


def count_reasons(records: Path) -> dict[str, int]:
    """Rejected rows by the kind of their reason, the most frequent first."""
    with duckdb.connect() as connection:
        connection.read_parquet(glob.escape(str(records))).create_view("records")
        return dict(connection.sql(read_sql("ingest/rejection_kinds")).fetchall())


def _warn_of_unread(records: Path, dataset: str) -> None:
    with duckdb.connect() as connection:
        connection.read_parquet(glob.escape(str(records))).create_view("records")
        rows = connection.sql(read_sql("ingest/unread_texts"), params={"shown": UNREAD_SHOWN}).fetchall()
    for what, unread, given, texts in rows:
        logger.warning(
            "%s: %s of %s texts of %s could not be read, and those rows have none: %s; see the columns ..._unread of "
            "the view `records`", dataset, f"{unread:,}", f"{given:,}", what,
            ", ".join(f"{text['text']!r} {text['rows']:,} times" for text in texts),
        )  # fmt: skip


def write_rows(output: Path, dataset: str, rows: Iterable[Listing | Rejected]) -> None:
    """Write the rows of a reader as a Parquet file in the columns of `SCHEMA`."""
    remaining = iter(rows)
    with pq.ParquetWriter(output, SCHEMA, compression="zstd") as writer:
        while group := list(islice(remaining, ROW_GROUP)):
            # Of a rejected row most columns are empty.
            columns = {name: [getattr(row, name, None) for row in group] for name in SCHEMA.names}
            columns["dataset"] = [dataset] * len(group)
            columns |= {name: [value and list(value.items()) for value in columns[name]] for name in MAPS}
            arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
            writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))
