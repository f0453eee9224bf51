"""The forward pass in chunks, recomputed, sparse or narrow: the same gradients as all at once."""

import functools

import pytest
import torch

from eiclip.model.inputs import ModelInputs
from eiclip.settings.training import HardwareSettings
from eiclip.train.encoder import Encoder

VARIANTS = ["clip_description", "eiclip_equal", "eiclip"]


def batch(shop, variant):
    model = shop.model(variant)
    pixels = torch.randint(0, 256, (12, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return model, (pixels, *ModelInputs.of(model).of_texts(list(shop.samples())))


@functools.cache
def loss_and_gradients(shop, variant, **hardware):
    model, inputs = batch(shop, variant)
    if hardware.get("sparse_entities"):
        for encoder in model.fusion.encoders:
            encoder.sparse_table()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoded = Encoder(model.train(), HardwareSettings(**hardware))(*inputs)
        loss = model.loss(encoded.image_BD, encoded.text, encoded.scale).total(model.loss_terms)
        loss.backward()
    return loss.detach(), {name: parameter.grad for name, parameter in model.named_parameters()}


def close(found, wanted, tolerance):
    assert torch.allclose(found[0], wanted[0], atol=tolerance)
    for name, gradient in wanted[1].items():
        assert torch.allclose(found[1][name].to_dense(), gradient, atol=tolerance), name


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [1, 5, 12, 100])
def test_gradient_caching_gives_the_gradients_of_the_whole_batch(shop, variant, size):
    close(loss_and_gradients(shop, variant, chunk_size=size), loss_and_gradients(shop, variant), 1e-5)


def test_gradient_caching_keeps_of_a_chunk_its_embeddings_alone(shop):
    def kept(**hardware):
        model, inputs = batch(shop, "eiclip")
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.nbytes) or t, lambda t: t):
            Encoder(model.train(), HardwareSettings(**hardware))(*inputs)
        return sum(sizes)

    assert kept(chunk_size=2) < kept() / 20


@pytest.mark.parametrize("hardware", [{"gradient_checkpointing": True}, {"channels_last": True}])
def test_recomputing_and_memory_formats_change_no_gradient(shop, hardware):
    close(loss_and_gradients(shop, "eiclip", **hardware), loss_and_gradients(shop, "eiclip"), 1e-5)


def test_sparse_gradients_are_the_dense_ones_of_the_rows_that_were_used(shop):
    sparse, dense = loss_and_gradients(shop, "eiclip", sparse_entities=True), loss_and_gradients(shop, "eiclip")
    tables = [name for name in dense[1] if name.endswith("table.weight")]
    assert tables
    assert all(sparse[1][name].is_sparse for name in tables)
    close(sparse, dense, 1e-6)
