"""What the report asks: every query binds to the views that its header names, and one that does not is an error."""

import duckdb
import pytest

from eiclip.errors import EiclipError
from eiclip.report.queries import select
from eiclip.storage.catalogue import connect
from eiclip.storage.sql import SQL_FOLDER, header, read_sql

QUERIES = sorted(file.stem for file in (SQL_FOLDER / "report").glob("*.sql"))
ENDS = "value DOUBLE, baseline_value DOUBLE, difference DOUBLE, low DOUBLE, high DOUBLE, p_value DOUBLE"
SEEDS = "dataset VARCHAR, variant VARCHAR, seed BIGINT, seeds BIGINT, queries BIGINT, styles BIGINT"
PAIRS = "baseline VARCHAR, view_pair VARCHAR, baseline_view_pair VARCHAR, measure VARCHAR"
RECALLS = "mrr DOUBLE, r1 DOUBLE, r5 DOUBLE, r10 DOUBLE"
NAMES = ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "sum_r")
OTHERS = {
    "same_style_intervals": f"{SEEDS}, {PAIRS}, {ENDS}",
    "same_style_comparisons": f"{SEEDS}, {PAIRS}, {ENDS}",
    "same_style_metrics": f"{SEEDS}, view_pair VARCHAR, {RECALLS}",
    "same_style_chance": f"dataset VARCHAR, {RECALLS}, pair_share DOUBLE, queries BIGINT",
    "same_style_pr_curve": f"{SEEDS}, view VARCHAR, threshold DOUBLE, precision DOUBLE, recall DOUBLE, "
    "average_precision DOUBLE",
    "same_style_ablation": f"dataset VARCHAR, label VARCHAR, setting VARCHAR, value VARCHAR, seed BIGINT, "
    f"view_pair VARCHAR, {RECALLS}",
    "tuning_results": "dataset VARCHAR, variant VARCHAR, trial BIGINT, tower_lr DOUBLE, validation DOUBLE",
    "images": "dataset VARCHAR, image_id VARCHAR, product_id VARCHAR",
    "pair_funnel": "dataset VARCHAR, step INT, name VARCHAR, unit VARCHAR, kept BIGINT, lost BIGINT, why VARCHAR",
    "typed_query_metrics": f"{SEEDS}, view_pair VARCHAR, {RECALLS}",
    "typed_query_comparisons": f"{SEEDS}, {PAIRS}, {ENDS}",
    "judged_query_metrics": "dataset VARCHAR, variant VARCHAR, kind VARCHAR, reading VARCHAR, queries BIGINT, "
    + ", ".join(f"{name} DOUBLE" for name in ("mrr10", "mrr10_low", "mrr10_high", "ndcg10", "p10", "r1", "r10")),
    "judged_query_results": "dataset VARCHAR, variant VARCHAR, kind VARCHAR, reading VARCHAR, query VARCHAR, "
    "relevant BIGINT, rank BIGINT, ndcg10 DOUBLE",
    "seed_study_summary": 'dataset VARCHAR, variant VARCHAR, "row" BIGINT, seeds BIGINT, '
    + ", ".join(f"{name} DOUBLE, {name}_spread DOUBLE" for name in NAMES),
    "profile_confounded": "dataset VARCHAR, entity VARCHAR, entity_group VARCHAR, tagged_count BIGINT, "
    "untagged_mentions BIGINT, ratio DOUBLE",
    "profile_photos": "dataset VARCHAR, smaller_side INT, photo_width INT, photo_height INT, images BIGINT",
    "profile_quarantine": "dataset VARCHAR, source VARCHAR, kind VARCHAR, rows BIGINT, example VARCHAR",
    "profile_placeholders": "dataset VARCHAR, field VARCHAR, text VARCHAR, rows BIGINT",
    "profile_prices": "dataset VARCHAR, rows BIGINT, priced BIGINT, unread BIGINT, lowest DOUBLE, median DOUBLE, "
    "highest DOUBLE, unread_texts STRUCT(text VARCHAR, rows BIGINT)[]",
    "conflicting_ids": "dataset VARCHAR, product_id VARCHAR, rows BIGINT, differs VARCHAR[]",
    "profile_compositions": "dataset VARCHAR, compositions BIGINT, parsed BIGINT, unparsed BIGINT, "
    "products_unparsed BIGINT, incomplete BIGINT, fibres STRUCT(fibre VARCHAR, products BIGINT)[]",
}
"""Tables that this folder's whole home does not have."""


@pytest.fixture(scope="module")
def columns(whole_home):
    """What is in the parentheses of CREATE TABLE, of every view."""
    with connect(whole_home) as connection:
        found = connection.execute("SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal")
        there = {}
        for view, column, kind in found.fetchall():
            there.setdefault(view, []).append(f'"{column}" {kind}')
    return {view: ", ".join(held) for view, held in there.items()} | OTHERS


def catalogue(columns, views):
    connection = duckdb.connect()
    for view in views:
        connection.execute(f"CREATE TABLE {view} ({columns[view]})")
    return connection


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_binds_to_the_views_that_it_names_and_to_no_others(columns, name):
    sources = header(f"report/{name}").sources
    with catalogue(columns, sources) as connection:
        connection.execute(f"PREPARE asked AS {read_sql(f'report/{name}')}")
    for gone in sources:
        with catalogue(columns, set(sources) - {gone}) as connection, pytest.raises(duckdb.CatalogException):
            connection.execute(f"PREPARE asked AS {read_sql(f'report/{name}')}")


def test_without_a_view_there_are_no_rows_and_without_a_column_there_is_an_error(columns):
    with catalogue(columns, ["leaderboard"]) as connection:
        asked = {"dataset": "d", "protocol": "full"}
        assert select(connection, "board", **asked) == []
        assert select(connection, "text_equal", **asked) == []
        connection.execute("ALTER TABLE leaderboard DROP COLUMN i2t_r5")
        with pytest.raises(EiclipError, match=r'(?s)sql/report/board\.sql: .*"i2t_r5".*leaderboard: make again'):
            select(connection, "board", **asked)
