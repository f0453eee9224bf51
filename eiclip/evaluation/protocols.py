"""Ranks of one variant under every protocol: the one table that all recalls, intervals and comparisons are made of.

Shape suffixes: Q queries, N candidates, D embedding width, P products.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from eiclip.errors import CorruptOutputError
from eiclip.evaluation.embedding_tables import IMAGE, PRODUCT, TEXT, TEXT_SAMPLE100
from eiclip.evaluation.ranking import full_ranks, list_ranks, ndcg_of_rank, ranked


@dataclass(frozen=True)
class Protocol:
    """Who asks and what answers; `sql/evaluation/protocols.sql` says it in words."""

    name: str
    listed: bool = False
    """Candidates are the lists of `candidate_lists`, not all items."""
    photos: str = IMAGE
    """Kind of the photos' side: single photos, or one mean a product."""
    distinct: bool = False
    """Known duplicates of the query's product are no candidates."""

    @property
    def texts(self) -> str:
        """Kind of the texts' side: listed ones do without the group that their negatives share."""
        return TEXT_SAMPLE100 if self.listed else TEXT


PROTOCOLS = (
    Protocol("full"),
    Protocol("full_distinct", distinct=True),
    Protocol("full_product", photos=PRODUCT),
    Protocol("sample100", listed=True),
    Protocol("sample100_distinct", listed=True, distinct=True),
    Protocol("sample100_product", listed=True, photos=PRODUCT),
    Protocol("sample100_5x1000", listed=True),
)

RANKS_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("variant", pa.string()),
        ("protocol", pa.string()),
        ("draw", pa.int32()),
        ("direction", pa.string()),
        ("query_id", pa.string()),
        ("product_id", pa.string()),
        ("rank", pa.int64()),
        ("rank_text_equal", pa.int64()),
        ("ndcg10", pa.float64()),
    ]
)


class Items:
    """Embeddings of one kind, with their items' ids and products."""

    def __init__(self, table: pa.Table, kind: str, device: str = "cpu") -> None:
        rows = table.filter(pc.equal(table["kind"], kind)).combine_chunks()
        self.kind = kind
        self.ids = rows["item_id"].combine_chunks()
        self.products: list[str] = rows["product_id"].to_pylist()
        flat = pa.concat_arrays([chunk.flatten() for chunk in rows["embedding"].chunks] or [pa.array([], pa.float32())])
        matrix = flat.to_numpy(zero_copy_only=False).reshape(len(self.products), -1)
        self.embeddings = torch.from_numpy(matrix.copy()).to(device)

    def numbers(self, by_product: Mapping[str, int]) -> Tensor:
        """The number of each item's product (N,)."""
        return torch.tensor([by_product[product] for product in self.products], dtype=torch.int64)

    def rows_of(self, ids: pa.Array) -> np.ndarray:
        """Rows of items by id.

        Raises:
            CorruptOutputError: an id is not among the items.
        """
        rows = pc.index_in(ids, value_set=self.ids)
        if rows.null_count:
            absent = ids.filter(pc.is_null(rows))[0].as_py()
            raise CorruptOutputError(f"{absent!r} is in candidate_lists and not in the embeddings ({self.kind}); "
                                     "materialise both again")  # fmt: skip
        numbers: np.ndarray = rows.to_numpy(zero_copy_only=False).astype(np.int64)
        return numbers


@dataclass(frozen=True)
class _Judgement:
    """What counts as right, by product: the product itself, products of one description, known duplicates."""

    own: dict[str, int]
    text: dict[str, int]
    duplicates: dict[str, int]
    text_or_duplicates: dict[str, int]


class _Asked(NamedTuple):
    """The queries of one protocol and direction, and how they were answered."""

    draws: Any
    queries: Any
    products: Any
    rank: Tensor
    rank_text_equal: Tensor
    ndcg10: Tensor


def ranks_table(
    embeddings: pa.Table,
    candidate_lists: pa.Table,
    *,
    descriptions: Mapping[str, str],
    product_groups: pa.Table | None = None,
    device: str = "cpu",
) -> pa.Table:
    """Ranks of one variant under every protocol, as `RANKS_SCHEMA`.

    `rank` is that of the best right candidate, ties against the model; for `rank_text_equal` candidates whose product
    has an identical description are right as well; `ndcg10` is strict, over all right candidates.

    Args:
        descriptions: by product; products of equal ones (case and spaces aside) cannot be told apart by them.
        product_groups: product_id and group_id of known duplicates; None: there are none.
        device: where scores are computed.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
        CorruptOutputError: a list names an item without an embedding.
    """
    kinds = {kind: Items(embeddings, kind, device) for kind in (IMAGE, TEXT, TEXT_SAMPLE100, PRODUCT)}
    judge = _judgement(kinds[TEXT].products, descriptions, product_groups)
    first = {name: embeddings[name][0].as_py() for name in ("dataset", "variant")}
    parts = []
    for protocol in PROTOCOLS:
        photos, texts = kinds[protocol.photos], kinds[protocol.texts]
        for direction, queries, candidates in (("i2t", photos, texts), ("t2i", texts, photos)):
            if protocol.listed:
                wanted = pc.and_(
                    pc.equal(candidate_lists["protocol"], protocol.name),
                    pc.equal(candidate_lists["direction"], direction),
                )
                asked = _listed(queries, candidates, candidate_lists.filter(wanted).combine_chunks(), judge)
            else:
                asked = _full(queries, candidates, judge, distinct=protocol.distinct)
            parts.append(_rows(first | {"protocol": protocol.name, "direction": direction}, asked))
    return pa.concat_tables(parts)


def _full(queries: Items, candidates: Items, judge: _Judgement, *, distinct: bool) -> _Asked:
    def sides(*by_products: Mapping[str, int]) -> list[Tensor]:
        return [side.numbers(by) for by in by_products for side in (queries, candidates)]

    vectors = queries.embeddings, candidates.embeddings
    strict = ranked(*vectors, *sides(judge.own, judge.duplicates if distinct else judge.own))
    text_equal = strict.rank_Q
    if len(set(judge.text.values())) < len(judge.own):
        lenient = judge.text_or_duplicates if distinct else judge.text
        text_equal = full_ranks(*vectors, *sides(judge.text, lenient))
    ids = queries.ids
    return _Asked(np.zeros(len(ids), np.int32), ids, queries.products, strict.rank_Q, text_equal, strict.ndcg10_Q)


def _listed(queries: Items, candidates: Items, lists: pa.Table, judge: _Judgement) -> _Asked:
    query_rows = torch.from_numpy(queries.rows_of(_column(lists, "query_id")))
    positive_Q = torch.from_numpy(candidates.rows_of(_column(lists, "positive_id")))
    negatives = _column(lists, "negative_ids")
    lengths = pc.list_value_length(negatives).to_numpy(zero_copy_only=False)
    flat = candidates.rows_of(negatives.flatten())
    negatives_Q = np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []
    vectors = queries.embeddings[query_rows], candidates.embeddings, positive_Q, negatives_Q
    rank_Q = list_ranks(*vectors)
    text_Q, text_N = queries.numbers(judge.text)[query_rows], candidates.numbers(judge.text)
    text_equal_Q = list_ranks(*vectors, text_Q, text_N)
    draws = _column(lists, "draw").to_numpy(zero_copy_only=False)
    return _Asked(draws, _column(lists, "query_id"), _column(lists, "product_id"), rank_Q, text_equal_Q,
                  ndcg_of_rank(rank_Q))  # fmt: skip


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table[name].combine_chunks()
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)


def _rows(constants: dict[str, str], asked: _Asked) -> pa.Table:
    columns: dict[str, Any] = {name: [value] * len(asked.rank) for name, value in constants.items()}
    columns |= {"draw": asked.draws, "query_id": asked.queries, "product_id": asked.products}
    measured = ("rank", "rank_text_equal", "ndcg10")
    columns |= {name: getattr(asked, name).cpu().numpy() for name in measured}
    return pa.table({name: columns[name] for name in RANKS_SCHEMA.names}, schema=RANKS_SCHEMA)


def _judgement(products: Sequence[str], descriptions: Mapping[str, str], product_groups: pa.Table | None) -> _Judgement:
    own = {product: number for number, product in enumerate(products)}
    folded = [" ".join(descriptions.get(product, product).lower().split()) for product in products]
    groups = dict(zip(*(product_groups[name].to_pylist() for name in ("product_id", "group_id")), strict=True)) if (
        product_groups is not None
    ) else {}  # fmt: skip
    text, duplicates = _numbered(folded), _numbered([groups.get(product, product) for product in products])
    both = dict(zip(products, _components(text, duplicates).tolist(), strict=True))
    return _Judgement(own, dict(zip(products, text, strict=True)), dict(zip(products, duplicates, strict=True)), both)


def _numbered(labels: Sequence[str]) -> list[int]:
    """A number per distinct label, in the order of their first places."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(label, len(numbers)) for label in labels]


def _components(one: Sequence[int], other: Sequence[int]) -> np.ndarray:
    """A number per place that places share which are connected through equal numbers of either kind."""
    places = len(one)
    ends = np.concatenate([np.arange(places), np.arange(places)])
    labels = np.concatenate([places + np.asarray(one, np.int64), 2 * places + np.asarray(other, np.int64)])
    graph = coo_array((np.ones(2 * places, np.int8), (ends, labels)), shape=(3 * places, 3 * places))
    component: np.ndarray = connected_components(graph, directed=False)[1][:places]
    return component
