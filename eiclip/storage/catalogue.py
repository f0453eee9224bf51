"""The DuckDB catalogue `HOME/eiclip.duckdb`: views over the lake's tables, and nothing else.

Its views find the lake in the folder that it lies in (`sql/macros.sql`), so that a home can be copied or moved.
Views and columns have comments, from the headers of `sql/`; the view `tables` lists all views.
The catalogue is rebuilt beside its place and renamed into it, so that analysts can keep it open during a run.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import glob
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import duckdb
import pyarrow.parquet as pq

from eiclip.errors import EiclipError
from eiclip.storage.files import FOLDER, whole_file
from eiclip.storage.lake import RECORD_VIEWS, RECORDS, Lake
from eiclip.storage.lock import exclusive
from eiclip.storage.sql import Header, column_meanings, headers, read_sql

CATALOGUE = "eiclip.duckdb"
TABLES = "tables"  # the view that lists the others
VECTORS = {"embeddings": ("embedding",), "product_views": ("image", "text", "joint")}
"""Tables that hold vectors, and the columns that they are in: of one width each."""


def refresh_catalogue(lake: Lake, jobs: Mapping[str, str] = MappingProxyType({})) -> Path:
    """Rebuild `eiclip.duckdb`: one view per table that has files, in the place of the old one at once.

    Args:
        lake: the tables.
        jobs: name of the job that fills each table, for the view `tables`.
    """
    catalogue = lake.home / CATALOGUE
    lock = exclusive(lake.home / ".catalogue.lock")
    with lock, whole_file(catalogue) as temporary, duckdb.connect() as connection:
        # The oldest DuckDB whose command line opens the catalogue.
        connection.execute(f"ATTACH {_quoted(temporary)} AS catalogue (STORAGE_VERSION 'v1.0.0')")
        connection.execute("USE catalogue")
        connection.execute("BEGIN")  # hundreds of statements: each would wait for the disk
        connection.execute(read_sql("macros"))
        connection.execute("SET VARIABLE eiclip_home = ?", [str(lake.home)])  # it has not got its name yet
        for table in lake.tables():
            for statement in _views(lake, table):
                connection.execute(statement)
        views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        known = {
            name: headers().get(name, Header(name, "", (), {})) for name in sorted([TABLES, *(v for (v,) in views)])
        }
        rows = [(one.name, one.grain, one.prose, jobs.get(one.name, "")) for one in known.values()]
        values = ", ".join(f"({', '.join(_quoted(cell) for cell in row)})" for row in rows)
        connection.execute(f"CREATE VIEW {TABLES} AS FROM (VALUES {values}) AS t(name, grain, description, job)")
        for name, grain, text, _ in rows:
            connection.execute(f"COMMENT ON VIEW {name} IS {_quoted(f'{grain} {text}'.strip())}")
        columns = "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'catalogue'"
        for name, column in connection.execute(columns).fetchall():
            if meaning := column_meanings(name).get(column):
                connection.execute(f'COMMENT ON COLUMN {name}."{column}" IS {_quoted(meaning)}')
        connection.execute("COMMIT")
        connection.execute("USE memory")
        connection.execute("DETACH catalogue")
    return catalogue


def _views(lake: Lake, table: str) -> list[str]:
    """CREATE VIEW statements of one table; DuckDB takes no parameters there, so names are quoted by hand."""
    place = lake.home / "lake" / table
    files = f"lake_files({_quoted(f'lake/{glob.escape(table)}/{FOLDER}*/*.parquet')})"
    source = f"read_parquet({files}, union_by_name = true"
    if table == RECORDS:
        rows = f"SELECT * FROM {source}, hive_partitioning = false, file_row_number = true) WHERE one_home()"  # noqa: S608
        views = [f"CREATE VIEW {view} AS {read_sql(f'views/{view}')}" for view in RECORD_VIEWS]
        return [f"CREATE VIEW record_rows AS {rows}", *views]
    columns = "*"
    if vectors := VECTORS.get(table):
        schemas = [pq.read_schema(file) for file in place.glob(f"{FOLDER}*/*.parquet")]
        widths = {schema.field(vectors[0]).type.list_size for schema in schemas}
        if len(widths) == 1:  # one width everywhere: an array, for which DuckDB has distances
            width = widths.pop()
            columns = f"* REPLACE ({', '.join(f'{vector}::FLOAT[{width}] AS {vector}' for vector in vectors)})"
    return [f"CREATE VIEW {table} AS SELECT {columns} FROM {source}, hive_partitioning = false) WHERE one_home()"]  # noqa: S608


def _quoted(text: str | Path) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def connect(home: Path) -> duckdb.DuckDBPyConnection:
    """Open the catalogue of a home read-only.

    Raises:
        EiclipError: there is none yet.
    """
    catalogue = home / CATALOGUE
    if not catalogue.is_file():
        raise EiclipError(f"{catalogue}: no catalogue yet; run `make full_eval` or materialise its asset first")
    return duckdb.connect(str(catalogue), read_only=True)
