"""The job of same-style retrieval, small, in one process (its trainers are real processes), and a second run of it."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest

from eiclip.model.variants import SAME_STYLE_ROWS
from eiclip.same_style import VIEW_PAIRS
from eiclip.search.evaluate import HYBRID
from eiclip.settings.load import STYLES, load_settings
from eiclip.studies.trials import SAME_STYLE_STUDIES, same_style_ablation, same_style_seeds
from pipelines.definitions import build_definitions

from .conftest import require_descriptions

SIZES = {"styles": 60, "general_images": 128, "pretraining_epochs": 1}
MODEL_FREE = {"pixels": {"i-i"}, "phash": {"i-i"}, "words": {"t-t"}}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return load_settings(
        home=tmp_path_factory.mktemp("home"),
        datasets={"styles": STYLES},
        pretrained="general",
        embedded=SIZES,
        training={"epochs": 1, "batch_size": 32},
    )


def run(settings, name="same_style_eval"):
    job = build_definitions(settings).resolve_job_def(name)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance)
        checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
        events = result.get_asset_materialization_events()
        made = {event.asset_key.to_user_string(): event.materialization.metadata for event in events if event.asset_key}
    return made, checks


@pytest.fixture(scope="module")
def first(settings):
    return run(settings)


def query(settings, text):
    with duckdb.connect(str(settings.home / "eiclip.duckdb"), read_only=True) as connection:
        return connection.execute(text).fetchall()


def test_every_row_is_ranked_by_every_pair_of_views_it_has(settings, first):
    rows = query(settings, "SELECT variant, view_pair, queries FROM same_style_metrics")
    found = {variant: {pair for name, pair, _ in rows if name == variant} for variant, _, _ in rows}
    assert found == MODEL_FREE | {HYBRID: {"m-m"}} | {variant: set(VIEW_PAIRS) for variant in SAME_STYLE_ROWS}
    assert len({queries for *_, queries in rows}) == 1
    assert rows[0][2] > 10


def test_no_style_is_in_two_splits_and_the_style_is_nowhere_a_model_looks(settings, first):
    assert query(settings, "SELECT style_id FROM styles GROUP BY ALL HAVING count(DISTINCT split) > 1") == []
    held = query(settings, "SELECT DISTINCT entity_group FROM tagged_entities")
    assert sorted(group for (group,) in held) == ["brand", "colour", "composition", "subcategory"]
    assert query(settings, "SELECT count(*) FROM products WHERE regexp_matches(description, 'st[0-9]{5}')") == [(0,)]


def test_pairs_are_of_training_products_and_the_funnel_adds_up(settings, first):
    made, checks = first
    assert checks["pairs_keep_their_constraints"]
    text = """
        SELECT count(*) FROM click_pairs
        ANTI JOIN (FROM products WHERE split = 'train') AS known ON known.product_id = trigger_id"""
    assert query(settings, text) == [(0,)]
    steps = query(settings, "SELECT unit, kept, lost FROM pair_funnel ORDER BY step")
    for (unit, kept, _), (next_unit, next_kept, lost) in itertools.pairwise(steps):
        assert unit != next_unit or kept == next_kept + lost
    read = pq.read_metadata(settings.home / "raw" / "styles" / "clicks.parquet").num_rows
    assert steps[0] == ("rows", read, 0)
    assert "funnel" in made["styles/pair_funnel"]


def test_views_are_of_every_product_and_of_length_one(settings, first):
    products = query(settings, "SELECT count(*) FROM products WHERE split <> 'excluded'")[0][0]
    text = """
        SELECT variant, count(DISTINCT product_id),
            max(abs(array_inner_product(image, image) - 1) + abs(array_inner_product(text, text) - 1)
                + abs(array_inner_product(joint, joint) - 1))
        FROM product_views GROUP BY variant ORDER BY variant"""
    rows = query(settings, text)
    assert [(variant, count) for variant, count, _ in rows] == [(name, products) for name in sorted(SAME_STYLE_ROWS)]
    assert max(error for *_, error in rows) < 1e-4


def test_every_view_and_column_is_described(settings, first):
    require_descriptions(settings.home)
    jobs = dict(query(settings, "SELECT name, job FROM tables"))
    assert [jobs[name] for name in ("products", "click_pairs", "product_views")] == [
        "full_eval",
        *["same_style_eval"] * 2,
    ]


def test_differences_intervals_and_the_curve_are_there_and_in_the_report(settings, first):
    asked = query(
        settings,
        """
        SELECT baseline FROM same_style_comparisons
        WHERE variant = 'same_style' AND view_pair = 'm-m' AND measure = 'mrr' AND difference BETWEEN low AND high
        """,
    )
    wanted = {"same_style_unconstrained", "same_style_plain", "clip_description", "eiclip", "clip_pretrained"}
    assert {baseline for (baseline,) in asked} >= wanted
    apart = "NOT low <= value + 1e-9 OR NOT value <= high + 1e-9"  # of rows that find all, by rounding
    assert query(settings, f"SELECT count(*) FROM same_style_intervals WHERE {apart}") == [(0,)]
    assert query(settings, "SELECT count(*) > 0 FROM same_style_pr_curve WHERE precision NOT BETWEEN 0 AND 1") == [
        (False,)
    ]
    page = (settings.home / "report.html").read_text()
    assert "m-m" in page
    assert "Same style, constrained pairs and entities" in page


def test_typed_queries_are_read_in_three_ways(settings, first):
    rows = query(settings, "SELECT DISTINCT variant, view_pair FROM typed_query_metrics ORDER BY ALL")
    ways = ("tags given", "typed", "typed and linked")
    assert rows == [(f"same_style, {way}", pair) for way in ways for pair in ("t-i", "t-m")]
    compared = query(settings, "SELECT DISTINCT variant, baseline FROM typed_query_comparisons ORDER BY ALL")
    assert compared == [
        ("same_style, tags given", "same_style, typed and linked"),
        ("same_style, typed and linked", "same_style, typed"),
    ]


def test_documented_queries_answer(settings, first):
    page = (Path(__file__).parents[2] / "docs" / "same_style.md").read_text(encoding="utf-8")
    texts = re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert texts
    for text in texts:
        assert query(settings, text), text


def test_a_second_run_makes_nothing_again(settings, first):
    made, _ = run(settings)
    again = {key for key, metadata in made.items() if "reused" in metadata and not metadata["reused"].value}
    assert again <= {"results/report"}


def test_studies_train_what_is_not_trained_yet_and_show_all_seeds_together(settings, first, monkeypatch):
    wanted = {("same_style", 0), ("same_style", 1), ("same_style_unconstrained", 0)}
    fewer = {
        "same_style_seeds": lambda base: [t for t in same_style_seeds(base) if (t.variant, t.seed) in wanted],
        "same_style_ablation": lambda base: same_style_ablation(base)[:2],
    }
    for name, plan in fewer.items():
        monkeypatch.setitem(SAME_STYLE_STUDIES, name, replace(SAME_STYLE_STUDIES[name], plan=plan))
    run(settings, "same_style_seeds")
    run(settings, "same_style_ablation")
    trained = [path.parent for path in (settings.home / "same_style_studies").rglob("job.json")]
    assert len(trained) == 2, "one more seed and one other loss; the others are same_style_eval's rows"
    assert not any((folder / "weights").exists() for folder in trained)
    together = "SELECT variant, seed, seeds FROM same_style_intervals WHERE view_pair = 'm-m' AND measure = 'mrr'"
    found = set(query(settings, together))
    assert {("same_style", 0, 1), ("same_style", 1, 1), ("same_style", None, 2)} <= found
    assert ("same_style_unconstrained", None, 2) not in found
    ranks = query(settings, "SELECT variant, seed, view_pair FROM same_style_ranks GROUP BY ALL")
    assert len(ranks) == len(set(ranks)), "no seed is there twice"
    assert ("same_style", 1, "m-m") in ranks
    ablated = query(settings, "SELECT label, count(*) FROM same_style_ablation GROUP BY label ORDER BY label")
    assert ablated == [("as it is", len(VIEW_PAIRS)), ("one view at a time", len(VIEW_PAIRS))]
    assert "one view at a time" in (settings.home / "report.html").read_text()
