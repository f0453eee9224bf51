"""Rows of a reader -> two Parquet files: `catalog.parquet` with what is usable, `quarantine.parquet` with the rest.

Nothing is dropped in silence: every raw row is in one of the two, and the counts are checked against the reader's own.
Rows are streamed, so memory does not grow with the dataset.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import RawDataError
from eiclip.files import whole_folder
from eiclip.readers.base import Accepted, RawReader, Rejected

CATALOG_FILE, QUARANTINE_FILE = "catalog.parquet", "quarantine.parquet"
ROW_GROUP = 10_000
CATALOG_SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("locator", pa.string(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("photo", pa.string(), nullable=False),
        pa.field("source_split", pa.string()),
        pa.field("title", pa.string(), nullable=False),
        pa.field("description", pa.string(), nullable=False),
        pa.field("description_raw", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("subcategory", pa.string(), nullable=False),
        pa.field("pose", pa.string(), nullable=False),
        pa.field("department", pa.string(), nullable=False),
        pa.field("gender", pa.string(), nullable=False),
        pa.field("price", pa.float64()),
        pa.field("entities", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("photo_width", pa.int32(), nullable=False),
        pa.field("photo_height", pa.int32(), nullable=False),
        pa.field("photo_sha256", pa.string(), nullable=False),
    ]
)
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("locator", pa.string(), nullable=False),
        pa.field("product_id", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class CatalogCounts:
    """How many raw rows there were and where they went; rows_in = accepted + quarantined."""

    rows_in: int
    accepted: int
    quarantined: int


def write_catalog(reader: RawReader, dataset: str, folder: Path) -> CatalogCounts:
    """Write every row of `reader` into `folder`, which is replaced whole or not at all.

    Raises RawDataError where a raw file is useless as a whole, nothing at all is usable, or the files changed
    while they were read.
    """
    reasons: Counter[str] = Counter()
    examples: dict[str, str] = {}
    with whole_folder(folder) as temporary:
        with (
            _table(temporary / CATALOG_FILE, CATALOG_SCHEMA, dataset) as catalog,
            _table(temporary / QUARANTINE_FILE, QUARANTINE_SCHEMA, dataset) as quarantine,
        ):
            for row in reader.rows():
                if isinstance(row, Accepted):
                    catalog.add(row)
                else:
                    quarantine.add(row)
                    kind = row.reason.partition(":")[0]  # what differs by row follows the colon
                    reasons[kind] += 1
                    examples.setdefault(kind, row.reason)
        counts = CatalogCounts(reader.rows_in(), catalog.count, quarantine.count)
        common = [f"{number:,} as '{examples[kind]}'" for kind, number in reasons.most_common(3)]
        _check(counts, dataset, common)
    return counts


def _check(counts: CatalogCounts, dataset: str, common_reasons: list[str]) -> None:
    if counts.rows_in != counts.accepted + counts.quarantined:
        raise RawDataError(
            f"{dataset}: {counts.rows_in:,} raw rows, but {counts.accepted:,} accepted and {counts.quarantined:,} "
            "quarantined: the raw files changed while they were read; run again when nothing writes to them"
        )
    if counts.accepted == 0:
        listed = "; ".join(common_reasons) or "the files are empty"
        raise RawDataError(
            f"{dataset}: none of {counts.rows_in:,} raw rows can be used: {listed}; check that the dataset's kind "
            "and paths are right"
        )


class _Table:
    """Rows gathered to row groups of one Parquet file."""

    def __init__(self, writer: pq.ParquetWriter, dataset: str) -> None:
        self.count = 0
        self._writer = writer
        self._dataset = dataset
        self._rows: list[Accepted | Rejected] = []

    def add(self, row: Accepted | Rejected) -> None:
        self.count += 1
        self._rows.append(row)
        if len(self._rows) == ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            columns = [pa.array(self._values(field.name), field.type) for field in self._writer.schema]
            self._writer.write_batch(pa.record_batch(columns, schema=self._writer.schema))
            self._rows.clear()

    def _values(self, name: str) -> list[Any]:
        if name == "dataset":
            return [self._dataset] * len(self._rows)
        values = [getattr(row, name) for row in self._rows]
        return [list(value.items()) for value in values] if name == "entities" else values


@contextlib.contextmanager
def _table(path: Path, schema: pa.Schema, dataset: str) -> Iterator[_Table]:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        table = _Table(writer, dataset)
        yield table
        table.flush()
