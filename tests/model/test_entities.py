"""Entity encoders, gates and their sum, against sums done by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from eiclip.errors import CorruptOutputError
from eiclip.model.entities import EntityFusion, Gate
from eiclip.model.vocabulary import Vocabulary
from eiclip.settings.training import TrainingSettings

VOCABULARY = Vocabulary(
    names={"brand": ["<unk>", "diesel", "top"], "subcategory": ["<unk>", "jeans", "top"]},
    priors={"top": {"brand": 0.25, "subcategory": 0.75}},
)


def fusion(gates="learned", **given):
    torch.manual_seed(0)
    return EntityFusion(VOCABULARY, 16, gates, TrainingSettings(**given))


def unit(module, number):
    return F.normalize(module(torch.tensor([number])), dim=-1)


def test_an_entity_of_one_group_is_its_own_embedding():
    model = fusion()
    assert torch.allclose(model.entity(0, torch.tensor([1])), unit(model.encoders[0], 1))


def test_an_entity_of_two_groups_is_the_prior_weighted_mixture():
    model = fusion()
    mixed = 0.25 * unit(model.encoders[0], 2) + 0.75 * unit(model.encoders[1], 2)
    for group in (0, 1):  # whichever group it is tagged as, the prior is the same
        assert torch.allclose(model.entity(group, torch.tensor([2])), F.normalize(mixed, dim=-1), atol=1e-6)


def test_without_unit_norm_the_mixture_is_the_plain_expectation():
    model = fusion(unit_norm=False)
    mixed = 0.25 * model.encoders[0](torch.tensor([2])) + 0.75 * model.encoders[1](torch.tensor([2]))
    assert torch.allclose(model.entity(0, torch.tensor([2])), mixed, atol=1e-6)


def test_unseen_is_unknown_and_missing_is_missing():
    assert VOCABULARY.encode({"brand": ["never seen"]}) == [[0], []]
    assert VOCABULARY.encode({"brand": ["diesel"], "subcategory": ["jeans"]}, excluded_group="subcategory") == [[1], []]
    assert VOCABULARY.encode({"subcategory": ["top", "new", "jeans"]}) == [[], [2, 0, 1]]


def test_a_missing_entity_has_no_weight_and_passes_no_gradient():
    model = fusion()
    fused = model(torch.tensor([[[1], [-1]], [[2], [-1]]]))
    assert fused.weight_BK[:, 1].tolist() == [0, 0]
    assert fused.present_B.tolist() == [True, True]
    # "top" as a brand reaches the subcategory's encoder through its prior, "diesel" does not.
    fused.sum_BD[0].sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.encoders[1].parameters())
    assert model.encoders[0].table.weight.grad[1].any()
    assert not model.encoders[0].table.weight.grad[0].any(), "an absent entity must not train <unk>"


def test_a_product_without_entities_adds_nothing():
    fused = fusion()(torch.tensor([[[-1], [-1]]]))
    assert not fused.sum_BD.any()
    assert fused.present_B.tolist() == [False]


def test_the_sum_is_weighted_by_the_gates():
    model = fusion()
    with torch.no_grad():
        for gate, bias in zip(model.gates, (1.0, -2.0), strict=True):
            gate.mlp[-1].bias.fill_(bias)
    fused = model(torch.tensor([[[1], [1]]]))
    weights = torch.sigmoid(torch.tensor([1.0, -2.0]))
    assert torch.allclose(fused.weight_BK[0], weights)
    by_hand = weights[0] * unit(model.encoders[0], 1) + weights[1] * unit(model.encoders[1], 1)
    assert torch.allclose(fused.sum_BD, by_hand, atol=1e-6)


IDS = st.lists(st.lists(st.integers(0, 2), max_size=4, unique=True), min_size=2, max_size=2)


@settings(deadline=None, max_examples=40)
@given(st.lists(IDS, min_size=1, max_size=3), st.booleans(), st.booleans(), st.randoms(use_true_random=False))
@torch.inference_mode()
def test_of_several_entities_the_mean_counts_in_whatever_order(products, learned, unit_norm, random):
    model = fusion("learned" if learned else "equal", unit_norm=unit_norm)
    for gate in model.gates or ():
        torch.nn.init.normal_(gate.mlp[-1].weight)
    fused = model(padded(products))
    for number, groups in enumerate(products):
        total = torch.zeros(16)
        for group, ids in enumerate(groups):
            if not ids:
                assert fused.weight_BK[number, group] == 0
                continue
            mean = sum(model.entity(group, torch.tensor([own]))[0] for own in ids) / len(ids)
            weight = torch.sigmoid(model.gates[group].mlp(mean))[0] if learned else torch.tensor(model.equal_weight)
            assert torch.allclose(fused.weight_BK[number, group], weight, atol=1e-6)
            total += weight * mean
        assert torch.allclose(fused.sum_BD[number], total, atol=1e-6)
        assert bool(fused.present_B[number]) == any(groups)
    shuffled = model(padded([[random.sample(ids, len(ids)) for ids in groups] for groups in products]))
    assert torch.allclose(shuffled.sum_BD, fused.sum_BD, atol=1e-6)
    wider = model(F.pad(padded(products), (0, 2), value=-1))
    assert torch.allclose(wider.sum_BD, fused.sum_BD, atol=1e-6)


def padded(products):
    """Ids (B, K, M) of lists, -1 where a list is shorter than the longest."""
    most = max(1, *(len(ids) for groups in products for ids in groups))
    return torch.tensor([[ids + [-1] * (most - len(ids)) for ids in groups] for groups in products])


def test_a_new_gate_gives_everything_one_half():
    assert torch.equal(Gate(16)(torch.randn(5, 16)), torch.full((5,), 0.5))


@pytest.mark.parametrize(("given", "weight"), [(1.0, 1.0), (0.3, 0.3), (None, 0.5)])
def test_equal_gates_are_constant(given, weight):
    model = fusion("equal", equal_weight=given)
    assert model.gates is None
    assert torch.allclose(model(torch.tensor([[[1], [2]]])).weight_BK, torch.full((1, 2), weight))


def test_a_vocabulary_without_unknown_is_refused():
    with pytest.raises(CorruptOutputError, match="id 0"):
        Vocabulary({"brand": ["diesel"]}, {})
