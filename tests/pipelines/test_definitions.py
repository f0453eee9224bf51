"""The asset graph: what a code location of some settings holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from eiclip.model.variants import SAME_STYLE_ROWS, VARIANTS
from eiclip.settings.load import AMAZON, load_settings
from eiclip.settings.same_style import SameStyleSettings
from eiclip.studies.trials import ABLATIONS
from pipelines.definitions import build_definitions

ROOT = Path(__file__).parents[2]
TABLES = {
    "raw_files",
    "records",
    "photos",
    "reviews",
    "brand_names",
    "review_stats",
    "helpful_reviews",
    "duplicate_photos",
    "product_groups",
    "split_pairs",
    "split_groups",
    "styles",
    "quarantine",
    "data_profile",
    "products",
    "images",
    "tagged_entities",
    "entity_vocabulary",
    "product_entities",
    "semantic_prior",
    "candidate_lists",
    "shards",
    "retrieval_ranks",
    "retrieval_metrics",
    "leaderboard",
    "gate_weights",
    "entity_shuffles",
    "protocols",
    "query_facets",
    "metric_intervals",
    "row_comparisons",
    "recall_breakdowns",
    "gate_report",
    "gate_history",
    "interventions",
    "intervention_summary",
    "runs",
    "model_cards",
    "typed_query_ranks",
    "typed_query_metrics",
    "typed_query_comparisons",
}
OF_TABLE_1 = {
    "retrieval_ranks",
    "retrieval_metrics",
    "leaderboard",
    "gate_weights",
    "entity_shuffles",
    "metric_intervals",
    "row_comparisons",
    "recall_breakdowns",
    "gate_report",
    "gate_history",
    "interventions",
    "intervention_summary",
    "query_facets",
    "runs",
    "model_cards",
}
"""Of those, what is made of the five rows."""
OF_SAME_STYLE = {
    "click_log",
    "click_rejections",
    "related_items",
    "click_pairs",
    "positive_pairs",
    "pair_funnel",
    "same_style_ranks",
    "same_style_metrics",
    "same_style_intervals",
    "same_style_comparisons",
    "same_style_pr_curve",
}
STUDIES = ("same_style_seeds", "same_style_ablation")
OF_SEVERAL_GROUPS = {name for name, ablation in ABLATIONS.items() if ablation.several_groups}
"""Ablations that a dataset of a single entity group has no use for."""


def ablations(dataset):
    left_out = OF_SEVERAL_GROUPS if dataset == "amazon" else set()
    return {dg.AssetKey([dataset, name]) for name in ABLATIONS if name not in left_out}


def expected(dataset):
    keys = {dg.AssetKey([dataset, table]) for table in TABLES}
    return keys | {dg.AssetKey([dataset, kind, name]) for kind in ("checkpoint", "embeddings") for name in VARIANTS}


def expected_of_same_style(dataset):
    keys = {dg.AssetKey([dataset, table]) for table in (TABLES - OF_TABLE_1) | OF_SAME_STYLE | {*STUDIES}}
    return keys | {
        dg.AssetKey([dataset, kind, name]) for kind in ("checkpoint", "product_views") for name in SAME_STYLE_ROWS
    }


def definitions(tmp_path, monkeypatch, **given):
    for name in ("EICLIP_FASHIONGEN_DIR", "EICLIP_AMAZON_META", "EICLIP_AMAZON_IMAGES", "EICLIP_PRETRAINED"):
        monkeypatch.delenv(name, raising=False)
    return build_definitions(load_settings(home=tmp_path, **given))


def keys_of(definitions):
    return set(definitions.resolve_asset_graph().get_all_asset_keys())


def test_the_code_location_loads_without_torch(tmp_path):
    """It loads in the UI's servers and in the process that hands out steps: they stay quick and small."""
    script = "import sys, pipelines.definitions; sys.exit(' '.join({'torch', 'matplotlib'} & set(sys.modules)) or 0)"
    run = subprocess.run([sys.executable, "-c", script], env=os.environ | {"EICLIP_HOME": str(tmp_path)}, text=True,
                         capture_output=True, cwd=ROOT)  # fmt: skip
    assert run.returncode == 0, run.stderr[-500:]


def test_keys_groups_checks_and_jobs_are_those_that_people_know(tmp_path, monkeypatch):
    """As they were before outputs were declared: what is not to change is changed in this file, too."""
    defs = definitions(tmp_path, monkeypatch)
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): [
            graph.get(key).group_name,
            {check.name: graph.get_check_spec(check).blocking for check in graph.get_check_keys_for_assets({key})},
        ]
        for key in graph.get_all_asset_keys()
    }
    known = json.loads(Path(__file__).with_name("asset_graph.json").read_text())
    assert found == known["assets"]
    jobs = {job.name: sorted(key.to_user_string() for key in selected(defs, job.name)) for job in defs.jobs}
    assert jobs == known["jobs"]
    assert [sensor.name for sensor in defs.sensors] == known["sensors"]


def test_synthetic_graph_has_every_asset_of_all_datasets(tmp_path, monkeypatch):
    shared = {("general", "shards"), ("general", "pretrained"), ("results", "catalogue"), ("results", "report")}
    wanted = expected("fashiongen") | expected("amazon") | {dg.AssetKey(list(key)) for key in shared}
    wanted |= ablations("fashiongen") | ablations("amazon")
    wanted |= expected_of_same_style("styles")
    wanted |= {
        dg.AssetKey([name, "compositions"]) for name in ("fashiongen", "styles")
    }  # which Amazon's metadata lacks
    assert keys_of(definitions(tmp_path, monkeypatch)) == wanted


def test_a_catalogue_of_ones_own_is_one_more_entry(tmp_path, monkeypatch):
    own = AMAZON.model_copy(update={"metadata": tmp_path / "meta.json.gz", "images": tmp_path / "images"})
    keys = keys_of(definitions(tmp_path, monkeypatch, datasets={"my_shop": own}))
    assert expected("my_shop") <= keys
    assert dg.AssetKey(["general", "shards"]) not in keys, "released weights by default: nothing to pretrain"


def selected(defs, job):
    return set(defs.resolve_job_def(job).asset_layer.selected_asset_keys)


def test_full_eval_selects_everything_but_the_ablations_and_same_style(tmp_path, monkeypatch):
    defs = definitions(tmp_path, monkeypatch)
    apart = ablations("fashiongen") | ablations("amazon")
    kept = {key for key in keys_of(defs) - apart if key.path[0] != "styles"}
    assert selected(defs, "full_eval") == kept


def test_same_style_eval_selects_what_its_rows_need_and_the_studies_apart(tmp_path, monkeypatch):
    defs = definitions(tmp_path, monkeypatch)
    profile = {"compositions", "data_profile", "quarantine", "brand_names", "candidate_lists", "protocols", *STUDIES}
    needed = {key for key in expected_of_same_style("styles") if key.path[-1] not in profile}
    found = selected(defs, "same_style_eval")
    assert needed - found <= {dg.AssetKey(["styles", "product_entities"])}
    assert {dg.AssetKey(["results", "report"]), dg.AssetKey(["general", "pretrained"])} <= found
    assert not {key for key in found if key.path[0] in ("fashiongen", "amazon")}
    for study in STUDIES:
        assert selected(defs, study) == found | {dg.AssetKey(["styles", study])}


def test_a_dataset_may_have_both_and_full_eval_leaves_its_same_style_out(tmp_path, monkeypatch):
    both = AMAZON.model_copy(update={"same_style": SameStyleSettings()})
    defs = definitions(tmp_path, monkeypatch, datasets={"amazon": both})
    assert expected("amazon") | expected_of_same_style("amazon") <= keys_of(defs)
    of_same_style = expected_of_same_style("amazon") - expected("amazon")
    assert not selected(defs, "full_eval") & of_same_style
    assert selected(defs, "same_style_eval") >= of_same_style - {dg.AssetKey(["amazon", study]) for study in STUDIES}


def test_without_same_style_there_is_no_job_of_it(tmp_path, monkeypatch):
    defs = definitions(tmp_path, monkeypatch, datasets={"amazon": AMAZON})
    assert {"same_style_eval", *STUDIES} & {job.name for job in defs.jobs} == set()


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_is_a_job_that_ends_in_the_report(tmp_path, monkeypatch, name):
    defs = definitions(tmp_path, monkeypatch)
    keys = set(defs.resolve_job_def(name).asset_layer.selected_asset_keys)
    chosen = {key for key in ablations("fashiongen") | ablations("amazon") if key.path[-1] == name}
    others = (ablations("fashiongen") | ablations("amazon")) - chosen
    report = defs.resolve_asset_graph().get(dg.AssetKey(["results", "report"]))
    assert chosen | {dg.AssetKey(["results", "report"]), dg.AssetKey(["fashiongen", "shards"])} <= keys
    assert not keys & others
    assert chosen <= report.parent_keys, "the report is made after it"


def test_the_ingest_job_ends_with_shards_and_profile(tmp_path, monkeypatch):
    job = definitions(tmp_path, monkeypatch).resolve_job_def("ingest")
    keys = {key.path[-1] for key in job.asset_layer.selected_asset_keys}
    assert {"raw_files", "photos", "shards", "data_profile", "quarantine"} <= keys
    assert not {"retrieval_ranks", "report"} & keys


@pytest.mark.parametrize(
    ("key", "check"),
    [
        (["fashiongen", "records"], "rows_in_are_in_records"),
        (["fashiongen", "quarantine"], "rows_in_are_used_or_quarantined"),
        (["fashiongen", "products"], "no_product_in_two_splits"),
        (["fashiongen", "entity_vocabulary"], "entity_ids_are_dense"),
        (["fashiongen", "shards"], "shards_match_manifest"),
        (["fashiongen", "embeddings", "eiclip"], "embeddings_are_finite"),
        (["styles", "positive_pairs"], "pairs_keep_their_constraints"),
    ],
)
def test_checks_are_there_and_block(tmp_path, monkeypatch, key, check):
    graph = definitions(tmp_path, monkeypatch).resolve_asset_graph()
    node = graph.get(dg.AssetCheckKey(dg.AssetKey(key), check))
    assert node.blocking


def test_every_asset_says_what_it_is_and_whose(tmp_path, monkeypatch):
    graph = definitions(tmp_path, monkeypatch).resolve_asset_graph()
    for node in graph.asset_nodes:
        assert node.description, node.key
        assert node.owners == ["team:eiclip"], node.key
        assert node.kinds, node.key
        assert node.group_name != "default", node.key
