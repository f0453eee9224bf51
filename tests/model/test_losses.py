"""The contrastive loss against open_clip's own."""

import open_clip
import pytest
import torch
from torch.nn import functional as F

from eiclip.model.losses import LossTerms, contrastive_loss
from eiclip.training_settings import LOSS_TERMS


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(7, 5, generator=generator), torch.randn(7, 5, generator=generator)


def test_equals_open_clips_loss_on_unit_vectors(pairs):
    image, text = (F.normalize(side, dim=-1) for side in pairs)
    theirs = open_clip.ClipLoss()(image, text, torch.tensor(9.0))
    assert torch.allclose(contrastive_loss(*pairs, torch.tensor(9.0)), theirs)


def test_left_out_pairs_are_neither_query_nor_candidate(pairs):
    keep = torch.tensor([True, False, True, True, False, True, True])
    some = contrastive_loss(pairs[0][keep], pairs[1][keep], torch.tensor(3.0))
    assert torch.equal(contrastive_loss(*pairs, torch.tensor(3.0), keep_B=keep), some)


def test_too_few_pairs_cost_nothing_but_keep_the_graph(pairs):
    image = pairs[0].requires_grad_()
    loss = contrastive_loss(image, pairs[1], torch.tensor(3.0), keep_B=torch.zeros(7, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert not image.grad.any()


@pytest.mark.parametrize(
    ("names", "total"), [(LOSS_TERMS, 7), (("joint",), 1), (("description", "entities"), 6), (("entities",), 4)]
)
def test_total_is_the_sum_of_the_named_terms(names, total):
    assert LossTerms(*torch.tensor([1.0, 2.0, 4.0])).total(names) == total
