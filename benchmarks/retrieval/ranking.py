"""Exact ranks in both directions beside bare matrix products, the naive way, and faiss.

Every side is given the same embeddings and the same number of threads, in a process of its own.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measure import Run, Work, interleaved, line, median, memory_now, peak_memory, run_apart, say
from benchmarks.retrieval.data import Sides, make

if TYPE_CHECKING:
    from torch import Tensor

MIB = 2**20
TOP = 10

Side = Callable[[Sides], dict[str, float] | None]
"""One way of ranking, both directions; says how many queries find a right candidate at the first place."""


def measure(figures: list[str], photos: int, products: int, rounds: int, threads: int) -> None:
    """Print the wanted ones of `bare`, `memory`, `naive` and `faiss`."""
    arguments = [(photos, products, threads)]
    peers = {name: prepare for name, prepare in PEERS.items() if name in figures}
    if peers:
        works = {"ours": prepare_ours} | peers
        runs = interleaved({name: (prepare, arguments) for name, prepare in works.items()}, rounds)
        for name in peers:
            _say_times(name, runs["ours"], runs[name])
    if "memory" in figures:
        extra = median([run_apart(prepare_memory, arguments).facts["extra"] for _ in range(rounds)])
        say(line("peak memory beyond the embeddings (MiB)", extra, GOALS["memory"], 1.0, at_most=True, note=BOTH))


def _say_times(name: str, ours: list[Run], peer: list[Run]) -> None:
    seconds, peer_seconds = (median([run.wall for run in runs]) for runs in (ours, peer))
    found = [runs[0].facts["first"] for runs in (ours, peer)]
    note = f"{BOTH}; CPU seconds {median([run.cpu for run in ours])} and {median([run.cpu for run in peer])}"
    if not np.isnan(found[1]):
        note += f"; queries right at the first place {found[0]:.0f} and {found[1]:.0f}"
    naive = name == "naive"
    say(line(TITLES[name], seconds, peer_seconds, GOALS[name], at_most=not naive, speed=naive, note=note))


def _prepared(side: Side, photos: int, products: int, threads: int) -> Work:
    sides = make(photos, products)
    side(make(2 * TOP, TOP))  # libraries and threads start before the clock does
    return lambda: side(sides)


def prepare_ours(photos: int, products: int, threads: int) -> Work:
    """Every query's rank and nDCG@10."""
    _use_torch(threads)
    return _prepared(rank, photos, products, threads)


def prepare_bare(photos: int, products: int, threads: int) -> Work:
    """The matrix products alone, in the same chunks."""
    _use_torch(threads)
    return _prepared(multiply, photos, products, threads)


def prepare_naive(photos: int, products: int, threads: int) -> Work:
    """The whole matrix of scores, sorted."""
    _use_torch(threads)
    return _prepared(sort, photos, products, threads)


def prepare_faiss(photos: int, products: int, threads: int) -> Work:
    """The ten best candidates alone, by faiss' exact index."""
    import faiss

    faiss.omp_set_num_threads(threads)
    return _prepared(search, photos, products, threads)


def prepare_memory(photos: int, products: int, threads: int) -> Work:
    """Ours, and the most memory it had beyond what was there with the embeddings."""
    ranks = prepare_ours(photos, products, threads)
    before = memory_now()

    def work() -> dict[str, float]:
        ranks()
        return {"extra": (peak_memory() - before) / MIB}

    return work


def _use_torch(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _tensors(arrays: tuple[np.ndarray, ...]) -> "tuple[Tensor, ...]":
    import torch

    return tuple(torch.from_numpy(array) for array in arrays)


def rank(sides: Sides) -> dict[str, float]:
    """As `eiclip.evaluation.ranking` does."""
    from eiclip.evaluation.ranking import ranked
    from eiclip.evaluation.relevance import Relevance

    first = 0
    for given in sides.directions():
        query_QD, candidate_ND, *owners = _tensors(given)
        rank_Q, _ = ranked(query_QD, candidate_ND, Relevance.of(*owners))
        first += int((rank_Q == 1).sum())
    return {"first": float(first)}


def multiply(sides: Sides) -> dict[str, float]:
    """Products in chunks as large as ours and laid out like them, into memory that is there."""
    import torch

    from eiclip.evaluation.ranking import MEMORY
    from eiclip.evaluation.score_counts import Sizes, block, stride

    for given in sides.directions():
        query_QD, candidate_ND, *_ = _tensors(given)
        sizes = Sizes.of(MEMORY, candidate_ND)
        scores = torch.empty(min(sizes.queries, len(query_QD)) * stride(min(sizes.candidates, len(candidate_ND))))
        for candidate_CD in candidate_ND.split(sizes.candidates):
            for query_BD in query_QD.split(sizes.queries):
                torch.mm(query_BD, candidate_CD.T, out=block(scores, len(query_BD), len(candidate_CD)))
    return {"first": float("nan")}


def sort(sides: Sides) -> dict[str, float]:
    """All scores at once, all candidates put in order, and the place of the first right one."""
    first = 0
    for given in sides.directions():
        query_QD, candidate_ND, query_owner_Q, candidate_owner_N = _tensors(given)
        order_QN = (query_QD @ candidate_ND.T).argsort(dim=1, descending=True)
        rank_Q = (candidate_owner_N[order_QN] == query_owner_Q[:, None]).int().argmax(dim=1) + 1
        first += int((rank_Q == 1).sum())
    return {"first": float(first)}


def search(sides: Sides) -> dict[str, float]:
    """The ten nearest of each query."""
    import faiss

    first = 0
    for query_QD, candidate_ND, query_owner_Q, candidate_owner_N in sides.directions():
        index = faiss.IndexFlatIP(candidate_ND.shape[1])
        index.add(candidate_ND)
        _, found_QK = index.search(query_QD, TOP)
        first += int((candidate_owner_N[found_QK[:, 0]] == query_owner_Q).sum())
    return {"first": float(first)}


BOTH = "both directions, ranks and nDCG@10 of all queries"
PEERS = {"bare": prepare_bare, "naive": prepare_naive, "faiss": prepare_faiss}
TITLES = {
    "bare": "all ranks / bare matrix products in the same chunks (s)",
    "naive": "all ranks, times faster than the whole matrix and argsort (s)",
    "faiss": "all ranks / faiss IndexFlatIP, top 10 alone (s)",
}
GOALS = {"bare": 1.5, "memory": 600, "naive": 4.0, "faiss": 1.3}
