"""The products of a dataset as one variant sees them: three matrices to compare with, and facts to show.

Shape suffixes: N products, D embedding width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import duckdb
import numpy as np
import pyarrow as pa

from eiclip.errors import CorruptOutputError, EiclipError, SettingsError
from eiclip.readers.texts import normalise_entity
from eiclip.search.build import VIEWS_TABLE, views_of
from eiclip.search.query import VIEWS, View
from eiclip.storage.home import Paths
from eiclip.storage.lake import Lake, open_views
from eiclip.storage.sql import read_sql

FACTS = ("category", "subcategory", "department", "gender")
"""Columns of `products` that can be filtered by, beside the entity groups."""
NO_VALUE = -1


@dataclass(frozen=True)
class Facet:
    """The values of one entity group or fact: a number a product, `NO_VALUE` where it has none."""

    codes_N: np.ndarray
    codes: Mapping[str, int]

    def products(self, values: Sequence[str]) -> np.ndarray:
        """Which products (N,) have one of the values; values that none has find none."""
        wanted = [self.codes[value] for value in values if value in self.codes]
        return np.isin(self.codes_N, wanted)


@dataclass(frozen=True)
class SearchIndex:
    """Unit-length float32 matrices (N, D) by view, the facts of the same N products, and facets to filter by."""

    dataset: str
    variant: str
    product_ids: list[str]
    views: Mapping[View, np.ndarray]
    facts: pa.Table
    facets: Mapping[str, Facet]
    _rows: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {product: row for row, product in enumerate(self.product_ids)})

    def __len__(self) -> int:
        return len(self.product_ids)

    @property
    def width(self) -> int:
        """D."""
        return int(self.views["joint"].shape[1])

    def row(self, product_id: str) -> int:
        """Where a product stands.

        Raises:
            SettingsError: it is not in the catalogue.
        """
        if product_id not in self._rows:
            raise SettingsError(
                f"product {product_id!r} is not among the {len(self):,} products of {self.dataset}; "
                f"their ids look like {', '.join(self.product_ids[:3])}"
            )
        return self._rows[product_id]

    def rows_of_split(self, split: str) -> np.ndarray:
        """Rows of the products of a split (train, validation, test)."""
        return np.flatnonzero(self.facts["split"].to_numpy(zero_copy_only=False) == split)

    def facts_of(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Facts of the products at `rows`, in that order: the columns of `sql/search/searched_products.sql`."""
        found = self.facts.take(pa.array(rows, type=pa.int64())).to_pylist()
        return [fact | {"entities": dict(fact["entities"] or [])} for fact in found]

    @classmethod
    def of_tables(cls, dataset: str, variant: str, views: pa.Table, facts: pa.Table) -> Self:
        """From a table `product_views` and the facts of (at least) its products.

        Raises:
            CorruptOutputError: there are no products, a product has no facts, or a vector is not finite.
        """
        if not len(views):
            raise CorruptOutputError(f"{VIEWS_TABLE} of {dataset}, {variant}: no products; materialise it again")
        product_ids = views["product_id"].to_pylist()
        place = {product: number for number, product in enumerate(facts["product_id"].to_pylist())}
        if missing := [product for product in product_ids if product not in place]:
            raise CorruptOutputError(
                f"{VIEWS_TABLE} of {dataset}, {variant}: {len(missing)} products are not in the lake's products "
                f"({missing[0]!r} ...): it is of another catalogue; materialise it again"
            )
        ordered = facts.take(pa.array([place[product] for product in product_ids], type=pa.int64())).combine_chunks()
        matrices = {view: _matrix(views, view) for view in VIEWS}
        return cls(dataset, variant, product_ids, matrices, ordered, _facets(ordered))

    @classmethod
    def open(cls, root: Path, dataset: str, variant: str, device: str = "cpu") -> Self:
        """The index of a home's dataset under a variant; its views are made first where no job has made them.

        Args:
            root: the home.
            dataset: its name.
            variant: whose views.
            device: what to make views on.

        Raises:
            EiclipError: the dataset has no products, or there are neither views nor a checkpoint.
        """
        home = Paths(root)
        facts = read_facts(home.lake, dataset)
        return cls.of_tables(dataset, variant, views_of(home, dataset, variant, device), facts)


def read_facts(lake: Lake, dataset: str) -> pa.Table:
    """The facts that are shown of a dataset's products.

    Raises:
        EiclipError: the lake has no products of it.
    """
    sources = {name: lake.files(name, dataset) for name in ("products", "product_entities", "images")}
    if missing := [name for name, files in sources.items() if not files]:
        raise EiclipError(
            f"{lake.home}: no table {missing[0]} of {dataset!r}; run `make full_eval`, or name another dataset or home"
        )
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false").fetchall()
        open_views(connection, sources)
        return connection.sql(read_sql("search/searched_products")).to_arrow_table()


def _matrix(views: pa.Table, view: View) -> np.ndarray:
    """A column of vectors as one matrix (N, D), float32, contiguous, every row of length one."""
    column = views[view].combine_chunks()
    chunk = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    matrix_ND = np.array(chunk.flatten(), dtype=np.float32).reshape(len(views), -1)
    length_N = np.linalg.norm(matrix_ND, axis=1, keepdims=True)
    if not np.isfinite(length_N).all() or not length_N.all():
        raise CorruptOutputError(
            f"{VIEWS_TABLE}: {view} vectors that are not finite, or zero; train this variant again"
        )
    return np.ascontiguousarray(matrix_ND / length_N)


def _facets(facts: pa.Table) -> dict[str, Facet]:
    """Facets of the entity groups, and of facts that are no entity group."""
    values: dict[str, list[str | None]] = {}
    entities = facts["entities"].to_pylist()
    for row, own in enumerate(entities):
        for group, entity in own or []:
            values.setdefault(group, [None] * len(entities))[row] = entity
    for name in FACTS:
        if name not in values:
            values[name] = [normalise_entity(value or "") or None for value in facts[name].to_pylist()]
    return {name: _facet(column) for name, column in values.items() if any(column)}


def _facet(column: list[str | None]) -> Facet:
    codes: dict[str, int] = {}
    numbers = [NO_VALUE if value is None else codes.setdefault(value, len(codes)) for value in column]
    return Facet(np.array(numbers, dtype=np.int32), codes)
