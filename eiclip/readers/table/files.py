"""The rows of a table, whichever of CSV, JSONL and Parquet it is: the format is read from the content, not the name.

A row is a mapping of the wanted columns to their cells, or an UnusableRowError that says why it cannot be read. A row
keeps its place whatever is wrong with it, so that none is lost.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from eiclip.errors import RawDataError
from eiclip.readers.amazon.json_lines import MAX_LINE_BYTES, count_lines, numbered_lines
from eiclip.readers.amazon.metadata import UnusableRowError, parse_line
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


class Table(Protocol):
    """One file of a table."""

    def check(self) -> None:
        """Raise RawDataError where a wanted column is not there, as far as the file's beginning tells."""
        ...

    def count(self) -> int:
        """Count the rows. Raises RawDataError."""
        ...

    def rows(self) -> Iterator[dict[str, Any] | UnusableRowError]:
        """Yield every row in order. Raises RawDataError."""
        ...


def open_table(path: Path, columns: Sequence[str], photo: str) -> Table:
    """Return the table in a file, which need not be named for what it holds, gzipped or plain.

    Args:
        path: the file.
        columns: the wanted columns, without the photo's.
        photo: the photo's column.

    Raises:
        RawDataError: the file is missing, damaged, empty, or of another format.
    """
    if is_parquet(path):
        return ParquetTable(path, columns, photo)
    line = _first_line(path)
    for magic, meaning in _OTHER_FORMATS.items():
        if line.startswith(magic):
            raise RawDataError(f"{path}: {meaning}")
    if _JSON_ARRAY.match(line):
        raise RawDataError(f"{path}: a JSON array; write one object a line (JSONL)")
    wanted = tuple(dict.fromkeys([*columns, photo]))
    return JsonlTable(path, wanted) if line.startswith(b"{") else CsvTable(path, wanted)


def is_parquet(path: Path) -> bool:
    """Tell by the first bytes whether a file is Parquet. Raises RawDataError."""
    if not path.is_file():
        raise RawDataError(f"{path}: no such file; put it there, or set the dataset's files to where it is")
    try:
        with path.open("rb") as stream:
            return stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    except OSError as error:
        raise RawDataError(f"{path}: {error.strerror}; see that this user may read it") from error


def _first_line(path: Path) -> bytes:
    """The first line that is not blank."""
    for _, line in numbered_lines(path):
        if line is None:
            raise RawDataError(f"{path}: its first line has over {MAX_LINE_BYTES:,} bytes; expected a CSV header")
        if line.strip():
            return line.strip()
    raise RawDataError(f"{path}: empty; remove it, or give it a header (CSV) or objects (JSONL)")


class JsonlTable:
    """One JSON object a line; columns may be absent from a line, though not from every line."""

    def __init__(self, path: Path, wanted: Sequence[str]) -> None:
        self.path = path
        self.wanted = wanted

    def check(self) -> None:
        """Nothing: which columns there are shows at the end of the file."""

    def count(self) -> int:
        """Count the lines, blank ones too. Raises RawDataError."""
        return count_lines(self.path)

    def rows(self) -> Iterator[dict[str, Any] | UnusableRowError]:
        """Yield an item a line. Raises RawDataError, at the end where a wanted column was in no line."""
        held: dict[str, None] = {}
        absent = set(self.wanted)
        for _, line in numbered_lines(self.path):
            row = _object(line)
            if isinstance(row, dict):
                absent.difference_update(row)
                held.update(dict.fromkeys(list(row)[:_MAX_NAMES]) if len(held) < _MAX_NAMES else {})
            yield row
        if absent and held:
            name = next(name for name in self.wanted if name in absent)
            raise missing_column(self.path, name, list(held)[:_MAX_NAMES])


def _object(line: bytes | None) -> dict[str, Any] | UnusableRowError:
    if line is None:
        return _too_long()
    try:
        return parse_line(line)
    except UnusableRowError as error:
        return error


class CsvTable:
    """A header, then a row a line (quoted cells may hold line ends); cells parted by one of `DELIMITERS`."""

    def __init__(self, path: Path, wanted: Sequence[str]) -> None:
        self.path = path
        self.wanted = wanted

    def check(self) -> None:
        """Raise RawDataError where the header lacks a wanted column or names it twice."""
        self._header()

    def count(self) -> int:
        """Count the rows below the header, blank ones too. Raises RawDataError."""
        return sum(1 for _ in self._cells(self._header()[0]))

    def rows(self) -> Iterator[dict[str, Any] | UnusableRowError]:
        """Yield an item for every row below the header. Raises RawDataError."""
        delimiter, header = self._header()
        for cells in self._cells(delimiter):
            if isinstance(cells, UnusableRowError):
                yield cells
            elif not cells:
                yield UnusableRowError("blank row")
            elif len(cells) != len(header):
                yield UnusableRowError(f"bad row: {len(cells)} cells, the header has {len(header)}")
            else:
                yield dict(zip(header, cells, strict=True))

    def _header(self) -> tuple[str, list[str]]:
        """The delimiter whose header holds the most wanted columns, and that header."""
        headers = {delimiter: _first_row(self.path, delimiter) for delimiter in DELIMITERS}
        delimiter = max(headers, key=lambda key: (len(set(self.wanted) & set(headers[key])), len(headers[key])))
        header = headers[delimiter]
        for name in self.wanted:
            if name not in header:
                raise missing_column(self.path, name, header[:_MAX_NAMES])
            if header.count(name) > 1:
                raise RawDataError(f"{self.path}: the header names {name!r} {header.count(name)} times; rename one")
        return delimiter, header

    def _cells(self, delimiter: str) -> Iterator[list[str] | UnusableRowError]:
        rows = _csv_rows(self.path, delimiter)
        next((cells for cells in rows if cells), None)  # the header
        yield from rows


def _first_row(path: Path, delimiter: str) -> list[str]:
    """The first row that is not blank, stripped: the header. Empty where it cannot be read."""
    cells = next((cells for cells in _csv_rows(path, delimiter) if cells), [])
    return [] if isinstance(cells, UnusableRowError) else [cell.strip() for cell in cells]


def _csv_rows(path: Path, delimiter: str) -> Iterator[list[str] | UnusableRowError]:
    lines = _CsvLines(path)
    # Strict: a quote that is never closed would otherwise take the rows after it along without a word.
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # the reader goes on with the next line
            yield _too_long() if lines.too_long else UnusableRowError(f"bad row: {error}")
        else:
            yield cells


class _CsvLines:
    """The lines of a file for csv.reader, which is made to give up a row that is too long to be held.

    csv.reader caps a cell, not a row: quoted cells with line ends in them could go on to the end of the file.
    """

    def __init__(self, path: Path) -> None:
        self._lines = numbered_lines(path)
        self._held = 0
        self.too_long = False

    def begin_row(self) -> None:
        self._held = 0
        self.too_long = False

    def __iter__(self) -> "_CsvLines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)[1] if self._held <= MAX_LINE_BYTES else None
        if line is None:
            self.too_long = True
            return "x" * (csv.field_size_limit() + 1)  # the one content that every state of csv.reader refuses
        self._held += len(line) + 1
        return line.decode("utf-8", "replace") + "\n"


def _too_long() -> UnusableRowError:
    return UnusableRowError(f"line too long: over {MAX_LINE_BYTES:,} bytes")
