"""Ranks of one variant under every protocol: the table that all recalls, intervals and comparisons are computed from.

Shape suffixes: Q queries, N candidates, D embedding width, P products.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
from eiclip.evaluation.relevance import Relevance
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
    """Embeddings of one kind, with their items' ids, their products, and the numbers of these."""

    def __init__(self, table: pa.Table, kind: str, number_of: Mapping[str, int], device: str = "cpu") -> None:
        rows = table.filter(pc.equal(table["kind"], kind)).combine_chunks()
        self.kind, self.ids, self.products = kind, rows["item_id"].combine_chunks(), rows["product_id"].to_pylist()
        self.owner_N = torch.tensor([number_of[product] for product in self.products], dtype=torch.int64)
        self.embeddings = torch.from_numpy(matrix_of(rows["embedding"])).to(device)

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


class Groups:
    """Each product's group (P,): of itself, of equal descriptions, of known duplicates, of either of the two."""

    def __init__(
        self, products: Sequence[str], descriptions: Mapping[str, str], product_groups: pa.Table | None
    ) -> None:
        duplicates_of = {}
        if product_groups is not None:
            columns = (product_groups[name].to_pylist() for name in ("product_id", "group_id"))
            duplicates_of = dict(zip(*columns, strict=True))
        many = len(products)
        self.own = torch.arange(many)
        # Descriptions that differ by case and spaces alone are equal.
        self.text = _numbered(" ".join(descriptions.get(product, product).lower().split()) for product in products)
        self.duplicates = _numbered(duplicates_of.get(product, product) for product in products)
        ends = torch.cat([many + self.text, 2 * many + self.duplicates]), self.own.repeat(2)
        graph = coo_array((np.ones(2 * many, np.int8), ends), shape=(3 * many, 3 * many))
        components = connected_components(graph, directed=False)[1]
        self.text_or_duplicates = torch.from_numpy(components[:many]).long()


def _numbered(labels: Iterable[str]) -> Tensor:
    """Number the distinct labels."""
    indices = pa.array(labels, pa.string()).dictionary_encode().indices
    return torch.from_numpy(indices.to_numpy().astype(np.int64))


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
    products = embeddings.filter(pc.equal(embeddings["kind"], TEXT))["product_id"].to_pylist()
    number_of = {product: number for number, product in enumerate(products)}
    kinds = {kind: Items(embeddings, kind, number_of, device) for kind in (IMAGE, TEXT, TEXT_SAMPLE100, PRODUCT)}
    groups = Groups(products, descriptions, product_groups)
    constants = {name: embeddings[name][0].as_py() for name in ("dataset", "variant")}
    parts = []
    for protocol in PROTOCOLS:
        photos, texts = kinds[protocol.photos], kinds[protocol.texts]
        for direction, queries, candidates in (("i2t", photos, texts), ("t2i", texts, photos)):
            names = {"protocol": protocol.name, "direction": direction}
            if protocol.listed:
                wanted = [pc.equal(candidate_lists[column], name) for column, name in names.items()]
                lists = candidate_lists.filter(pc.and_(*wanted)).combine_chunks()
                columns = _rank_listed(queries, candidates, lists, groups)
            else:
                columns = _rank_all(queries, candidates, groups, distinct=protocol.distinct)
            fixed = {name: [value] * len(columns["rank"]) for name, value in (constants | names).items()}
            parts.append(pa.table(fixed | columns, schema=RANKS_SCHEMA))
    return pa.concat_tables(parts)


def _rank_all(queries: Items, candidates: Items, groups: Groups, *, distinct: bool) -> dict[str, Any]:
    """Rank every item; returns the columns of `RANKS_SCHEMA` from `draw` on, but for the direction."""

    def relevance(owner_P: Tensor, group_P: Tensor) -> Relevance:
        return Relevance.of(*(by_P[side.owner_N] for by_P in (owner_P, group_P) for side in (queries, candidates)))

    vectors = queries.embeddings, candidates.embeddings
    rank_Q, ndcg10_Q = ranked(*vectors, relevance(groups.own, groups.duplicates if distinct else groups.own))
    text_equal_Q = rank_Q
    if len(groups.text.unique()) < len(groups.own):
        lenient = groups.text_or_duplicates if distinct else groups.text
        text_equal_Q = full_ranks(*vectors, relevance(groups.text, lenient))
    names = {"draw": np.zeros(len(rank_Q), np.int32), "query_id": queries.ids, "product_id": queries.products}
    return names | _measures(rank_Q, text_equal_Q, ndcg10_Q)


def _rank_listed(queries: Items, candidates: Items, lists: pa.Table, groups: Groups) -> dict[str, Any]:
    """Rank in lists; returns the columns that `_rank_all` does."""
    names = {name: lists[name].combine_chunks() for name in ("draw", "query_id", "product_id")}
    query_Q = torch.from_numpy(queries.rows_of(names["query_id"]))
    positive_Q = torch.from_numpy(candidates.rows_of(lists["positive_id"].combine_chunks()))
    negative_ids = lists["negative_ids"].combine_chunks()
    lengths = pc.list_value_length(negative_ids).to_numpy(zero_copy_only=False)
    flat = candidates.rows_of(negative_ids.flatten())
    negatives_Q = np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []
    sides = queries.embeddings[query_Q], candidates.embeddings, positive_Q, negatives_Q
    texts = groups.text[queries.owner_N[query_Q]], groups.text[candidates.owner_N]
    rank_Q, text_equal_Q = list_ranks(*sides, *texts)
    return names | _measures(rank_Q, text_equal_Q, ndcg_of_rank(rank_Q))


def _measures(rank_Q: Tensor, text_equal_Q: Tensor, ndcg10_Q: Tensor) -> dict[str, np.ndarray]:
    tensors = {"rank": rank_Q, "rank_text_equal": text_equal_Q, "ndcg10": ndcg10_Q}
    return {name: tensor_Q.cpu().numpy() for name, tensor_Q in tensors.items()}
