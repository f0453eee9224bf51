"""The products of a dataset as one variant sees them: three matrices to compare with, and facts to show.

Shape suffixes: N products, T values of theirs, D embedding width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from eiclip.errors import CorruptOutputError, SettingsError
from eiclip.readers.texts import match_key, normalise_entities
from eiclip.search.query import VIEWS, View
from eiclip.search.sources import VIEWS_TABLE, query_tables, views_of
from eiclip.storage.home import Paths
from eiclip.storage.lake import matrix_of
from eiclip.storage.sql import read_sql

FACTS = ("category", "subcategory", "department", "gender")  # columns to filter by, beside the entity groups


@dataclass(frozen=True)
class Facet:
    """The values of one entity group or fact, T of them over all N products: the product of each, and its number."""

    products: int
    row_T: np.ndarray
    code_T: np.ndarray
    codes: Mapping[str, int]

    @classmethod
    def of(cls, values: Sequence[Sequence[str]]) -> Self:
        """Make one of the values that each product has, each once."""
        encoded = pa.array([value for own in values for value in own], pa.string()).dictionary_encode()
        row_T = np.repeat(np.arange(len(values)), [len(own) for own in values])
        codes = {value: code for code, value in enumerate(encoded.dictionary.to_pylist())}
        return cls(len(values), row_T, encoded.indices.to_numpy(), codes)

    def codes_of(self, value: str) -> list[int]:
        """Return the numbers that a value means: its own, else those of its `match_key`."""
        return [self.codes[value]] if value in self.codes else self._keyed.get(match_key(value), [])

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

    def values_of(self, row: int) -> list[str]:
        """Return the values of a product."""
        start, end = np.searchsorted(self.row_T, [row, row + 1])  # rows are in order
        return [self._names[code] for code in self.code_T[start:end].tolist()]

    @cached_property
    def _names(self) -> list[str]:
        return list(self.codes)

    def having(self, value: str) -> np.ndarray:
        """Return which products (N,) have a value: none where it is unknown."""
        having_N = np.zeros(self.products, dtype=bool)
        having_N[self.row_T[np.isin(self.code_T, self.codes_of(value))]] = True
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
        return [fact | {"entities": dict(fact["entities"] or [])} for fact in found]

    @classmethod
    def of_tables(cls, dataset: str, variant: str, views: pa.Table, facts: pa.Table) -> Self:
        """Make an index of a table `product_views` and the facts of (at least) its products.

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
        return cls(dataset, variant, product_ids, matrices, ordered, _facets(ordered))

    @classmethod
    def open(cls, root: Path, dataset: str, variant: str, device: str = "cpu") -> Self:
        """Open the index of a home's dataset under a variant; views that no job has made are made on `device`.

        Raises EiclipError where the dataset has no products, or there are neither views nor a checkpoint.
        """
        home, tables = Paths(root), ("products", "product_entities", "images")
        facts = query_tables(home.lake, dataset, tables, read_sql("search/searched_products"))
        return cls.of_tables(dataset, variant, views_of(home, dataset, variant, device), facts)


def _facets(facts: pa.Table) -> dict[str, Facet]:
    """Return facets of the entity groups, and of facts that are no entity group."""
    columns: dict[str, list[list[str]]] = {}
    for row, entities in enumerate(facts["entities"].to_pylist()):
        for group, names in entities or []:
            if group not in columns:
                columns[group] = [[] for _ in range(len(facts))]
            columns[group][row] = names
    for name in FACTS:
        if name not in columns:
            columns[name] = [normalise_entities([value or ""]) for value in facts[name].to_pylist()]
    return {name: Facet.of(column) for name, column in columns.items() if any(column)}
