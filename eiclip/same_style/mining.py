"""Mining of same-style pairs of products from clicks, in SQL: `sql/mining` holds the steps.

The steps are tables of one database in memory, which puts what does not fit onto the disk. Each constraint sees only
the pairs that those before it left, so that the costly ones (words, embeddings) see few.
"""

from __future__ import annotations  # DuckDB's types in them would be reported as leaks at exit

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb

from eiclip.errors import EiclipError, SettingsError
from eiclip.same_style.log import connect
from eiclip.settings.same_style import MiningSettings
from eiclip.storage.files import whole_file
from eiclip.storage.lake import count_rows, open_views
from eiclip.storage.sql import read_sql

SOURCES = ("click_log", "click_rejections", "related_items", "products", "images", "product_views")
"""Tables of the lake that pairs are mined from."""
TABLES = ("click_pairs", "positive_pairs", "pair_funnel")
"""Tables that mining makes."""
MINING_VARIANT = "clip_pretrained"
"""Whose embeddings measure the similarity of two photos: a model that has seen no click."""
CHECK = "checks/pairs_keep_their_constraints"
"""Query of offenders, over positive_pairs and products; takes `check_parameters`."""
_ABSENT = {
    "click_log": "dataset VARCHAR, row BIGINT, source VARCHAR, session VARCHAR, time TIMESTAMP, item VARCHAR, "
    "trigger VARCHAR",
    "click_rejections": "dataset VARCHAR, source VARCHAR, row BIGINT, reason VARCHAR",
    "related_items": "dataset VARCHAR, product_id VARCHAR, related_id VARCHAR, kind VARCHAR",
    "product_views": "dataset VARCHAR, variant VARCHAR, product_id VARCHAR, split VARCHAR, image FLOAT[]",
}
"""Columns of the sources that a dataset may lack."""


def mine_pairs(
    sources: Mapping[str, Sequence[Path]], dataset: str, settings: MiningSettings, outputs: Mapping[str, Path]
) -> dict[str, int]:
    """Write `click_pairs`, `positive_pairs` and `pair_funnel` whole, all or none; return their numbers of rows.

    Args:
        sources: files of the tables `SOURCES`; `products` and `images` must be there, the others may be absent.
        dataset: what the tables' first column says.
        settings: the constraints.
        outputs: by the names of `TABLES`.

    Raises:
        SettingsError: `session_gap` is set and the log has no times.
        EiclipError: DuckDB refused a query.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(connect(outputs["positive_pairs"].parent))
        # Every query says in what order its rows are.
        connection.execute("SET preserve_insertion_order = false")
        temporary = {table: stack.enter_context(whole_file(outputs[table])) for table in TABLES}
        try:
            _mine(connection, sources, dataset, settings, temporary)
        except duckdb.Error as error:
            raise EiclipError(f"mining the pairs of {dataset}: {error}") from error
        return {table: count_rows([temporary[table]]) for table in TABLES}


def check_parameters(settings: MiningSettings) -> dict[str, Any]:
    """Return the parameters of `CHECK`."""
    names = ("most_session_items", "clicked_support", "weight_cap", "session_gap", "latest_time")
    return settings.model_dump(exclude=set(names))


def _mine(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Sequence[Path]],
    dataset: str,
    settings: MiningSettings,
    outputs: Mapping[str, Path],
) -> None:
    for table, columns in _ABSENT.items():
        if not sources.get(table):
            connection.execute(f"CREATE TABLE {table} ({columns})")
    open_views(connection, {table: files for table, files in sources.items() if files})
    parameters = check_parameters(settings) | {
        "dataset": dataset, "variant": MINING_VARIANT, "most_items": settings.most_session_items,
        "weight_cap": settings.weight_cap, "gap": settings.session_gap, "clicked_support": settings.clicked_support,
    }  # fmt: skip

    def query(step: str) -> tuple[str, dict[str, Any]]:
        """The text of a step, and those of the parameters that it names: DuckDB refuses others."""
        text = read_sql(f"mining/{step}")
        return text, {name: parameters[name] for name in duckdb.extract_statements(text)[0].named_parameters}

    def run(before: str, step: str) -> None:
        text, named = query(step)
        connection.execute(f"{before} {text}", named)

    if settings.session_gap is None:
        connection.execute("CREATE VIEW session_clicks AS FROM click_log")
    else:
        clicks, timed = connection.execute("SELECT count(*), count(time) FROM click_log").fetchall()[0]
        if clicks and not timed:
            place = "same_style.mining.session_gap"
            raise SettingsError(f"{place} is set, but the log has no times; set columns.time, or no gap")
        run("CREATE TEMP TABLE session_clicks AS", "visits")
    for table in ("catalogue", "clicks", "sessions", "item_supports"):
        run(f"CREATE TEMP TABLE {table} AS", table)
    # Pairs of sessions, and pairs that clicks state.
    stated = connection.execute("SELECT DISTINCT origin FROM clicks WHERE trigger_number IS NOT NULL").fetchall()
    connection.execute(
        "CREATE TEMP TABLE pair_supports (origin VARCHAR, first INTEGER, second INTEGER, support BIGINT)"
    )
    for step, is_wanted in (("session_pairs", ("log",) not in stated), ("stated_pairs", bool(stated))):
        if is_wanted:
            run("INSERT INTO pair_supports", step)
    for table in ("supported_pairs", "product_words", "alike_pairs", "ranked_pairs"):
        run(f"CREATE TEMP TABLE {table} AS", table)
    for table, output in outputs.items():
        text, named = query(table)
        connection.sql(text, params=named).write_parquet(str(output), compression="zstd")
