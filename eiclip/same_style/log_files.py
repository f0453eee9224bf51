"""One file of a click log as DuckDB sees it: its columns by what they mean, whatever their types.

Parquet and CSV (plain or gzipped) are told apart by content, not by name.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import csv
import glob
import re
from pathlib import Path

import duckdb

from eiclip.errors import RawDataError, SettingsError
from eiclip.readers.amazon.json_lines import is_gzip, numbered_lines
from eiclip.readers.table.delimited import DELIMITERS, best_header
from eiclip.readers.table.files import is_parquet
from eiclip.settings.same_style import LogColumns

_NO_LINES = 'SELECT 0::BIGINT AS "row" WHERE false'
# A line's number counts from 1, and the header. One line may be refused for several reasons.
_REFUSED_LINES = 'SELECT DISTINCT (line - 2)::BIGINT AS "row" FROM refused_lines'
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_BROKEN = ("FLOAT", "DOUBLE", "DECIMAL")
_TEXTS = ("VARCHAR", "ENUM", "UUID")
_TIMES = ("TIMESTAMP", "DATE")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_MOST_NAMES = 50
"""Column names shown in an error."""

Columns = dict[str, tuple[str, str]]
"""By a column's name in the file: how SQL refers to it, and its type."""


def open_log(connection: duckdb.DuckDBPyConnection, file: Path, columns: LogColumns, *, strict: bool) -> str:
    """Make the view `raw_rows` of a file (row, place, session, trigger, item, time); see `sql/clicks/log_rows.sql`.

    Returns a query of the lines that cannot be read (column `row`), to be run after one over `raw_rows`. The time zone
    of `connection` is UTC; `strict` refuses a CSV whose quotes or line ends are not in order. Raises RawDataError where
    the file is missing, damaged, or neither Parquet nor CSV, SettingsError where it lacks a column, or one is of a type
    that its meaning cannot be read from.
    """
    if is_parquet(file, "the dataset's same_style.log"):
        held, number, refused = _open_parquet(connection, file), "file_row_number", _NO_LINES
    else:
        held, number, refused = _open_csv(connection, file, columns, strict), "row_number() OVER () - 1", _REFUSED_LINES
    connection.execute(f"CREATE OR REPLACE VIEW raw_rows AS {_rows(file, held, columns, number)}")
    return refused


def damaged(file: Path, error: Exception) -> RawDataError:
    """The error for a file that DuckDB cannot read."""
    reason = str(error).splitlines()[0]
    return RawDataError(f"{file}: cannot be read as a log ({reason}); expected whole Parquet, or CSV in UTF-8")


def _open_parquet(connection: duckdb.DuckDBPyConnection, file: Path) -> Columns:
    try:
        relation = connection.read_parquet(glob.escape(str(file)), file_row_number=True, hive_partitioning=False)
    except duckdb.Error as error:
        raise damaged(file, error) from error
    relation.create_view("log_file", replace=True)
    kinds = zip(relation.columns, map(str, relation.types), strict=True)
    return {name: (_quoted(name), kind) for name, kind in kinds if name != "file_row_number"}


def _open_csv(connection: duckdb.DuckDBPyConnection, file: Path, columns: LogColumns, strict: bool) -> Columns:
    """Cells as texts, in columns named for their places: a header may hold anything."""
    line = next((line for _, line in numbered_lines(file) if line is None or line.strip()), None)
    try:
        text = "\0" if line is None else line.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if _CONTROL.search(text) or text.lstrip().startswith(("{", "[")):
        raise RawDataError(f"{file}: neither Parquet nor CSV with a header in UTF-8; convert it to one of them")
    headers = {mark: [cell.strip() for cell in next(csv.reader([text], delimiter=mark), [])] for mark in DELIMITERS}
    delimiter, header = best_header(headers, {columns.session, columns.item, columns.time, columns.trigger})
    places = {f"c{place}": name for place, name in enumerate(header)}
    for table in ("refused_lines", "refused_scans"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    connection.sql(
        "FROM read_csv($path, delim = $delimiter, compression = $compression, columns = $columns, "
        "strict_mode = $strict, quote = '\"', escape = '\"', header = true, auto_detect = false, null_padding = true, "
        "store_rejects = true, rejects_table = 'refused_lines', rejects_scan = 'refused_scans')",
        params={
            "path": glob.escape(str(file)), "delimiter": delimiter, "strict": strict,
            "compression": "gzip" if is_gzip(file) else "none", "columns": dict.fromkeys(places, "VARCHAR"),
        },
    ).create_view("log_file", replace=True)  # fmt: skip
    return {name: (place, "VARCHAR") for place, name in places.items()}


def _rows(file: Path, held: Columns, columns: LogColumns, number: str) -> str:
    """The query of `raw_rows` over `log_file`."""
    item, kind = _column(file, held, columns.item, "item")
    is_list = kind.endswith("]")
    session = columns.session if columns.session in held or not columns.trigger else None
    cells = {
        "row": number,
        "session": _text(file, *_column(file, held, session, "session")),
        "trigger": _text(file, *_column(file, held, columns.trigger, "trigger")),
        "item": item if is_list else _text(file, item, kind),
        "time": _time(file, *_column(file, held, columns.time, "time")),
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


def _time(file: Path, cell: str, kind: str) -> str:
    """SQL of a time as TIMESTAMP in UTC; NULL where it cannot be read."""
    if kind.startswith(_TIMES):
        return f"try(({cell})::TIMESTAMP)"
    if kind in _WHOLE or kind.startswith(_BROKEN):
        return _epoch(cell)
    if kind == "VARCHAR":
        number = f"regexp_full_match(trim({cell}), '-?[0-9]{{1,18}}([.][0-9]*)?')"
        return f"CASE WHEN {number} THEN {_epoch(cell)} ELSE try_cast({cell} AS TIMESTAMPTZ)::TIMESTAMP END"
    raise SettingsError(
        f"{file}: {cell} holds {kind}; a time is a timestamp, a date, or a number of seconds since 1970"
    )


def _epoch(cell: str) -> str:
    """SQL of a number since 1970: of seconds, or of the smaller unit that its size leaves."""
    number = f"try_cast({cell} AS DOUBLE)"
    units = (("1e11", "1e6"), ("1e14", "1e3"), ("1e17", "1"))
    cases = " ".join(f"WHEN abs({number}) < {bound} THEN {unit}" for bound, unit in units)
    return f"try(make_timestamp(({number} * CASE {cases} ELSE 1e-3 END)::BIGINT))"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
