"""The Parquet lake: every table is `HOME/lake/<table>/folder=<dataset>/<part>.parquet`."""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import EiclipError
from eiclip.storage.files import FOLDER, whole_file
from eiclip.storage.sql import read_sql

RECORDS = "records"
RECORD_VIEWS = ("records", "listings")  # what `sql/views` makes of the files of records, in this order


class Lake:
    """Where tables lie below a home, and the queries that make them."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def path(self, table: str, dataset: str, part: str = "data") -> Path:
        """Where one part of a dataset's table lies."""
        return self.home / "lake" / table / f"{FOLDER}{dataset}" / f"{part}.parquet"

    def files(self, table: str, dataset: str) -> list[Path]:
        """The files of a dataset's table, in the order of their parts' names."""
        return sorted(self.path(table, dataset).parent.glob("*.parquet"))

    def tables(self) -> list[str]:
        """Names of the tables that have at least one file."""
        return sorted({file.parent.parent.name for file in (self.home / "lake").glob(f"*/{FOLDER}*/*.parquet")})

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
        self.write_file(rows, output)
        return output

    @staticmethod
    def write_file(rows: pa.Table, output: Path) -> None:
        """Write rows to a Parquet file, whole."""
        with whole_file(output) as temporary:
            pq.write_table(rows, temporary, compression="zstd")


def open_views(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Sequence[Path]]) -> None:
    """Make a view per table over its Parquet files; `records` brings `listings`, its usable rows."""
    for name, files in tables.items():
        paths = [glob.escape(str(file)) for file in files]  # DuckDB takes names for patterns
        if name == RECORDS:
            connection.read_parquet(paths, hive_partitioning=False, file_row_number=True).create_view("record_rows")
            for view in RECORD_VIEWS:
                connection.sql(read_sql(f"views/{view}")).create_view(view)
        else:
            # The folder's name says what the column `dataset` does.
            connection.read_parquet(paths, hive_partitioning=False).create_view(name)


def count_rows(files: Sequence[Path]) -> int:
    """Number of rows of Parquet files, from their footers."""
    return sum(pq.read_metadata(file).num_rows for file in files)


def matrix_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of vectors of one width as a float32 matrix (rows, width); (0, 0) without rows.

    >>> matrix_of(pa.chunked_array([[[1.0, 2.0]], [[3.0, 4.0]]])).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    if not len(column):
        return np.empty((0, 0), np.float32)
    flat = pa.concat_arrays([chunk.flatten() for chunk in column.chunks]).to_numpy(zero_copy_only=False)
    return np.array(flat, np.float32).reshape(len(column), -1)
