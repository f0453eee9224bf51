"""The DuckDB catalogue `HOME/eiclip.duckdb`: views over the lake's tables, and nothing else.

It is rebuilt beside its place and renamed into it, so that analysts can keep it open during a run.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import glob
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from eiclip.errors import EiclipError
from eiclip.storage.files import whole_file
from eiclip.storage.lake import RECORD_VIEWS, RECORDS, Lake
from eiclip.storage.lock import exclusive
from eiclip.storage.sql import read_sql

CATALOGUE = "eiclip.duckdb"
VECTORS = {"embeddings": ("embedding",), "product_views": ("image", "text", "joint")}
"""Tables that hold vectors, and the columns that they are in: of one width each."""
STORAGE_VERSION = "v1.0.0"
"""Oldest DuckDB whose command line opens the catalogue."""


def refresh_catalogue(lake: Lake) -> Path:
    """Rebuild `eiclip.duckdb`: one view per table that has files, in the place of the old one at once."""
    catalogue = lake.home / CATALOGUE
    lock = exclusive(lake.home / ".catalogue.lock")
    with lock, whole_file(catalogue) as temporary, duckdb.connect() as connection:
        connection.execute(f"ATTACH '{_quoted(temporary)}' AS catalogue (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("USE catalogue")
        for table in lake.tables():
            for statement in _views(lake, table):
                connection.execute(statement)
        connection.execute("USE memory")
        connection.execute("DETACH catalogue")
    return catalogue


def _views(lake: Lake, table: str) -> list[str]:
    """CREATE VIEW statements of one table; DuckDB takes no parameters there, so names are quoted by hand."""
    place = lake.home / "lake" / table
    pattern = _quoted(Path(glob.escape(str(place))) / "dataset=*" / "*.parquet")
    source = f"read_parquet('{pattern}', union_by_name = true"
    if table == RECORDS:
        rows = f"SELECT * FROM {source}, hive_partitioning = false, file_row_number = true)"  # noqa: S608
        views = [f"CREATE VIEW {view} AS {read_sql(f'views/{view}')}" for view in RECORD_VIEWS]
        return [f"CREATE VIEW record_rows AS {rows}", *views]
    columns = "*"
    if vectors := VECTORS.get(table):
        schemas = [pq.read_schema(file) for file in place.glob("dataset=*/*.parquet")]
        widths = {schema.field(vectors[0]).type.list_size for schema in schemas}
        if len(widths) == 1:  # one width everywhere: an array, for which DuckDB has distances
            width = widths.pop()
            columns = f"* REPLACE ({', '.join(f'{vector}::FLOAT[{width}] AS {vector}' for vector in vectors)})"
    return [f"CREATE VIEW {table} AS SELECT {columns} FROM {source}, hive_partitioning = false)"]  # noqa: S608


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def connect(home: Path) -> duckdb.DuckDBPyConnection:
    """Open the catalogue of a home read-only.

    Raises:
        EiclipError: there is none yet.
    """
    catalogue = home / CATALOGUE
    if not catalogue.is_file():
        raise EiclipError(f"{catalogue}: no catalogue yet; run `make full_eval` or materialise its asset first")
    return duckdb.connect(str(catalogue), read_only=True)
