"""The products of a dataset as one variant sees them: three matrices to compare with, and facts to show.

Shape suffixes: N products, T values of theirs, D embedding width.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eiclip.errors import CorruptOutputError, SettingsError, did_you_mean
from eiclip.readers.texts import match_key, normalise_entities
from eiclip.search.query import AVAILABILITY, IN_STOCK, OUT_OF_STOCK, VIEWS, View
from eiclip.search.sources import VIEWS_TABLE, query_tables, views_of
from eiclip.storage.home import Paths
from eiclip.storage.lake import matrix_of
from eiclip.storage.sql import read_sql

MAPS = ("entities", "attributes")  # columns of values by group
FACTS = ("category", "subcategory", "department", "gender")  # columns to filter by, beside the groups


@dataclass(frozen=True)
class Facet:
    """The values of one entity group or fact, T of them over all N products: the product of each, and its number."""

    products: int
    row_T: np.ndarray
    code_T: np.ndarray
    codes: Mapping[str, int]
    spellings: Mapping[str, str] = field(default_factory=dict)
    """The value that each other way to write one means, by itself and by its `match_key`."""

    @classmethod
    def of(cls, products: int, row_T: np.ndarray, values: pa.Array, spellings: Mapping[str, str] | None = None) -> Self:
        """Make one of the values (T,) that products have, each once a product, and the row of each one's product."""
        encoded = values.dictionary_encode()
        codes = {value: code for code, value in enumerate(encoded.dictionary.to_pylist())}
        return cls(products, row_T, encoded.indices.to_numpy(), codes, spellings or {})

    def codes_of(self, value: str) -> list[int]:
        """Return the numbers that a value means: its own, else those of its `match_key`, else of its entity."""
        if value in self.codes:
            return [self.codes[value]]
        key = match_key(value)
        meant = self.spellings.get(value, self.spellings.get(key, ""))
        return self._keyed.get(key) or ([self.codes[meant]] if meant in self.codes else [])

    @cached_property
    def names(self) -> list[str]:
        """The values, by their numbers."""
        return list(self.codes)

    @cached_property
    def _keyed(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for value, code in self.codes.items():
            found.setdefault(match_key(value) or value, []).append(code)
        return found

    @cached_property
    def tagged(self) -> np.ndarray:
        """Which products (N,) have any value."""
        tagged_N = np.zeros(self.products, dtype=bool)
        tagged_N[self.row_T] = True
        return tagged_N

    @cached_property
    def is_single(self) -> bool:
        """Whether no product has several values."""
        return len(self.row_T) == int(self.tagged.sum())

    def values_of(self, row: int) -> list[str]:
        """Return the values of a product."""
        start, end = np.searchsorted(self.row_T, [row, row + 1])  # rows are in order
        return [self.names[code] for code in self.code_T[start:end].tolist()]

    def having(self, *values: str) -> np.ndarray:
        """Return which products (N,) have one of some values: none where they are unknown."""
        having_N, is_meant = np.zeros(self.products, dtype=bool), np.zeros(len(self.codes), dtype=bool)
        for value in values:
            is_meant[self.codes_of(value)] = True
        having_N[self.row_T[is_meant[self.code_T]]] = True
        return having_N


@dataclass(frozen=True)
class SearchIndex:
    """Unit-length float32 matrices (N, D) by view, the facts of the same N products, and facets to filter by."""

    dataset: str
    variant: str
    product_ids: list[str]
    views: Mapping[View, np.ndarray]
    facts: pa.Table
    facets: Mapping[str, Facet]

    def __len__(self) -> int:
        return len(self.product_ids)

    @cached_property
    def price_N(self) -> np.ndarray:
        """The products' prices (N,), NaN where there is none."""
        return np.asarray(self.facts["price"].cast(pa.float64()).to_numpy(), np.float64)

    @cached_property
    def currency(self) -> str | None:
        """The currency of all prices; None where they have several, or it is not known."""
        named = self.facts["currency"].drop_null().unique().to_pylist()
        return named[0] if len(named) == 1 else None

    def facet(self, group: str) -> Facet:
        """Return the facet of a group or column. Raises SettingsError where products have none of that name."""
        if group not in self.facets:
            there = ", ".join(sorted(self.facets)) + did_you_mean(group, self.facets)
            raise SettingsError(f"products of {self.dataset} have no {group!r}; they have: {there}")
        return self.facets[group]

    @property
    def described(self) -> dict[str, Facet]:
        """The facets that say what products are, and not whether they are in stock."""
        return {name: facet for name, facet in self.facets.items() if name != AVAILABILITY}

    def containing(self, phrases: Sequence[str]) -> np.ndarray:
        """Return which products (N,) have all of some phrases in title or description, whatever the case."""
        has_N = np.ones(len(self), dtype=bool)
        for phrase in phrases:
            says = [pc.match_substring(self.facts[name], phrase, ignore_case=True) for name in ("title", "description")]
            has_N &= pc.or_kleene(*says).fill_null(False).to_numpy(zero_copy_only=False)
        return has_N

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {product: row for row, product in enumerate(self.product_ids)}

    def row(self, product_id: str) -> int:
        """Return a product's row. Raises SettingsError where it is not in the catalogue."""
        if product_id not in self._rows:
            there = f"the {len(self):,} products of {self.dataset}: it was removed, or never there"
            like = f"their ids look like {', '.join(self.product_ids[:3])}"
            raise SettingsError(f"product {product_id[:100]!r} is not among {there}; {like}")
        return self._rows[product_id]

    def rows_of_split(self, split: str) -> np.ndarray:
        """Return the rows of the products of a split (train, validation, test)."""
        return np.flatnonzero(self.facts["split"].to_numpy(zero_copy_only=False) == split)

    def facts_of(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the facts of the products at `rows`: the columns of `sql/search/searched_products.sql`."""
        found = self.facts.take(pa.array(rows, type=pa.int64())).to_pylist()
        return [fact | {name: dict(fact[name] or []) for name in MAPS} for fact in found]

    @classmethod
    def of_tables(
        cls, dataset: str, variant: str, views: pa.Table, facts: pa.Table, spellings: pa.Table | None = None
    ) -> Self:
        """Make an index of a table `product_views`, the facts of (at least) its products, and `entity_spellings`.

        Raises CorruptOutputError where there are no products, one has no facts, or a vector is zero or not finite.
        """
        table = f"{VIEWS_TABLE} of {dataset}, {variant}"
        if not len(views):
            raise CorruptOutputError(f"{table}: no products; materialise it again")
        product_ids = views["product_id"].to_pylist()
        row_of = {product: row for row, product in enumerate(facts["product_id"].to_pylist())}
        if missing := [product for product in product_ids if product not in row_of]:
            absent = f"{len(missing)} products are not in the lake's products ({missing[0]!r} ...)"
            raise CorruptOutputError(f"{table}: {absent}: it is of another catalogue; materialise it again")
        ordered = facts.take(pa.array([row_of[product] for product in product_ids], type=pa.int64())).combine_chunks()
        matrices: dict[View, np.ndarray] = {}
        for view in VIEWS:
            matrix_ND = matrix_of(views[view])
            length_N = np.linalg.norm(matrix_ND, axis=1, keepdims=True)
            if not np.isfinite(length_N).all() or not length_N.all():
                raise CorruptOutputError(f"{table}: {view} vectors not finite, or zero; train this variant again")
            matrices[view] = matrix_ND / length_N
        return cls(dataset, variant, product_ids, matrices, ordered, _facets(ordered, spellings))

    @classmethod
    def open(cls, root: Path, dataset: str, variant: str, device: str = "cpu") -> Self:
        """Open the index of a home's dataset under a variant; views that no job has made are made on `device`.

        Raises EiclipError where the dataset has no products, or there are neither views nor a checkpoint.
        """
        home, tables = Paths(root), ("products", "product_entities", "images")
        absent = {"offers": read_sql("search/no_offers")}
        facts = query_tables(home.lake, dataset, tables, read_sql("search/searched_products"), optional=absent)
        spellings = query_tables(home.lake, dataset, ("entity_spellings",), "FROM entity_spellings")
        return cls.of_tables(dataset, variant, views_of(home, dataset, variant, device), facts, spellings)


def _facets(facts: pa.Table, spellings: pa.Table | None) -> dict[str, Facet]:
    """Return facets of entity groups and attributes, of availability, and of facts that are no group."""
    found: dict[str, Facet] = {}
    meant: dict[str, dict[str, str]] = {}
    for row in [] if spellings is None else spellings.to_pylist():
        if row["entity"]:
            own = meant.setdefault(row["entity_group"], {})
            own |= {row["spelling"]: row["entity"], match_key(row["spelling"]): row["entity"]}
    for name in MAPS:
        for group, row_T, values in _groups(facts[name].combine_chunks()):
            found.setdefault(group, Facet.of(len(facts), row_T, values, meant.get(group)))
    stock = pc.if_else(facts["available"].cast(pa.bool_()), IN_STOCK, OUT_OF_STOCK)
    for name, column in {AVAILABILITY: stock, **{name: facts[name] for name in FACTS}}.items():
        encoded = column.combine_chunks().dictionary_encode()
        names = [next(iter(normalise_entities([value])), None) for value in encoded.dictionary.to_pylist()]
        values = pa.array(names, pa.string()).take(encoded.indices)
        found.setdefault(name, Facet.of(len(facts), np.flatnonzero(values.is_valid()), values.drop_null()))
    return {name: facet for name, facet in found.items() if facet.codes}


def _groups(maps: pa.Array) -> Iterator[tuple[str, np.ndarray, pa.Array]]:
    """Yield the groups of a column of maps, with the row (T,) of each value of theirs, and the values (T,)."""
    if pa.types.is_null(maps.type):
        return
    row_E = np.repeat(np.arange(len(maps)), np.diff(maps.offsets.to_numpy()))  # of each entry of a map
    keys = maps.keys.dictionary_encode()
    for code, group in enumerate(keys.dictionary.to_pylist()):
        own_E = np.flatnonzero(keys.indices.to_numpy() == code)
        lists = maps.items.take(pa.array(own_E))
        lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
        yield group, np.repeat(row_E[own_E], lengths), lists.flatten()
