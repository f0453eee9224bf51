"""What chance gives, against every placement of the relevant candidates among the others."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from eiclip.evaluation.chance import at_chance, expected_measures, expected_shares
from eiclip.evaluation.embed import EmbeddedSplit


def enumerated(candidates, relevant):
    """The same measures from all placements, which a random order makes equally likely."""
    firsts = np.array([min(places) + 1 for places in itertools.combinations(range(candidates), relevant)])
    return {f"r{k}": 100 * np.mean(firsts <= k) for k in (1, 5, 10)} | {"mrr": 100 * np.mean(1 / firsts)}


@pytest.mark.parametrize(("candidates", "relevant"), [(1, 1), (4, 4), (7, 1), (7, 3), (12, 2), (14, 6), (101, 1)])
def test_one_query(candidates, relevant):
    assert expected_measures([(candidates, relevant)]) == pytest.approx(enumerated(candidates, relevant))


def test_queries_of_several_kinds_count_as_often_as_they_are_there():
    kinds = [(9, 1), (9, 1), (9, 2), (20, 3)]
    each = [enumerated(*kind) for kind in kinds]
    wanted = {name: np.mean([one[name] for one in each]) for name in each[0]}
    assert expected_measures(kinds) == pytest.approx(wanted)


def test_it_does_not_fail_at_the_size_of_a_catalogue():
    found = expected_measures([(32_528, 8)])
    assert found["r1"] == pytest.approx(100 * 8 / 32_528)


def test_a_split_of_random_embeddings_is_at_its_chance():
    products = [f"p{n}" for n in range(30)]
    owners = [product for n, product in enumerate(products) for _ in range(1 + n % 4)]
    names = [f"{owner}_{n}" for n, owner in enumerate(owners)]
    sums = []
    for seed in range(60):
        draw = torch.Generator().manual_seed(seed)
        image_ND, text_PD = (F.normalize(torch.randn(many, 64, generator=draw), dim=-1) for many in (len(owners), 30))
        split = EmbeddedSplit(names, owners, image_ND, products, text_PD)
        sums.append(split.recalls()["sum_r"])
    error = np.std(sums) / len(sums) ** 0.5
    assert np.mean(sums) == pytest.approx(split.chance(), abs=3 * error)
    assert error < 5


@pytest.mark.parametrize(
    ("value", "chance", "found"),
    [(4.6, 4.0, True), (11.9, 4.0, True), (12.1, 4.0, False), (420.0, 250.0, True), (430.0, 250.0, False)],
)
def test_under_three_times_chance_or_half_way_to_perfect(value, chance, found):
    assert at_chance(value, chance) is found


@pytest.mark.parametrize(("candidates", "relevant"), [(1, 1), (4, 4), (7, 3), (12, 2), (14, 6), (101, 1), (30, 2)])
def test_shares_of_several_relevant_candidates(candidates, relevant):
    places = np.array(list(itertools.combinations(range(1, candidates + 1), relevant)))
    shares = {f"r{k}": 100 * np.mean(places <= k) for k in (1, 10)}
    firsts = places.min(axis=1)
    wanted = shares | {"mrr10": 100 * np.mean(np.where(firsts <= 10, 1 / firsts, 0))}
    assert expected_shares([(candidates, relevant)]) == pytest.approx(wanted)
