"""Counting scores: how much memory it takes, what float32 may leave open, and the settings that would spoil it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from eiclip.evaluation import score_counts as scores
from eiclip.evaluation.ranking import TIE, full_ranks, list_ranks, ranked
from eiclip.evaluation.relevance import Relevance

ROWS_KEPT = 400
"""Bytes kept for each query and candidate."""


class PeakMemory(TorchDispatchMode):
    """The most bytes of tensors made within it and alive at one time."""

    def __init__(self, *given):
        super().__init__()
        self.given = {tensor.untyped_storage()._cdata for tensor in given}
        self.alive, self.peak = {}, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        made = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) else None
            if storage is not None and storage._cdata not in self.given:
                self.alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.alive = {key: (held, size) for key, (held, size) in self.alive.items() if not held.expired()}
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return made


def embeddings(queries=1500, candidates=1000, width=32, *, collapsed=False, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    sides = [torch.randn(rows, width, generator=generator) for rows in (queries, candidates)]
    if collapsed:
        sides = [1 + 1e-7 * side for side in sides]
    return [F.normalize(side, dim=1).to(dtype) for side in sides]


OWNERS = {
    "shuffled": lambda rows: torch.from_numpy(np.random.default_rng(0).permutation(rows) % 500),
    "one owns all": lambda rows: torch.zeros(rows, dtype=torch.int64),
}


def shuffled(sides):
    return Relevance.of(*(OWNERS["shuffled"](len(side)) for side in sides))


@pytest.mark.parametrize("counter", [scores.count_in_numpy, scores.count_in_torch])
@pytest.mark.parametrize("owners", list(OWNERS))
@pytest.mark.parametrize("made", [{}, {"collapsed": True}, {"dtype": torch.float64}], ids=str)
def test_chunks_take_no_more_memory_than_given(counter, owners, made, monkeypatch):
    monkeypatch.setattr(scores, "counter", lambda _: counter)
    sides, memory = embeddings(**made), 2**20
    owned = [OWNERS[owners](len(side)) for side in sides]
    with PeakMemory(*sides, *owned) as watched:
        ranked(*sides, Relevance.of(*owned), memory=memory)
    kept = ROWS_KEPT * (len(sides[0]) + len(sides[1]))
    assert watched.peak <= memory + kept < 1500 * 1000 * 4 / 2, "far from the whole matrix of scores"
    assert watched.peak > memory / 4, "it is the memory that bounds the chunks"


def test_lists_take_no_more_memory_than_given():
    query_QD, candidate_ND = embeddings(width=16)
    random = np.random.default_rng(0)
    negatives = [random.integers(0, len(candidate_ND), 100) for _ in query_QD]
    positive_Q, memory = torch.arange(len(query_QD)) % len(candidate_ND), 2**20
    groups = torch.zeros(len(query_QD), dtype=torch.int64), torch.zeros(len(candidate_ND), dtype=torch.int64)
    with PeakMemory(query_QD, candidate_ND, positive_Q, *groups) as watched:
        list_ranks(query_QD, candidate_ND, positive_Q, negatives, *groups, memory=memory)
    assert watched.peak <= memory + ROWS_KEPT * len(query_QD)


@pytest.mark.parametrize("made", [{}, {"collapsed": True}, {"dtype": torch.float16}], ids=str)
def test_numpy_and_torch_count_alike(made, monkeypatch):
    sides = embeddings(300, 700, 16, **made)
    relevance, found = shuffled(sides), []
    for counter in (scores.count_in_numpy, scores.count_in_torch):
        monkeypatch.setattr(scores, "counter", lambda _, counter=counter: counter)
        found.append(ranked(*sides, relevance, memory=2**16))
    assert all(map(torch.equal, *found))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_ranks_as_the_cpu_does():
    sides = embeddings()
    here, there = (ranked(*(side.to(device) for side in sides), shuffled(sides)) for device in ("cpu", "cuda"))
    assert there[0].device.type == "cuda"
    assert torch.equal(here[0], there[0].cpu())
    assert torch.allclose(here[1], there[1].cpu())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [1, 7, 512])
def test_float32_scores_are_within_the_rounding(width, dtype):
    query_QD, candidate_ND = embeddings(50, 80, width, dtype=dtype)
    query_QD *= torch.logspace(-3, 3, 50, dtype=dtype)[:, None]
    bound_Q = scores.rounding(query_QD, candidate_ND)
    off_QN = (query_QD.float() @ candidate_ND.float().T).double() - query_QD.double() @ candidate_ND.double().T
    assert bool((off_QN.abs() <= bound_Q[:, None]).all())
    assert float((bound_Q / query_QD.double().norm(dim=1)).max()) < 1.1 * (width + 8) * 2**-24


def test_few_near_ties_are_decided_pair_by_pair(monkeypatch):
    query_QD, candidate_ND = embeddings(200, 300, 32)
    random = np.random.default_rng(0)
    relevant_Q, other_M = torch.from_numpy(random.permutation(300)[:230]).split([200, 30])
    # An irrelevant one scores as the relevant one does, but for a TIE or two more or less: float32 leaves it open.
    near_M = torch.from_numpy(random.permutation(200)[:30])
    candidate_ND[other_M] = candidate_ND[relevant_Q[near_M]] + 2e-6 * torch.from_numpy(random.choice([-1, 1], (30, 1)))
    score_QN = query_QD.double() @ candidate_ND.double().T
    owner_N = torch.full((300,), -1).index_copy_(0, relevant_Q, torch.arange(200))
    irrelevant_QN = owner_N != torch.arange(200)[:, None]
    expected = 1 + ((score_QN >= score_QN.gather(1, relevant_Q[:, None]) - TIE) & irrelevant_QN).sum(dim=1)
    monkeypatch.setattr(scores.Count, "_decide", lambda *_: pytest.fail("whole blocks would take long"))
    found = full_ranks(query_QD, candidate_ND, Relevance.of(torch.arange(200), owner_N), memory=2**16)
    assert torch.equal(found, expected)
    sizes = scores.Sizes.of(2**16, candidate_ND)
    assert (sizes.queries < 100, sizes.candidates < 150) == (True, True), "several chunks either way"


def test_a_collapsed_model_is_decided_in_whole_blocks(monkeypatch):
    sides = embeddings(60, 80, 8, collapsed=True)
    monkeypatch.setattr(scores, "pair_scores", lambda *_: pytest.fail("pair by pair would take minutes"))
    rank_Q, _ = ranked(*sides, Relevance.of(torch.arange(60), torch.arange(80)))
    assert rank_Q.tolist() == [80] * 60


class Precisions(TorchDispatchMode):
    """The precisions under which matrices are multiplied within it."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm):
            self.seen.add(torch.get_float32_matmul_precision())
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["medium", "high"])
def test_what_the_program_has_set_changes_no_rank(precision):
    sides = embeddings(300, 700, 64)
    expected, _ = ranked(*sides, shuffled(sides))
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        with torch.autocast("cpu", dtype=torch.bfloat16), Precisions() as watched:
            found, _ = ranked(*sides, shuffled(sides))
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found, expected)
    assert watched.seen == {"highest"}


def test_embeddings_of_a_model_in_training_need_no_detaching():
    sides = [side.requires_grad_() for side in embeddings(5, 5, 4)]
    _, ndcg10_Q = ranked(*sides, Relevance.of(torch.arange(5), torch.arange(5)))
    assert not ndcg10_Q.requires_grad
