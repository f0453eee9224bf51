"""Optimizers: a saved state goes on to the same bytes, lazy Adam leaves unused entities alone, gates wait."""

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eiclip.model.inputs import ModelInputs
from eiclip.settings.training import HardwareSettings, TrainingSettings
from eiclip.train.encoder import Encoder
from eiclip.train.optimizers import Optimizers, schedule, warmup_cosine

TRAINING = TrainingSettings(tower_lr=1e-3, entity_lr=1e-3, gate_lr=1e-3, gate_freeze=0.2, warmup_steps=2)


def start(shop, **settings):
    hardware = HardwareSettings(**settings)
    model = shop.model("eiclip").train()
    return model, Encoder(model, hardware), Optimizers(model, TRAINING, hardware, 10, "cpu")


def steps(shop, model, encoder, optimizers, count):
    tokens_BL, ids_BKM = ModelInputs.of(model).of_texts(list(shop.samples()))
    for _ in range(count):
        pixels = torch.full((12, 64, 64, 3), 9, dtype=torch.uint8)
        pixels[:, 0, 0, 0] = torch.arange(12)
        encoded = encoder(pixels, tokens_BL, ids_BKM)
        optimizers.step(model.loss(encoded.image_BD, encoded.text, encoded.scale).total(model.loss_terms))


@pytest.mark.parametrize(
    "settings",
    [{}, {"sparse_entities": True}, {"fused_optimizer": False}, {"channels_last": True}, {"precision": "fp16"}],
    ids=str,
)
def test_a_restored_state_goes_on_to_the_same_bytes(shop, settings):
    model, encoder, optimizers = start(shop, **settings)
    steps(shop, model, encoder, optimizers, 3)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    tensors, numbers = optimizers.state()
    tensors = {name: value.clone().contiguous() for name, value in tensors.items()}
    again, its_encoder, its_optimizers = start(shop, **settings)
    again.load_state_dict(weights)
    its_optimizers.restore(tensors, json.loads(json.dumps(numbers)))
    assert its_optimizers.rates == optimizers.rates
    steps(shop, model, encoder, optimizers, 2)
    steps(shop, again, its_encoder, its_optimizers, 2)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_lazy_adam_moves_the_entities_of_the_batch_alone(shop):
    model, encoder, optimizers = start(shop, sparse_entities=True)
    before = model.fusion.encoders[0].table.weight.detach().clone()
    steps(shop, model, encoder, optimizers, 2)
    moved = (model.fusion.encoders[0].table.weight != before).any(dim=1)
    used = {number for sample in shop.samples() for number in shop.vocabulary.encode(sample.entities)[0]}
    assert {number for number, changed in enumerate(moved) if changed} == used


def test_warm_up_is_linear_then_a_half_cosine():
    factor = warmup_cosine(steps=100, warmup=10)
    assert [factor(step) for step in range(10)] == pytest.approx([(step + 1) / 10 for step in range(10)])
    for step in range(10, 100):
        assert factor(step) == pytest.approx((1 + math.cos(math.pi * (step - 10) / 90)) / 2)


@given(st.integers(1, 300), st.integers(0, 60), st.integers(0, 350))
def test_factors_stay_in_bounds_wait_while_frozen_and_fall_at_last(steps, warmup, frozen):
    warmup = min(warmup, steps // 10)
    factors = [warmup_cosine(steps, warmup, frozen)(step) for step in range(steps)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert not any(factors[:frozen])
    assert all(factor > 0 for factor in factors[frozen:])
    falling = factors[frozen + warmup :]
    assert falling == sorted(falling, reverse=True)


def test_frozen_gates_join_the_others_after_their_own_warm_up():
    free, frozen = warmup_cosine(100, 10), warmup_cosine(100, 10, 30)
    assert frozen(29) == 0 < frozen(30) < frozen(35) < free(35)
    assert [frozen(step) for step in range(40, 100)] == [free(step) for step in range(40, 100)]


def rates(names, steps, **training):
    """Learning rate by group of every step, as the optimizer sees them."""
    groups = [{"name": name, "params": [torch.nn.Parameter(torch.zeros(1))], "lr": 1.0} for name in names]
    optimizer = torch.optim.AdamW(groups)
    scheduler = schedule(optimizer, TrainingSettings(**training), steps)
    seen = []
    for _ in range(steps):
        seen.append({group["name"]: group["lr"] for group in optimizer.param_groups})
        optimizer.step()
        scheduler.step()
    return seen


def test_only_gates_wait_and_the_warm_up_is_at_most_a_tenth():
    seen = rates(["towers", "entities", "gates"], 50, gate_freeze=0.2, warmup_steps=1000)
    assert [step["gates"] > 0 for step in seen] == [False] * 10 + [True] * 40
    assert [step["towers"] for step in seen[:5]] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert all(step["towers"] == step["entities"] for step in seen)
    assert 0 < seen[-1]["towers"] < 0.01


def test_a_training_of_one_step_learns():
    assert rates(["towers"], 1)[0]["towers"] == 1.0


def test_gates_frozen_throughout_never_move():
    assert not any(step["gates"] for step in rates(["towers", "gates"], 20, gate_freeze=1.0))
