"""Losses of cross-encoders are their formulas, written out number by number; without a question they are 0."""

import itertools
import math

import pytest
import torch

from eiclip.model.cross_losses import adaptive_weights, listwise_loss, match_loss, patch_loss, word_loss


def drawn(*shape, seed=0):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def probabilities(values):
    largest = max(values)
    powers = [math.exp(value - largest) for value in values]
    return [power / sum(powers) for power in powers]


def test_hidden_words_are_named():
    logits, words = drawn(5, 7), [3, 0, 6, 3, 1]
    wanted = -sum(math.log(probabilities(row)[word]) for row, word in zip(logits.tolist(), words, strict=True)) / 5
    assert word_loss(logits, torch.tensor(words)).item() == pytest.approx(wanted)


def test_hidden_patches_are_named_as_distributions():
    predicted, features = drawn(4, 6), drawn(4, 6, seed=1)
    wanted = 0.0
    for said, true in zip(predicted.tolist(), features.tolist(), strict=True):
        p, q = probabilities(true), probabilities(said)
        wanted += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / 4
    assert patch_loss(predicted, features).item() == pytest.approx(wanted)
    assert patch_loss(features + 5, features).item() == pytest.approx(0, abs=1e-9), "a constant changes no distribution"


def test_matching_is_the_cross_entropy_of_yes_and_no():
    scores, belongs = drawn(6), [True, False, True, True, False, False]
    chances = [1 / (1 + math.exp(-score)) for score in scores.tolist()]
    own = [-math.log(chance if yes else 1 - chance) for chance, yes in zip(chances, belongs, strict=True)]
    assert match_loss(scores, torch.tensor(belongs)).item() == pytest.approx(sum(own) / 6)


@pytest.mark.parametrize("losses", [(0.2, 3.0, 1.0), (0.0, 0.0), (9.0, 0.1, 0.1, 2.0)])
def test_weights_are_the_formula_sum_to_one_and_favour_large_losses(losses):
    found = adaptive_weights([torch.tensor(loss, requires_grad=True) for loss in losses])
    raw = [1 / (len(losses) - chance**2) for chance in probabilities(losses)]
    assert not found.requires_grad
    assert found.tolist() == pytest.approx([weight / sum(raw) for weight in raw], rel=1e-5)
    assert found.sum().item() == pytest.approx(1)
    order = found[torch.tensor(losses).argsort(stable=True)].tolist()
    assert all(smaller <= larger + 1e-7 for smaller, larger in itertools.pairwise(order))


@pytest.mark.parametrize("masked", [False, True])
def test_a_list_is_the_cross_entropy_of_its_first(masked):
    scores = drawn(4, 5)
    allowed = torch.rand(4, 5, generator=torch.Generator().manual_seed(3)) > 0.4
    allowed[:, 0] = True
    wanted = 0.0
    for row, own in zip(scores.tolist(), allowed.tolist(), strict=True):
        counted = [score for score, use in zip(row, own, strict=True) if use or not masked]
        wanted -= math.log(probabilities(counted)[0]) / 4
    assert listwise_loss(scores, allowed if masked else None).item() == pytest.approx(wanted)


@pytest.mark.parametrize("loss", [word_loss, patch_loss])
def test_where_nothing_is_hidden_the_loss_and_its_gradient_are_zero(loss):
    weight = torch.randn(3, 7, requires_grad=True)
    answer = torch.zeros(0, 7) if loss is patch_loss else torch.zeros(0, dtype=torch.int64)
    value = loss(torch.zeros(0, 3) @ weight, answer)
    value.backward()
    assert value.item() == 0
    assert torch.equal(weight.grad, torch.zeros(3, 7))
