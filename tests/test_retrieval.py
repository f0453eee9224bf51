"""Ranks against a brute-force oracle and against ranx; ties, several right items, broken embeddings."""

import numpy as np
import pytest
import ranx
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eiclip import retrieval
from eiclip.errors import NonFiniteError
from eiclip.retrieval import full_ranks, list_ranks, recall_at


def brute_force(queries, candidates, query_owners, candidate_owners, groups=None):
    """The definition, one pair at a time; `groups` gives the group of an owner that has duplicates."""
    groups = groups or {}
    ranks = []
    for query, owner in zip(queries, query_owners, strict=True):
        scores = [float(sum(a * b for a, b in zip(query, candidate, strict=True))) for candidate in candidates]
        best = max(score for score, other in zip(scores, candidate_owners, strict=True) if other == owner)
        group = groups.get(owner, owner)
        wrong = [s for s, other in zip(scores, candidate_owners, strict=True) if groups.get(other, other) != group]
        ranks.append(1 + sum(score >= best for score in wrong))
    return ranks


@st.composite
def cases(draw):
    """Small integer embeddings: many ties, exact arithmetic; several candidates an owner."""
    owners, width = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    rows = st.lists(st.integers(-2, 2), min_size=width, max_size=width)
    candidate_owners = list(range(owners)) + draw(st.lists(st.integers(0, owners - 1), max_size=6))
    query_owners = draw(st.lists(st.integers(0, owners - 1), min_size=1, max_size=8))
    candidates = [draw(rows) for _ in candidate_owners]
    return [draw(rows) for _ in query_owners], candidates, query_owners, candidate_owners


@settings(max_examples=300, deadline=None)
@given(cases(), st.integers(1, 3))
def test_full_ranks_are_the_definition(case, chunk):
    queries, candidates, query_owners, candidate_owners = case
    as_floats = (torch.tensor(rows, dtype=torch.float32) for rows in (queries, candidates))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "CHUNK", chunk)
        ranks = full_ranks(*as_floats, torch.tensor(query_owners), torch.tensor(candidate_owners))
    assert ranks.tolist() == brute_force(*case)


@settings(max_examples=300, deadline=None)
@given(cases(), st.lists(st.integers(0, 2), min_size=6, max_size=6), st.integers(1, 3))
def test_candidates_of_the_querys_group_are_neither_right_nor_wrong(case, drawn, chunk):
    queries, candidates, query_owners, candidate_owners = case
    groups = dict(enumerate(drawn))
    query_QD, candidate_ND = (torch.tensor(rows, dtype=torch.float32) for rows in (queries, candidates))
    owners = torch.tensor(query_owners), torch.tensor(candidate_owners)
    grouped = [torch.tensor([groups[owner] for owner in side]) for side in (query_owners, candidate_owners)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "CHUNK", chunk)
        ranks = full_ranks(query_QD, candidate_ND, *owners, *grouped)
        plain = full_ranks(query_QD, candidate_ND, *owners)
        alone = full_ranks(query_QD, candidate_ND, *owners, *owners)
    assert ranks.tolist() == brute_force(*case, groups)
    assert bool((ranks <= plain).all())
    assert alone.tolist() == plain.tolist()


@settings(max_examples=100, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_list_ranks_are_the_definition_on_the_list(case, random):
    queries, candidates, query_owners, candidate_owners = case
    positives = [candidate_owners.index(owner) for owner in query_owners]
    wrong = [[i for i, other in enumerate(candidate_owners) if other != owner] for owner in query_owners]
    negatives = [random.sample(rows, random.randint(0, len(rows))) for rows in wrong]
    query_QD, candidate_ND = (torch.tensor(rows, dtype=torch.float32) for rows in (queries, candidates))
    arrays = [np.array(rows, dtype=np.int64) for rows in negatives]
    ranks = list_ranks(query_QD, candidate_ND, torch.tensor(positives), arrays)
    for number, (positive, rows) in enumerate(zip(positives, negatives, strict=True)):
        kept = [positive, *rows]
        owners = [0] + [1] * len(rows)
        oracle = brute_force([queries[number]], [candidates[i] for i in kept], [0], owners)
        assert ranks[number] == oracle[0]


@pytest.mark.parametrize("k", [1, 5, 10])
def test_recall_agrees_with_ranx_where_nothing_ties(k):
    generator = torch.Generator().manual_seed(3)
    query_QD, candidate_ND = (torch.randn(rows, 8, generator=generator) for rows in (40, 60))
    owners = torch.arange(60) % 40
    ranks = full_ranks(query_QD, candidate_ND, torch.arange(40), owners)
    scores = query_QD @ candidate_ND.T
    relevant = {f"q{q}": {f"c{c}": 1 for c in range(60) if owners[c] == q} for q in range(40)}
    ranked = {f"q{q}": {f"c{c}": float(scores[q, c]) for c in range(60)} for q in range(40)}
    # With several right photos a hit is any of them in the first k: ranx calls that the hit rate.
    theirs = ranx.evaluate(ranx.Qrels(relevant), ranx.Run(ranked), f"hit_rate@{k}")
    assert recall_at(ranks, k) == pytest.approx(100 * theirs)


def test_a_constant_model_ranks_last():
    same = torch.ones(50, 4)
    ranks = full_ranks(same, same, torch.arange(50), torch.arange(50))
    assert ranks.tolist() == [50] * 50
    assert recall_at(ranks, 10) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", [0, 1])
def test_broken_embeddings_are_an_error(value, side):
    embeddings = [torch.ones(3, 2), torch.ones(3, 2)]
    embeddings[side][1, 1] = value
    with pytest.raises(NonFiniteError, match="1 of 3"):
        full_ranks(*embeddings, torch.arange(3), torch.arange(3))
    with pytest.raises(NonFiniteError, match="1 of 3"):
        list_ranks(*embeddings, torch.arange(3), [np.array([0])] * 3)


def test_a_query_without_a_right_candidate_is_an_error():
    with pytest.raises(ValueError, match="no right candidate"):
        full_ranks(torch.ones(1, 2), torch.ones(2, 2), torch.tensor([7]), torch.arange(2))
