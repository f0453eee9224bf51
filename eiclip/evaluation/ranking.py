"""Exact ranks for any number of items, with ties against the model, and the measures they give.

Shape suffixes: Q queries, N candidates, B queries of one chunk, C candidates of one list, P pairs of a query and a
candidate, K best right candidates of a query, D embedding width, 2 begin and end.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from eiclip.errors import NonFiniteError
from eiclip.evaluation import score_counts
from eiclip.evaluation.relevance import Layout
from eiclip.evaluation.score_counts import DEPTH, Candidates, Count, Sizes, full_precision, limits, pair_scores

TIE = 1e-6
"""Scores of unit vectors closer than this are equal: one vector's embedding may differ from batch to batch."""
MEMORY = 256 * 2**20
"""Bytes for chunks of embeddings and scores, unless told otherwise."""
LIST_NUMBERS = 2**21
"""Numbers of the listed embeddings in one chunk: they are to stay in the cache."""


class Ranked(NamedTuple):
    """Of each query: the rank of its best right candidate (1 is best), and nDCG@10 over all its right candidates."""

    rank_Q: Tensor
    ndcg10_Q: Tensor


def require_finite(name: str, embedding_ND: Tensor) -> None:
    """Refuse embeddings with a NaN or an infinity: comparisons with NaN are false, and would rank it first.

    Raises:
        NonFiniteError: says how many of them are not finite.
    """
    if bool(torch.isfinite(embedding_ND.sum(dim=-1)).all()):
        return
    bad = sum(int((~torch.isfinite(chunk_BD)).any(dim=-1).sum()) for chunk_BD in embedding_ND.split(1024))
    if bad:
        raise NonFiniteError(f"{bad} of {len(embedding_ND)} {name} embeddings are not finite; train this variant again")


def full_ranks(
    query_QD: Tensor,
    candidate_ND: Tensor,
    query_owner_Q: Tensor,
    candidate_owner_N: Tensor,
    query_group_Q: Tensor | None = None,
    candidate_group_N: Tensor | None = None,
    itself_Q: Tensor | None = None,
    neutral_P2: Tensor | None = None,
    *,
    memory: int = MEMORY,
) -> Tensor:
    """Rank of each query's best right candidate among all candidates: `rank_Q` of `ranked`, in somewhat less time.

    Args:
        neutral_P2: rows of a query and of a candidate outside its group that is not wrong either, each pair once: for
            what groups cannot say, as they are of whole owners.

    Raises:
        ValueError: as `ranked`; or a neutral pair is of a query and its own group.
    """
    layout = Layout.of(query_owner_Q, candidate_owner_N, query_group_Q, candidate_group_N, itself_Q)
    return 1 + _wrong_above_right(query_QD, candidate_ND, layout, 1, memory, neutral_P2)[:, 0]


def ranked(
    query_QD: Tensor,
    candidate_ND: Tensor,
    query_owner_Q: Tensor,
    candidate_owner_N: Tensor,
    query_group_Q: Tensor | None = None,
    candidate_group_N: Tensor | None = None,
    itself_Q: Tensor | None = None,
    *,
    memory: int = MEMORY,
) -> Ranked:
    """Rank of each query's best right candidate among all candidates, and nDCG@10 over all its right candidates.

    A candidate is right if it has the query's owner (product), and wrong if it is of another group. The rank is 1 + the
    number of wrong candidates that score at least as high (less `TIE`): ties count against the model, so that a
    constant model ranks last and not first. For nDCG the j-th best right candidate stands at j + the number of wrong
    candidates that score at least as high as it.

    Args:
        query_QD, candidate_ND: embeddings on one device; scores are their dot products (cosines, if of length one).
        query_owner_Q, candidate_owner_N: integer owners; every query has at least one candidate.
        query_group_Q, candidate_group_N: integer groups of owners (known duplicates); other owners of the query's group
            are neither right nor wrong. Without them every owner is a group of its own.
        itself_Q: the row of each query's own entry among the candidates, which is neither right nor wrong; -1 where it
            is not among them. Without it no query is.
        memory: bytes that chunks may take; what is kept per query and candidate (some 400 bytes each) comes on top.

    Returns:
        int64 ranks and float64 nDCG@10 (0 to 1), on the embeddings' device.

    Raises:
        NonFiniteError: an embedding is NaN or infinite, or a score of right candidates is.
        ValueError: a query has no right candidate (but itself), an owner is in two groups, or a query's own entry is of
            another owner.
    """
    layout = Layout.of(query_owner_Q, candidate_owner_N, query_group_Q, candidate_group_N, itself_Q)
    right_Q = torch.from_numpy(layout.right_counts()).to(query_QD.device)
    depth = min(DEPTH, int(right_Q.max())) if len(right_Q) else 1
    wrong_QK = _wrong_above_right(query_QD, candidate_ND, layout, depth, memory)
    place_K = torch.arange(1, depth + 1, device=query_QD.device)
    is_right_QK = place_K <= right_Q[:, None]
    gain_QK, ideal_QK = (ndcg_of_rank(place) * is_right_QK for place in (wrong_QK + place_K, place_K))
    return Ranked(1 + wrong_QK[:, 0], gain_QK.sum(dim=1) / ideal_QK.sum(dim=1))


def _wrong_above_right(
    query_QD: Tensor,
    candidate_ND: Tensor,
    layout: Layout,
    depth: int,
    memory: int,
    neutral_P2: Tensor | None = None,
) -> Tensor:
    """How many wrong candidates score at least as high as each of a query's best right ones (Q, depth)."""
    _require_finite(query_QD, candidate_ND)
    device = query_QD.device
    if not len(query_QD):
        return torch.zeros(0, depth, dtype=torch.int64, device=device)
    right_Q2, group_Q2 = (torch.from_numpy(bounds).to(device) for bounds in (layout.right_Q2, layout.group_Q2))
    candidates, sizes = Candidates(candidate_ND, layout.order_N), Sizes.of(memory, candidate_ND)
    place_Q = None if layout.place_Q is None else torch.from_numpy(layout.place_Q).to(device)
    with full_precision():
        best_QK = score_counts.best_scores(query_QD, candidates, right_Q2, depth, sizes, place_Q)
        if not bool(torch.isfinite(best_QK[:, 0]).all()):
            raise NonFiniteError("scores of right candidates are not finite: the embeddings are too large")
        threshold_QK = torch.where(best_QK == -torch.inf, torch.inf, best_QK - TIE)
        count_QK = Count(query_QD, candidates, threshold_QK, group_Q2, sizes).run()
        if neutral_P2 is not None:
            count_QK[:, 0] -= _neutral_above(query_QD, candidate_ND, threshold_QK[:, 0], layout, neutral_P2, sizes)
        return count_QK


def _neutral_above(
    query_QD: Tensor, candidate_ND: Tensor, threshold_Q: Tensor, layout: Layout, neutral_P2: Tensor, sizes: Sizes
) -> Tensor:
    """How many of each query's neutral candidates have been counted as wrong (Q,)."""
    count_Q = torch.zeros(len(query_QD), dtype=torch.int64, device=query_QD.device)
    place_N = np.argsort(layout.order_N)
    for pairs_P2 in neutral_P2.split(sizes.pairs):
        query_P, candidate_P = pairs_P2.to(query_QD.device).unbind(dim=1)
        place_P, group_P2 = place_N[candidate_P.cpu().numpy()], layout.group_Q2[query_P.cpu().numpy()]
        if ((place_P >= group_P2[:, 0]) & (place_P < group_P2[:, 1])).any():
            raise ValueError("a neutral candidate is of the query's own group, which is not counted as wrong anyway")
        exact_P = pair_scores(query_QD[query_P], candidate_ND[candidate_P])
        count_Q.index_add_(0, query_P, (exact_P >= threshold_Q[query_P]).long())
    return count_Q


def _require_finite(query_QD: Tensor, candidate_ND: Tensor) -> None:
    require_finite("query", query_QD)
    require_finite("candidate", candidate_ND)


def list_ranks(
    query_QD: Tensor,
    candidate_ND: Tensor,
    positive_Q: Tensor,
    negatives_Q: Sequence[np.ndarray],
    query_group_Q: Tensor | None = None,
    candidate_group_N: Tensor | None = None,
    *,
    memory: int = MEMORY,
) -> Tensor:
    """Rank of each query's best right candidate in the list drawn for it (sample-100); ties count against the model.

    Args:
        query_QD, candidate_ND: embeddings on one device.
        positive_Q: row of the positive in `candidate_ND`.
        negatives_Q: for each query the rows of its negatives.
        query_group_Q, candidate_group_N: integer groups (of identical texts); listed candidates of the query's group
            are right too. Without them the positive alone is.
        memory: bytes that chunks may take; a single list is never divided.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    _require_finite(query_QD, candidate_ND)
    device = query_QD.device
    rank_Q = torch.ones(len(query_QD), dtype=torch.int64, device=device)
    groups = None
    if query_group_Q is not None and candidate_group_N is not None:
        groups = query_group_Q.to(device), candidate_group_N.to(device)
    most = min(LIST_NUMBERS, memory // 48) // max(query_QD.shape[1], 1)
    with full_precision():
        rounding_Q = score_counts.rounding(query_QD, candidate_ND) if len(query_QD) else rank_Q
        for number_B, row_BC in _padded_lists(positive_Q.cpu().numpy(), negatives_Q, most):
            numbers, rows = torch.from_numpy(number_B).to(device), torch.from_numpy(row_BC).to(device)
            right_BC = torch.arange(rows.shape[1], device=device) == torch.zeros_like(rows[:, :1])
            if groups is not None:
                right_BC |= (groups[1][rows] == groups[0][numbers, None]) & (rows >= 0)
            query_BD = query_QD[numbers]
            rank_Q[numbers] += _wrong_listed(query_BD, candidate_ND, rows, right_BC, rounding_Q[numbers])
    return rank_Q


def _padded_lists(
    positive_Q: np.ndarray, negatives_Q: Sequence[np.ndarray], most: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Queries (B,) and their candidates' rows (B, C), the positive first, -1 behind the last; at most `most` rows."""
    length_Q = np.array([len(negatives) for negatives in negatives_Q], dtype=np.int64)
    left = np.argsort(length_Q, kind="stable")  # lists of like lengths together: little is padding
    while len(left):
        sizes = np.arange(1, len(left) + 1) * (1 + length_Q[left])
        number_B, left = np.split(left, [max(int(np.searchsorted(sizes, most, "right")), 1)])
        column = np.arange(length_Q[number_B[-1]])
        row_BC = np.full((len(number_B), 1 + len(column)), -1)
        row_BC[:, 0] = positive_Q[number_B]
        row_BC[:, 1:][column < length_Q[number_B, None]] = np.concatenate([negatives_Q[number] for number in number_B])
        yield number_B, row_BC


def _wrong_listed(
    query_BD: Tensor, candidate_ND: Tensor, row_BC: Tensor, right_BC: Tensor, rounding_B: Tensor
) -> Tensor:
    """How many listed candidates that are not right score at least as high as the best right one (B,)."""
    candidate_BCD = candidate_ND[row_BC.clamp(min=0)]
    list_P, place_P = right_BC.nonzero(as_tuple=True)
    right_P = pair_scores(query_BD[list_P], candidate_BCD[list_P, place_P])
    best_B = torch.full((len(query_BD),), -torch.inf, dtype=torch.float64, device=query_BD.device)
    threshold_B1 = best_B.scatter_reduce_(0, list_P, right_P, "amax")[:, None] - TIE
    low_B1, high_B1 = limits(threshold_B1, rounding_B)
    wrong_BC = ~right_BC & (row_BC >= 0)
    scores_BC = (candidate_BCD.float() * query_BD.float()[:, None]).sum(dim=-1)
    sure_BC = (scores_BC >= high_B1) & high_B1.isfinite() & wrong_BC
    list_P, place_P = (~(scores_BC < low_B1) & ~sure_BC & wrong_BC).nonzero(as_tuple=True)
    exact_P = pair_scores(query_BD[list_P], candidate_BCD[list_P, place_P])
    return sure_BC.sum(dim=1).index_add_(0, list_P, (exact_P >= threshold_B1[list_P, 0]).long())


def ndcg_of_rank(rank: Tensor) -> Tensor:
    """nDCG@10 of a query with one right candidate, at `rank`.

    >>> ndcg_of_rank(torch.tensor([1, 3, 11])).tolist()
    [1.0, 0.5, 0.0]
    """
    return torch.where(rank <= DEPTH, 1 / torch.log2(1 + rank.double()), 0.0)


def recall_at(ranks: Tensor, k: int) -> float:
    """Recall@k in percent.

    >>> recall_at(torch.tensor([1, 2, 7, 11]), 5)
    50.0
    """
    return 100 * float((ranks <= k).double().mean()) if len(ranks) else float("nan")
