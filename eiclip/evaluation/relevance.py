"""Which candidates are relevant, irrelevant or ignored for each query: what ranks are counted over.

Shape suffixes: Q queries, N candidates, 2 begin and end.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor


class Relevance(NamedTuple):
    """An order in which candidates of one group, and of one owner, are adjacent, and each query's ranges in it.

    Candidates in `relevant_Q2` are relevant, others in `group_Q2` are ignored, all others irrelevant. `place_Q` is
    where a query itself is in that order, which is ignored as well; -1 where it is no candidate.
    """

    order_N: np.ndarray
    relevant_Q2: np.ndarray
    group_Q2: np.ndarray
    place_Q: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        query_owner_Q: Tensor,
        candidate_owner_N: Tensor,
        query_group_Q: Tensor | None = None,
        candidate_group_N: Tensor | None = None,
        itself_Q: Tensor | None = None,
    ) -> "Relevance":
        """Make it from owners: a candidate is relevant if it has the query's owner (product), else irrelevant.

        Args:
            query_owner_Q, candidate_owner_N: integer owners; every query has at least one candidate.
            query_group_Q, candidate_group_N: integer groups of owners (known duplicates); other owners of the query's
                group are ignored. Without them every owner is a group of its own.
            itself_Q: the row of each query itself among the candidates, which is ignored; -1 where it is not among
                them. Without it no query is.

        Raises:
            ValueError: a query has no relevant candidate (but itself), an owner is in two groups, or a query's own
                entry is of another owner.
        """
        owner_Q, owner_N = query_owner_Q.cpu().numpy(), candidate_owner_N.cpu().numpy()
        group_Q = owner_Q if query_group_Q is None else query_group_Q.cpu().numpy()
        group_N = owner_N if candidate_group_N is None else candidate_group_N.cpu().numpy()
        order_N = np.lexsort((owner_N, group_N))
        owner_N, group_N = owner_N[order_N], group_N[order_N]
        begins = np.flatnonzero(np.diff(owner_N, prepend=owner_N[:1] - 1) | np.diff(group_N, prepend=group_N[:1] - 1))
        owners, run, times = np.unique(owner_N[begins], return_index=True, return_counts=True)
        if (times > 1).any():
            raise ValueError(f"owner {owners[times > 1][0]} has candidates in two groups: groups are of whole owners")
        if not (found_Q := np.isin(owner_Q, owners)).all():
            query = int(np.argmin(found_Q))
            owner = owner_Q[query]
            raise ValueError(f"query {query} has no relevant candidate: no candidate is of its owner, {owner}")
        run_Q = run[np.searchsorted(owners, owner_Q)]
        relevant_Q2 = np.stack([begins[run_Q], np.append(begins[1:], len(owner_N))[run_Q]], axis=1)
        if (group_N[relevant_Q2[:, 0]] != group_Q).any():
            raise ValueError("an owner's queries and candidates are in different groups: groups are of whole owners")
        group_Q2 = np.stack([np.searchsorted(group_N, group_Q, side) for side in ("left", "right")], axis=1)
        relevance = cls(order_N, relevant_Q2, group_Q2)
        return relevance if itself_Q is None else relevance._without_itself(itself_Q.cpu().numpy())

    def _without_itself(self, itself_Q: np.ndarray) -> "Relevance":
        place_N = np.argsort(self.order_N)
        if (nowhere_Q := (itself_Q < -1) | (itself_Q >= len(place_N))).any():
            query = int(np.argmax(nowhere_Q))
            raise ValueError(f"query {query} itself is said to be candidate {itself_Q[query]} of {len(place_N)}")
        place_Q = np.where(itself_Q < 0, -1, np.append(place_N, -1)[itself_Q])
        foreign_Q = (place_Q >= 0) & ((place_Q < self.relevant_Q2[:, 0]) | (place_Q >= self.relevant_Q2[:, 1]))
        if foreign_Q.any():
            query = int(np.argmax(foreign_Q))
            raise ValueError(f"query {query} and its own entry, candidate {itself_Q[query]}, have different owners")
        relevance = self._replace(place_Q=place_Q)
        if not (count_Q := relevance.relevant_counts()).all():
            query = int(np.argmin(count_Q))
            raise ValueError(f"query {query} has no relevant candidate but itself, candidate {itself_Q[query]}")
        return relevance

    def relevant_counts(self) -> np.ndarray:
        """Count each query's relevant candidates (Q,)."""
        counts_Q: np.ndarray = self.relevant_Q2[:, 1] - self.relevant_Q2[:, 0]
        return counts_Q if self.place_Q is None else counts_Q - (self.place_Q >= 0)
