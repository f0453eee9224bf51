"""The search itself: queries to vectors, vectors to products. Exact: every product is compared.

Shape suffixes: Q queries, N products, D embedding width.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np

from eiclip.errors import SettingsError
from eiclip.inference import EntityClip
from eiclip.readers.texts import normalise_entity
from eiclip.search.compose import composed, put_in, summed, taken_out, unit, without
from eiclip.search.index import SearchIndex
from eiclip.search.linking import Linker
from eiclip.search.photos import PhotoShelf
from eiclip.search.query import MAX_QUERY, VIEWS, Answer, Hit, Query
from eiclip.search.reading import Reader, ReadQuery, Words
from eiclip.storage.home import Paths


class SearchEngine:
    """Search among one dataset's products under one variant. Opened once, asked many times, by several threads."""

    def __init__(self, index: SearchIndex, model: EntityClip, linker: Linker, shelf: PhotoShelf) -> None:
        if model.width != index.width:
            raise SettingsError(
                f"the model's embeddings have {model.width} numbers, the index's {index.width}: "
                "they are of two models; materialise product_views again"
            )
        self.index, self.model, self.shelf = index, model, shelf
        self.reader = Reader(model, linker)
        self._mean_D = index.views["joint"].mean(axis=0)

    @classmethod
    def open(cls, home: Path | str, dataset: str, variant: str, device: str = "cpu") -> Self:
        """Open the engine of a home's dataset and variant; views that no job has made are made now (minutes, once).

        Raises:
            EiclipError: there is no such home, dataset or variant.
        """
        paths = Paths(Path(home))
        index = SearchIndex.open(paths.root, dataset, variant, device)
        model = EntityClip.from_folder(paths.checkpoint(dataset, variant), device)
        return cls(index, model, Linker.open(paths.lake, dataset, model.groups), PhotoShelf(paths.shards(dataset)))

    def photo(self, product_id: str) -> bytes:
        """Return the JPEG bytes of a product's first photo. Raises SettingsError where there is none."""
        return self.shelf.photo(product_id)

    def search(self, query: Query) -> Answer:
        """Return the products nearest to a query, best first.

        Raises:
            SettingsError: the product, an entity group or a facet asked for does not exist.
            RawDataError: the photo is none.
        """
        return self.search_many([query])[0]

    def search_many(self, queries: Sequence[Query]) -> list[Answer]:
        """Return the answers of several queries, encoded together. Raises as `search`."""
        start = time.perf_counter()
        reads = [self.reader.read(query) for query in queries]
        answers = [self._answer(read, vector_D) for read, vector_D in zip(reads, self.vectors(reads), strict=True)]
        seconds = time.perf_counter() - start
        return [replace(answer, seconds=seconds) for answer in answers]

    def encode_words(self, words: Sequence[Words]) -> np.ndarray:
        """Return unit vectors (N, D) of texts with their entities."""
        entities = [own.entities if self.reader.reads_entities else {} for own in words]
        return self.model.encode_text([own.text for own in words], entities)

    def vectors(self, reads: Sequence[ReadQuery]) -> list[np.ndarray]:
        """Return the vector (D,) that each query's products are compared with."""
        photos = {n: read.query.image for n, read in enumerate(reads) if read.query.image is not None}
        images = dict(zip(photos, self.model.encode_image(list(photos.values())), strict=True))
        wanted = {n: read.words for n, read in enumerate(reads) if not read.words.empty}
        unwanted = {n: read.negative for n, read in enumerate(reads) if not read.negative.empty}
        encoded_ND = self.encode_words([*wanted.values(), *unwanted.values()])
        words = dict(zip(wanted, encoded_ND, strict=False))
        negatives = dict(zip(unwanted, encoded_ND[len(wanted) :], strict=True))
        return [self._vector(read, images.get(n), words.get(n), negatives.get(n)) for n, read in enumerate(reads)]

    def _vector(
        self, read: ReadQuery, image_D: np.ndarray | None, words_D: np.ndarray | None, negative_D: np.ndarray | None
    ) -> np.ndarray:
        """One query's vector (D,), of what of it was encoded."""
        seen_D, fuse = image_D, self.model.encode_joint
        if read.query.product_id is not None:
            product_D = self.index.views["joint"][self.index.row(read.query.product_id)]
            # A product's joint view holds words already: to fuse it with more is what no model was trained for.
            seen_D, fuse = product_D if image_D is None else unit(image_D + product_D), summed
        if seen_D is not None and words_D is not None:
            vector_D = composed(seen_D, words_D, read.query.image_weight, fuse)
        elif seen_D is not None:
            vector_D = seen_D
        elif words_D is not None:
            vector_D = words_D
        else:
            raise SettingsError(
                "nothing to search by: the entities given say nothing; give words, a photo or a product"
            )
        if negative_D is not None:
            vector_D = without(vector_D, negative_D)
        return self._restyled(vector_D, read)

    def _restyled(self, vector_D: np.ndarray, read: ReadQuery) -> np.ndarray:
        """The vector with attributes taken out, then others put in."""
        for change, attributes in ((taken_out, read.query.remove), (put_in, read.query.add)):
            for group, entity in attributes.items():
                has_ND = self.index.views["joint"][self._having(group, entity, read)]
                if len(has_ND):
                    vector_D = change(vector_D, has_ND, self._mean_D)
        return unit(vector_D)

    def _having(self, group: str, value: str, read: ReadQuery) -> np.ndarray:
        """Which products (N,) have a value of a facet; a value that none has becomes one of `read.unknown`."""
        if group not in self.index.facets:
            there = ", ".join(sorted(self.index.facets))
            raise SettingsError(f"products of {self.index.dataset} have no {group!r}; they have: {there}")
        facet, name = self.index.facets[group], normalise_entity(value[:MAX_QUERY])
        if name not in facet.codes and name not in read.unknown.setdefault(group, []):
            read.unknown[group].append(name)
        return facet.products(name)

    def _candidates(self, read: ReadQuery) -> np.ndarray | None:
        """Which products (N,) a query's filters leave, never the product asked about; None: all."""
        query = read.query
        if not query.filters and query.product_id is None:
            return None
        left_N = np.ones(len(self.index), dtype=bool)
        for group, values in query.filters.items():
            if values:
                left_N &= np.any([self._having(group, value, read) for value in values], axis=0)
        if query.product_id is not None:
            left_N[self.index.row(query.product_id)] = False
        return left_N

    def nearest(self, read: ReadQuery, vector_D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of the products nearest to a query's vector (D,), best first, and their scores."""
        score_N = self.index.views[read.query.view] @ vector_D
        rows = best(score_N, read.query.top, self._candidates(read))
        return rows, score_N[rows]

    def _answer(self, read: ReadQuery, vector_D: np.ndarray) -> Answer:
        """The answer of a query whose vector is known."""
        rows, scores = self.nearest(read, vector_D)
        if not len(rows):
            read.notes.append("the filters leave no product")
        entities = read.words.entities
        gates = self.model.gates(entities)[0] if self.model.model.fusion is not None and entities else {}
        return Answer(self._hits(rows, scores, vector_D), read.links, read.unknown, entities, gates, read.notes, 0.0)

    def _hits(self, rows: np.ndarray, scores: np.ndarray, vector_D: np.ndarray) -> list[Hit]:
        """The products at `rows` with their facts."""
        by_view = {view: (self.index.views[view][rows] @ vector_D).tolist() for view in VIEWS}
        facts = self.index.facts_of(rows.tolist())
        return [
            Hit(
                rank=place + 1,
                product_id=fact["product_id"],
                score=score,
                by_view={view: by_view[view][place] for view in VIEWS},
                title=fact["title"] or "",
                description=fact["description"] or "",
                category=fact["category"] or "",
                entities=fact["entities"],
                price=fact["price"],
                image_id=fact["image_id"] or "",
            )
            for place, (score, fact) in enumerate(zip(scores.tolist(), facts, strict=True))
        ]


def best(score_N: np.ndarray, top: int, left_N: np.ndarray | None = None) -> np.ndarray:
    """Return the rows of the `top` highest scores, best first, of the rows that are left; ties in the rows' order.

    >>> best(np.array([0.1, 0.9, 0.5, 0.9]), 3).tolist()
    [1, 3, 2]
    """
    rows = np.arange(len(score_N)) if left_N is None else np.flatnonzero(left_N)
    score = score_N if left_N is None else score_N[rows]
    chosen = np.arange(len(rows))
    if top < len(rows):
        least = np.partition(score, len(rows) - top)[len(rows) - top]
        above, equal = np.flatnonzero(score > least), np.flatnonzero(score == least)
        chosen = np.concatenate([above, equal[: top - len(above)]])
    order = np.lexsort((chosen, -score[chosen]))
    return np.asarray(rows[chosen[order]])
