"""The rows of a table, whichever of CSV, JSON and Parquet it is: the format is read from the content, not the name.

A row is a mapping of the wanted columns to their cells, or an UnusableRowError that says why it cannot be read. A row
keeps its place whatever is wrong with it, so that none is lost.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eiclip.errors import RawDataError
from eiclip.readers.base import check_file
from eiclip.readers.cells import MAX_LINE_BYTES, UnusableRowError, parse_line
from eiclip.readers.lines import count_lines, line_end, numbered_lines, pieces
from eiclip.readers.table.delimited import CsvTable
from eiclip.readers.table.json_array import array_rows, count_items
from eiclip.readers.table.parquet import MAGIC as PARQUET_MAGIC
from eiclip.readers.table.parquet import ParquetTable, check_columns

Format = Literal["parquet", "array", "jsonl", "csv"]
_OTHER_FORMATS = {
    PARQUET_MAGIC.lower(): "a gzipped Parquet file; unpack it",
    b"pk\x03\x04": "a zip file or an Excel workbook; unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"arrow1": "an Arrow (Feather) file; write it as Parquet",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
    b"<!doctype": "a web page; fetch the file itself, which may need a login",
    b"<html": "a web page, or a table that a program saved as one; export it as CSV",
    b"<": "XML or HTML; of a product feed fetch the text version (TSV or CSV), or convert it to one",
    b"\x89png": "a picture; a table is CSV, JSON or Parquet",
    b"\xff\xd8\xff": "a picture; a table is CSV, JSON or Parquet",
    b"%pdf": "a PDF; export the table as CSV",
    b"bzh91ay": "compressed with bzip2; unpack it",
    b"\xfd7zxz": "compressed with xz; unpack it",
    b"(\xb5/\xfd": "compressed with zstd; unpack it",
}
"""What files of other formats begin with, in lower case, and what to do with them."""
_ARRAY = re.compile(rb"\[\s*(?:[\[{\]]|$)")
_LIST_OF_OBJECTS = re.compile(rb'\{\s*"([\w. -]{1,50})"\s*:\s*\[\s*\{')
_MAX_NAMES = 50  # column names shown in an error


def open_table(
    path: Path, columns: Sequence[str], photo: str | None, encoding: str | None = None, optional: Collection[str] = ()
) -> "Table":
    """Return the table in a file, gzipped or plain; wanted are `columns` and that of the photo, if any.

    Those in `optional` may be absent from the file. `encoding` is that of its texts; None: UTF-8, or of a CSV file what
    most of its lines are in.

    Raises RawDataError where the file is missing, damaged, empty, or of another format.
    """
    wanted = tuple(dict.fromkeys([*columns, *([photo] if photo else [])]))
    kind = format_of(path, wanted)
    if kind == "parquet":
        return ParquetTable(path, columns, photo, encoding or "utf-8", optional)
    if kind == "csv":
        if not first_line(path):
            raise RawDataError(f"{path}: empty; remove it, or give it a header (CSV) or objects (JSON)")
        return CsvTable(path, wanted, encoding, optional)
    table = JsonArrayTable if kind == "array" else JsonlTable
    return table(path, wanted, encoding or "utf-8", optional)


def format_of(path: Path, wanted: Collection[str], setting: str = "the dataset's files") -> Format:
    """Return the format of a file by its first bytes: of texts that are not JSON, CSV.

    `wanted` are keys that tell a row from an object around the rows, `setting` is where the file is named.

    Raises RawDataError where it is missing, damaged, or of another format: says which, and the way out.
    """
    if is_parquet(path, setting):
        return "parquet"
    begin = _beginning(path)
    if _ARRAY.match(begin):
        return "array"
    if begin.startswith(b"{"):
        _check_rows(path, begin, _first_line(path), wanted)
        return "jsonl"
    return "csv"


def first_line(path: Path) -> bytes:
    """Return the first line that is not blank, stripped; b"" where there is none.

    Raises RawDataError where the file is missing, damaged, or by its first bytes no lines of text, or of endless ones.
    """
    _beginning(path)
    if (line := _first_line(path)) is None:
        raise RawDataError(f"{path}: its first line has over {MAX_LINE_BYTES:,} bytes; expected a CSV header")
    return line


def _beginning(path: Path) -> bytes:
    """The first bytes that are not blank. Raises RawDataError where they are another format's: names the way out."""
    contents = (piece.removeprefix(b"\xef\xbb\xbf").lstrip() for piece in pieces(path))
    begin = next(filter(None, contents), b"")
    for magic, meaning in _OTHER_FORMATS.items():
        if begin[:16].lower().startswith(magic):
            raise RawDataError(f"{path}: {meaning}")
    return begin


def _first_line(path: Path) -> bytes | None:
    """The first line that is not blank, None where it is too long, b"" where there is none."""
    lines = (line if line is None else line.strip() for _, line in numbered_lines(path, end=line_end(path)))
    return next((line for line in lines if line is None or line), b"")


def _check_rows(path: Path, begin: bytes, line: bytes | None, wanted: Collection[str]) -> None:
    """Raise RawDataError where a file that begins with an object has no row in each line."""
    try:
        is_row = not wanted or not parse_line(line).keys().isdisjoint(wanted)
    except UnusableRowError:
        is_row = line is not None and not line.endswith((b"{", b"["))  # a broken one
    if is_row:
        return
    if held := _LIST_OF_OBJECTS.match(begin):
        name = held.group(1).decode(errors="backslashreplace")
        raise RawDataError(
            f"{path}: one object that holds a list under {name!r}; write the list alone, as a JSON array or one "
            f"object a line (jq -c '.{name}[]'); of Shopify, export the products as CSV and set preset = \"shopify\""
        )
    if line is not None and line.endswith((b"{", b"[")):
        raise RawDataError(f"{path}: an object over several lines; write one a line (jq -c .), or a JSON array of them")


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
    encoding: str = "utf-8"
    optional: Collection[str] = ()
    """Columns that may be absent from every line."""

    def check(self) -> None:
        """Do nothing: which columns there are shows at the end of the file."""

    def names(self) -> list[str]:
        """Return the columns of the first row that can be read. Raises RawDataError."""
        return next((list(row) for row in self._items() if not isinstance(row, UnusableRowError)), [])

    def count(self) -> int:
        """Count the lines, blank ones too. Raises RawDataError."""
        return count_lines(self.path)

    def rows(self) -> Iterator[dict[str, Any] | UnusableRowError]:
        """Yield an item a line. Raises RawDataError, at the end where a wanted column was in no line."""
        held: dict[str, None] = {}
        absent = list(self.wanted)
        for row in self._items():
            yield row
            if isinstance(row, UnusableRowError):
                continue
            absent = [name for name in absent if name not in row]
            held |= dict.fromkeys(list(row)[:_MAX_NAMES]) if len(held) < _MAX_NAMES else {}
        if held:
            check_columns(self.path, absent, self.optional, list(held)[:_MAX_NAMES])

    def _items(self) -> Iterator[dict[str, Any] | UnusableRowError]:
        for _, line in numbered_lines(self.path):
            try:
                yield parse_line(line, self.encoding)
            except UnusableRowError as error:
                yield error


class JsonArrayTable(JsonlTable):
    """An object an item of a JSON array; columns may be absent from an object, though not from every one."""

    def count(self) -> int:
        """Count the items. Raises RawDataError."""
        return count_items(self.path, self.encoding)

    def _items(self) -> Iterator[dict[str, Any] | UnusableRowError]:
        return array_rows(self.path, self.encoding)


Table = ParquetTable | JsonlTable | CsvTable
"""`check` raises RawDataError where a wanted column is not there, as far as the file's beginning tells, `names` are the
columns that it holds, `count` counts the rows, and `rows` yields every row in order."""
