"""What linking is worth: how often it finds the entity that was typed, and what retrieval makes of it.

A typed query is a product's description with the words of one of its entities (its brand) in front or behind, and no
tags. Shape suffixes: Q queries, N candidates, D embedding width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from eiclip.evaluation.ranking import full_ranks
from eiclip.evaluation.relevance import Relevance
from eiclip.same_style.evaluate import RANKS_SCHEMA, Truth
from eiclip.search.engine import SearchEngine
from eiclip.search.linking import Linker
from eiclip.search.query import MAX_QUERY, View
from eiclip.search.reading import Words
from eiclip.search.sources import query_tables
from eiclip.storage.lake import Lake
from eiclip.storage.sql import read_sql

PAIRS: dict[str, View] = {"t-i": "image", "t-m": "joint"}
"""The candidates' view of each pair of views that words can ask for."""
TYPED, LINKED, TAGGED = "typed", "typed and linked", "tags given"
"""How a query's text was read; a row of the ranks is called `<variant>, <this>`."""


@dataclass(frozen=True)
class TypedQuery:
    """What a buyer of a product could type."""

    product_id: str
    text: str
    description: str
    """The same without the entity's words."""
    entity: str
    entities: Mapping[str, str]
    """All tags of the product, by group."""


@dataclass(frozen=True)
class LinkingQuality:
    """Links of one entity group that were kept, against what was typed."""

    correct: int
    wrong: int
    """Of another entity than the one typed, or where none was typed."""
    missed: int

    @property
    def precision(self) -> float:
        """Share of the links that are correct; NaN without any."""
        return self.correct / (self.correct + self.wrong) if self.correct + self.wrong else float("nan")

    @property
    def recall(self) -> float:
        """Share of the typed entities that are linked; NaN without any."""
        return self.correct / (self.correct + self.missed) if self.correct + self.missed else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of both, 0 where nothing is correct."""
        return 2 * self.correct / (2 * self.correct + self.wrong + self.missed) if self.correct else 0.0


def typed_queries(lake: Lake, dataset: str, split: str, group: str = "brand") -> list[TypedQuery]:
    """Return typed queries of the products of a split that have an entity of the group, by product id.

    Raises:
        EiclipError: the lake has no such dataset.
    """
    tables, asked = ("products", "product_entities"), {"split": split, "group": group}
    rows = query_tables(lake, dataset, tables, read_sql("evaluation/typed_queries"), asked).to_pylist()
    return [TypedQuery(**row | {"entities": dict(row["entities"])}) for row in rows]


def linking_quality(linker: Linker, queries: Sequence[TypedQuery], group: str = "brand") -> LinkingQuality:
    """Return precision and recall of kept links of a group, over each query twice: with the entity's words and without.

    Only entities of the vocabulary can be found, but those it lacks are counted as missed too. Without the words, no
    link is the correct answer, unless the description itself has the tagged entity's words.
    """
    correct = wrong = missed = 0
    for query in queries:
        for text, is_typed in ((query.text, True), (query.description, False)):
            links, _ = linker.link(text)
            found = {link.entity for link in links if link.kept and link.group == group}
            correct += is_typed and query.entity in found
            missed += is_typed and query.entity not in found
            wrong += len(found - {query.entity})
    return LinkingQuality(correct, wrong, missed)


def linked_query_ranks(
    engine: SearchEngine,
    lake: Lake,
    seed: int,
    *,
    split: str = "test",
    group: str = "brand",
    take_out: bool = True,
    styles: pa.Table | None = None,
    groups: pa.Table | None = None,
) -> pa.Table:
    """Return ranks of typed queries among the products of a split, schema `eiclip.same_style.evaluate.RANKS_SCHEMA`.

    Three rows a variant: `<variant>, typed` reads the words alone, `<variant>, typed and linked` the entities that the
    linker keeps instead of their words, `<variant>, tags given` the description with all tags of the product, as the
    catalogue has it: what linking can come to at most.

    Args:
        engine: the variant.
        lake: of the same home.
        seed: recorded with the rows.
        split: whose products ask and are candidates.
        group: the entity group whose words are written into the descriptions.
        take_out: the words of links that are kept are not read as words as well (as in search).
        styles: product_id, style_id. With it the other products of the style are relevant, and the product itself is
            ignored; products whose style has no other are no queries. None: the product itself is relevant, and
            its own description a part of what `t-m` compares with.
        groups: product_id, group_id of known duplicates (with `styles`): ignored.
    """
    index, variant = engine.index, engine.index.variant
    rows_N = index.rows_of_split(split)
    products = [index.product_ids[row] for row in rows_N]
    truth = Truth.of(products, pa.table({"product_id": [], "style_id": []}) if styles is None else styles, groups)
    others_N, place = truth.others(), {product: number for number, product in enumerate(products)}
    queries = [query for query in typed_queries(lake, index.dataset, split, group) if query.product_id in place]
    if styles is not None:
        queries = [query for query in queries if others_N[place[query.product_id]]]
    query_Q = np.array([place[query.product_id] for query in queries], dtype=np.int64)
    same = {
        "product_id": [query.product_id for query in queries],
        # A product of no known style is a style of its own, and the one relevant product.
        "style_id": [truth.names[row] or products[row] for row in query_Q],
        "right": np.maximum(others_N[query_Q], 1),
    }
    parts = [RANKS_SCHEMA.empty_table()]
    for name, vectors_QD in read_ways(engine, queries, take_out=take_out).items():
        for pair, view in PAIRS.items():
            rank_Q = _ranks(vectors_QD, index.views[view][rows_N], truth, query_Q, styles is not None)
            row = {"dataset": index.dataset, "variant": f"{variant}, {name}", "seed": seed, "view_pair": pair}
            columns: dict[str, Any] = {column: [value] * len(queries) for column, value in row.items()}
            parts.append(pa.table(columns | same | {"rank": rank_Q.numpy()}, schema=RANKS_SCHEMA))
    return pa.concat_tables(parts)


def read_ways(engine: SearchEngine, queries: Sequence[TypedQuery], *, take_out: bool = True) -> dict[str, np.ndarray]:
    """Return vectors (Q, D) of the queries, read in each of the three ways."""
    texts = [query.text[:MAX_QUERY] for query in queries]
    return {
        TYPED: engine.encode_words([Words(text, {}) for text in texts]),
        LINKED: engine.encode_words([engine.reader.linked(text, take_out=take_out) for text in texts]),
        TAGGED: engine.encode_words([Words(query.description, dict(query.entities)) for query in queries]),
    }


def _ranks(
    query_QD: np.ndarray, candidate_ND: np.ndarray, truth: Truth, query_Q: np.ndarray, others: bool
) -> torch.Tensor:
    """Rank of each query's best relevant candidate (Q,)."""
    sides = torch.from_numpy(query_QD), torch.from_numpy(candidate_ND)
    asked = torch.from_numpy(query_Q)
    if not others:
        return full_ranks(*sides, Relevance.of(asked, torch.arange(len(candidate_ND))))
    style_N = torch.from_numpy(truth.style_N)
    ignored_P2 = torch.from_numpy(truth.ignored(query_Q))
    return full_ranks(*sides, Relevance.of(style_N[asked], style_N, itself_Q=asked), ignored_P2)
