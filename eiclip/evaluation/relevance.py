"""Where the candidates that are right, wrong and neither stand: what ranks are counted over.

Shape suffixes: Q queries, N candidates, 2 begin and end.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor


class Layout(NamedTuple):
    """An order in which candidates of a group, and of an owner, stand together, and each query's ranges in it.

    `place_Q` is where a query's own entry stands in that order, -1 where it has none.
    """

    order_N: np.ndarray
    right_Q2: np.ndarray
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
    ) -> "Layout":
        """From owners, groups and own entries as `ranked` takes them.

        Raises:
            ValueError: a query has no right candidate (but itself), an owner is in two groups, or a query's own entry
                is of another owner.
        """
        owner_Q, owner_N = query_owner_Q.cpu().numpy(), candidate_owner_N.cpu().numpy()
        group_Q = owner_Q if query_group_Q is None else query_group_Q.cpu().numpy()
        group_N = owner_N if candidate_group_N is None else candidate_group_N.cpu().numpy()
        order_N = np.lexsort((owner_N, group_N))
        owner_N, group_N = owner_N[order_N], group_N[order_N]
        begins = np.flatnonzero(np.diff(owner_N, prepend=owner_N[:1] - 1) | np.diff(group_N, prepend=group_N[:1] - 1))
        run_Q = _runs_of(owner_Q, owner_N[begins])
        right_Q2 = np.stack([begins[run_Q], np.append(begins[1:], len(owner_N))[run_Q]], axis=1)
        if (group_N[right_Q2[:, 0]] != group_Q).any():
            raise ValueError("an owner's queries and candidates are in different groups: groups are of whole owners")
        group_Q2 = np.stack([np.searchsorted(group_N, group_Q, side) for side in ("left", "right")], axis=1)
        layout = cls(order_N, right_Q2, group_Q2)
        return layout if itself_Q is None else layout._without_itself(itself_Q.cpu().numpy())

    def _without_itself(self, itself_Q: np.ndarray) -> "Layout":
        """The same, with each query's own entry (a row of the candidates) left out of its right ones."""
        place_N = np.empty_like(self.order_N)
        place_N[self.order_N] = np.arange(len(self.order_N))
        outside_Q = (itself_Q < -1) | (itself_Q >= len(place_N))
        if outside_Q.any():
            query = int(np.argmax(outside_Q))
            raise ValueError(f"query {query} itself is said to be candidate {itself_Q[query]} of {len(place_N)}")
        place_Q = np.where(itself_Q < 0, -1, np.append(place_N, -1)[itself_Q])
        strange_Q = (place_Q >= 0) & ~((place_Q >= self.right_Q2[:, 0]) & (place_Q < self.right_Q2[:, 1]))
        if strange_Q.any():
            query = int(np.argmax(strange_Q))
            raise ValueError(f"query {query} and its own entry, candidate {itself_Q[query]}, have different owners")
        layout = self._replace(place_Q=place_Q)
        if not layout.right_counts().all():
            query = int(np.argmin(layout.right_counts()))
            raise ValueError(f"query {query} has no right candidate but itself, candidate {itself_Q[query]}")
        return layout

    def right_counts(self) -> np.ndarray:
        """How many right candidates each query has (Q,)."""
        counts_Q: np.ndarray = self.right_Q2[:, 1] - self.right_Q2[:, 0]
        return counts_Q if self.place_Q is None else counts_Q - (self.place_Q >= 0)


def _runs_of(owner_Q: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Where each query's owner is among `owners`."""
    order = np.argsort(owners)
    ordered = owners[order]
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise ValueError(f"owner {twice[0]} has candidates in two groups: groups are of whole owners")
    place_Q = np.searchsorted(ordered, owner_Q)
    found_Q = place_Q < len(ordered)
    found_Q[found_Q] = ordered[place_Q[found_Q]] == owner_Q[found_Q]
    if not found_Q.all():
        query = int(np.argmin(found_Q))
        raise ValueError(
            f"query {query} has no right candidate: its owner, {owner_Q[query]}, is not among the candidates' owners"
        )
    return order[place_Q]
