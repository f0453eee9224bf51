"""How well products of one style find each other: leave-one-out ranks over the test products, by pair of views.

Every test product whose style has another test product is a query; all other test products are candidates. The query
itself is neither right nor wrong, nor is a known duplicate of a product of its style that is said to be of another.

Shape suffixes: Q queries, N test products, P pairs of a query and a product, D embedding width.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from eiclip.errors import EiclipError
from eiclip.evaluation.ranking import full_ranks
from eiclip.same_style import VIEW_PAIRS, VIEWS

RANKS_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("variant", pa.string()),
        ("seed", pa.int64()),
        ("view_pair", pa.string()),
        ("product_id", pa.string()),
        ("style_id", pa.string()),
        ("rank", pa.int64()),
        ("right", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Truth:
    """Which test products are of one style, and which queries that makes.

    Attributes:
        products: the test products.
        style_N: a number for each style; products of no known style have one of their own.
        known_N: whether the style is known.
        duplicates_N: a number for each group of known duplicates; products without any have one of their own.
    """

    products: tuple[str, ...]
    style_N: np.ndarray
    known_N: np.ndarray
    duplicates_N: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, products: Sequence[str], styles: pa.Table, groups: pa.Table | None = None) -> "Truth":
        """From the tables `styles` (product_id, style_id) and `product_groups` (product_id, group_id).

        Raises:
            EiclipError: a product occurs twice, or has two styles.
        """
        _require_once(products, "product_views")
        style_of = _by_product(styles, "style_id")
        group_of = {} if groups is None else _by_product(groups, "group_id")
        found = [style_of.get(product) for product in products]
        known_N = np.array([style is not None for style in found], dtype=bool)
        # Tuples, so that no product's own label is another's style.
        style_N = _numbered(
            [(product,) if style is None else style for product, style in zip(products, found, strict=True)]
        )
        duplicates_N = _numbered([group_of.get(product, (product,)) for product in products])
        return cls(tuple(products), style_N, known_N, duplicates_N, tuple(style or "" for style in found))

    def others(self) -> np.ndarray:
        """How many other test products each one's style has (N,)."""
        others_N: np.ndarray = np.bincount(self.style_N, minlength=1)[self.style_N] - 1
        return others_N

    def queries(self) -> np.ndarray:
        """Rows of the products that have a right answer among the others."""
        return np.flatnonzero(self.others() > 0)

    def neutral(self, query_Q: np.ndarray) -> np.ndarray:
        """Places in `query_Q`, and products of other styles that are known duplicates of one of the query's, (P, 2)."""
        shared = np.flatnonzero(np.bincount(self.duplicates_N)[self.duplicates_N] > 1)
        by_group = pa.table({"group": self.duplicates_N[shared], "product": shared, "style": self.style_N[shared]})
        of_style = by_group.select(["group", "style"]).group_by(["group", "style"]).aggregate([])
        pairs = of_style.join(by_group, keys="group", join_type="inner", right_suffix="_found")
        pairs = pairs.filter(pc.not_equal(pairs["style"], pairs["style_found"]))
        pairs = pairs.group_by(["style", "product"]).aggregate([])  # two members may be duplicates of one product
        asked = pa.table({"style": self.style_N[query_Q], "query": np.arange(len(query_Q))})
        joined = asked.join(pairs, keys="style", join_type="inner")
        return np.stack([joined[name].to_numpy() for name in ("query", "product")], axis=1).astype(np.int64)


def same_style_ranks(
    views: pa.Table,
    styles: pa.Table,
    dataset: str,
    variant: str,
    seed: int,
    view_pairs: Sequence[str] = VIEW_PAIRS,
    groups: pa.Table | None = None,
    *,
    device: str = "cpu",
) -> pa.Table:
    """Ranks of one variant, schema `RANKS_SCHEMA`: of each query's best right candidate, ties against the model.

    Args:
        views: rows of `product_views` of one variant and of the test split; a column that is not there, or holds only
            NULL, is a view that the variant does not have, and its pairs are left out.
        styles: product_id and style_id; products that are not in it have no known style: they are no queries, and
            wrong candidates for all.
        groups: product_id and group_id of known duplicates. Candidates of another style that are known duplicates of
            one of the query's style are neither right nor wrong; its own style's members stay right.
        device: where scores are computed.

    Raises:
        EiclipError: views are of several splits, a product occurs twice or has two styles, a view is there for some
            products only, or a pair of views is unknown.
        NonFiniteError: an embedding is NaN or infinite.
    """
    require_one_split(views)
    truth = Truth.of(views["product_id"].to_pylist(), styles, groups)
    query_Q = truth.queries()
    asked = torch.from_numpy(query_Q)
    style_N = torch.from_numpy(truth.style_N)
    neutral_P2 = torch.from_numpy(truth.neutral(query_Q)) if groups is not None else None
    parts = [RANKS_SCHEMA.empty_table()]
    for pair, (queries_ND, candidates_ND) in _sides(views, view_pairs, device):
        rank_Q = full_ranks(
            queries_ND[asked], candidates_ND, style_N[asked], style_N, itself_Q=asked, ignored_P2=neutral_P2
        )
        named = {"dataset": dataset, "variant": variant, "seed": seed, "view_pair": pair}
        parts.append(_rows(named, truth, query_Q, rank_Q))
    return pa.concat_tables(parts)


def _sides(views: pa.Table, view_pairs: Sequence[str], device: str) -> list[tuple[str, tuple[Tensor, Tensor]]]:
    """Both views of each pair that the variant has."""
    strange = sorted(set(view_pairs) - set(VIEW_PAIRS))
    if strange:
        raise EiclipError(f"unknown view pairs {', '.join(strange)}: choose from {', '.join(VIEW_PAIRS)}")
    letters = {letter for pair in view_pairs for letter in pair.split("-")}
    found = {letter: view_matrix(views, VIEWS[letter]) for letter in sorted(letters)}
    there = {letter: view_ND.to(device) for letter, view_ND in found.items() if view_ND is not None}
    split = [(pair, *pair.split("-")) for pair in view_pairs]
    return [(pair, (there[one], there[other])) for pair, one, other in split if one in there and other in there]


def view_matrix(views: pa.Table, column: str) -> Tensor | None:
    """One view of all rows (N, D); None where the table does not have it.

    Raises:
        EiclipError: it is there for some rows only.
    """
    if column not in views.column_names or views[column].null_count == len(views):
        return None
    lists = views[column].combine_chunks()
    if lists.null_count:
        product = views["product_id"].filter(pc.is_null(lists))[0].as_py()
        raise EiclipError(f"product_views: {product!r} has no {column} embedding, others have; materialise them again")
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    return torch.from_numpy(flat.astype(np.float32).reshape(len(views), -1))


def _rows(named: dict[str, object], truth: Truth, query_Q: np.ndarray, rank_Q: Tensor) -> pa.Table:
    columns = {name: [value] * len(query_Q) for name, value in named.items()}
    return pa.table(
        columns
        | {
            "product_id": [truth.products[row] for row in query_Q],
            "style_id": [truth.names[row] for row in query_Q],
            "rank": rank_Q.cpu().numpy(),
            "right": truth.others()[query_Q],
        },
        schema=RANKS_SCHEMA,
    )


def require_one_split(views: pa.Table) -> None:
    """Refuse rows of several splits.

    Raises:
        EiclipError: names the splits.
    """
    splits = views["split"].unique().to_pylist() if "split" in views.column_names else []
    if len(splits) > 1:
        raise EiclipError(f"product_views of several splits ({', '.join(map(str, splits))}): give those of one")


def _require_once(products: Sequence[str], table: str) -> None:
    product, times = max(Counter(products).items(), key=lambda item: item[1], default=("", 0))
    if times > 1:
        raise EiclipError(f"{table}: product {product!r} occurs {times} times; give the rows of one variant")


def _by_product(table: pa.Table, column: str) -> dict[str, str]:
    """A column by product; NULL is as if the product were not there."""
    rows = zip(table["product_id"].to_pylist(), table[column].to_pylist(), strict=True)
    found: dict[str, str] = {}
    for product, value in rows:
        if value is not None and found.setdefault(product, value) != value:
            raise EiclipError(f"product {product!r} has two values of {column}: {found[product]!r} and {value!r}")
    return found


def _numbered(labels: Sequence[object]) -> np.ndarray:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)
