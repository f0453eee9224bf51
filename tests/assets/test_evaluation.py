"""The statistics as assets: what they wait for, what they write, and that nothing is made twice."""

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from assets.common import Project
from assets.datasets import declared
from eiclip.settings.load import FASHIONGEN, load_settings
from eiclip.storage.cache import make_once
from eiclip.storage.catalogue import CATALOGUE
from eiclip.storage.home import Paths
from pipelines.factory import build

TABLES = ("query_facets", "metric_intervals", "row_comparisons", "recall_breakdowns")


@pytest.fixture
def project(tmp_path):
    return Project(load_settings(home=tmp_path, datasets={"fashiongen": FASHIONGEN}), Paths(tmp_path))


def fill(project, better):
    """Ranks of rows 3 and 5 over eight products, row 5 right on so many more; one brand, half of its uses untagged."""
    products = [f"p{n}" for n in range(8)]
    ranked = [
        {"variant": variant, "protocol": "full", "draw": 0, "direction": direction, "query_id": product}
        | {"product_id": product, "rank": rank, "rank_text_equal": rank, "ndcg10": 1.0 / rank}
        for direction in ("i2t", "t2i")
        for variant, right in (("clip_entities_text", 1), ("eiclip", 1 + better))
        for product, rank in zip(products, [1] * right + [2] * (8 - right), strict=True)
    ]
    entity = {"entity_group": "brand", "entity": "diesel"}
    tables = {
        "retrieval_ranks": ranked,
        "products": [{"product_id": product, "split": "test"} for product in products],
        "product_entities": [{"product_id": p, "split": "test", "entity_id": 1} | entity for p in products],
        "entity_vocabulary": [{"entity_id": 0, "product_count": 3} | entity],
        "semantic_prior": [{"tagged_count": 3, "untagged_mentions": 3, "prior": 1.0} | entity],
    }
    for table, rows in tables.items():
        arrow = pa.Table.from_pylist([{"dataset": "fashiongen"} | row for row in rows])

        def write(table=table, arrow=arrow):
            project.paths.lake.write(arrow, table, "fashiongen")
            return {}

        make_once(project.paths.lake.path(table, "fashiongen"), {"rows": arrow.to_pylist()}, write)


def statistics(project):
    """The asset of what a dataset's ranks are worth."""
    [step] = [step for step in declared(project) if getattr(step, "name", None) == "fashiongen__uncertainty"]
    return build(project, step)


def made(project):
    asset = statistics(project)
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([asset], instance=instance)
        events = done.get_asset_materialization_events()
    return {event.asset_key.path[-1]: event.materialization.metadata for event in events}


def test_one_asset_makes_four_tables_of_the_evaluation(project):
    asset = statistics(project)
    assert {key.path[-1] for key in asset.keys} == set(TABLES)
    assert {spec.group_name for spec in asset.specs} == {"fashiongen/evaluation"}
    upstream = {dep.asset_key.path[-1] for spec in asset.specs for dep in spec.deps}
    assert upstream - set(TABLES) == {
        "retrieval_ranks", "products", "product_entities", "semantic_prior", "entity_vocabulary",
    }  # fmt: skip


def test_tables_are_made_once_and_again_with_other_ranks(project):
    fill(project, better=5)
    first = made(project)
    assert set(first) == set(TABLES)
    assert not any(metadata["reused"].value for metadata in first.values())
    assert "5 EI-CLIP less 3" in first["row_comparisons"]["table"].md_str
    assert first["row_comparisons"]["comparison_plot"].md_str.startswith("![")
    assert {"table", "facet_plot", "brand_plot"} <= set(first["recall_breakdowns"])
    assert all(metadata["reused"].value for metadata in made(project).values())
    fill(project, better=1)
    again = made(project)
    assert {name for name, metadata in again.items() if metadata["reused"].value} == {"query_facets"}


def test_tables_lie_in_the_catalogue(project):
    fill(project, better=5)
    made(project)
    with duckdb.connect(str(project.paths.root / CATALOGUE), read_only=True) as connection:
        assert connection.execute(
            "SELECT gain_r1, products FROM recall_breakdowns WHERE value = '10 to 50 %' AND gain_r1 IS NOT NULL"
        ).fetchall() == [(62.5, 8), (62.5, 8)]
        [row] = connection.execute(
            "SELECT difference, low > 0, p_value < 0.1 FROM row_comparisons WHERE measure = 'sum_r'"
        ).fetchall()
    assert row == (125.0, True, True)
