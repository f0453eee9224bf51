"""Raw rows -> the table `records`: every raw row is in it, usable or with the reason why not.

Nothing is dropped in silence: the table's rows are counted against the reader's own, independent count. Rows are
streamed, so memory does not grow with the dataset.
"""

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import duckdb
import pyarrow.parquet as pq

from eiclip.errors import RawDataError
from eiclip.readers.base import RawReader
from eiclip.readers.record_table import record_writer
from eiclip.storage.files import whole_file
from eiclip.storage.sql import read_sql


@runtime_checkable
class WholeWriter(Protocol):
    """A reader that has a faster way than row by row."""

    def write(self, dataset: str, output: Path) -> bool:
        """Write the records of all raw rows to `output`; False where they have to be read row by row."""
        ...


@dataclass(frozen=True)
class RecordCounts:
    """How many raw rows there were and where they went; rows_in = usable + rejected."""

    rows_in: int
    usable: int
    rejected: int


def write_records(reader: RawReader, dataset: str, output: Path) -> RecordCounts:
    """Write every raw row of `reader` to `output`, whole or not at all; the fast way where the reader has one.

    Raises RawDataError where a raw file is useless as a whole, nothing at all is usable, or the files changed
    while they were read.
    """
    with whole_file(output) as temporary:
        if not (isinstance(reader, WholeWriter) and reader.write(dataset, temporary)):
            _write_rows(reader, dataset, temporary)
        reasons = count_reasons(temporary)
        rows, rejected = pq.read_metadata(temporary).num_rows, sum(reasons.values())
        counts = RecordCounts(reader.rows_in(), rows - rejected, rejected)
        _check(counts, dataset, [f"{number:,} as '{reason}'" for reason, number in list(reasons.items())[:3]])
    return counts


def count_reasons(records: Path) -> dict[str, int]:
    """Rejected rows by the kind of their reason, the most frequent first."""
    with duckdb.connect() as connection:
        connection.read_parquet(glob.escape(str(records))).create_view("records")
        return dict(connection.sql(read_sql("ingest/rejection_kinds")).fetchall())


def _write_rows(reader: RawReader, dataset: str, output: Path) -> None:
    with record_writer(output, dataset) as table:
        for row in reader.rows():
            table.add(row)


def _check(counts: RecordCounts, dataset: str, common_reasons: list[str]) -> None:
    if counts.rows_in != counts.usable + counts.rejected:
        raise RawDataError(
            f"{dataset}: {counts.rows_in:,} raw rows, but {counts.usable:,} usable and {counts.rejected:,} rejected: "
            "the raw files changed while they were read; run again when nothing writes to them"
        )
    if counts.usable == 0:
        listed = "; ".join(common_reasons) or "the files are empty"
        raise RawDataError(
            f"{dataset}: none of {counts.rows_in:,} raw rows can be used: {listed}; check that the dataset's kind "
            "and paths are right"
        )
