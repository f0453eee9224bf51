"""Files of the lake that a page must not show: made with other settings, data or code than those of now."""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import glob
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from eiclip.storage.catalogue import connect
from eiclip.storage.files import FOLDER
from eiclip.storage.lake import Lake

WHOLE = "data"
"""The part of a table that has one file."""


@dataclass(frozen=True)
class LeftOut:
    """A file of a table that is left out."""

    dataset: str
    table: str
    part: str
    """Of the table: the file's name."""
    reasons: tuple[str, ...]
    """What was changed since it was made."""
    job: str = ""
    """Makes it again; none does, where the settings no longer have it."""

    @property
    def name(self) -> str:
        """The table, with the part where it is one of several."""
        return self.table if self.part == WHOLE else f"{self.table}/{self.part}"


@contextmanager
def connect_without(home: Path, left_out: Sequence[LeftOut]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the catalogue of a home read-only, with views of this connection alone in the place of some.

    A table of which files are left out is a view over its others, with the columns and types that it has in the
    catalogue; over none, where all are left out.

    Raises:
        EiclipError: there is no catalogue yet.
    """
    lake = Lake(home)
    files = {lake.path(one.table, one.dataset, one.part) for one in left_out}
    with connect(home) as connection:
        [(catalogue,)] = connection.execute("SELECT current_database()").fetchall()
        views = {name for (name,) in connection.execute("SELECT view_name FROM duckdb_views()").fetchall()}
        for table in sorted({one.table for one in left_out} & views):
            kept = [file for file in sorted((home / "lake" / table).glob(f"{FOLDER}*/*.parquet")) if file not in files]
            _replace(connection, f'"{catalogue}".main."{table}"', table, kept)
        yield connection


def _replace(connection: duckdb.DuckDBPyConnection, view: str, table: str, files: Sequence[Path]) -> None:
    found = connection.execute(f"DESCRIBE {view}").fetchall()
    columns = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind, *_ in found)
    rows = f"SELECT * FROM {view} WHERE false"  # noqa: S608 - names of our own tables
    if files:
        listed = ", ".join("'" + glob.escape(str(file)).replace("'", "''") + "'" for file in files)
        rows += f" UNION ALL BY NAME FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    connection.execute(f'CREATE TEMP VIEW "{table}" AS SELECT {columns} FROM ({rows})')  # noqa: S608
