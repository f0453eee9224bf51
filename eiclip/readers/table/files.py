"""The rows of a table, whichever of CSV, JSONL and Parquet it is: the format is read from the content, not the name.

A row is a mapping of the wanted columns to their cells, or an UnusableRowError that says why it cannot be read. A row
keeps its place whatever is wrong with it, so that none is lost.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eiclip.errors import RawDataError
from eiclip.readers.amazon.json_lines import count_lines, line_end, numbered_lines
from eiclip.readers.amazon.metadata import MAX_LINE_BYTES, UnusableRowError, parse_line
from eiclip.readers.base import check_file
from eiclip.readers.table.delimited import CsvTable
from eiclip.readers.table.parquet import MAGIC as PARQUET_MAGIC
from eiclip.readers.table.parquet import ParquetTable, missing_column

_OTHER_FORMATS = {
    PARQUET_MAGIC.lower(): "a gzipped Parquet file; unpack it",
    b"pk\x03\x04": "a zip file or an Excel workbook; unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the sheet as CSV",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
    b"<!doctype": "a web page; fetch the file itself, which may need a login",
    b"<html": "a web page, or a table that a program saved as one; export it as CSV",
    b"<?xml": "XML; export it as CSV",
    b"\x89png": "a picture; a table is CSV, JSONL or Parquet",
    b"\xff\xd8\xff": "a picture; a table is CSV, JSONL or Parquet",
    b"%pdf": "a PDF; export the table as CSV",
    b"(\xb5/\xfd": "a file packed by zstd; unpack it",
    b"\xfd7zxz": "a file packed by xz; unpack it",
    b"bzh91ay&sy": "a file packed by bzip2; unpack it",
}
"""What files of other formats begin with, in lower case, and what to do with them."""
_JSON_ARRAY = re.compile(rb"\[\s*(?:\{|$)")
_MAX_NAMES = 50  # column names shown in an error


def open_table(path: Path, columns: Sequence[str], photo: str | None, encoding: str | None = None) -> "Table":
    """Return the table in a file, gzipped or plain; wanted are `columns` and that of the photo, where there is one.

    `encoding` is that of its texts; None: UTF-8, or of a CSV file what most of its lines are in.

    Raises RawDataError where the file is missing, damaged, empty, or of another format.
    """
    if is_parquet(path):
        return ParquetTable(path, columns, photo, encoding or "utf-8")
    line = first_line(path)
    if not line:
        raise RawDataError(f"{path}: empty; remove it, or give it a header (CSV) or objects (JSONL)")
    if _JSON_ARRAY.match(line):
        raise RawDataError(f"{path}: a JSON array; write one object a line (JSONL)")
    wanted = tuple(dict.fromkeys([*columns, *([photo] if photo else [])]))
    if line.startswith(b"{"):
        return JsonlTable(path, wanted, encoding or "utf-8")
    return CsvTable(path, wanted, encoding)


def first_line(path: Path) -> bytes:
    """Return the first line that is not blank, stripped; b"" where there is none.

    Raises RawDataError where the file is missing, damaged, or by its first bytes neither lines of text nor Parquet.
    """
    lines = (line if line is None else line.strip() for _, line in numbered_lines(path, end=line_end(path)))
    line = next((line for line in lines if line is None or line), b"")
    if line is None:
        raise RawDataError(f"{path}: its first line has over {MAX_LINE_BYTES:,} bytes; expected a CSV header")
    for magic, meaning in _OTHER_FORMATS.items():
        if line.lower().startswith(magic):
            raise RawDataError(f"{path}: {meaning}")
    return line


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
                row = parse_line(line, self.encoding)
            except UnusableRowError as error:
                yield error
                continue
            absent = [name for name in absent if name not in row]
            held |= dict.fromkeys(list(row)[:_MAX_NAMES]) if len(held) < _MAX_NAMES else {}
            yield row
        if absent and held:
            raise missing_column(self.path, absent[0], list(held)[:_MAX_NAMES])


Table = ParquetTable | JsonlTable | CsvTable
"""`check` raises RawDataError where a wanted column is not there, as far as the file's beginning tells, `count` counts
the rows, and `rows` yields every row in order."""
