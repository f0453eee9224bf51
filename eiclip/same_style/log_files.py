"""One file of a click log as DuckDB sees it: its columns by what they mean, whatever their types.

Parquet and CSV (plain or gzipped) are told apart by content, not by name. DuckDB reads a CSV file that is plain; any
other is copied row by row into Parquet first, which is slower, so that every line has a place and none is lost.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import codecs
import glob
import json
import re
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import RawDataError, SettingsError
from eiclip.readers.cells import UnusableRowError
from eiclip.readers.lines import is_gzip, pieces
from eiclip.readers.table.delimited import BLANK, CsvTable
from eiclip.readers.table.files import first_line, is_parquet
from eiclip.settings.same_style import LogColumns

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_BROKEN = ("FLOAT", "DOUBLE", "DECIMAL")
_TEXTS = ("VARCHAR", "ENUM", "UUID")
_TIMES = ("TIMESTAMP", "DATE")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_MOST_NAMES = 50
"""Column names shown in an error."""
_COPIED_ROWS = 5_000
"""Rows held while a file is copied."""

Columns = dict[str, tuple[str, str]]
"""By a column's name in the file: how SQL refers to it, and its type."""


def open_log(
    connection: duckdb.DuckDBPyConnection, file: Path, columns: LogColumns, scratch: Path, *, by_rows: bool
) -> int | None:
    """Make the view `raw_rows` of a file (row, place, session, trigger, item, time, time_text, refused): a row a click.

    `time` is NULL where `time_text` cannot be read by itself; `refused` says why a row cannot be read, see
    `sql/clicks/log_rows.sql`. The time zone of `connection` is UTC.

    Args:
        scratch: folder for the copy of a file that is not plain.
        by_rows: whether a CSV file is read so, whatever it looks like.

    Returns:
        how many rows the view must have if DuckDB read the file rightly, by its line ends alone; None where it is not
        DuckDB that finds the rows.

    Raises:
        RawDataError: the file is missing, damaged, or neither Parquet nor CSV.
        SettingsError: it lacks a column, or one is of a type that its meaning cannot be read from.
        duckdb.Error: it cannot be read as plain CSV; ask again with `by_rows`.
    """
    rows = None
    if is_parquet(file, "the dataset's same_style.log"):
        held, number = _open_parquet(connection, file), "file_row_number"
    else:
        line = first_line(file)
        _require_csv(file, line)
        wanted = [columns.item, columns.time, columns.trigger or columns.session]
        table = CsvTable(file, [name for name in wanted if name], "utf-8", padded=True)
        is_utf8 = columns.encoding is None or codecs.lookup(columns.encoding).name == "utf-8"
        mark = table.plain_delimiter if line and is_utf8 and not by_rows else None
        if mark and (lines := _plain_lines(file)):
            rows, number = lines - 1, "row_number() OVER () - 1"
            held = _open_plain(connection, file, mark, table.names())
        else:
            table = CsvTable(file, table.wanted, columns.encoding, padded=True)
            held, number = _open_copy(connection, table, columns, scratch / "log.parquet"), '"row"'
    refused = "refused" if number == '"row"' else "NULL::VARCHAR"
    connection.execute(f"CREATE OR REPLACE VIEW raw_rows AS {_rows(file, held, columns, number, refused)}")
    return rows


def damaged(file: Path, error: Exception) -> RawDataError:
    """The error for a file that DuckDB cannot read."""
    reason = str(error).splitlines()[0]
    return RawDataError(f"{file}: cannot be read as a log ({reason}); expected whole Parquet, or CSV in UTF-8")


def _open_parquet(connection: duckdb.DuckDBPyConnection, file: Path) -> Columns:
    try:
        relation = connection.read_parquet(
            glob.escape(str(file)), file_row_number=True, hive_partitioning=False, binary_as_string=True
        )
    except duckdb.Error as error:
        raise damaged(file, error) from error
    relation.create_view("log_file", replace=True)
    kinds = zip(relation.columns, map(str, relation.types), strict=True)
    return {name: (_quoted(name), kind) for name, kind in kinds if name != "file_row_number"}


def _require_csv(file: Path, line: bytes) -> None:
    """Refuse a file by its first line. Raises RawDataError."""
    if line.startswith((b"{", b"[")):
        places = [json.dumps(str(place)) for place in (file, file.with_suffix(".parquet"))]
        command = shlex.quote("import duckdb; duckdb.read_json({}).write_parquet({})".format(*places))
        raise RawDataError(f"{file}: JSON, and a log is Parquet or CSV; convert it: python -c {command}")
    if _CONTROL.search(line):
        raise RawDataError(f"{file}: neither Parquet nor CSV with a header in UTF-8; convert it to one of them")


def _plain_lines(file: Path) -> int | None:
    """Count the lines of a file by their ends alone; None where DuckDB may find others, or other cells than Python.

    It ends lines at every carriage return, and it keeps what spaces around quotes mean to itself.
    """
    ends, last = 0, b"\n"
    for piece in pieces(file):
        if b'"' in piece or b"\r" in piece or last == b'"' or last == b"\r":
            text = last + piece
            if b'" ' in text or b' "' in text or text.count(b"\r", 0, -1) > text.count(b"\r\n"):
                return None
        ends, last = ends + piece.count(b"\n"), piece[-1:]
    return ends + (last != b"\n") if last != b"\r" else None


def _open_plain(connection: duckdb.DuckDBPyConnection, file: Path, delimiter: str, header: list[str]) -> Columns:
    """Cells as texts, in columns named for their places: a header may hold anything."""
    places = {f"c{place}": name for place, name in enumerate(header)}
    connection.sql(
        "FROM read_csv($path, delim = $delimiter, compression = $compression, columns = $columns, quote = '\"', "
        "escape = '\"', header = true, auto_detect = false, null_padding = true)",
        params={
            "path": glob.escape(str(file)), "delimiter": delimiter, "compression": "gzip" if is_gzip(file) else "none",
            "columns": dict.fromkeys(places, "VARCHAR"),
        },
    ).create_view("log_file", replace=True)  # fmt: skip
    return {name: (place, "VARCHAR") for place, name in places.items()}


def _open_copy(connection: duckdb.DuckDBPyConnection, table: CsvTable, columns: LogColumns, copy: Path) -> Columns:
    """The same of a file that is not plain, by way of a copy with its wanted columns and each row's place."""
    held = {name: (f"c{place}", "VARCHAR") for place, name in enumerate(table.names())}
    named = (columns.session, columns.item, columns.time, columns.trigger)
    places = {name: place for name, (place, _) in held.items() if name in named}
    if set(table.wanted) <= set(held):  # else whoever asks for a column says which one is missing
        fields = {"row": pa.int64(), "refused": pa.string(), **dict.fromkeys(places.values(), pa.string())}
        with pq.ParquetWriter(copy, pa.schema(list(fields.items()))) as writer:
            rows = _numbered(table)
            while batch := list(islice(rows, _COPIED_ROWS)):
                cells = [[row.get(name) for _, row, _ in batch] for name in places]
                numbers, reasons = [number for number, _, _ in batch], [reason for _, _, reason in batch]
                writer.write_table(pa.table([numbers, reasons, *cells], schema=writer.schema))
        connection.read_parquet(str(copy)).create_view("log_file", replace=True)
    return held


def _numbered(table: CsvTable) -> Iterator[tuple[int, dict[str, Any], str | None]]:
    """Yield the number (from 0) and the cells of every row that is not blank; of one that is refused, the reason."""
    for number, row in enumerate(table.rows()):
        if not isinstance(row, UnusableRowError):
            yield number, row, None
        elif str(row) != BLANK:
            yield number, {}, str(row).removeprefix("bad row: ")


def _rows(file: Path, held: Columns, columns: LogColumns, number: str, refused: str) -> str:
    """The query of `raw_rows` over `log_file`."""
    item, kind = _column(file, held, columns.item, "item")
    is_list = kind.endswith("]")
    session = columns.session if columns.session in held or not columns.trigger else None
    time, text = _time(file, *_column(file, held, columns.time, "time"), columns.time_format)
    cells = {
        "row": number,
        "refused": refused,
        "session": _text(file, *_column(file, held, session, "session")),
        "trigger": _text(file, *_column(file, held, columns.trigger, "trigger")),
        "item": item if is_list else _text(file, item, kind),
        "time": time,
        "time_text": text,
    }
    base = f"SELECT {', '.join(f'{cell} AS {_quoted(name)}' for name, cell in cells.items())} FROM log_file"  # noqa: S608
    if not is_list:
        return f"SELECT *, 1::BIGINT AS place FROM ({base})"  # noqa: S608
    # A row without items stays, to be rejected.
    items = "CASE WHEN len(item) > 0 THEN item ELSE [NULL] END"
    each = f"unnest({items}) AS one, generate_subscripts({items}, 1) AS place"
    listed = f"SELECT * EXCLUDE (item), {each} FROM ({base})"  # noqa: S608
    one = _text(file, "one", kind[: kind.rindex("[")])
    return f"SELECT * EXCLUDE (one), {one} AS item FROM ({listed})"  # noqa: S608


def _column(file: Path, held: Columns, name: str | None, meaning: str) -> tuple[str, str]:
    """How SQL refers to a column, and its type; of one that the log does without, NULL."""
    if not name:
        return "NULL", "VARCHAR"
    if name not in held:
        names = ", ".join(map(repr, list(held)[:_MOST_NAMES])) or "none"
        hint = "; set it to '' for a log without times" if meaning == "time" else ""
        raise SettingsError(f"{file}: no column {name!r}; it has {names}. Set same_style.columns.{meaning}{hint}")
    return held[name]


def _text(file: Path, cell: str, kind: str) -> str:
    """SQL of an id as text; NULL where there is none. A number is written without a fraction of zero."""
    if kind.startswith(_BROKEN) and not kind.endswith("]"):
        whole = f"try(({cell})::HUGEINT)::VARCHAR"
        return f"CASE WHEN {cell} = trunc({cell}) THEN {whole} ELSE nullif({cell}::VARCHAR, 'nan') END"
    if kind in _WHOLE:
        return f"({cell})::VARCHAR"
    if kind.startswith(_TEXTS) and not kind.endswith("]"):
        text = f"{cell}::VARCHAR"
        # To trim every one of millions of ids takes longer than to look at their ends.
        is_plain = f"left({text}, 1) > ' ' AND right({text}, 1) > ' '"
        return f"CASE WHEN {is_plain} THEN {text} ELSE nullif(trim({text}, e' \\t\\r\\n'), '') END"
    raise SettingsError(f"{file}: {cell} holds {kind}; a session or an item is a text or a number")


def _time(file: Path, cell: str, kind: str, time_format: str | None) -> tuple[str, str]:
    """SQL of a time as TIMESTAMP in UTC, NULL where it cannot be read, and of its text, NULL where it is none."""
    none = "NULL::VARCHAR"
    if kind.startswith(_TIMES):
        return f"try(({cell})::TIMESTAMP)", none
    text = f"{cell}::VARCHAR"
    if time_format and (kind == "VARCHAR" or kind in _WHOLE):
        quoted = time_format.replace("'", "''")
        return f"try_strptime(trim({text}), '{quoted}')::TIMESTAMP", text
    if kind in _WHOLE or kind.startswith(_BROKEN):
        return _epoch(cell), none
    if kind == "VARCHAR":
        number = f"regexp_full_match(trim({cell}), '-?[0-9]{{1,18}}([.][0-9]*)?')"
        return f"CASE WHEN {number} THEN {_epoch(cell)} ELSE try_cast({cell} AS TIMESTAMPTZ)::TIMESTAMP END", text
    raise SettingsError(
        f"{file}: {cell} holds {kind}; a time is a timestamp, a date, or a number of seconds since 1970"
    )


def _epoch(cell: str) -> str:
    """SQL of a number since 1970: of seconds, or of the smaller unit that its size leaves.

    Numbers that would be times before 1990 or long after now may be a spreadsheet's days since 1900 or the digits of a
    date and a time of day.
    """
    number = f"try_cast({cell} AS DOUBLE)"
    units = (("1e11", "1e6"), ("1e14", "1e3"), ("1e17", "1"))
    cases = " ".join(f"WHEN abs({number}) < {bound} THEN {unit}" for bound, unit in units)
    digits = " OR ".join(f"{number} BETWEEN 1990{rest} AND 2100{rest}" for rest in ("0101", "01010000", "0101000000"))
    return (
        f"CASE WHEN {number} BETWEEN 32874 AND 1e5 "
        f"THEN make_timestamp((round(({number} - 25569) * 86400e3) * 1e3)::BIGINT) "
        f"WHEN {digits} THEN try_strptime({number}::BIGINT::VARCHAR, ['%Y%m%d', '%Y%m%d%H%M', '%Y%m%d%H%M%S']) "
        f"ELSE try(make_timestamp(({number} * CASE {cases} ELSE 1e-3 END)::BIGINT)) END"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
