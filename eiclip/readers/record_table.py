"""The table `records` as a file: its columns, and a writer that rows are added to."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.readers.base import Listing, Rejected

ROW_GROUP = 10_000
SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("place", pa.int64()),  # empty: the row's number in the table, from 1 (`sql/views/records.sql`)
        pa.field("product_id", pa.string()),
        pa.field("photo", pa.string()),
        pa.field("photo_urls", pa.list_(pa.string())),
        pa.field("source_split", pa.string()),
        pa.field("title", pa.string()),
        pa.field("description", pa.string()),
        pa.field("description_raw", pa.string()),
        pa.field("category", pa.string()),
        pa.field("subcategory", pa.string()),
        pa.field("pose", pa.string()),
        pa.field("department", pa.string()),
        pa.field("gender", pa.string()),
        pa.field("style", pa.string()),
        pa.field("price", pa.float64()),
        pa.field("brand_raw", pa.string()),
        pa.field("entities", pa.map_(pa.string(), pa.string())),
        pa.field("reason", pa.string()),
    ]
)


class RecordTable:
    """Rows gathered to row groups of one Parquet file."""

    def __init__(self, writer: pq.ParquetWriter, dataset: str) -> None:
        self.count = 0
        self._writer = writer
        self._dataset = dataset
        self._rows: list[Listing | Rejected] = []

    def add(self, row: Listing | Rejected) -> None:
        """Add one row."""
        self.count += 1
        self._rows.append(row)
        if len(self._rows) == ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what was added since the last row group."""
        if self._rows:
            columns = [pa.array(self._values(field.name), field.type) for field in SCHEMA]
            self._writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
            self._rows.clear()

    def _values(self, name: str) -> list[Any]:
        if name == "dataset":
            return [self._dataset] * len(self._rows)
        values = [getattr(row, name, None) for row in self._rows]
        if name == "entities":
            return [value if value is None else list(value.items()) for value in values]
        return values


@contextlib.contextmanager
def record_writer(path: Path, dataset: str) -> Iterator[RecordTable]:
    """A Parquet file of records, to add rows to."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        table = RecordTable(writer, dataset)
        yield table
        table.flush()
