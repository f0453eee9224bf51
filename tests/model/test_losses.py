"""The contrastive loss against open_clip's own."""

from functools import partial

import open_clip
import pytest
import torch

from eiclip.model.losses import LossTerms, Pairs, contrastive_loss, sigmoid_loss, unit
from eiclip.settings.training import LOSS_TERMS


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(7, 5, generator=generator), torch.randn(7, 5, generator=generator)


def test_equals_open_clips_loss(pairs):
    own = Pairs(*map(unit, pairs))
    assert torch.allclose(contrastive_loss(own, torch.tensor(9.0)), open_clip.ClipLoss()(*own, torch.tensor(9.0)))


@pytest.mark.parametrize("bias", [-10.0, 0.5])
def test_equals_open_clips_sigmoid_loss(pairs, bias):
    own = Pairs(*map(unit, pairs))
    scale, bias = torch.tensor(9.0), torch.tensor(bias)
    theirs = open_clip.loss.SigLipLoss()(*own, scale, bias)
    assert torch.allclose(sigmoid_loss(own, scale, bias), theirs, atol=1e-6, rtol=1e-6)


LOSSES = {"softmax": contrastive_loss, "sigmoid": partial(sigmoid_loss, bias=torch.tensor(-2.0))}


@pytest.fixture(params=LOSSES)
def loss_of(request):
    return LOSSES[request.param]


def test_left_out_pairs_are_neither_query_nor_candidate(pairs, loss_of):
    keep = torch.tensor([True, False, True, True, False, True, True])
    some = loss_of(Pairs(*(unit(side[keep]) for side in pairs)), scale=torch.tensor(3.0))
    assert torch.allclose(loss_of(Pairs(*map(unit, pairs)), scale=torch.tensor(3.0), keep_G=keep), some)


@pytest.mark.parametrize("kept", [0, 1])
def test_too_few_pairs_cost_nothing_but_keep_the_graph(pairs, kept):
    image = pairs[0].requires_grad_()
    own, keep = Pairs(unit(image), unit(pairs[1])), torch.arange(7) < kept
    loss = contrastive_loss(own, torch.tensor(3.0), keep_G=keep)
    loss.backward()
    assert loss.item() == 0
    assert not image.grad.any()


@pytest.mark.parametrize("keep", [None, torch.arange(7) % 3 > 0])
def test_processes_with_a_share_of_the_queries_each_have_the_global_loss_in_the_mean(pairs, keep, loss_of):
    everyone, scale = Pairs(*map(unit, pairs)), torch.tensor(9.0)
    queries, candidates = Pairs(*(side[:6] for side in everyone)), None if keep is None else keep[:6]
    whole = loss_of(queries, scale=scale, keep_G=candidates)
    shares = [Pairs(*(side[first : first + 2] for side in queries)) for first in (0, 2, 4)]
    own = [
        loss_of(share, scale=scale, everyone=queries, first=2 * i, keep_G=candidates) for i, share in enumerate(shares)
    ]
    assert torch.allclose(torch.stack(own).mean(), whole)


@pytest.mark.parametrize(
    ("names", "total"), [(LOSS_TERMS, 7), (("joint",), 1), (("description", "entities"), 6), (("entities",), 4)]
)
def test_total_is_the_sum_of_the_named_terms(names, total):
    assert LossTerms(*torch.tensor([1.0, 2.0, 4.0])).total(names) == total
