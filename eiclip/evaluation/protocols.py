"""Ranks of one variant under every protocol: the table that all recalls, intervals and comparisons are computed from.

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
from eiclip.storage.lake import matrix_of


@dataclass(frozen=True)
class Protocol:
    """What is a query and what a candidate; `sql/evaluation/protocols.sql` describes each in words."""

    name: str
    listed: bool = False
    """Candidates are the lists of `candidate_lists`, not all items."""
    photos: str = IMAGE
    """Kind of photo embeddings: single photos, or one mean a product."""
    distinct: bool = False
    """Known duplicates of the query's product are no candidates."""

    @property
    def texts(self) -> str:
        """Kind of text embeddings: with lists, those without the group that the negatives share."""
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
    [*((name, pa.string()) for name in ("dataset", "variant", "protocol")), ("draw", pa.int32())]
    + [(name, pa.string()) for name in ("direction", "query_id", "product_id")]
    + [("rank", pa.int64()), ("rank_text_equal", pa.int64()), ("ndcg10", pa.float64())]
)


class Items:
    """Embeddings of one kind, with their items' ids and products."""

    def __init__(self, table: pa.Table, kind: str, device: str = "cpu") -> None:
        rows = table.filter(pc.equal(table["kind"], kind)).combine_chunks()
        self.kind = kind
        self.ids = rows["item_id"].combine_chunks()
        self.products: list[str] = rows["product_id"].to_pylist()
        self.embeddings = torch.from_numpy(matrix_of(rows["embedding"])).to(device)

    def numbers(self, by_product: Mapping[str, int]) -> Tensor:
        """Return the number of each item's product (N,)."""
        return torch.tensor([by_product[product] for product in self.products], dtype=torch.int64)

    def rows_of(self, ids: pa.Array) -> np.ndarray:
        """Find rows of items by id.

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


class Groups(NamedTuple):
    """Numbers of each product's groups: of itself, of equal descriptions, of known duplicates, of either of the two."""

    own: dict[str, int]
    text: dict[str, int]
    duplicates: dict[str, int]
    text_or_duplicates: dict[str, int]

    @classmethod
    def of(cls, products: Sequence[str], descriptions: Mapping[str, str], product_groups: pa.Table | None) -> "Groups":
        """Number the groups of products; descriptions differ by more than case and spaces."""
        duplicates_of = {}
        if product_groups is not None:
            columns = (product_groups[name].to_pylist() for name in ("product_id", "group_id"))
            duplicates_of = dict(zip(*columns, strict=True))
        text = _numbered([" ".join(descriptions.get(product, product).lower().split()) for product in products])
        duplicates = _numbered([duplicates_of.get(product, product) for product in products])
        numbers = range(len(products)), text, duplicates, _connected(text, duplicates)
        return cls(*(dict(zip(products, each, strict=True)) for each in numbers))


class QueryBatch(NamedTuple):
    """The queries of one protocol and direction, and their measures."""

    draw: Any
    query_id: Any
    product_id: Any
    rank: Tensor
    rank_text_equal: Tensor
    ndcg10: Tensor

    def table(self, constants: Mapping[str, str]) -> pa.Table:
        """Return the rows of `RANKS_SCHEMA`, with the columns that are the same in all of them."""
        columns: dict[str, Any] = {name: [value] * len(self.rank) for name, value in constants.items()}
        columns |= {name: v.cpu().numpy() if isinstance(v, Tensor) else v for name, v in self._asdict().items()}
        return pa.table({name: columns[name] for name in RANKS_SCHEMA.names}, schema=RANKS_SCHEMA)


def ranks_table(
    embeddings: pa.Table,
    candidate_lists: pa.Table,
    *,
    descriptions: Mapping[str, str],
    product_groups: pa.Table | None = None,
    device: str = "cpu",
) -> pa.Table:
    """Rank one variant's queries under every protocol; returns `RANKS_SCHEMA`.

    `rank` is that of the best relevant candidate, ties against the model; for `rank_text_equal` candidates whose
    product has an identical description are relevant as well; `ndcg10` is strict, over all relevant candidates.

    Args:
        descriptions: by product; products of equal ones (case and spaces aside) cannot be told apart by them.
        product_groups: product_id and group_id of known duplicates; None: there are none.
        device: where scores are computed.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
        CorruptOutputError: a list names an item without an embedding.
    """
    kinds = {kind: Items(embeddings, kind, device) for kind in (IMAGE, TEXT, TEXT_SAMPLE100, PRODUCT)}
    groups = Groups.of(kinds[TEXT].products, descriptions, product_groups)
    constants = {name: embeddings[name][0].as_py() for name in ("dataset", "variant")}
    parts = []
    for protocol in PROTOCOLS:
        photos, texts = kinds[protocol.photos], kinds[protocol.texts]
        for direction, queries, candidates in (("i2t", photos, texts), ("t2i", texts, photos)):
            names = {"protocol": protocol.name, "direction": direction}
            if protocol.listed:
                wanted = [pc.equal(candidate_lists[column], name) for column, name in names.items()]
                lists = candidate_lists.filter(pc.and_(*wanted)).combine_chunks()
                batch = _rank_listed(queries, candidates, lists, groups)
            else:
                batch = _rank_all(queries, candidates, groups, distinct=protocol.distinct)
            parts.append(batch.table(constants | names))
    return pa.concat_tables(parts)


def _rank_all(queries: Items, candidates: Items, groups: Groups, *, distinct: bool) -> QueryBatch:
    def sides(*by_products: Mapping[str, int]) -> list[Tensor]:
        return [side.numbers(by) for by in by_products for side in (queries, candidates)]

    vectors = queries.embeddings, candidates.embeddings
    strict = ranked(*vectors, *sides(groups.own, groups.duplicates if distinct else groups.own))
    text_equal = strict.rank_Q
    if len(set(groups.text.values())) < len(groups.own):
        lenient = groups.text_or_duplicates if distinct else groups.text
        text_equal = full_ranks(*vectors, *sides(groups.text, lenient))
    draws = np.zeros(len(queries.ids), np.int32)
    return QueryBatch(draws, queries.ids, queries.products, strict.rank_Q, text_equal, strict.ndcg10_Q)


def _rank_listed(queries: Items, candidates: Items, lists: pa.Table, groups: Groups) -> QueryBatch:
    query_id, positive_id, negative_ids, product_id, draw = (
        pa.concat_arrays(lists[name].chunks or [pa.array([], lists[name].type)])
        for name in ("query_id", "positive_id", "negative_ids", "product_id", "draw")
    )
    query_rows = torch.from_numpy(queries.rows_of(query_id))
    lengths = pc.list_value_length(negative_ids).to_numpy(zero_copy_only=False)
    flat = candidates.rows_of(negative_ids.flatten())
    negatives_Q = np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []
    positive_Q = torch.from_numpy(candidates.rows_of(positive_id))
    sides = queries.embeddings[query_rows], candidates.embeddings, positive_Q, negatives_Q
    texts = queries.numbers(groups.text)[query_rows], candidates.numbers(groups.text)
    rank_Q, text_equal_Q = list_ranks(*sides, *texts)
    draws = draw.to_numpy(zero_copy_only=False)
    return QueryBatch(draws, query_id, product_id, rank_Q, text_equal_Q, ndcg_of_rank(rank_Q))


def _numbered(labels: Sequence[str]) -> list[int]:
    """Number the distinct labels in order of first occurrence."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(label, len(numbers)) for label in labels]


def _connected(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """Number the connected components of places that have an equal number in either sequence."""
    places = len(one)
    ends = np.concatenate([np.arange(places), np.arange(places)])
    labels = np.concatenate([places + np.asarray(one, np.int64), 2 * places + np.asarray(other, np.int64)])
    graph = coo_array((np.ones(2 * places, np.int8), (ends, labels)), shape=(3 * places, 3 * places))
    component: np.ndarray = connected_components(graph, directed=False)[1]
    return component[:places].tolist()
