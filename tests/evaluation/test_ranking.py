"""Ranks against a brute-force oracle and against ranx; ties, several relevant items, broken embeddings."""

import math

import numpy as np
import pytest
import ranx
import torch
import torch.nn.functional as F

from eiclip.errors import NonFiniteError
from eiclip.evaluation import score_counts as scores
from eiclip.evaluation.ranking import TIE, full_ranks, list_ranks, ndcg_of_rank, ranked, recall_at
from eiclip.evaluation.relevance import Relevance


def brute_force(queries, candidates, query_owners, candidate_owners, query_groups=None, candidate_groups=None):
    """The definition in float64, one query at a time: ranks and nDCG@10."""
    query_groups = query_owners if query_groups is None else query_groups
    candidate_groups = candidate_owners if candidate_groups is None else candidate_groups
    ranks, ndcgs = [], []
    for query, owner, group in zip(queries.double().numpy(), query_owners, query_groups, strict=True):
        scored = candidates.double().numpy() @ query
        irrelevant = scored[candidate_groups != group]
        relevant = sorted(scored[candidate_owners == owner], reverse=True)
        places = [int((irrelevant >= score - TIE).sum()) + number for number, score in enumerate(relevant, start=1)]
        ideal = sum(1 / math.log2(1 + place) for place in range(1, min(10, len(relevant)) + 1))
        ranks.append(places[0])
        ndcgs.append(sum(1 / math.log2(1 + place) for place in places if place <= 10) / ideal)
    return ranks, ndcgs


def given(query_QD, candidate_ND, *numbers, itself_Q=None):
    """What `ranked` takes, of owners and groups as any numbers."""
    itself = None if itself_Q is None else torch.as_tensor(itself_Q)
    return query_QD, candidate_ND, Relevance.of(*map(torch.as_tensor, numbers), itself_Q=itself)


def embeddings_of(kind, random, rows, width):
    """Embeddings with ties and duplicates, near ones on either side of TIE, or of any length."""
    if kind == "integers":
        return torch.tensor(random.integers(-2, 3, (rows, width)), dtype=torch.float32)
    if kind == "duplicates":
        shapes = random.standard_normal((4, width))[random.integers(0, 4, rows)]
        jitter = random.choice([0, 1e-8, 1e-3], (rows, 1)) * random.standard_normal((rows, width))
        return F.normalize(torch.tensor(shapes + jitter, dtype=torch.float64), dim=1)
    return torch.tensor(random.standard_normal((rows, width)) * 10.0 ** random.integers(-3, 4), dtype=torch.float32)


def random_case(seed):
    """Queries, candidates, owners and groups; several candidates an owner, several owners a group."""
    random = np.random.default_rng(seed)
    kind = ("integers", "duplicates", "any length")[seed % 3]
    queries, candidates, width = random.integers((1, 1, 1), (12, 40, 6))
    candidate_owners = random.integers(0, random.integers(1, 13), candidates)
    query_owners = random.choice(candidate_owners, queries)
    groups = random.integers(0, 5, 12) if seed % 2 else np.arange(12)
    # Seeds of both sides are one, so that queries are duplicates of candidates too.
    sides = [embeddings_of(kind, np.random.default_rng(seed), rows, width) for rows in (queries, candidates)]
    return *sides, query_owners, candidate_owners, groups[query_owners], groups[candidate_owners]


@pytest.fixture(params=[scores.count_in_numpy, scores.count_in_torch])
def counter(request, monkeypatch):
    """Either way of counting."""
    monkeypatch.setattr(scores, "counter", lambda _: request.param)
    return request.param


def require(ranking, ranks, ndcgs, seed):
    rank_Q, ndcg10_Q = ranking
    assert rank_Q.tolist() == ranks, seed
    assert ndcg10_Q.tolist() == pytest.approx(ndcgs), seed


def test_ranks_are_the_definition_in_500_random_cases(counter):
    begin = 0 if counter is scores.count_in_numpy else 500  # together 1,000
    for seed in range(begin, begin + 500):
        case = random_case(seed)
        ranks, ndcgs = brute_force(*case)
        memory = (1024, 4096, 2**20)[seed // 4 % 3]  # from chunks of a few rows to one chunk
        require(ranked(*given(*case), memory=memory), ranks, ndcgs, seed)


def without_itself(seed):
    """A random case whose queries are some of the candidates, and its ranks and nDCG@10, each without itself."""
    random = np.random.default_rng(seed)
    kind = ("integers", "duplicates", "any length")[seed % 3]
    candidate_ND = embeddings_of(kind, random, 40, 5)
    owners = np.arange(40) % 12
    groups = random.integers(0, 6, 12)[owners] if seed % 2 else owners
    rows = random.choice(40, 15)
    itself = np.where(random.random(15) < 0.8, rows, -1)
    query_ND = candidate_ND[rows] if seed % 4 < 2 else embeddings_of(kind, random, 15, 5)
    ranks, ndcgs = [], []
    for query, row, own in zip(query_ND, rows, itself, strict=True):
        others = np.delete(np.arange(40), own) if own >= 0 else np.arange(40)
        sides = query[None], candidate_ND[others], owners[[row]], owners[others], groups[[row]], groups[others]
        for found, one in zip((ranks, ndcgs), brute_force(*sides), strict=True):
            found += one
    return given(query_ND, candidate_ND, owners[rows], owners, groups[rows], groups, itself_Q=itself), ranks, ndcgs


def test_a_query_among_the_candidates_is_ignored(counter):
    for seed in range(60):
        case, ranks, ndcgs = without_itself(seed)
        memory = (1024, 4096, 2**20)[seed // 4 % 3]
        require(ranked(*case, memory=memory), ranks, ndcgs, seed)
        assert full_ranks(*case, memory=memory).tolist() == ranks, seed


def test_none_among_the_candidates_is_as_if_nothing_were_said():
    case = random_case(1)
    plain, said = ranked(*given(*case)), ranked(*given(*case, itself_Q=[-1] * len(case[0])))
    assert all(map(torch.equal, plain, said))


def test_own_entries_that_cannot_be_are_an_error():
    case = torch.ones(2, 2), torch.ones(3, 2), [5, 6], [5, 6, 6]
    for itself, fault in (
        ([0, 1], "query 0 has no relevant candidate but itself, candidate 0"),
        ([-1, 0], "query 1 and its own entry, candidate 0, have different owners"),
        ([-1, 3], "query 1 itself is said to be candidate 3 of 3"),
        ([-1, -2], "query 1 itself is said to be candidate -2 of 3"),
    ):
        with pytest.raises(ValueError, match=fault):
            given(*case, itself_Q=itself)
    assert full_ranks(*given(*case, itself_Q=[-1, 2])).tolist() == [3, 2]


@pytest.mark.parametrize("kind", ["integers", "duplicates", "any length"])
@pytest.mark.parametrize("memory", [256, 2**20])
def test_ignored_pairs_are_as_if_those_candidates_were_not_there(kind, memory):
    random = np.random.default_rng(11)
    query_QD, candidate_ND = embeddings_of(kind, random, 20, 4), embeddings_of(kind, random, 30, 4)
    owner_Q, owner_N = np.arange(20) % 10, np.arange(30) % 10
    ignored = (owner_Q[:, None] != owner_N) & (random.random((20, 30)) < 0.3)
    expected = [
        brute_force(query_QD[[row]], candidate_ND[~ignored[row]], owner_Q[[row]], owner_N[~ignored[row]])[0][0]
        for row in range(20)
    ]
    case = given(query_QD, candidate_ND, owner_Q, owner_N)
    ignored_P2 = torch.from_numpy(random.permutation(np.argwhere(ignored)))
    assert full_ranks(*case, ignored_P2, memory=memory).tolist() == expected
    assert full_ranks(*case, ignored_P2[:0], memory=memory).tolist() == full_ranks(*case).tolist()
    with pytest.raises(ValueError, match="of the query's own group"):
        full_ranks(*case, torch.tensor([[3, 13]]))


def test_each_row_a_chunk_of_its_own():
    case = random_case(1)
    assert full_ranks(*given(*case), memory=0).tolist() == brute_force(*case)[0]


def test_other_owners_of_the_querys_group_are_ignored():
    sides, owners = (torch.tensor([[1.0, 0]]), torch.tensor([[0.5, 0], [0.9, 0], [0.8, 0]])), ([0], [0, 1, 2])
    for groups, rank in (((), 3), (([7], [7, 7, 8]), 2), (owners, 3)):
        assert full_ranks(*given(*sides, *owners, *groups)).tolist() == [rank]


@pytest.mark.parametrize("several", [False, True])
def test_measures_agree_with_ranx_where_nothing_ties(several):
    generator = torch.Generator().manual_seed(3)
    query_QD, candidate_ND = (torch.randn(rows, 8, generator=generator) for rows in (40, 200))
    owners = torch.arange(200) % 40 if several else torch.arange(200)
    score_QN = query_QD.double() @ candidate_ND.double().T
    rank_Q, ndcg10_Q = ranked(*given(query_QD, candidate_ND, torch.arange(40), owners))
    relevant = {f"q{q}": {f"c{c}": 1 for c in range(200) if owners[c] == q} for q in range(40)}
    run = {f"q{q}": {f"c{c}": float(score_QN[q, c]) for c in range(200)} for q in range(40)}
    names = ["mrr", "ndcg@10", "hit_rate@1", "hit_rate@5", "hit_rate@10"] + ([] if several else ["recall@10"])
    theirs = ranx.evaluate(ranx.Qrels(relevant), ranx.Run(run), names)
    assert float((1 / rank_Q).mean()) == pytest.approx(theirs["mrr"])
    assert float(ndcg10_Q.mean()) == pytest.approx(theirs["ndcg@10"])
    # With several relevant photos a hit is any of them in the first k: ranx calls that the hit rate.
    for k in (1, 5, 10):
        assert recall_at(rank_Q, k) == pytest.approx(100 * theirs[f"hit_rate@{k}"])
    if not several:
        assert recall_at(rank_Q, 10) == pytest.approx(100 * theirs["recall@10"])
        assert ndcg_of_rank(rank_Q).tolist() == pytest.approx(ndcg10_Q.tolist())


def test_a_constant_model_ranks_last():
    same, numbers = torch.ones(50, 4), torch.arange(50)
    rank_Q, ndcg10_Q = ranked(*given(same, same, numbers, numbers))
    assert rank_Q.tolist() == [50] * 50
    assert ndcg10_Q.tolist() == [0] * 50
    assert recall_at(rank_Q, 10) == 0
    negatives = [np.delete(np.arange(50), number) for number in range(50)]
    assert list_ranks(same, same, numbers, negatives, numbers, numbers)[0].tolist() == [50] * 50


def test_near_ties_are_decided_as_float64_decides():
    generator = torch.Generator().manual_seed(0)
    query_QD = 10 * F.normalize(torch.randn(20, 512, generator=generator), dim=1)
    # 30 irrelevant ones a query at scores within 10 TIEs of the relevant one's: a float32 score of 100 is off by more.
    near = query_QD[:, None].double() * (1 + 1e-8 * torch.randn(20, 31, 1, generator=generator))
    near += 1e-5 * torch.randn(near.shape, generator=generator)
    candidate_ND = near.float().reshape(-1, 512)
    owners = torch.arange(20 * 31)
    expected, _ = brute_force(query_QD, candidate_ND, owners[:20].numpy() * 31, owners.numpy())
    score_QN = query_QD @ candidate_ND.T
    plain = 1 + (score_QN >= score_QN.gather(1, owners[:20, None] * 31) - TIE).sum(dim=1) - 1
    assert plain.tolist() != expected, "the case is one that float32 gets wrong"
    assert full_ranks(*given(query_QD, candidate_ND, owners[:20] * 31, owners)).tolist() == expected
    others = [np.delete(owners.numpy(), number * 31) for number in range(20)]
    lists = query_QD, candidate_ND, owners[:20] * 31, others, owners[:20] * 31, owners
    assert list_ranks(*lists)[0].tolist() == expected


@pytest.mark.parametrize("scale", [1e-30, 1e20, 1e25])
def test_scores_beyond_float32_are_compared_in_float64(scale):
    sides = [scale * (3 + embeddings_of("integers", np.random.default_rng(0), rows, 3)) for rows in (20, 30)]
    owners = torch.arange(20), torch.arange(30)
    expected, _ = brute_force(*sides, *(numbers.numpy() for numbers in owners))
    assert full_ranks(*given(*sides, *owners)).tolist() == expected
    found, again = list_ranks(*sides, owners[0], [np.delete(owners[1].numpy(), n) for n in range(20)], *owners)
    assert found.tolist() == again.tolist() == expected


@pytest.mark.parametrize("memory", [64, 2**28])
@pytest.mark.parametrize("kind", ["integers", "duplicates", "any length"])
def test_list_ranks_are_the_definition_on_the_list(kind, memory):
    random = np.random.default_rng(5)
    query_QD, candidate_ND = (embeddings_of(kind, np.random.default_rng(6), rows, 4) for rows in (60, 30))
    positives, texts = random.integers(0, 30, 60), random.integers(0, 12, 30)
    others = [np.delete(np.arange(30), positive) for positive in positives]
    negatives = [random.permutation(rows)[: random.integers(0, 30)] for rows in others]
    lists = query_QD, candidate_ND, torch.from_numpy(positives), negatives
    groups = torch.from_numpy(texts[positives]), torch.from_numpy(texts)
    strict, equal = list_ranks(*lists, *groups, memory=memory)
    for number, (positive, rows) in enumerate(zip(positives, negatives, strict=True)):
        listed = np.array([positive, *rows])
        sides = query_QD[number : number + 1], candidate_ND[listed]
        own = np.array([0] + [1] * len(rows))
        assert strict[number] == brute_force(*sides, own[:1], own)[0][0]
        assert equal[number] == brute_force(*sides, texts[[positive]], texts[listed])[0][0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", [0, 1])
def test_broken_embeddings_are_an_error(value, side):
    embeddings = [torch.ones(3, 2), torch.ones(3, 2)]
    embeddings[side][1, 1] = value
    for ranks in (full_ranks, ranked):
        with pytest.raises(NonFiniteError, match="1 of 3"):
            ranks(*given(*embeddings, range(3), range(3)))
    with pytest.raises(NonFiniteError, match="1 of 3"):
        list_ranks(*embeddings, torch.arange(3), [np.array([0])] * 3, torch.arange(3), torch.arange(3))


def test_scores_beyond_float64_are_an_error():
    large = torch.full((2, 2), 1e200, dtype=torch.float64)
    with pytest.raises(NonFiniteError, match="too large"):
        full_ranks(*given(large, large, range(2), range(2)))


def test_a_query_without_a_relevant_candidate_is_an_error():
    for owners in ([0, 1], [6, 8], []):
        with pytest.raises(ValueError, match=r"query 0 has no relevant candidate: .* of its owner, 7"):
            Relevance.of(torch.tensor([7]), torch.tensor(owners, dtype=torch.int64))


def test_groups_are_of_whole_owners():
    owners = torch.tensor([3]), torch.tensor([3, 3])
    with pytest.raises(ValueError, match="owner 3 has candidates in two groups"):
        Relevance.of(*owners, torch.tensor([0]), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="in different groups"):
        Relevance.of(*owners, torch.tensor([1]), torch.tensor([0, 0]))


def test_no_queries_have_no_ranks():
    none = torch.arange(0)
    for rows in (0, 3):
        sides, owners = (torch.ones(0, 2), torch.ones(rows, 2)), (none, torch.arange(rows))
        for found in (ranked(*given(*sides, *owners)), list_ranks(*sides, none, [], *owners)):
            assert [values.tolist() for values in found] == [[], []]
