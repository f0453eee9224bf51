"""The rows of a table, whichever of CSV, JSONL and Parquet it is: the format is read from the content, not the name.

A row is a mapping of the wanted columns to their cells, or an UnusableRowError that says why it cannot be read. A row
keeps its place whatever is wrong with it, so that none is lost.
"""

import csv
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eiclip.errors import RawDataError
from eiclip.readers.amazon.json_lines import count_lines, numbered_lines
from eiclip.readers.amazon.metadata import MAX_LINE_BYTES, UnusableRowError, parse_line
from eiclip.readers.base import check_file
from eiclip.readers.table.parquet import MAGIC as PARQUET_MAGIC
from eiclip.readers.table.parquet import ParquetTable, missing_column

DELIMITERS = (",", ";", "\t", "|")
_OTHER_FORMATS = {
    PARQUET_MAGIC: "a gzipped Parquet file; unpack it",
    b"PK\x03\x04": "a zip file or an Excel workbook; unpack it, or save the sheet as CSV",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
}
_JSON_ARRAY = re.compile(rb"\[\s*(?:\{|$)")
_MAX_NAMES = 50  # column names shown in an error


def open_table(path: Path, columns: Sequence[str], photo: str) -> "Table":
    """Return the table in a file, gzipped or plain; wanted are `columns` and that of the photo.

    Raises RawDataError where the file is missing, damaged, empty, or of another format.
    """
    if is_parquet(path):
        return ParquetTable(path, columns, photo)
    lines = (line if line is None else line.strip() for _, line in numbered_lines(path))
    line = next((line for line in lines if line is None or line), b"")
    if line is None:
        raise RawDataError(f"{path}: its first line has over {MAX_LINE_BYTES:,} bytes; expected a CSV header")
    if not line:
        raise RawDataError(f"{path}: empty; remove it, or give it a header (CSV) or objects (JSONL)")
    for magic, meaning in _OTHER_FORMATS.items():
        if line.startswith(magic):
            raise RawDataError(f"{path}: {meaning}")
    if _JSON_ARRAY.match(line):
        raise RawDataError(f"{path}: a JSON array; write one object a line (JSONL)")
    wanted = tuple(dict.fromkeys([*columns, photo]))
    return JsonlTable(path, wanted) if line.startswith(b"{") else CsvTable(path, wanted)


def is_parquet(path: Path, setting: str = "the dataset's files") -> bool:
    """Tell by the first bytes whether a file is Parquet. Raises RawDataError, which names the file's `setting`."""
    check_file(path, setting)
    try:
        with path.open("rb") as stream:
            return stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    except OSError as error:
        raise RawDataError(f"{path}: {error.strerror}; see that this user may read it") from error


@dataclass(frozen=True)
class JsonlTable:
    """One JSON object a line; columns may be absent from a line, though not from every line."""

    path: Path
    wanted: Sequence[str]

    def check(self) -> None:
        """Do nothing: which columns there are shows at the end of the file."""

    def count(self) -> int:
        """Count the lines, blank ones too. Raises RawDataError."""
        return count_lines(self.path)

    def rows(self) -> Iterator[dict[str, Any] | UnusableRowError]:
        """Yield an item a line. Raises RawDataError, at the end where a wanted column was in no line."""
        held: dict[str, None] = {}
        absent = list(self.wanted)
        for _, line in numbered_lines(self.path):
            try:
                row = parse_line(line)
            except UnusableRowError as error:
                yield error
                continue
            absent = [name for name in absent if name not in row]
            held |= dict.fromkeys(list(row)[:_MAX_NAMES]) if len(held) < _MAX_NAMES else {}
            yield row
        if absent and held:
            raise missing_column(self.path, absent[0], list(held)[:_MAX_NAMES])


@dataclass(frozen=True)
class CsvTable:
    """A header, then a row a line (quoted cells may hold line ends); cells parted by one of `DELIMITERS`."""

    path: Path
    wanted: Sequence[str]

    def check(self) -> tuple[str, list[str]]:
        """Return the delimiter and the header. Raises RawDataError where it lacks a wanted column or names it twice."""
        headers = {delimiter: _header(_rows(self.path, delimiter)) for delimiter in DELIMITERS}
        delimiter, header = best_header(headers, self.wanted)
        for name in self.wanted:
            if name not in header:
                raise missing_column(self.path, name, header[:_MAX_NAMES])
            if header.count(name) > 1:
                raise RawDataError(f"{self.path}: the header names {name!r} {header.count(name)} times; rename one")
        return delimiter, header

    def count(self) -> int:
        """Count the rows below the header, blank ones too. Raises RawDataError."""
        return sum(1 for _ in self.rows())

    def rows(self) -> Iterator[dict[str, Any] | UnusableRowError]:
        """Yield an item for every row below the header. Raises RawDataError."""
        delimiter, header = self.check()
        rows = _rows(self.path, delimiter)
        _header(rows)
        for cells in rows:
            if isinstance(cells, UnusableRowError):
                yield cells
            elif not cells:
                yield UnusableRowError("blank row")
            elif len(cells) != len(header):
                yield UnusableRowError(f"bad row: {len(cells)} cells, the header has {len(header)}")
            else:
                yield dict(zip(header, cells, strict=True))


Table = ParquetTable | JsonlTable | CsvTable
"""`check` raises RawDataError where a wanted column is not there, as far as the file's beginning tells, `count` counts
the rows, and `rows` yields every row in order."""


def best_header(headers: Mapping[str, list[str]], wanted: Collection[str | None]) -> tuple[str, list[str]]:
    """Return the delimiter whose header holds the most wanted columns, then the most columns, and that header."""
    return max(headers.items(), key=lambda item: (len(set(wanted) & set(item[1])), len(item[1])))


def _header(rows: Iterator[list[str] | UnusableRowError]) -> list[str]:
    """Take the first row that is not blank, stripped. Empty where it cannot be read."""
    cells = next((cells for cells in rows if cells), [])
    return [] if isinstance(cells, UnusableRowError) else [cell.strip() for cell in cells]


def _rows(path: Path, delimiter: str) -> Iterator[list[str] | UnusableRowError]:
    """Yield the rows of a CSV file, the header too.

    csv.reader caps a cell, not a row, which quoted line ends could take on to the end of the file: it is made to give
    up a row that is too long to be held.
    """
    held, too_long = 0, False
    refused = "x" * (csv.field_size_limit() + 1)  # the one content that every state of csv.reader refuses

    def lines() -> Iterator[str]:
        nonlocal held, too_long
        for _, line in numbered_lines(path):
            if too_long := held > MAX_LINE_BYTES:
                yield refused
            if too_long := line is None:
                yield refused
            else:
                held += len(line) + 1
                yield line.decode("utf-8", "replace") + "\n"

    # Strict: a quote that is never closed would otherwise take the rows after it along without a word.
    reader = csv.reader(lines(), delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        held, too_long = 0, False
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # the reader goes on with the next line
            reason = f"line too long: over {MAX_LINE_BYTES:,} bytes" if too_long else f"bad row: {error}"
            yield UnusableRowError(reason)
