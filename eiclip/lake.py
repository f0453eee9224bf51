"""The Parquet lake and its DuckDB catalogue.

Every table is `HOME/lake/<table>/dataset=<name>/<part>.parquet`. `HOME/eiclip.duckdb` holds views over them and
nothing else: it is rebuilt beside its place and renamed into it, so that analysts can keep it open during a run.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import fcntl
import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import EiclipError
from eiclip.files import whole_file

SQL_FOLDER = Path(__file__).resolve().parent.parent / "sql"
CATALOGUE = "eiclip.duckdb"
RECORDS = "records"
VECTORS = {"embeddings": ("embedding",), "product_views": ("image", "text", "joint")}
"""Tables that hold vectors, and the columns that they are in: of one width each."""
VIEWS = ("records", "listings")
"""What `sql/views` makes of the files of records, in this order."""
STORAGE_VERSION = "v1.0.0"
"""Oldest DuckDB whose command line opens the catalogue."""


class Lake:
    """Where tables lie below a home, and the queries that make them."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def path(self, table: str, dataset: str, part: str = "data") -> Path:
        """Where one part of a dataset's table lies."""
        return self.home / "lake" / table / f"dataset={dataset}" / f"{part}.parquet"

    def files(self, table: str, dataset: str) -> list[Path]:
        """The files of a dataset's table, in the order of their parts' names."""
        return sorted(self.path(table, dataset).parent.glob("*.parquet"))

    def tables(self) -> list[str]:
        """Names of the tables that have at least one file."""
        return sorted({file.parent.parent.name for file in (self.home / "lake").glob("*/dataset=*/*.parquet")})

    def query(
        self, query: str, output: Path, inputs: Mapping[str, Sequence[Path]], parameters: Mapping[str, Any]
    ) -> int:
        """Run `sql/<query>.sql` over `inputs` (view name to Parquet files) and write its rows whole to `output`.

        Returns the number of rows.

        Raises:
            EiclipError: DuckDB refused the query; names the query's file.
        """
        # What does not fit in memory goes beside the lake, not into whatever folder the process runs in.
        with duckdb.connect(config={"temp_directory": str(self.home / ".duckdb")}) as connection:
            connection.execute("SET enable_progress_bar = false").fetchall()  # it is drawn into logs
            open_views(connection, inputs)
            try:
                with whole_file(output) as temporary:
                    relation = connection.sql(read_sql(query), params=dict(parameters) or None)
                    relation.write_parquet(str(temporary), compression="zstd")
            except duckdb.Error as error:
                raise EiclipError(f"sql/{query}.sql: {error}") from error
            return count_rows([output])

    def write(self, rows: pa.Table, table: str, dataset: str, part: str = "data") -> Path:
        """Write one part of a table whole; returns its place."""
        output = self.path(table, dataset, part)
        with whole_file(output) as temporary:
            pq.write_table(rows, temporary, compression="zstd")
        return output

    def refresh_catalogue(self) -> Path:
        """Rebuild `eiclip.duckdb`: one view per table that has files, in the place of the old one at once."""
        catalogue = self.home / CATALOGUE
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / ".catalogue.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with whole_file(catalogue) as temporary, duckdb.connect() as connection:
                connection.execute(f"ATTACH '{_quoted(temporary)}' AS catalogue (STORAGE_VERSION '{STORAGE_VERSION}')")
                connection.execute("USE catalogue")
                for table in self.tables():
                    for statement in self._views(table):
                        connection.execute(statement)
                connection.execute("USE memory")
                connection.execute("DETACH catalogue")
        return catalogue

    def _views(self, table: str) -> list[str]:
        """CREATE VIEW statements of one table; DuckDB takes no parameters there, so names are quoted by hand."""
        place = self.home / "lake" / table
        pattern = _quoted(Path(glob.escape(str(place))) / "dataset=*" / "*.parquet")
        source = f"read_parquet('{pattern}', union_by_name = true"
        if table == RECORDS:
            rows = f"SELECT * FROM {source}, hive_partitioning = false, file_row_number = true)"  # noqa: S608
            views = [f"CREATE VIEW {view} AS {read_sql(f'views/{view}')}" for view in VIEWS]
            return [f"CREATE VIEW record_rows AS {rows}", *views]
        columns = "*"
        if vectors := VECTORS.get(table):
            schemas = [pq.read_schema(file) for file in place.glob("dataset=*/*.parquet")]
            widths = {schema.field(vectors[0]).type.list_size for schema in schemas}
            if len(widths) == 1:  # one width everywhere: an array, for which DuckDB has distances
                width = widths.pop()
                columns = f"* REPLACE ({', '.join(f'{vector}::FLOAT[{width}] AS {vector}' for vector in vectors)})"
        return [f"CREATE VIEW {table} AS SELECT {columns} FROM {source}, hive_partitioning = false)"]  # noqa: S608


def open_views(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Sequence[Path]]) -> None:
    """Make a view per table over its Parquet files; `records` brings `listings`, its usable rows."""
    for name, files in tables.items():
        paths = [glob.escape(str(file)) for file in files]  # DuckDB takes names for patterns
        if name == RECORDS:
            connection.read_parquet(paths, hive_partitioning=False, file_row_number=True).create_view("record_rows")
            for view in VIEWS:
                connection.sql(read_sql(f"views/{view}")).create_view(view)
        else:
            # Partitioned `dataset=` folders repeat a column that the files already hold.
            connection.read_parquet(paths, hive_partitioning=False).create_view(name)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def read_sql(query: str) -> str:
    """Text of `sql/<query>.sql`."""
    return (SQL_FOLDER / f"{query}.sql").read_text(encoding="utf-8")


def count_rows(files: Sequence[Path]) -> int:
    """Number of rows of Parquet files, from their footers."""
    return sum(pq.read_metadata(file).num_rows for file in files)


def connect(home: Path) -> duckdb.DuckDBPyConnection:
    """Open the catalogue of a home read-only.

    Raises:
        EiclipError: there is none yet.
    """
    catalogue = home / CATALOGUE
    if not catalogue.is_file():
        raise EiclipError(f"{catalogue}: no catalogue yet; run `make full_eval` or materialise its asset first")
    return duckdb.connect(str(catalogue), read_only=True)
