"""Saved states: whole, their own training's, and what is trained on from them ends with the same bytes."""

import functools
import os
import signal

import pyarrow.parquet as pq
import pytest
import torch

from eiclip.storage.cache import LOG_FILE, MANIFEST
from eiclip.train.job import LOG_SCHEMA
from eiclip.train.key import training_key
from eiclip.train.loop import train
from eiclip.train.state import TENSORS, State, States, restore, trained_state
from eiclip.train.stopping import StoppedError


def state(step):
    tensor = torch.arange(4.0) + step
    moments = {"0.0.exp_avg": tensor.clone()}
    known = {"best": {"a": tensor - 1}, "measured": [(step - 1, 0.1 + 0.2)]}
    return State(step, 8 * step, 1.5, {"a": tensor}, moments, {"groups": []}, LOG_SCHEMA.empty_table(), **known)


def test_the_last_two_are_kept_and_the_last_is_read(tmp_path):
    states = States(tmp_path / "model", "key")
    assert states.last() is None
    for step in (2, 4, 6):
        states.save(state(step))
    assert sorted(folder.name for folder in states.folder.iterdir()) == ["step-00000004", "step-00000006"]
    last = states.last()
    assert (last.step, last.pairs, last.seconds, last.numbers) == (6, 48, 1.5, {"groups": []})
    assert torch.equal(last.weights["a"], torch.arange(4.0) + 6)
    assert torch.equal(last.moments["0.0.exp_avg"], torch.arange(4.0) + 6)
    assert torch.equal(last.best["a"], torch.arange(4.0) + 5)
    assert last.measured == [(5, 0.1 + 0.2)], "to the last bit"
    assert States(tmp_path / "model", "other").last() is None


def test_what_is_not_trained_is_in_no_state_and_stays_as_it_was():
    model, other = (torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)) for _ in range(2))
    model[0].requires_grad_(False)
    kept = trained_state(model)
    assert set(kept) == {"1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"}
    own = other[0].weight.clone()
    restore(other, {name: value + 1 for name, value in kept.items()})
    assert torch.equal(other[0].weight, own)
    assert torch.equal(other[1].running_mean, model[1].running_mean + 1)
    with pytest.raises(RuntimeError, match="another"):
        restore(other, kept | {"another": own})


def test_a_damaged_state_is_named_and_the_one_before_it_read(tmp_path, caplog):
    states = States(tmp_path / "model", "key")
    states.save(state(2))
    damaged = states.save(state(4)) / TENSORS
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    assert states.last().step == 2
    assert "step-00000004: state.safetensors not as written" in caplog.text


class Killed(BaseException):
    """Ends a training as a signal that cannot be caught would."""


def train_until(job, sentence, end):
    """Train; when progress says `sentence`, end it."""
    train(job, lambda said: end() if sentence in said else None)


def die():
    raise Killed


def weights_and_log(output):
    log = pq.read_table(output / LOG_FILE).drop_columns(["seconds", "pairs_per_second"])
    return (output / MANIFEST).read_bytes(), log


@pytest.fixture(scope="module")
def whole(tmp_path_factory, job_in):
    """What a training of a variant ends with that nobody interrupts."""

    @functools.cache
    def trained(variant):
        job = job_in(tmp_path_factory.mktemp("whole")).model_copy(update={"variant": variant})
        train(job, lambda _: None)
        return weights_and_log(job.output)

    return trained


@pytest.mark.parametrize("variant", ["clip_entities_text", "eiclip"])
@pytest.mark.parametrize("where", ["epoch 1 of", "epoch 3 of", "validation"])
def test_a_killed_training_goes_on_to_the_same_bytes(job, changed, whole, variant, where):
    job = changed(job, variant=variant, hardware={"checkpoint_every": 2})
    with pytest.raises(Killed):
        train_until(job, where, die)
    said = []
    train(job, said.append)
    after = {"epoch 1 of": 2, "epoch 3 of": 8, "validation": None}[where]  # 3 steps an epoch, a state every 2
    assert any(f"goes on after step {after}" in sentence for sentence in said) == (after is not None)
    assert weights_and_log(job.output) == whole(variant)
    assert not job.output.with_name("model.resume").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_step_with_its_state_saved(job, changed, whole, number):
    job = changed(job, hardware={"checkpoint_every": 1000})
    with pytest.raises(StoppedError, match=r"stopped by a signal after step 7 of 12.*goes on from there") as stopped:
        train_until(job, "epoch 2 of", lambda: os.kill(os.getpid(), number))
    assert stopped.value.number == number
    assert not job.output.exists()
    assert States(job.output, training_key(job)).last().step == 7
    train(job, lambda _: None)
    assert weights_and_log(job.output) == whole("eiclip")
