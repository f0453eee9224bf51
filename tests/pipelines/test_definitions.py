"""The asset graph: what a code location of some settings holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets.common import Project
from assets.datasets import declared
from assets.report import RESULT_TABLES
from assets.steps import Step
from eiclip.model.variants import CROSS_VARIANTS, VARIANTS
from eiclip.settings.load import AMAZON, load_settings
from eiclip.settings.same_style import SameStyleSettings
from eiclip.storage.home import Paths
from eiclip.studies.trials import ABLATIONS
from pipelines.definitions import build_definitions
from pipelines.jobs import job_of

ROOT = Path(__file__).parents[2]
STUDIES = ("same_style_seeds", "same_style_ablation")
KNOWN = json.loads(Path(__file__).with_name("asset_graph.json").read_text())
"""The graph of the embedded catalogues: what is not to change is changed in this file, too."""
ASSETS, JOBS = set(KNOWN["assets"]), {name: set(keys) for name, keys in KNOWN["jobs"].items()}


def tables_of(dataset):
    return {key.partition("/")[2] for key in ASSETS if key.startswith(f"{dataset}/")}


OF_CROSS_MODAL = {key for key, (group, _) in KNOWN["assets"].items() if group.endswith("/cross_modal")}


def of_ablation(*names):
    return {key for key in ASSETS if key.rpartition("/")[2] in names}


def definitions(home, **given):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("EICLIP_FASHIONGEN_DIR", "EICLIP_AMAZON_META", "EICLIP_AMAZON_IMAGES", "EICLIP_PRETRAINED"):
            patch.delenv(name, raising=False)
        return build_definitions(load_settings(home=home, **given))


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    return definitions(tmp_path_factory.mktemp("embedded"))


def keys_of(definitions):
    return {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}


def selected(defs, job):
    return {key.to_user_string() for key in defs.resolve_job_def(job).asset_layer.selected_asset_keys}


def test_the_code_location_loads_without_torch(tmp_path):
    """It loads in the UI's servers and in the process that hands out steps: they stay quick and small."""
    script = "import sys, pipelines.definitions; sys.exit(' '.join({'torch', 'matplotlib'} & set(sys.modules)) or 0)"
    run = subprocess.run([sys.executable, "-c", script], env=os.environ | {"EICLIP_HOME": str(tmp_path)}, text=True,
                         capture_output=True, cwd=ROOT)  # fmt: skip
    assert run.returncode == 0, run.stderr[-500:]


def test_keys_groups_checks_and_jobs_are_those_that_people_know(embedded):
    graph = embedded.resolve_asset_graph()
    found = {
        key.to_user_string(): [
            graph.get(key).group_name,
            {check.name: graph.get_check_spec(check).blocking for check in graph.get_check_keys_for_assets({key})},
        ]
        for key in graph.get_all_asset_keys()
    }
    assert found == KNOWN["assets"]
    assert {job.name: selected(embedded, job.name) for job in embedded.jobs} == JOBS
    assert [sensor.name for sensor in embedded.sensors] == KNOWN["sensors"]


def test_a_catalogue_of_ones_own_is_one_more_entry(tmp_path):
    own = AMAZON.model_copy(update={"metadata": tmp_path / "meta.json.gz", "images": tmp_path / "images"})
    keys = keys_of(definitions(tmp_path, datasets={"my_shop": own}))
    assert {f"my_shop/{table}" for table in tables_of("amazon")} <= keys
    assert "general/shards" not in keys, "released weights by default: nothing to pretrain"


def test_full_eval_selects_everything_but_the_ablations_the_cross_encoders_and_same_style():
    of_same_style = {key for key in ASSETS if key.startswith("styles/")}
    assert JOBS["full_eval"] == ASSETS - of_ablation(*ABLATIONS, "tuning") - of_same_style - OF_CROSS_MODAL


def test_cross_encoders_are_made_by_their_own_job_alone():
    parts = {f"{kind}/{row}" for kind in ("checkpoint", "cross_modal_ranks") for row in CROSS_VARIANTS}
    wanted = parts | {"cross_modal_intervals", "cross_modal_comparisons", "cross_modal_cards"}
    assert {f"{name}/{table}" for name in ("amazon", "fashiongen") for table in wanted} == OF_CROSS_MODAL
    assert JOBS["cross_modal"] >= OF_CROSS_MODAL
    assert {name for name, keys in JOBS.items() if keys & OF_CROSS_MODAL} == {"cross_modal"}
    found = JOBS["cross_modal"]
    assert {"fashiongen/model_cards", "fashiongen/leaderboard", "results/catalogue", "results/report"} <= found
    assert not found & (of_ablation(*ABLATIONS) | {key for key in ASSETS if key.startswith("styles/")})


def test_same_style_eval_selects_what_its_rows_need_and_the_studies_apart():
    profile = {
        "compositions",
        "data_profile",
        "quarantine",
        "conflicting_ids",
        "candidate_lists",
        "protocols",
        *STUDIES,
    }
    found = JOBS["same_style_eval"]
    assert {f"styles/{table}" for table in tables_of("styles") - profile} - found <= {"styles/product_entities"}
    assert {"results/report", "general/pretrained"} <= found
    assert not {key for key in found if key.startswith(("fashiongen/", "amazon/"))}
    for study in STUDIES:
        assert JOBS[study] == found | {f"styles/{study}"}


def test_a_dataset_may_have_both_and_full_eval_leaves_its_same_style_out(tmp_path):
    both = AMAZON.model_copy(update={"same_style": SameStyleSettings()})
    defs = definitions(tmp_path, datasets={"amazon": both})
    of_table_1 = {f"amazon/{table}" for table in tables_of("amazon")}
    of_same_style = {f"amazon/{table}" for table in tables_of("styles") - {"compositions"}} - of_table_1
    assert of_table_1 | of_same_style <= keys_of(defs)
    assert not selected(defs, "full_eval") & of_same_style
    assert selected(defs, "same_style_eval") >= of_same_style - {f"amazon/{study}" for study in STUDIES}


def test_without_same_style_there_is_no_job_of_it(tmp_path):
    defs = definitions(tmp_path, datasets={"amazon": AMAZON})
    assert {"same_style_eval", *STUDIES} & {job.name for job in defs.jobs} == set()


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_is_a_job_that_ends_in_the_report(embedded, name):
    chosen, others = of_ablation(name), of_ablation(*ABLATIONS) - of_ablation(name)
    trained = {"general/pretrained", "fashiongen/shards", "fashiongen/checkpoint/eiclip"}
    assert chosen | trained | {"results/catalogue", "results/report"} <= JOBS[name]
    assert not JOBS[name] & (others | {"fashiongen/leaderboard"})
    graph = embedded.resolve_asset_graph()
    catalogue, report = (graph.get(dg.AssetKey(["results", own])) for own in ("catalogue", "report"))
    assert chosen <= {key.to_user_string() for key in catalogue.parent_keys}
    assert report.parent_keys == {catalogue.key}, "it is made last, and the UI asks for no study that nobody ran"


@pytest.mark.parametrize("job", [*JOBS, "both"])
def test_a_job_that_may_train_a_row_makes_its_card_again(tmp_path, job):
    """A card lies in the folder of its model, which a training replaces."""
    keys = JOBS.get(job) or selected(
        definitions(tmp_path, datasets={"amazon": AMAZON.model_copy(update={"same_style": SameStyleSettings()})}),
        "same_style_eval",
    )
    cards = dict.fromkeys(VARIANTS, "model_cards") | dict.fromkeys(CROSS_VARIANTS, "cross_modal_cards")
    rows = {f"{name}/checkpoint/{row}": f"{name}/{card}" for name in ("fashiongen", "amazon")
            for row, card in cards.items()}  # fmt: skip
    assert {card for row, card in rows.items() if row in keys} <= keys
    assert job != "both" or "amazon/model_cards" in keys


@pytest.mark.parametrize("both", [False, True])
def test_the_job_that_is_named_for_a_table_makes_it(tmp_path, both):
    """By Dagster's own selection, for every table, or part of one, that the report reads."""
    changed = {"datasets": {"amazon": AMAZON.model_copy(update={"same_style": SameStyleSettings()})}} if both else {}
    settings = load_settings(home=tmp_path, pretrained="general", **changed)
    defs, project = build_definitions(settings), Project(settings, Paths(settings.home))
    jobs, looked_at = {job.name: selected(defs, job.name) for job in defs.jobs}, 0
    for step in declared(project):
        made = step.declared() if isinstance(step, Step) else [step]
        for key in (key for one in made for key in one.writes if key[1] in RESULT_TABLES):
            assert jobs[job_of(project, key)] & {"/".join(asset) for asset in step.assets()}, key
            looked_at += 1
    assert looked_at > 80


def test_tuning_reads_nothing_that_the_test_split_is_ranked_by():
    tables = {key.partition("/")[2] for key in JOBS["tune"]}
    assert {"tuning", "shards", "checkpoint/clip_entities_text", "checkpoint/eiclip"} <= tables
    assert not {"candidate_lists", "retrieval_ranks", "leaderboard", "report", "embeddings/eiclip"} & tables


def test_the_ingest_job_ends_with_shards_and_profile():
    tables = {key.partition("/")[2] for key in JOBS["ingest"]}
    assert {"raw_files", "photos", "shards", "data_profile", "quarantine"} <= tables
    assert not {"retrieval_ranks", "report", *ABLATIONS} & tables


@pytest.mark.parametrize(
    ("key", "check"),
    [
        ("fashiongen/records", "rows_in_are_in_records"),
        ("fashiongen/quarantine", "rows_in_are_used_or_quarantined"),
        ("fashiongen/products", "no_product_in_two_splits"),
        ("fashiongen/entity_vocabulary", "entity_ids_are_dense"),
        ("fashiongen/shards", "shards_match_manifest"),
        ("fashiongen/embeddings/eiclip", "embeddings_are_finite"),
        ("styles/positive_pairs", "pairs_keep_their_constraints"),
    ],
)
def test_checks_are_there_and_block(key, check):
    assert KNOWN["assets"][key][1][check] is True


def test_an_undertrained_row_is_a_warning_and_stops_nothing():
    trained = {key for key in ASSETS if "/checkpoint/" in key and not key.endswith("clip_pretrained")}
    warned = {key for key, (_, checks) in KNOWN["assets"].items() if checks.get("training_has_learned") is False}
    assert warned == trained


def test_every_asset_says_what_it_is_and_whose(embedded):
    for node in embedded.resolve_asset_graph().asset_nodes:
        assert node.description, node.key
        assert node.owners == ["team:eiclip"], node.key
        assert node.kinds, node.key
        assert node.group_name != "default", node.key
