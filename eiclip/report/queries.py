"""What the report asks of the catalogue: the queries of `sql/report`, by name.

Any view may be missing, since a report of a partial run is still a report: `select` then gives no rows. Anything else
that keeps a query from running is an error.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from eiclip.errors import EiclipError
from eiclip.storage.sql import header, read_sql

Row = dict[str, Any]
_known: ContextVar[dict[Any, list[Row]] | None] = ContextVar("known", default=None)
"""Rows by query and parameters, within `remembered`."""
T = TypeVar("T")


def select(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[Row]:
    """Return the rows of `sql/report/<name>.sql` as dictionaries; none where the catalogue lacks a view it reads.

    Raises:
        EiclipError: the query does not run: a column or a file of a view is not there, or the query is wrong.
    """
    known, asked = _known.get(), (name, *sorted(parameters.items()))
    known = {} if known is None else known
    if asked not in known:
        known[asked] = _answer(connection, name, parameters, _rows) or []
    return [*map(dict, known[asked])]


@contextmanager
def remembered() -> Iterator[None]:
    """Answer a query that is asked again from memory: for one connection, whose data do not change meanwhile."""
    before = _known.set({})
    try:
        yield
    finally:
        _known.reset(before)


def select_table(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> pa.Table | None:
    """Return the same as an Arrow table; None where the catalogue lacks a view."""
    return _answer(connection, name, parameters, duckdb.DuckDBPyRelation.to_arrow_table)


def _answer(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    parameters: dict[str, Any],
    fetch: Callable[[duckdb.DuckDBPyRelation], T],
) -> T | None:
    sources = header(f"report/{name}").sources
    views = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
    if not {(source,) for source in sources} <= set(views):
        return None
    try:
        return fetch(connection.sql(read_sql(f"report/{name}"), params=parameters))
    except duckdb.Error as error:
        made = f"its sources are {', '.join(sources)}: make again what is of an older version or has lost its files"
        raise EiclipError(f"sql/report/{name}.sql: {error} ({made})") from error


def _rows(found: duckdb.DuckDBPyRelation) -> list[Row]:
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def where(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows whose columns have these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def one(rows: Sequence[Row], **wanted: Any) -> Row | None:
    """The only such row; None where there is none, or more than one."""
    found = where(rows, **wanted)
    return found[0] if len(found) == 1 else None


def intervals(
    connection: duckdb.DuckDBPyConnection, dataset: str, protocol: str
) -> dict[tuple[str, str], tuple[float, float]]:
    """95 % intervals: low and high end by variant and by the leaderboard's name of a measure (`i2t_r1`, `sum_r`)."""
    rows = select(connection, "metric_intervals", dataset=dataset, protocol=protocol)
    return {(row["variant"], row["figure"]): (row["low"], row["high"]) for row in rows}
