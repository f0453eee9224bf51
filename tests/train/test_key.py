"""What tells one training from another."""

from pathlib import Path

import pytest

from benchmarks.crash.data import tiny_job
from eiclip.errors import CorruptOutputError
from eiclip.train import key
from eiclip.train.key import training_code, training_inputs, training_key


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return tiny_job(tmp_path_factory.mktemp("key"))


def test_a_trainer_that_is_told_its_code_does_not_compute_it(job, monkeypatch):
    wanted = training_key(job)
    told = job.model_copy(update={"code": training_code().digest})
    monkeypatch.setattr(key, "code_version", None)
    assert training_key(told) == wanted


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"output": Path("elsewhere")}, True),
        ({"threads": 7}, True),
        ({"seed": 1}, False),
        ({"code": "0123456789abcdef"}, False),
        ({"entity_groups": ()}, False),
    ],
)
def test_what_counts_and_what_does_not(job, change, same):
    assert (training_key(job) == training_key(job.model_copy(update=change))) is same


def test_damaged_samples_that_are_left_out_make_another_training(job):
    assert training_key(job) != training_key(job, ["p1"])


def test_hardware_that_computes_the_same_does_not_count(job):
    hardware = job.hardware.model_copy(update={"processes": 2, "workers": 3, "checkpoint_every": 5})
    other = job.hardware.model_copy(update={"chunk_size": 4})
    assert training_key(job.model_copy(update={"hardware": hardware})) == training_key(job)
    assert training_key(job.model_copy(update={"hardware": other})) != training_key(job)


def test_the_loss_of_pairs_counts_only_where_there_are_pairs(job):
    style = job.training.style.model_copy(update={"caption": 9.0})
    other = job.model_copy(update={"training": job.training.model_copy(update={"style": style})})
    assert training_key(other) == training_key(job)
    pairs = {"pairs": job.entity_vocabulary}
    assert training_key(other.model_copy(update=pairs)) != training_key(job.model_copy(update=pairs))


def test_sources_are_named_and_those_that_are_not_there_are_told(job, tmp_path):
    assert training_inputs(job)["sources"].keys() == {"shards", "entity_vocabulary", "semantic_prior"}
    with pytest.raises(CorruptOutputError, match="not made yet"):
        training_inputs(job.model_copy(update={"initial": tmp_path / "nowhere"}))
