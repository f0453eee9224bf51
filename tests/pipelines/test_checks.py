"""The check of shards, as Dagster runs it: damage stops a run, or is left out of training and said."""

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from assets.common import Project
from eiclip.settings.load import load_settings
from eiclip.shards import Sample, encode_photo, read_index, read_manifest, write_shards
from eiclip.storage.home import Paths
from pipelines.checks import shards_match_manifest

SPLITS = ["train"] * 5 + ["validation"] * 2 + ["test"] * 3


def product(number):
    pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    return Sample(f"p{number}_0", f"p{number}", "A coat.", {"brand": "diesel"}, encode_photo(pixels, 32))


def run(home, policy):
    """Run the asset, its check and what lies downstream; returns the check's evaluation and what was materialised."""
    settings = load_settings(home=home, hardware={"corrupt_samples": policy})
    project = Project(settings, Paths(settings.home))
    for table in ("products", "tagged_entities"):
        project.paths.lake.write(pa.table({"dataset": ["shop"]}), table, "shop")
    project.paths.lake.write(pa.table({"dataset": ["shop"] * 10, "split": SPLITS}), "images", "shop")

    @dg.asset(key=["shop", "shards"])
    def made():
        pass

    @dg.asset(key=["shop", "checkpoint"], deps=[made])
    def trained():
        pass

    @dg.asset(key=["shop", "images"])
    def images():
        pass

    assets = [images, made, trained, shards_match_manifest(project, "shop")]
    result = dg.materialize(assets, raise_on_error=False)
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation, result.success, result.asset_materializations_for_node("shop__checkpoint")


@pytest.fixture
def home(tmp_path):
    samples = [(split, product(number)) for number, split in enumerate(SPLITS)]
    write_shards(samples, Paths(tmp_path).shards("shop"), photo_size=32)
    return tmp_path


def damage(home, split, row):
    folder = Paths(home).shards("shop")
    (shard,) = [shard for shard in read_manifest(folder)["shards"] if shard["split"] == split]
    place = read_index(folder, shard).to_pylist()[row]["jpeg_offset"] + 50
    content = bytearray((folder / shard["name"]).read_bytes())
    content[place] ^= 1
    (folder / shard["name"]).write_bytes(content)


@pytest.mark.parametrize("policy", ["refuse", "quarantine"])
def test_sound_shards_pass(home, policy):
    evaluation, success, trained = run(home, policy)
    assert (evaluation.passed, success, len(trained)) == (True, True, 1)


def test_a_flipped_byte_stops_the_run_and_its_sample_is_named(home):
    damage(home, "train", 3)
    evaluation, success, trained = run(home, "refuse")
    assert (evaluation.passed, success, len(trained)) == (False, False, 0)
    assert evaluation.metadata["problems"].value == ["train-000000.tar: sample p3_0 is damaged"]


def test_under_quarantine_it_is_a_warning_and_training_goes_on(home):
    damage(home, "train", 3)
    damage(home, "validation", 1)
    evaluation, success, trained = run(home, "quarantine")
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (success, len(trained)) == (True, 1)
    assert evaluation.metadata["quarantined"].value == 2
    assert [problem.split()[2] for problem in evaluation.metadata["problems"].value] == ["p3_0", "p6_0"]


def test_a_damaged_test_photo_is_never_left_out(home):
    damage(home, "test", 0)
    evaluation, success, trained = run(home, "quarantine")
    assert (evaluation.severity, success, len(trained)) == (dg.AssetCheckSeverity.ERROR, False, 0)
    assert "sample p7_0" in evaluation.metadata["problems"].value[0]
