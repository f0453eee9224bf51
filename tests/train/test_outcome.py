"""What is said of a training, from its log and what was measured."""

import json
import math

import pytest
import torch

from eiclip.errors import CorruptOutputError
from eiclip.model.losses import Pairs, sigmoid_loss
from eiclip.train.loop import train
from eiclip.train.objective import minimised_terms
from eiclip.train.outcome import SCHEMA, outcome, outcome_row


def log(*losses, every=10):
    return [{"step": every * place, "loss": loss} for place, loss in enumerate(losses)]


FLAT, FALLING = log(*[4.15] * 8), log(4.2, 3.9, 3.5, 3.0, 2.5, 2.1, 1.8, 1.6)
"""75 steps each, of a batch of 64."""


def judged(rows=FALLING, terms=1, **given):
    return outcome(rows, **{"steps": 75, "batch_size": 64, "terms": terms} | given)


def test_a_loss_of_guessing_is_said_with_what_to_do():
    found = judged(FLAT, validation=4.6, validation_chance=4.0)
    assert found.verdict == "at ln(batch)"
    assert found.message == (
        "loss is still at ln(64) = 4.16 after 75 steps (4.15): train longer (EICLIP_TRAINING__STEPS) or raise the "
        "learning rate"
    )
    assert found.loss_at_chance == pytest.approx(math.log(64), abs=1e-4)


def test_every_minimised_term_counts():
    assert judged(log(*[3 * 4.15] * 8), terms=3).verdict == "at ln(batch)"
    assert "3 x ln(64) = 12.48" in judged(log(*[3 * 4.15] * 8), terms=3).message
    assert judged(FLAT, terms=3).verdict == "learned"


def test_the_sigmoid_loss_of_the_best_guess():
    torch.manual_seed(0)
    bias = torch.tensor(-3.0, requires_grad=True)
    optimizer = torch.optim.LBFGS([bias], max_iter=50)
    same = Pairs(*(torch.ones(64, 1) for _ in range(2)))

    def loss():
        optimizer.zero_grad()
        found = sigmoid_loss(same, torch.tensor(0.0), bias)
        found.backward()
        return found

    optimizer.step(loss)
    assert judged(FLAT, sigmoid=True).loss_at_chance == pytest.approx(loss().item(), abs=1e-3)
    assert "(ln(64) + 0.99) = 5.15" in judged(log(*[5.15] * 8), sigmoid=True).message


def test_a_loss_above_guessing_is_no_better():
    found = judged(log(*[9.0] * 8))
    assert found.verdict == "at ln(batch)"
    assert found.message.startswith("loss is over ln(64) = 4.16 after 75 steps (9.00)")


def test_the_last_tenth_of_the_log_counts():
    rows = log(*[4.15] * 18, 1.0, 2.0)
    assert judged(rows, steps=200).loss == 1.5
    assert judged(log(4.0, 1.0, every=100), steps=500).loss == 1.0, "where none was logged there: the last"


@pytest.mark.parametrize(("value", "verdict"), [(11.9, "at chance"), (12.1, "learned")])
def test_recall_under_three_times_chance(value, verdict):
    found = judged(validation=value, validation_chance=4.0)
    assert found.verdict == verdict
    if verdict == "at chance":
        assert "validation SumR is 11.9 after 75 steps, where a random order reaches 4.0" in found.message


RISES = [[25, 60.0], [50, 100.0], [75, 120.0]]


def test_still_rising():
    found = judged(validation=120.0, validation_chance=4.0, measured=RISES)
    assert found.verdict == "still rising"
    assert "100.0 after step 50, 120.0 after step 75: train longer" in found.message


@pytest.mark.parametrize(
    "measured",
    [(), [[75, 120.0]], [[25, 60.0], [50, 118.0], [75, 120.0]], [[25, 60.0], [50, 100.0], [65, 130.0], [75, 120.0]]],
    ids=["none", "one", "a plateau", "the last is not the best"],
)
def test_no_longer_rising(measured):
    found = judged(validation=120.0, validation_chance=4.0, measured=measured)
    assert found.verdict == "learned"
    assert found.message.startswith("it has learned: the loss ended at 1.60, where guessing gives ln(64) = 4.16")


@pytest.mark.parametrize(("variant", "terms"), [("clip_description", 1), ("eiclip", 3), ("same_style", 2)])
def test_terms_of_a_row(shop, variant, terms):
    assert minimised_terms(shop.model(variant)) == terms, "of a same-style row: its view pairs' mean, and the caption"


def test_a_training_that_learns_nothing_says_so_and_leaves_it_in_its_folder(job, changed):
    said = []
    still = {"tower_lr": 0.0, "entity_lr": 0.0, "gate_lr": 0.0}
    facts = train(changed(job, variant="clip_description", training=still), said.append)
    assert facts["outcome"]["verdict"] in ("at ln(batch)", "at chance")
    assert f"WARNING shop/clip_description: {facts['outcome']['message']}" in said
    described = json.loads((job.output / "eiclip.json").read_text())
    assert described["outcome"] == facts["outcome"]
    [row] = outcome_row(job.output).to_pylist()
    assert list(row) == SCHEMA.names
    assert row["batch_size"] == 8
    assert (row["steps"], row["best_step"]) == (facts["steps"], facts["steps"])
    assert row["validation"] == facts["validation"]["sum_r"]


def test_a_folder_without_an_outcome_is_named(tmp_path):
    (tmp_path / "eiclip.json").write_text('{"dataset": "d", "variant": "eiclip", "steps": 3}')
    with pytest.raises(CorruptOutputError, match=r"eiclip\.json: no outcome of a training .*materialise it again"):
        outcome_row(tmp_path)
