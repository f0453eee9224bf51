"""Files of Amazon's metadata and reviews, in whichever format: their records, each a dictionary as a JSON line's is.

Published are JSON lines and Python literals; mirrors and people's own tools also write Parquet, CSV and JSON arrays.
"""

from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eiclip.errors import RawDataError
from eiclip.readers.cells import UnusableRowError, parse_line, value_of
from eiclip.readers.lines import count_lines, numbered_lines
from eiclip.readers.table.delimited import CsvTable
from eiclip.readers.table.files import JsonArrayTable, Table, format_of
from eiclip.readers.table.parquet import ParquetTable

IDS = ("parent_asin", "asin")
EXPECTED = "expected records as lines or an array of JSON, as Parquet, or as CSV with a column 'parent_asin' or 'asin'"


@dataclass
class AmazonFile:
    """Metadata or reviews; of their `fields` at least one of `IDS` is there."""

    path: Path
    fields: Collection[str]
    setting: str = "the dataset's metadata"
    lines_read: int | None = None
    """How many lines the last pass over a file of lines has seen."""

    @cached_property
    def table(self) -> Table | None:
        """The table that the file is, None for lines. Raises RawDataError: missing, damaged, or of no such format."""
        kind = format_of(self.path, IDS, self.setting)
        if kind == "parquet":
            names = ParquetTable(self.path, (), None).names()
            if set(names).isdisjoint(IDS):
                raise RawDataError(f"{self.path}: no column 'parent_asin' or 'asin'; it has {', '.join(names)[:500]}")
            return ParquetTable(self.path, [name for name in names if name in self.fields], None)
        if kind == "array":
            return JsonArrayTable(self.path, ())
        ids = (name for name in IDS if name in CsvTable(self.path, (name,), "utf-8").names()) if kind == "csv" else ()
        return next((CsvTable(self.path, (name,)) for name in ids), None)

    def count(self) -> int:
        """Count the records, those that cannot be read and blank lines too. Raises RawDataError."""
        return count_lines(self.path) if self.table is None else self.table.count()

    def records(self, wanted: Container[int] | None = None) -> Iterator[tuple[int, dict[str, Any] | UnusableRowError]]:
        """Yield (number from 1, record or what is wrong with it), of all or of the numbers `wanted`.

        Numbers are those of lines, rows or items of the array. Raises RawDataError.
        """
        if self.table is None:
            self.lines_read, number = None, 0
            for number, line in numbered_lines(self.path):
                if wanted is None or number in wanted:
                    yield number, _record(line)
            self.lines_read = number
            return
        for number, row in enumerate(self.table.rows(), start=1):
            if isinstance(row, dict) and not isinstance(self.table, JsonArrayTable):
                cells = ((name, row[name]) for name in row if name in self.fields)
                row = {name: value_of(cell) if isinstance(cell, str) else cell for name, cell in cells}
            yield number, row


def _record(line: bytes | None) -> dict[str, Any] | UnusableRowError:
    try:
        return parse_line(line)
    except UnusableRowError as error:
        return error
