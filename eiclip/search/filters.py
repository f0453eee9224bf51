"""What of a catalogue filters leave, how many of these products have each value, and the order by price.

Shape suffixes: N products, T values of theirs.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Self

import numpy as np

from eiclip.errors import did_you_mean
from eiclip.readers.texts import normalise_entity
from eiclip.search.index import SearchIndex
from eiclip.search.query import AVAILABILITY, IN_STOCK, MAX_QUERY, Constraint, PriceRange, Query

MOST_VALUES = 50
"""Values counted of a facet: the most frequent ones."""
SORTED_AMONG = 200
"""Products sorted by price where no score tells matches: of all, the cheapest have nothing to do with the query."""


def having(
    index: SearchIndex, group: str, values: Sequence[str], unknown: dict[str, list[str]], notes: list[str]
) -> np.ndarray:
    """Return which products (N,) have one of some values of a facet.

    Values that none has are added to `unknown`, and `notes` get what may be meant by them.

    Raises SettingsError where products have no such facet.
    """
    facet, names = index.facet(group), [normalise_entity(value[:MAX_QUERY]) for value in values]
    for name in names:
        if not facet.codes_of(name) and name not in unknown.setdefault(group, []):
            unknown[group].append(name)
            if near := did_you_mean(name, facet.codes):
                notes.append(f"no product has the {group} {name!r}{near}")
    return facet.having(*names)


class Filters:
    """Conditions on products, each of a name: a product is left where it meets all. Made for one answer.

    `unknown` gets the values that no product has, by group, and `notes` what the conditions leave out without being
    asked to, a sentence each.
    """

    def __init__(self, index: SearchIndex, unknown: dict[str, list[str]], notes: list[str]) -> None:
        self.index, self.unknown, self.notes = index, unknown, notes
        self._met: dict[str, np.ndarray] = {}

    @classmethod
    def of(cls, query: Query, index: SearchIndex, unknown: dict[str, list[str]], notes: list[str]) -> Self:
        """Return the conditions that a query states. Raises SettingsError where products have no such group."""
        filters = cls(index, unknown, notes)
        filters.keep_values(query.filters)
        filters.keep_price(query.price)
        if query.available:
            filters.keep_in_stock()
        if query.product_id is not None:
            filters.keep("product_id", np.arange(len(index)) != index.row(query.product_id))
        return filters

    def keep(self, name: str, met_N: np.ndarray) -> None:
        """Add a condition: which products (N,) meet it. One with a facet's name leaves the facet's own counts alone."""
        self.__dict__.pop("left_N", None)
        self._met[name] = self._met[name] & met_N if name in self._met else met_N

    def keep_values(self, values: Mapping[str, Sequence[str]]) -> None:
        """Leave products that have one of the given values in every group that has some.

        Raises SettingsError where products have no such group.
        """
        for group, wanted in values.items():
            if wanted:
                self.keep(group, having(self.index, group, wanted, self.unknown, self.notes))

    def keep_price(self, price: PriceRange) -> None:
        """Leave products whose price is in a range, its ends included; none without a price, which a note counts."""
        low, high = (edge if end is None else end for end, edge in zip(price, (-math.inf, math.inf), strict=True))
        if (low, high) == (-math.inf, math.inf):
            return
        without = int(np.isnan(self.index.price_N).sum())
        if without == len(self.index):
            self.notes.append(f"no product of {self.index.dataset} has a price: the price range has no effect")
            return
        if without:
            self.notes.append(f"the price range leaves out {without:,} products without a price")
        self.keep("price", (self.index.price_N >= low) & (self.index.price_N <= high))

    def keep_in_stock(self) -> None:
        """Leave products that are in stock; not those of which nothing is known, which a note counts."""
        facet = self.index.facets.get(AVAILABILITY)
        if facet is None:
            self.notes.append(f"{self.index.dataset} does not say what is in stock: the stock filter has no effect")
            return
        if without := len(self.index) - len(facet.row_T):
            self.notes.append(f"the stock filter leaves out {without:,} products of which nothing is known")
        self.keep(AVAILABILITY, facet.having(IN_STOCK))

    def keep_constraints(self, constraints: Sequence[Constraint]) -> None:
        """Leave products that meet what was typed: limits of the price, attributes, and entities that are not wanted.

        Plain words that are not wanted leave no product out: they count against it.
        """
        for own in constraints:
            if own.kind == "price":
                self.keep_price((own.low, own.high))
            elif own.group == AVAILABILITY and own.value == IN_STOCK and own.kind == "attribute":
                self.keep_in_stock()  # which says where it has no effect
            elif own.kind == "attribute":
                self.keep_values({own.group: (own.value,)})
            elif own.group:
                self.keep(own.name, ~having(self.index, own.group, [own.value], self.unknown, self.notes))

    @cached_property
    def left_N(self) -> np.ndarray | None:
        """Which products (N,) meet every condition; None: there is none."""
        return np.logical_and.reduce(list(self._met.values())) if self._met else None

    @property
    def total(self) -> int:
        """How many products meet every condition."""
        return len(self.index) if self.left_N is None else int(self.left_N.sum())

    def counts(self, among_N: np.ndarray | None = None) -> dict[str, list[tuple[str, int]]]:
        """Return how many of the products left have each value, by facet, the most frequent `MOST_VALUES` first.

        Of those `among_N` (N,) alone, where it is given. A facet's own condition is left out of its counts: they say
        what another choice in it would find. Values that no such product has are left out; ties keep the catalogue's
        order.
        """
        failed_N = np.zeros(len(self.index), dtype=np.int16)
        if among_N is not None:
            failed_N[~among_N] = 2  # more conditions than the one that a facet's counts leave out
        for met_N in self._met.values():
            failed_N += ~met_N
        left_N, found = failed_N == 0, {}
        for name, facet in self.index.facets.items():
            own_N = left_N if name not in self._met else failed_N == ~self._met[name]
            count = np.bincount(facet.code_T[own_N[facet.row_T]], minlength=len(facet.codes))
            codes = np.argsort(-count, kind="stable")[:MOST_VALUES]
            found[name] = [(facet.names[code], int(count[code])) for code in codes if count[code]]
        return found


def rows_needed(query: Query, matches: int | None) -> int:
    """Return how many of the best rows `page` needs, of which the first are `matches` (None: that is not known)."""
    return max(query.offset + query.top, _sorted_among(query, matches))


def page(
    rows: np.ndarray, query: Query, index: SearchIndex, total: int, matches: int | None, notes: list[str]
) -> np.ndarray:
    """Return those of the best rows that a query shows, in its order; adds to `notes` what cannot be seen in them.

    `rows` are the first `rows_needed`, best first, of `total` that the filters leave. The matches alone are sorted
    (where these are not known or there are none, `SORTED_AMONG`), and the others stay behind, so that all pages are of
    one order.
    """
    if among := _sorted_among(query, matches):
        price = index.price_N[rows[:among]]
        order = np.argsort(-price if query.sort == "-price" else price, kind="stable")  # NaN is last in either
        rows = np.concatenate([rows[order], rows[among:]])
        if total > among:
            which = "the products that match, before the others" if matches else f"the best {among:,} of {total:,}"
            notes.append(f"sorted by price: {which}")
        if without := int(np.isnan(price).sum()):
            notes.append(f"{without:,} of the products sorted by price have none, and come last")
    return rows[query.offset : query.offset + query.top]


def _sorted_among(query: Query, matches: int | None) -> int:
    """How many of the best rows are sorted; the same for every page."""
    return 0 if query.sort == "match" else matches or max(SORTED_AMONG, query.top)
