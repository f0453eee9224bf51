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
        query_group_Q: Tensor | None,
        candidate_group_N: Tensor | None,
        itself_Q: Tensor | None = None,
    ) -> "Relevance":
        """Make it from owners, groups and own entries as `ranked` takes them.

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
        run_Q = _runs_of(owner_Q, owner_N[begins])
        relevant_Q2 = np.stack([begins[run_Q], np.append(begins[1:], len(owner_N))[run_Q]], axis=1)
        if (group_N[relevant_Q2[:, 0]] != group_Q).any():
            raise ValueError("an owner's queries and candidates are in different groups: groups are of whole owners")
        group_Q2 = np.stack([np.searchsorted(group_N, group_Q, side) for side in ("left", "right")], axis=1)
        relevance = cls(order_N, relevant_Q2, group_Q2)
        return relevance if itself_Q is None else relevance._without_itself(itself_Q.cpu().numpy())

    def _without_itself(self, itself_Q: np.ndarray) -> "Relevance":
        place_N = np.argsort(self.order_N)
        if ((itself_Q < -1) | (itself_Q >= len(place_N))).any():
            query = int(np.argmax((itself_Q < -1) | (itself_Q >= len(place_N))))
            raise ValueError(f"query {query} itself is said to be candidate {itself_Q[query]} of {len(place_N)}")
        place_Q = np.where(itself_Q < 0, -1, np.append(place_N, -1)[itself_Q])
        foreign_Q = (place_Q >= 0) & ((place_Q < self.relevant_Q2[:, 0]) | (place_Q >= self.relevant_Q2[:, 1]))
        if foreign_Q.any():
            query = int(np.argmax(foreign_Q))
            raise ValueError(f"query {query} and its own entry, candidate {itself_Q[query]}, have different owners")
        relevance = self._replace(place_Q=place_Q)
        if not relevance.relevant_counts().all():
            query = int(np.argmin(relevance.relevant_counts()))
            raise ValueError(f"query {query} has no relevant candidate but itself, candidate {itself_Q[query]}")
        return relevance

    def relevant_counts(self) -> np.ndarray:
        """Count each query's relevant candidates (Q,)."""
        counts_Q: np.ndarray = self.relevant_Q2[:, 1] - self.relevant_Q2[:, 0]
        return counts_Q if self.place_Q is None else counts_Q - (self.place_Q >= 0)


def _runs_of(owner_Q: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Find each query's owner among `owners`."""
    order = np.argsort(owners)
    ordered = owners[order]
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        raise ValueError(f"owner {repeated[0]} has candidates in two groups: groups are of whole owners")
    place_Q = np.searchsorted(ordered, owner_Q)
    missing_Q = np.append(ordered, 0)[place_Q] != owner_Q
    missing_Q |= place_Q == len(ordered)
    if missing_Q.any():
        query = int(np.argmax(missing_Q))
        owner = owner_Q[query]
        raise ValueError(f"query {query} has no relevant candidate: no candidate is of its owner, {owner}")
    return order[place_Q]
