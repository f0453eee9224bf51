"""What linking is worth: how often it finds the entity that was typed, and what retrieval makes of it.

A typed query is a product's description with the words of one of its entities (its brand) in front or behind, and no
tags. Shape suffixes: Q queries, N candidates, D embedding width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch

from eiclip.evaluation.ranking import TIE, full_ranks
from eiclip.evaluation.relevance import Relevance
from eiclip.same_style.evaluate import RANKS_SCHEMA, Truth
from eiclip.search.engine import SearchEngine
from eiclip.search.linking import Linker
from eiclip.search.query import MAX_QUERY, View
from eiclip.search.reading import Words
from eiclip.search.sources import query_tables
from eiclip.storage.lake import Lake
from eiclip.storage.sql import read_sql

PAIRS: dict[str, View] = {"t-i": "image", "t-m": "joint"}  # the candidates' view of each pair that words can ask for
HYBRID = "hybrid"  # as a variant of same-style's tables
TYPED, LINKED, TAGGED = "typed", "typed and linked", "tags given"  # how a query's text was read


@dataclass(frozen=True)
class TypedQuery:
    """What a buyer of a product could type: the `description` with the words of one `entity`; all entities by group."""

    product_id: str
    text: str
    description: str
    entity: str
    entities: Mapping[str, list[str]]


def typed_queries(lake: Lake, dataset: str, split: str, group: str) -> list[TypedQuery]:
    """Return typed queries of the products of a split that have an entity of the group, by product id.

    Raises EiclipError where the lake has no such dataset.
    """
    tables, asked = ("products", "product_entities"), {"split": split, "group": group}
    rows = query_tables(lake, dataset, tables, read_sql("evaluation/typed_queries"), asked).to_pylist()
    return [TypedQuery(**row | {"entities": dict(row["entities"])}) for row in rows]


def linking_quality(linker: Linker, queries: Sequence[TypedQuery], group: str) -> dict[str, float]:
    """Return precision, recall and F1 of kept links of a group, over each query with the entity's words and without.

    Only entities of the vocabulary can be found, but those it lacks are counted as missed too. Without the words, no
    link is the correct answer, unless the description itself has a tagged entity's words. Precision is NaN without
    a link, recall without a query, F1 0 where no link is correct.
    """
    correct = wrong = 0
    for query in queries:
        for text, is_typed in ((query.text, True), (query.description, False)):
            links, _ = linker.link(text)
            found = {link.entity for link in links if link.kept and link.group == group}
            correct += is_typed and query.entity in found
            wrong += len(found - {query.entity, *query.entities.get(group, [])})
    return {
        "precision": correct / (correct + wrong) if correct + wrong else float("nan"),
        "recall": correct / len(queries) if queries else float("nan"),
        "f1": 2 * correct / (correct + wrong + len(queries)) if correct else 0.0,
    }


def linked_query_ranks(
    engine: SearchEngine,
    lake: Lake,
    seed: int,
    *,
    group: str,
    styles: pa.Table | None = None,
    groups: pa.Table | None = None,
) -> pa.Table:
    """Return ranks of typed queries among the test products, schema `eiclip.same_style.evaluate.RANKS_SCHEMA`.

    Three rows a variant: `<variant>, typed` reads the words alone, `<variant>, typed and linked` the entities that the
    linker keeps instead of their words, `<variant>, tags given` the description with all tags of the product, as the
    catalogue has it: what linking can come to at most.

    Args:
        engine, lake, seed: the variant, the lake of the same home, and what is recorded with the rows.
        group: the entity group whose words are written into the descriptions.
        styles: product_id, style_id. The other products of the style are relevant, and the product itself is ignored;
            products whose style has no other are no queries. None: the product itself is relevant, and its own
            description a part of what `t-m` compares with.
        groups: product_id, group_id of known duplicates (with `styles`): ignored.
    """
    index, variant = engine.index, engine.index.variant
    rows_N = index.rows_of_split("test")
    products = [index.product_ids[row] for row in rows_N]
    truth = Truth.of(products, pa.table({"product_id": [], "style_id": []}) if styles is None else styles, groups)
    others_N, place = truth.others(), {product: number for number, product in enumerate(products)}
    queries = [query for query in typed_queries(lake, index.dataset, "test", group) if query.product_id in place]
    if styles is not None:
        queries = [query for query in queries if others_N[place[query.product_id]]]
    query_Q = np.array([place[query.product_id] for query in queries], dtype=np.int64)
    same = {
        "product_id": [query.product_id for query in queries],
        # A product of no known style is a style of its own, and the one relevant product.
        "style_id": [truth.names[row] or products[row] for row in query_Q],
        "right": np.maximum(others_N[query_Q], 1),
    }
    ways = {
        TYPED: [Words(query.text[:MAX_QUERY], {}) for query in queries],
        LINKED: [engine.reader.linked(query.text[:MAX_QUERY]) for query in queries],
        TAGGED: [Words(query.description, dict(query.entities)) for query in queries],
    }
    parts = [RANKS_SCHEMA.empty_table()]
    for name, words in ways.items():
        vectors_QD = engine.encode_words(words)
        for pair, view in PAIRS.items():
            rank_Q = _ranks(vectors_QD, index.views[view][rows_N], truth, query_Q, styles is not None)
            row = {"dataset": index.dataset, "variant": f"{variant}, {name}", "seed": seed, "view_pair": pair}
            columns: dict[str, Any] = {column: [value] * len(queries) for column, value in row.items()}
            parts.append(pa.table(columns | same | {"rank": rank_Q.numpy()}, schema=RANKS_SCHEMA))
    return pa.concat_tables(parts)


@dataclass(frozen=True)
class ProductQueries:
    """Products of a split as queries ("more like this") among the others of the split; N of them in all."""

    engine: SearchEngine
    rows_N: np.ndarray
    """Their rows in the engine's index."""
    truth: Truth

    @classmethod
    def of(cls, engine: SearchEngine, split: str, styles: pa.Table, groups: pa.Table | None = None) -> Self:
        """Read which products are of one style: `styles` and `groups` as for `same_style_ranks`."""
        rows_N = engine.index.rows_of_split(split)
        return cls(engine, rows_N, Truth.of([engine.index.product_ids[row] for row in rows_N], styles, groups))

    @property
    def places(self) -> np.ndarray:
        """The places in `rows_N` of the queries (Q,): products whose style has another one."""
        return np.flatnonzero(self.truth.others())

    def signals(self, place: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the signals of the candidates of a query by name, and which of them are of its style.

        Candidates (C,) are the others, less the known duplicates of other styles.
        """
        kept_N = np.ones(len(self.rows_N), dtype=bool)
        kept_N[[place, *self.truth.ignored(np.array([place]))[:, 1]]] = False
        found = self.engine.products.like(int(self.rows_N[place]))
        signals = {name: value_N[self.rows_N[kept_N]] for name, value_N in found.items()}
        return signals, (self.truth.style_N == self.truth.style_N[place])[kept_N]


def hybrid_ranks(engine: SearchEngine, seed: int, styles: pa.Table, groups: pa.Table | None = None) -> pa.Table:
    """Rank each test product's best candidate of its style by photo, text, words and entities together.

    Ties count against the ranking. Schema `eiclip.same_style.evaluate.RANKS_SCHEMA`, of the variant `HYBRID`, pair m-m.

    Args:
        engine, seed: the model, and what is recorded with the rows.
        styles, groups: as for `eiclip.same_style.evaluate.same_style_ranks`.
    """
    queries, rows = ProductQueries.of(engine, "test", styles, groups), []
    truth, others_N = queries.truth, queries.truth.others()
    same = {"dataset": engine.index.dataset, "variant": HYBRID, "seed": seed, "view_pair": "m-m"}
    for place in queries.places.tolist():
        signals, relevant_C = queries.signals(place)
        rank = rank_of(engine.weights_like.scores(signals), relevant_C)
        of = {"product_id": truth.products[place], "style_id": truth.names[place]}
        rows.append(same | of | {"rank": rank, "right": int(others_N[place])})
    return pa.Table.from_pylist(rows, schema=RANKS_SCHEMA)


def rank_of(score_C: np.ndarray, relevant_C: np.ndarray) -> int:
    """Return the rank of the best relevant candidate; irrelevant ones that tie with it come first.

    >>> rank_of(np.array([0.5, 0.9, 0.5]), np.array([True, False, False]))
    3
    """
    best = float(score_C[relevant_C].max())
    return 1 + int(np.count_nonzero(score_C[~relevant_C] >= best - TIE * max(1, abs(best))))


def _ranks(
    query_QD: np.ndarray, candidate_ND: np.ndarray, truth: Truth, query_Q: np.ndarray, others: bool
) -> torch.Tensor:
    """Return the rank of each query's best relevant candidate (Q,): of its style's `others`, or itself."""
    sides = torch.from_numpy(query_QD), torch.from_numpy(candidate_ND)
    asked = torch.from_numpy(query_Q)
    if not others:
        return full_ranks(*sides, Relevance.of(asked, torch.arange(len(candidate_ND))))
    style_N = torch.from_numpy(truth.style_N)
    ignored_P2 = torch.from_numpy(truth.ignored(query_Q))
    return full_ranks(*sides, Relevance.of(style_N[asked], style_N, itself_Q=asked), ignored_P2)
