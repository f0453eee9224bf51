"""A dataset's products with their vectors, for what a shop runs: Parquet, a LanceDB table, or SQL for pgvector.

Whatever the form, a product's row is that of `products_table`, and the vectors have length one: their inner product is
the cosine by which `SearchEngine` ranks.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

import importlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from eiclip.errors import SettingsError
from eiclip.search.index import SearchIndex
from eiclip.search.query import VIEWS
from eiclip.storage.files import whole_file
from eiclip.storage.lake import Lake

PLAIN = ("product_id", "split", "title", "description", "category", "subcategory", "department", "gender")
NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")  # tables that need no quotes anywhere


def products_table(index: SearchIndex) -> pa.Table:
    """Return a row a product: its texts, its `price`, its entities (a list by group), and by view a vector.

    The vectors `image_vector`, `text_vector` and `joint_vector` are lists of D float32, of length one.
    """
    facts = index.facts
    columns: dict[str, Any] = {name: facts[name] for name in (*PLAIN, "price")}
    tags = [dict(own or []) for own in facts["entities"].to_pylist()]
    if groups := sorted({group for own in tags for group in own}):
        by_group = [pa.array([own.get(group, []) for own in tags], pa.list_(pa.string())) for group in groups]
        columns["entities"] = pa.StructArray.from_arrays(by_group, groups)
    for view in VIEWS:
        matrix_ND = index.views[view]
        columns[f"{view}_vector"] = pa.FixedSizeListArray.from_arrays(matrix_ND.reshape(-1), matrix_ND.shape[1])
    return pa.table(columns)


def export(root: Path, dataset: str, variant: str, output: Path, to: str = "parquet", table: str | None = None) -> str:
    """Write a dataset's products under a variant to `output`, whole or not at all; return a sentence on it.

    Args:
        root: the home.
        dataset: whose products.
        variant: whose vectors.
        output: a Parquet file; the folder of a LanceDB database (its other tables stay); a script for `psql`.
        to: `parquet`, `lancedb` or `pgvector`.
        table: its name in LanceDB or Postgres; the dataset's, unless given.

    Raises:
        SettingsError: a library is not installed, `output` is of the other kind, or the table's name needs quotes.
        EiclipError: the home has no such dataset or variant.
    """
    table = dataset.lower() if table is None else table
    if not NAME.fullmatch(table):
        raise SettingsError(f"table {table!r}: name one of small letters, digits and _ with --table")
    if output.exists() and output.is_dir() != (to == "lancedb"):
        raise SettingsError(f"{output} is a {'folder' if output.is_dir() else 'file'}: name another output for {to}")
    lancedb: Any = _library("lancedb") if to == "lancedb" else None
    rows = products_table(SearchIndex.open(root, dataset, variant))
    if to == "parquet":
        Lake.write_file(rows, output)
        how = f"{output} is a table for DuckDB, Polars, pandas and others"
    elif to == "pgvector":
        _write_script(rows, output, table)
        how = f'psql "$DATABASE_URL" -f {output} makes the table {table}'
    else:
        # A new version of the table is committed at once: readers see the rows before, or all of these.
        lancedb.connect(output).create_table(table, rows, mode="overwrite")
        how = f"lancedb.connect({str(output)!r}).open_table({table!r}) opens it"
    width = rows["joint_vector"].type.list_size
    return f"{len(rows):,} products of {dataset} by {variant}, three vectors of {width} numbers each; {how}"


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SettingsError(f"{name} is not installed; pip install 'eiclip[{name}]'") from error


def _write_script(rows: pa.Table, output: Path, table: str) -> None:
    """Write a script that makes the table anew, in one transaction: what reads it meanwhile sees the rows before."""
    width = rows["joint_vector"].type.list_size
    types = dict.fromkeys(rows.column_names, "text") | {"product_id": "text PRIMARY KEY", "price": "double precision"}
    types |= {"entities": "jsonb"} if "entities" in types else {}
    types |= {f"{view}_vector": f"vector({width})" for view in VIEWS}
    columns = ",\n".join(f"    {name} {kind}" for name, kind in types.items())
    # `\\set` makes psql end at the first error, and not go on with a table half made.
    head = f"\\set ON_ERROR_STOP on\nBEGIN;\nCREATE EXTENSION IF NOT EXISTS vector;\nDROP TABLE IF EXISTS {table};\n"
    head += f"CREATE TABLE {table} (\n{columns}\n);\nCOPY {table} FROM stdin WITH (FORMAT csv);\n"
    shown = [f"to_json({name})" if name == "entities" else name for name in rows.column_names]
    with whole_file(output) as temporary, tempfile.TemporaryDirectory(dir=output.parent) as folder:
        values = Path(folder) / "values.csv"
        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false").fetchall()
            connection.from_arrow(rows).project(", ".join(shown)).write_csv(str(values), header=False)
        with temporary.open("wb") as file:
            file.write(head.encode())
            with values.open("rb") as stream:
                shutil.copyfileobj(stream, file)
            file.write(b"\\.\nCOMMIT;\n")
