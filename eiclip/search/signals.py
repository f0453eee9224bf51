"""What speaks for each product as an answer to a query: its words, its entities, its vectors.

Shape suffixes: N products, D embedding width.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from eiclip.search.fusion import ENTITY, Signals
from eiclip.search.index import SearchIndex
from eiclip.search.query import View
from eiclip.search.words import SYNONYMS, Tokenizer, WordIndex

VECTORS: Mapping[str, View] = {"photo": "image", "text": "text"}
"""Signals that are cosines of the query and a view of the product."""


class ProductSignals:
    """Signals of the products of an index. Threads may share it."""

    def __init__(self, index: SearchIndex, words: WordIndex) -> None:
        self.index, self.words = index, words

    @classmethod
    def of(cls, index: SearchIndex, synonyms: Path = SYNONYMS) -> Self:
        """Make the word index of an index's products, with a table of synonyms."""
        facts = index.facts
        fields = {name: facts[name].to_pylist() for name in ("title", "description")}
        tags: list[list[str]] = [[] for _ in range(len(index))]
        for facet in index.facets.values():
            names = list(facet.codes)
            for row, code in zip(facet.row_T.tolist(), facet.code_T.tolist(), strict=True):
                tags[row].append(names[code])
        return cls(index, WordIndex(fields | {"tag": [" ".join(own) for own in tags]}, Tokenizer.open(synonyms)))

    def of_entities(self, entities: Mapping[str, Sequence[str]]) -> Signals:
        """Return agreement by group: the share of a query's entities that a product has, -1 if it has only others.

        A product without any entity of the group neither agrees nor disagrees: 0.
        """
        found = {}
        for group, names in entities.items():
            facet = self.index.facets.get(group)
            if facet is not None and names:
                having_N = np.mean([facet.having(name) for name in names], axis=0, dtype=np.float32)
                found[ENTITY + group] = np.where((having_N == 0) & facet.tagged, np.float32(-1), having_N)
        return found

    def like(self, row: int) -> Signals:
        """Return signals of the products as answers to one of them: its own words, entities and vectors."""
        own = {group: facet.values_of(row) for group, facet in self.index.facets.items()}
        cosines = {name: self.index.views[view] @ self.index.views[view][row] for name, view in VECTORS.items()}
        tokens = self.words.tokens(self._texts(row))
        return {**cosines, **self.of_entities(own), **(self.words.scores(tokens) if tokens else {})}

    def _texts(self, row: int) -> str:
        return " ".join(self.index.facts[name][row].as_py() or "" for name in ("title", "description"))

    def of_vector(self, vector_D: np.ndarray) -> Signals:
        """Return cosines of a query's vector with each product's photo and text."""
        return {name: self.index.views[view] @ vector_D for name, view in VECTORS.items()}
