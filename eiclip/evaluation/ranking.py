"""Exact ranks for any number of items, with ties against the model, and the measures they give.

Shape suffixes: Q queries, N candidates, B queries of one chunk, C candidates of one list, P pairs of a query and a
candidate, K best relevant candidates of a query, D embedding width, 2 begin and end.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from eiclip.errors import NonFiniteError
from eiclip.evaluation import score_counts
from eiclip.evaluation.relevance import Relevance
from eiclip.evaluation.score_counts import DEPTH, Candidates, Count, Sizes, full_precision, pair_scores

TIE = 1e-6
"""Scores of unit vectors closer than this are equal: the embedding of one item may differ from batch to batch."""
MEMORY = 256 * 2**20
"""Bytes for chunks of embeddings and scores, by default."""


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
    query_QD: Tensor, candidate_ND: Tensor, relevance: Relevance, ignored_P2: Tensor | None = None, memory: int = MEMORY
) -> Tensor:
    """Rank each query's best relevant candidate among all candidates: the ranks of `ranked`, in somewhat less time.

    Args:
        ignored_P2: rows of a query and of a candidate outside its group that is ignored too, each pair once: for what
            groups cannot express, as they are of whole owners.

    Raises:
        NonFiniteError: as `ranked`.
        ValueError: an ignored pair is of a query and its own group.
    """
    return 1 + _irrelevant_above(query_QD, candidate_ND, relevance, 1, memory, ignored_P2)[:, 0]


def ranked(query_QD: Tensor, candidate_ND: Tensor, relevance: Relevance, memory: int = MEMORY) -> tuple[Tensor, Tensor]:
    """Rank each query's best relevant candidate among all candidates; nDCG@10 over all its relevant candidates.

    The rank is 1 + the number of irrelevant candidates that score at least as high (less `TIE`): ties count against the
    model, so that a constant model ranks last and not first. For nDCG the j-th best relevant candidate has the rank j +
    the number of irrelevant candidates that score at least as high as it.

    Args:
        query_QD, candidate_ND: embeddings on one device; scores are their dot products (cosines, if of length one).
        relevance: of these queries and candidates.
        memory: bytes that chunks may take; what is kept per query and candidate (some 400 bytes each) comes on top.

    Returns:
        int64 ranks (Q,) and float64 nDCG@10 (Q,) from 0 to 1, on the embeddings' device.

    Raises:
        NonFiniteError: an embedding is NaN or infinite, or a score of relevant candidates is.
    """
    relevant_Q = torch.from_numpy(relevance.relevant_counts()).to(query_QD.device)
    depth = min(DEPTH, int(relevant_Q.max())) if len(relevant_Q) else 1
    above_QK = _irrelevant_above(query_QD, candidate_ND, relevance, depth, memory, None)
    place_K = torch.arange(1, depth + 1, device=query_QD.device)
    is_relevant_QK = place_K <= relevant_Q[:, None]
    gain_QK, ideal_QK = (ndcg_of_rank(place) * is_relevant_QK for place in (above_QK + place_K, place_K))
    return 1 + above_QK[:, 0], gain_QK.sum(dim=1) / ideal_QK.sum(dim=1)


def _irrelevant_above(
    query_QD: Tensor, candidate_ND: Tensor, relevance: Relevance, depth: int, memory: int, ignored_P2: Tensor | None
) -> Tensor:
    """Count irrelevant candidates that score at least as high as each of a query's best relevant ones (Q, depth)."""
    require_finite("query", query_QD)
    require_finite("candidate", candidate_ND)
    device = query_QD.device
    if not len(query_QD):
        return torch.zeros(0, depth, dtype=torch.int64, device=device)
    relevant_Q2, group_Q2 = (torch.from_numpy(each).to(device) for each in (relevance.relevant_Q2, relevance.group_Q2))
    candidates, sizes = Candidates(candidate_ND, relevance.order_N), Sizes.of(memory, candidate_ND)
    place_Q = None if relevance.place_Q is None else torch.from_numpy(relevance.place_Q).to(device)
    with full_precision():
        best_QK = score_counts.best_scores(query_QD, candidates, relevant_Q2, depth, sizes, place_Q)
        if not bool(torch.isfinite(best_QK[:, 0]).all()):
            raise NonFiniteError("scores of relevant candidates are not finite: the embeddings are too large")
        threshold_QK = torch.where(best_QK == -torch.inf, torch.inf, best_QK - TIE)
        count_QK = Count(query_QD, candidates, threshold_QK, group_Q2, sizes).run()
        if ignored_P2 is None:
            return count_QK
        place_N = torch.from_numpy(np.argsort(relevance.order_N)).to(device)
        for pairs_P2 in ignored_P2.split(sizes.pairs):  # which have been counted as irrelevant
            query_P, candidate_P = pairs_P2.to(device).unbind(dim=1)
            place_P, group_P2 = place_N[candidate_P], group_Q2[query_P]
            if bool(((place_P >= group_P2[:, 0]) & (place_P < group_P2[:, 1])).any()):
                raise ValueError("an ignored pair is of the query's own group, which is ignored anyway")
            higher_P = pair_scores(query_QD[query_P], candidate_ND[candidate_P]) >= threshold_QK[query_P, 0]
            count_QK[:, 0].index_add_(0, query_P, higher_P.long(), alpha=-1)
        return count_QK


def list_ranks(
    query_QD: Tensor,
    candidate_ND: Tensor,
    positive_Q: Tensor,
    negatives_Q: Sequence[np.ndarray],
    query_group_Q: Tensor,
    candidate_group_N: Tensor,
    *,
    memory: int = MEMORY,
) -> tuple[Tensor, Tensor]:
    """Rank each query's best relevant candidate in the list drawn for it (sample-100); ties count against the model.

    Args:
        query_QD, candidate_ND: embeddings on one device.
        positive_Q: row of the positive in `candidate_ND`.
        negatives_Q: for each query the rows of its negatives.
        query_group_Q, candidate_group_N: integer groups (of identical texts).
        memory: bytes that chunks may take; a single list is never divided.

    Returns:
        the ranks where the positive alone is relevant, and where listed candidates of the query's group are as well.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    require_finite("query", query_QD)
    require_finite("candidate", candidate_ND)
    device = query_QD.device
    ranks_2Q = torch.ones(2, len(query_QD), dtype=torch.int64, device=device)
    most = min(2**21, memory // 48) // max(query_QD.shape[1], 1)  # a chunk's embeddings are to stay in the cache
    for number_B, row_BC in _padded_lists(positive_Q.cpu().numpy(), negatives_Q, most):
        numbers, rows = torch.from_numpy(number_B).to(device), torch.from_numpy(row_BC).to(device)
        with torch.no_grad():
            score_BC = (candidate_ND[rows.clamp(min=0)].double() @ query_QD[numbers, :, None].double()).squeeze(2)
        score_BC.masked_fill_(rows < 0, -torch.inf)
        positive_BC = (torch.arange(rows.shape[1], device=device) == 0).expand_as(rows)
        relevant_BC = positive_BC | (candidate_group_N.to(device)[rows] == query_group_Q.to(device)[numbers, None])
        for rank_Q, chosen_BC in zip(ranks_2Q, (positive_BC, relevant_BC), strict=True):
            best_B1 = score_BC.masked_fill(~chosen_BC, -torch.inf).amax(dim=1, keepdim=True)
            rank_Q[numbers] += ((score_BC >= best_B1 - TIE) & ~chosen_BC).sum(dim=1)
    return ranks_2Q[0], ranks_2Q[1]


def _padded_lists(
    positive_Q: np.ndarray, negatives_Q: Sequence[np.ndarray], most: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield queries (B,) and their candidates' rows (B, C), the positive first, -1 for padding; at most `most` rows."""
    length_Q = np.array([len(negatives) for negatives in negatives_Q], dtype=np.int64)
    left = np.argsort(length_Q, kind="stable")  # lists of similar lengths together: little is padding
    while len(left):
        sizes = np.arange(1, len(left) + 1) * (1 + length_Q[left])
        number_B, left = np.split(left, [max(int(np.searchsorted(sizes, most, "right")), 1)])
        column = np.arange(length_Q[number_B[-1]])
        row_BC = np.full((len(number_B), 1 + len(column)), -1)
        row_BC[:, 0] = positive_Q[number_B]
        row_BC[:, 1:][column < length_Q[number_B, None]] = np.concatenate([negatives_Q[number] for number in number_B])
        yield number_B, row_BC


def ndcg_of_rank(rank: Tensor) -> Tensor:
    """Return nDCG@10 of a query with one relevant candidate, at `rank`.

    >>> ndcg_of_rank(torch.tensor([1, 3, 11])).tolist()
    [1.0, 0.5, 0.0]
    """
    return torch.where(rank <= DEPTH, 1 / torch.log2(1 + rank.double()), 0.0)


def recall_at(ranks: Tensor, k: int) -> float:
    """Return recall@k in percent.

    >>> recall_at(torch.tensor([1, 2, 7, 11]), 5)
    50.0
    """
    return 100 * float((ranks <= k).double().mean()) if len(ranks) else float("nan")
