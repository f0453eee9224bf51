"""Optimizers: a saved state goes on to the same bytes, and lazy Adam leaves unused entities alone."""

import json

import pytest
import torch

from eiclip.model.inputs import ModelInputs
from eiclip.settings.training import HardwareSettings, TrainingSettings
from eiclip.train.encoder import Encoder
from eiclip.train.optimizers import Optimizers

TRAINING = TrainingSettings(tower_lr=1e-3, entity_lr=1e-3, gate_lr=1e-3, gate_freeze=0.2, warmup_steps=2)


def start(shop, **settings):
    hardware = HardwareSettings(**settings)
    model = shop.model("eiclip").train()
    return model, Encoder(model, hardware), Optimizers(model, TRAINING, hardware, 10, "cpu")


def steps(shop, model, encoder, optimizers, count):
    tokens_BL, ids_BK = ModelInputs.of(model).of_texts(list(shop.samples()))
    for _ in range(count):
        pixels = torch.full((12, 64, 64, 3), 9, dtype=torch.uint8)
        pixels[:, 0, 0, 0] = torch.arange(12)
        encoded = encoder(pixels, tokens_BL, ids_BK)
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
    tensors = {name: value.clone().contiguous() for name, value in optimizers.tensors().items()}
    numbers = json.loads(json.dumps(optimizers.numbers()))
    again, its_encoder, its_optimizers = start(shop, **settings)
    again.load_state_dict(weights)
    its_optimizers.restore(tensors, numbers)
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
    used = {shop.vocabulary.encode(sample.entities)[0] for sample in shop.samples()} - {-1}
    assert {number for number, changed in enumerate(moved) if changed} == used
