"""Exact ranks, with ties against the model, and the recalls they give.

Shape suffixes: Q queries, N candidates, C candidates of one query, D embedding width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from eiclip.errors import NonFiniteError

CHUNK = 1024
"""Queries ranked at a time: bounds the score matrix at CHUNK x N."""


TIE = 1e-6
"""Scores of unit vectors closer than this are equal: float32 scores one vector differently from column to column."""


def require_finite(name: str, embeddings: Tensor) -> None:
    """Refuse embeddings (N, D) with a NaN or an infinity: comparisons with NaN are false, and would rank it first.

    Raises:
        NonFiniteError: says how many of them are not finite.
    """
    bad = int((~torch.isfinite(embeddings)).any(dim=-1).sum())
    if bad:
        raise NonFiniteError(f"{bad} of {len(embeddings)} {name} embeddings are not finite; train this variant again")


def full_ranks(
    query_QD: Tensor,
    candidate_ND: Tensor,
    query_owner_Q: Tensor,
    candidate_owner_N: Tensor,
    query_group_Q: Tensor | None = None,
    candidate_group_N: Tensor | None = None,
) -> Tensor:
    """Rank of each query's best right candidate among all candidates.

    A candidate is right if it has the query's owner (product). The rank is 1 + the number of wrong candidates that
    score at least as high: ties count against the model, so that a constant model ranks last and not first.

    Args:
        query_QD, candidate_ND: embeddings; scores are their dot products (cosines, if they have length one).
        query_owner_Q, candidate_owner_N: integer owners; every query has at least one candidate.
        query_group_Q, candidate_group_N: integer groups of owners (known duplicates); a candidate of the query's
            group is never counted as wrong. Without them every owner is a group of its own.

    Returns:
        int64 ranks (Q,), 1 is best.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
        ValueError: a query has no right candidate.
    """
    require_finite("query", query_QD)
    require_finite("candidate", candidate_ND)
    query_group_Q = query_owner_Q if query_group_Q is None else query_group_Q
    candidate_group_N = candidate_owner_N if candidate_group_N is None else candidate_group_N
    ranks = []
    for start in range(0, len(query_QD), CHUNK):
        scores_QN = query_QD[start : start + CHUNK] @ candidate_ND.T
        right_QN = query_owner_Q[start : start + CHUNK, None] == candidate_owner_N[None]
        if not bool(right_QN.any(dim=1).all()):
            raise ValueError("a query has no right candidate: its product is not among the candidates' owners")
        best_Q1 = scores_QN.masked_fill(~right_QN, -torch.inf).amax(dim=1, keepdim=True)
        wrong_QN = query_group_Q[start : start + CHUNK, None] != candidate_group_N[None]
        ranks.append(1 + ((scores_QN >= best_Q1 - TIE) & wrong_QN).sum(dim=1))
    return torch.cat(ranks) if ranks else torch.zeros(0, dtype=torch.int64)


def list_ranks(query_QD: Tensor, candidate_ND: Tensor, positive_Q: Tensor, negatives_Q: Sequence[np.ndarray]) -> Tensor:
    """Rank of each query's positive among the negatives drawn for it (sample-100); ties count against the model.

    Args:
        query_QD, candidate_ND: embeddings.
        positive_Q: row of the positive in `candidate_ND`.
        negatives_Q: for each query the rows of its negatives.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    require_finite("query", query_QD)
    require_finite("candidate", candidate_ND)
    ranks = torch.empty(len(query_QD), dtype=torch.int64)
    for number, negatives in enumerate(negatives_Q):
        rows_C = torch.from_numpy(np.concatenate([positive_Q[number : number + 1].numpy(), negatives]))
        scores_C = candidate_ND[rows_C] @ query_QD[number]
        ranks[number] = 1 + (scores_C[1:] >= scores_C[0] - TIE).sum()
    return ranks


def recall_at(ranks: Tensor, k: int) -> float:
    """Recall@k in percent.

    >>> recall_at(torch.tensor([1, 2, 7, 11]), 5)
    50.0
    """
    return 100 * float((ranks <= k).double().mean()) if len(ranks) else float("nan")
