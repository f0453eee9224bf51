"""Leave-one-out ranks of same-style retrieval over the test products, by pair of views.

Every test product whose style has another test product is a query; all other test products are candidates. Ignored are
the query itself and known duplicates of a product of its style that are said to be of another.

Shape suffixes: Q queries, N test products, P pairs of a query and a product, D embedding width.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from eiclip.errors import EiclipError
from eiclip.evaluation.chance import expected_measures
from eiclip.evaluation.ranking import full_ranks
from eiclip.evaluation.relevance import Relevance
from eiclip.same_style import VIEW_COLUMNS, VIEW_PAIRS
from eiclip.storage.lake import matrix_of

_COLUMNS = ("dataset", "variant", "seed", "view_pair", "product_id", "style_id", "rank", "right")
_NUMBERS = dict.fromkeys(("seed", "rank", "right"), pa.int64())
RANKS_SCHEMA = pa.schema([(name, _NUMBERS.get(name, pa.string())) for name in _COLUMNS])
_OF_CHANCE = ("dataset", "mrr", "r1", "r5", "r10", "pair_share", "queries")
_TYPES = {"dataset": pa.string(), "queries": pa.int64()}
CHANCE_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.float64())) for name in _OF_CHANCE])


@dataclass(frozen=True)
class Truth:
    """Which test products are of one style, and which are known duplicates."""

    products: tuple[str, ...]
    names: tuple[str, ...]
    """Each product's style; empty where it is not known."""
    style_N: np.ndarray
    """A number for each style; products of no known style have one of their own."""
    duplicates_N: np.ndarray
    """A number for each group of known duplicates; products without any have one of their own."""

    @classmethod
    def of(cls, products: Sequence[str], styles: pa.Table, groups: pa.Table | None = None) -> "Truth":
        """Read the tables `styles` (product_id, style_id) and `product_groups` (product_id, group_id).

        Raises:
            EiclipError: a product occurs twice, or has two styles.
        """
        product, times = max(Counter(products).items(), key=lambda item: item[1], default=("", 0))
        if times > 1:
            raise EiclipError(f"product_views: product {product!r} occurs {times} times; give the rows of one variant")
        style_of = _by_product(styles, "style_id")
        group_of = {} if groups is None else _by_product(groups, "group_id")
        # Tuples, so that no product's own label is another's style.
        style_N, duplicates_N = (_numbered(of.get(name, (name,)) for name in products) for of in (style_of, group_of))
        return cls(tuple(products), tuple(style_of.get(name, "") for name in products), style_N, duplicates_N)

    def others(self) -> np.ndarray:
        """Return how many other test products each one's style has, (N,)."""
        others_N: np.ndarray = np.bincount(self.style_N, minlength=1)[self.style_N] - 1
        return others_N

    def ignored(self, query_Q: np.ndarray) -> np.ndarray:
        """Return places in `query_Q`, and duplicates of the query's style that are of other styles, (P, 2)."""
        shared = np.flatnonzero(np.bincount(self.duplicates_N)[self.duplicates_N] > 1)
        by_group = pa.table({"group": self.duplicates_N[shared], "product": shared, "style": self.style_N[shared]})
        of_style = by_group.select(["group", "style"]).group_by(["group", "style"]).aggregate([])
        pairs = of_style.join(by_group, keys="group", join_type="inner", right_suffix="_found")
        pairs = pairs.filter(pc.not_equal(pairs["style"], pairs["style_found"]))
        pairs = pairs.group_by(["style", "product"]).aggregate([])  # two members may be duplicates of one product
        asked = pa.table({"style": self.style_N[query_Q], "query": np.arange(len(query_Q))})
        joined = asked.join(pairs, keys="style", join_type="inner")
        return np.stack([joined[name].to_numpy() for name in ("query", "product")], axis=1).astype(np.int64)

    def pair_counts(self) -> tuple[int, int]:
        """Return how many pairs of products are of one style, and how many count: not duplicates of two styles."""
        together_N = np.unique(np.stack([self.duplicates_N, self.style_N]), axis=1, return_counts=True)[1]
        styles, duplicates, both = (
            int((count * (count - 1)).sum()) // 2
            for count in (np.bincount(self.style_N), np.bincount(self.duplicates_N), together_N)
        )
        products = len(self.products)
        return styles, products * (products - 1) // 2 - duplicates + both


def _by_product(table: pa.Table, column: str) -> dict[str, str]:
    """A column by product; NULL is as if the product were not there."""
    found: dict[str, str] = {}
    for product, value in zip(table["product_id"].to_pylist(), table[column].to_pylist(), strict=True):
        if value is not None and found.setdefault(product, value) != value:
            raise EiclipError(f"product {product!r} has two values of {column}: {found[product]!r} and {value!r}")
    return found


def _numbered(labels: Iterable[Hashable]) -> np.ndarray:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def same_style_ranks(
    views: pa.Table, styles: pa.Table, dataset: str, variant: str, seed: int, groups: pa.Table | None = None
) -> pa.Table:
    """Rank each query's best relevant candidate, ties against the model; schema `RANKS_SCHEMA`.

    Args:
        views: rows of `product_views` of one variant and of the test split; a column that is not there, or holds only
            NULL, is a view that the variant does not have, and its pairs are left out.
        styles: product_id and style_id; products that are not in it have no known style: they are no queries, and
            irrelevant to all.
        groups: product_id and group_id of known duplicates. Candidates of another style that are known duplicates of
            one of the query's style are ignored; its own style's members stay relevant.

    Raises:
        EiclipError: views are of several splits, a product occurs twice or has two styles, or a view is there for some
            products only.
        NonFiniteError: an embedding is NaN or infinite.
    """
    truth, view_of = Truth.of(views["product_id"].to_pylist(), styles, groups), dict(product_views(views))
    query_Q, style_N = np.flatnonzero(truth.others()), torch.from_numpy(truth.style_N)
    asked = torch.from_numpy(query_Q)
    ignored_P2 = torch.from_numpy(truth.ignored(query_Q)) if groups is not None else None
    products, names = ([texts[row] for row in query_Q] for texts in (truth.products, truth.names))
    relevance = Relevance.of(style_N[asked], style_N, itself_Q=asked)
    parts = [RANKS_SCHEMA.empty_table()]
    for pair in VIEW_PAIRS:
        one, other = (view_of.get(letter) for letter in pair.split("-"))
        if one is not None and other is not None:
            rank_Q = full_ranks(one[asked], other, relevance, ignored_P2)
            fixed = [pa.repeat(value, len(query_Q)) for value in (dataset, variant, seed, pair)]
            columns = [*fixed, products, names, rank_Q.numpy(), truth.others()[query_Q]]
            parts.append(pa.table(columns, schema=RANKS_SCHEMA))
    return pa.concat_tables(parts)


def same_style_chance(
    products: Sequence[str], styles: pa.Table, dataset: str, groups: pa.Table | None = None
) -> pa.Table:
    """Return one row of what a random order reaches in every pair of views: mrr, r1, r5, r10 (percent), pair_share.

    None where no product's style has another one. `pair_share` is the precision of calling any pair one style.

    Args:
        products: those of the test split.
        styles, groups: as for `same_style_ranks`.
    """
    truth = Truth.of(products, styles, groups)
    query_Q = np.flatnonzero(truth.others())
    ignored_Q = np.bincount(truth.ignored(query_Q)[:, 0], minlength=len(query_Q)) if groups is not None else 0 * query_Q
    candidate_Q, right_Q = len(products) - 1 - ignored_Q, truth.others()[query_Q]
    rows = []
    if len(query_Q):
        of_style, counted = truth.pair_counts()
        measured = expected_measures(zip(candidate_Q.tolist(), right_Q.tolist(), strict=True))
        rows = [{"dataset": dataset, **measured, "pair_share": 100 * of_style / counted, "queries": len(query_Q)}]
    return pa.Table.from_pylist(rows, schema=CHANCE_SCHEMA)


def product_views(views: pa.Table) -> Iterator[tuple[str, Tensor]]:
    """Yield the letter and the matrix (N, D) of each view that rows of `product_views` of one split have.

    Raises:
        EiclipError: they are of several splits, or a view is there for some rows only.
    """
    splits = views["split"].unique().to_pylist() if "split" in views.column_names else []
    if len(splits) > 1:
        raise EiclipError(f"product_views of several splits ({', '.join(map(str, splits))}): give those of one")
    for letter, name in VIEW_COLUMNS.items():
        if name not in views.column_names or views[name].null_count == len(views):
            continue
        if views[name].null_count:
            product = views["product_id"].filter(views[name].is_null())[0].as_py()
            raise EiclipError(f"product_views: {product!r} has no {name} embedding, others have; make them again")
        yield letter, torch.from_numpy(matrix_of(views[name]))
