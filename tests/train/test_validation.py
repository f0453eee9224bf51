"""Measuring along a training: it changes nothing, keeps the best state, stops in time, and survives being killed."""

import json

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from eiclip.evaluation.embed import embed_samples
from eiclip.features.reader import feature_store
from eiclip.model.entity_clip import EntityClipModel, load_checkpoint
from eiclip.model.towers import load_towers
from eiclip.model.variants import VARIANTS
from eiclip.model.vocabulary import Vocabulary
from eiclip.shards import read_samples, shard_paths, write_shards
from eiclip.shards.read import index_of
from eiclip.storage.cache import LOG_FILE
from eiclip.storage.files import write_json
from eiclip.train.loop import start, train
from eiclip.train.recipe import Plan
from eiclip.train.state import TENSORS
from eiclip.train.validation import Validation, validation_split
from eiclip.train.world import World
from tests.train.conftest import product
from tests.train.test_state import Killed, die, train_until, weights_and_log
from tests.train.test_world import TWO, begin, wait

FALLING = {"tower_lr": 0.03, "validations": 6, "patience": 2, "steps": 12, "epochs": None}
"""Rates under which recall is soon no better than before."""


def described(job):
    return json.loads((job.output / "eiclip.json").read_text())


def test_measuring_changes_no_weight(job, changed):
    plain, measured = (job.model_copy(update={"output": job.output.with_name(name)}) for name in ("plain", "measured"))
    train(plain, lambda _: None)
    train(changed(measured, training={"validations": 12}), lambda _: None)
    logs = [
        pq.read_table(one.output / LOG_FILE).drop_columns(["seconds", "pairs_per_second"]) for one in (plain, measured)
    ]
    assert logs[0].drop_columns("validation") == logs[1].drop_columns("validation")
    assert logs[0]["validation"].null_count == 12
    assert logs[1]["validation"].null_count == 0
    facts = described(measured)
    assert facts["measured"] == [
        [n + 1, pytest.approx(v, abs=1e-3)] for n, v in enumerate(logs[1]["validation"].to_pylist())
    ]


def test_the_best_state_is_what_is_saved_and_training_stops_when_nothing_better_comes(job, changed):
    job, said = changed(job, training=FALLING), []
    facts = train(job, said.append)
    measured = facts["measured"]
    best = max(measured, key=lambda one: one[1])
    assert facts["best_step"] == best[0]
    assert facts["stopped_early"]
    assert [step for step, _ in measured] == [2 * n for n in range(1, len(measured) + 1)]
    assert facts["steps"] == measured[-1][0] == best[0] + 2 * 2, "two measurements after the best, two steps apart"
    assert facts["steps"] < facts["planned_steps"] == 12
    split = list(read_samples(shard_paths(job.shards, "validation")))
    assert embed_samples(load_checkpoint(job.output), split).recalls()["sum_r"] == pytest.approx(best[1], abs=1e-3)
    assert facts["validation"]["sum_r"] == pytest.approx(best[1], abs=1e-3)
    assert any(f"the state after step {best[0]} is kept" in sentence for sentence in said)
    assert described(job)["measured"] == measured


def test_without_patience_it_goes_to_its_end_and_keeps_the_best(job, changed):
    facts = train(changed(job, training=FALLING | {"patience": 0}), lambda _: None)
    assert (facts["steps"], facts["stopped_early"], len(facts["measured"])) == (12, False, 6)
    assert facts["best_step"] == max(facts["measured"], key=lambda one: one[1])[0]


def test_a_length_in_steps_may_end_within_an_epoch(job, changed):
    facts = train(changed(job, training={"epochs": None, "steps": 5}), lambda _: None)
    assert (facts["steps"], facts["epochs"], facts["best_step"], facts["measured"]) == (5, 2, 5, [])
    assert [row["step"] for row in pq.read_table(job.output / LOG_FILE).to_pylist()] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("where", ["step 4 of", "stops early", "validation {"])
def test_killed_it_ends_with_the_same_best_state(job, changed, where):
    job = changed(job, training=FALLING, hardware={"checkpoint_every": 1})
    train(job.model_copy(update={"output": job.output.with_name("whole")}), lambda _: None)
    with pytest.raises(Killed):
        train_until(job, where, die)
    train(job, lambda _: None)
    assert weights_and_log(job.output) == weights_and_log(job.output.with_name("whole"))


@pytest.mark.parametrize("listed", [True, False])
def test_without_a_validation_split_it_says_so_and_goes_to_its_end(job, changed, tmp_path, listed):
    write_shards([("train", product(number)) for number in range(24)], tmp_path / "alone", photo_size=64)
    manifest = json.loads((tmp_path / "alone" / "manifest.json").read_text())
    if not listed:
        del manifest["samples"]["validation"]
        write_json(tmp_path / "alone" / "manifest.json", manifest)
    said = []
    facts = train(changed(job, shards=tmp_path / "alone", training=FALLING), said.append)
    assert (facts["steps"], facts["measured"], facts["validation"]) == (12, [], {})
    assert any("no validation split" in sentence for sentence in said)


def test_of_a_large_split_evenly_spaced_samples_are_measured(job):
    model = start(job, World(), lambda _: None).model
    every, some, all_of_them = (validation_split(model, job, "cpu", most).samples for most in (None, 3, 8))
    assert [sample.image_id for sample in some] == [every[n].image_id for n in (0, 3, 6)]
    assert all_of_them == every


@pytest.mark.parametrize(
    ("found", "best", "gave_up"),
    [([], None, False), ([1, 2, 3], 3, False), ([3, 2], 1, False), ([3, 3, 2], 1, True), ([1, 3, 2, 4], 4, False)],
)
def test_it_gives_up_after_so_many_measurements_without_a_new_best(job, found, best, gave_up):
    validation = Validation(job, World(), Plan(9, patience=2))
    validation.measured = [(step, float(sum_r)) for step, sum_r in enumerate(found, start=1)]
    assert (validation.best_step, validation.gave_up) == (best, gave_up)


def test_two_processes_measure_once_and_stop_together(job, changed, tmp_path):
    job = changed(job, training=FALLING)
    write_json(tmp_path / "job.json", job.model_copy(update={"output": tmp_path / "two"}).model_dump(mode="json"))
    wait(begin(TWO, "-m", "eiclip.train", tmp_path / "job.json"))
    alone = train(job, lambda _: None)
    together = json.loads((tmp_path / "two" / "eiclip.json").read_text())
    assert (together["steps"], together["best_step"]) == (alone["steps"], alone["best_step"])
    assert [step for step, _ in together["measured"]] == [step for step, _ in alone["measured"]]
    assert together["validation"]["sum_r"] == max(sum_r for _, sum_r in together["measured"])


def test_of_frozen_towers_features_are_measured_and_a_state_has_only_what_is_trained(job, changed):
    heads = {"image_tower": "heads", "text_tower": "heads", "head_lr": 0.03, "steps": 12, "epochs": None}
    given = {"training": heads | {"validations": 6}, "hardware": {"checkpoint_every": 4}}
    job = changed(job, features=job.output.with_name("features"), **given)
    model = EntityClipModel(load_towers(job.initial), VARIANTS["eiclip"], Vocabulary({}, {}), job.training)
    store = feature_store(model.eval(), job.features, job.shards)
    for split in ("train", "validation"):
        for shard in shard_paths(job.shards, split):
            store.write(shard, index_of(shard), [])
    train(job.model_copy(update={"output": job.output.with_name("whole")}), lambda _: None)
    with pytest.raises(Killed):
        train_until(job, "step 10 of", die)
    [*_, state] = sorted(job.output.with_name("model.resume").glob("*/step-*"))
    names = load_file(state / TENSORS).keys()
    assert "weights/towers.visual.proj" in names
    assert "best/towers.visual.proj" in names
    assert not any("visual.conv1" in name or "resblocks" in name for name in names)
    train(job, lambda _: None)
    assert weights_and_log(job.output) == weights_and_log(job.output.with_name("whole"))
    start, end = (load_file(place / "open_clip_model.safetensors") for place in (job.initial, job.output))
    assert torch.equal(start["visual.conv1.weight"], end["visual.conv1.weight"])
