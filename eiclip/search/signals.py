"""What speaks for each product as an answer to a query: its words, its entities, its vectors.

Shape suffixes: N products, D embedding width.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from eiclip.search.fusion import ENTITY, Signals
from eiclip.search.index import SearchIndex
from eiclip.search.query import View
from eiclip.search.words import SYNONYMS, Tokenizer, WordIndex

VECTORS: Mapping[str, View] = {"photo": "image", "text": "text"}
"""Signals that are cosines of the query and a view of the product."""
MOST_EXACT = 200_000
"""Products that each query is compared with whole: more take longer than a shopper waits."""
DIRECTIONS, SAMPLE = 64, 20_000
"""Of a coarse view, and the products whose covariance decides them."""


class ProductSignals:
    """Signals of the products of an index. Threads may share it."""

    def __init__(self, index: SearchIndex, words: WordIndex) -> None:
        self.index, self.words = index, words

    @classmethod
    def of(cls, index: SearchIndex, synonyms: Path = SYNONYMS, kept: Path | None = None) -> Self:
        """Make the word index of an index's products, with a table of synonyms.

        With a folder `kept` it is read from there, where it was made of the same texts before.
        """
        facts = index.facts
        fields = {name: facts[name].to_pylist() for name in ("title", "description")}
        tags: list[list[str]] = [[] for _ in range(len(index))]
        for facet in index.described.values():
            names = list(facet.codes)
            for row, code in zip(facet.row_T.tolist(), facet.code_T.tolist(), strict=True):
                tags[row].append(names[code])
        texts, tokenizer = fields | {"tag": [" ".join(own) for own in tags]}, Tokenizer.open(synonyms)
        return cls(index, WordIndex(texts, tokenizer) if kept is None else WordIndex.kept(kept, texts, tokenizer))

    def of_entities(self, entities: Mapping[str, Sequence[str]]) -> Signals:
        """Return agreement by group: 0 where a product has all entities of a query, -1 where it has none of the group.

        Of a group of which products have one entity, one of several is all; of others -1 and more is for some of
        several. It is -2 where a product has only others, unless its texts say one asked for ("off white", tagged as
        white). Nothing is added to what agrees: a full answer scores alike whether or not a query has entities.
        """
        found = {}
        for group, names in entities.items():
            facet = self.index.facets.get(group)
            if facet is not None and names:
                having = [facet.having(name) for name in names]
                having_N = (np.max(having, axis=0) if facet.is_single else np.mean(having, axis=0)).astype(np.float32)
                says_N = np.logical_or.reduce([self.words.having_all(self.words.tokens(name)) for name in names])
                is_other_N = (having_N == 0) & facet.tagged & ~says_N
                found[ENTITY + group] = np.where(is_other_N, np.float32(-2), having_N - 1)
        return found

    def like(self, row: int) -> Signals:
        """Return signals of the products as answers to one of them: its own words, entities and vectors."""
        own = {group: facet.values_of(row) for group, facet in self.index.described.items()}
        cosines = {name: self.index.views[view] @ self.index.views[view][row] for name, view in VECTORS.items()}
        tokens = self.words.tokens(self._texts(row))
        return {**cosines, **self.of_entities(own), **(self.words.scores(tokens) if tokens else {})}

    def _texts(self, row: int) -> str:
        return " ".join(self.index.facts[name][row].as_py() or "" for name in ("title", "description"))

    def of_vector(self, vector_D: np.ndarray) -> Signals:
        """Return cosines of a query's vector with each product's photo and text.

        Of more than `MOST_EXACT` products they are near ones; `exact` has those of the products that matter.
        """
        if len(self.index) <= MOST_EXACT:
            return {name: self.index.views[view] @ vector_D for name, view in VECTORS.items()}
        return {name: coarse.cosines(vector_D) for name, coarse in self._coarse.items()}

    def exact(self, vector_D: np.ndarray, rows: np.ndarray) -> Signals:
        """Return the exact cosines (K,) of the products at `rows` (K,)."""
        return {name: self.index.views[view][rows] @ vector_D for name, view in VECTORS.items()}

    @cached_property
    def _coarse(self) -> dict[str, "CoarseView"]:
        return {name: CoarseView.of(self.index.views[view]) for name, view in VECTORS.items()}


class CoarseView(NamedTuple):
    """A view's main directions: K numbers a product in place of D, for cosines that are nearly right."""

    mean_D: np.ndarray
    direction_DK: np.ndarray
    view_NK: np.ndarray

    @classmethod
    def of(cls, view_ND: np.ndarray) -> Self:
        """Make one of unit vectors (N, D)."""
        sample_SD = view_ND[:: max(1, len(view_ND) // SAMPLE)]
        mean_D = sample_SD.mean(axis=0)
        _, direction_DD = np.linalg.eigh(np.cov(sample_SD, rowvar=False))  # of rising variance
        direction_DK = np.ascontiguousarray(direction_DD[:, -DIRECTIONS:], dtype=np.float32)
        return cls(mean_D, direction_DK, view_ND @ direction_DK - mean_D @ direction_DK)

    def cosines(self, vector_D: np.ndarray) -> np.ndarray:
        """Return nearly the cosines (N,) of a unit vector with each product."""
        cosine_N: np.ndarray = self.view_NK @ (vector_D @ self.direction_DK)
        return cosine_N + np.float32(vector_D @ self.mean_D)
