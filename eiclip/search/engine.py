"""The search itself: queries to vectors, vectors to products. Exact: every product is compared.

Shape suffixes: Q queries, N products, D embedding width.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import SettingsError
from eiclip.inference import EntityClip
from eiclip.search.compose import EMPHASIS, composed, restyled, summed, unit, without
from eiclip.search.filters import Filters, having, page, rows_needed
from eiclip.search.fusion import ENTITY, MATCH, WEIGHTS, WEIGHTS_TABLE, Signals, Weights
from eiclip.search.index import SearchIndex
from eiclip.search.kept import KeptTexts
from eiclip.search.linking import Linker
from eiclip.search.photos import PhotoShelf
from eiclip.search.query import MAX_QUERY, VIEWS, Answer, Hit, Query
from eiclip.search.reading import Reader, ReadQuery, Words
from eiclip.search.rerank import NO_HOME, Reranker, reordered
from eiclip.search.signals import MOST_EXACT, VECTORS, ProductSignals
from eiclip.search.words import COVERAGE, SYNONYMS, synonym_table, without_purpose
from eiclip.storage.home import Paths

FACTS_SHOWN = ("product_id", "entities", "price", "currency", "available", "link", "attributes")
REFINED = 5_000
"""Products that get exact cosines where all have nearly right ones (`MOST_EXACT`)."""


class Found(NamedTuple):
    """Rows of the products found, best first, with their scores; how many are matches and are left, and values."""

    rows: np.ndarray
    scores: np.ndarray
    matches: int | None
    total: int
    facets: dict[str, list[tuple[str, int]]]


class SearchEngine:
    """Search among one dataset's products under one variant. Opened once, asked many times, by several threads."""

    def __init__(
        self,
        index: SearchIndex,
        model: EntityClip,
        linker: Linker,
        shelf: PhotoShelf,
        weights: pa.Table | None = None,
        synonyms: Path = SYNONYMS,
        kept: Path | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        width = index.views["joint"].shape[1]
        if model.width != width:
            widths = f"the model's embeddings have {model.width} numbers, the index's {width}"
            raise SettingsError(f"{widths}: they are of two models; materialise product_views again")
        self.index, self.model, self.shelf = index, model, shelf
        columns = {name: facet.codes for name, facet in index.facets.items() if name not in model.groups}
        self.reader = Reader(model, linker, columns)
        self._mean_D = index.views["joint"].mean(axis=0)
        self.use_weights(WEIGHTS.empty_table() if weights is None else weights)
        self._synonyms, self._kept, self._reranker = synonyms, kept, reranker

    def use_weights(self, table: pa.Table) -> None:
        """Rank by the weights of a table `search_weights`; by the defaults where it has none."""
        self.weights, self.weights_like = Weights.of_table(table, "words"), Weights.of_table(table, "product")

    @cached_property
    def products(self) -> ProductSignals:
        """What speaks for the products: made when it is first needed, a second or two for 10,000 products."""
        return ProductSignals.of(self.index, self._synonyms, self._kept)

    @classmethod
    def open(cls, home: Path | str, dataset: str, variant: str, device: str = "cpu", *, keep: bool = False) -> Self:
        """Open the engine of a home's dataset and variant; views that no job has made are made now (minutes, once).

        The model's weights are loaded when something is encoded first; `keep` keeps the vectors of texts in the home.

        Raises EiclipError where there is no such home, dataset or variant.
        """
        paths = Paths(Path(home))
        index = SearchIndex.open(paths.root, dataset, variant, device)
        model, kept = EntityClip(paths.checkpoint(dataset, variant), device), paths.search_index(dataset, variant)
        writable = os.access(paths.root, os.W_OK)
        if keep and writable:
            model = KeptTexts(paths.checkpoint(dataset, variant), kept.with_suffix(".texts"), device)
        linker, shelf = Linker.open(paths.lake, dataset, model.groups), PhotoShelf(paths.shards(dataset))
        learned = paths.lake.path(WEIGHTS_TABLE, dataset, variant)
        weights = pq.ParquetFile(learned).read() if learned.is_file() else None
        words = kept.with_suffix(".words") if writable else None
        reranker = Reranker(paths, dataset, variant, index.product_ids, device)
        return cls(index, model, linker, shelf, weights, synonym_table(paths), words, reranker)

    @property
    def reranked(self) -> int | None:
        """How many of the first answers `Query.rerank` scores again; None where it cannot be asked for."""
        return None if self._reranker is None or self._reranker.why_not else self._reranker.first

    def photo(self, product_id: str) -> bytes:
        """Return the JPEG bytes of a product's first photo. Raises SettingsError where there is none."""
        return self.shelf.photo(product_id)

    def search(self, query: Query) -> Answer:
        """Return the products nearest to a query, best first.

        Raises SettingsError where a product, entity group or facet asked for does not exist, or nothing can be
        re-ranked; RawDataError for a photo.
        """
        return self.search_many([query])[0]

    def search_many(self, queries: Sequence[Query]) -> list[Answer]:
        """Return the answers of several queries, encoded together. Raises as `search`."""
        start = time.perf_counter()
        for query in queries:  # what is wrong is told before anything is encoded
            self._check(query)
        reads = [self.reader.read(query) for query in queries]
        answers = [self._answer(read, vector_D) for read, vector_D in zip(reads, self.vectors(reads), strict=True)]
        seconds = time.perf_counter() - start
        return [replace(answer, seconds=seconds) for answer in answers]

    def scores(self, queries: Sequence[Query]) -> Iterator[np.ndarray]:
        """Return each query's scores (N,) of all products, higher is nearer, whatever its filters. Raises as `search`.

        Queries are encoded together; scores are made one query at a time.
        """
        reads = [self.reader.read(query) for query in queries]
        has_vector = [read.query.by != "words" or not read.spelt for read in reads]
        vectors = iter(self.vectors([read for read, has in zip(reads, has_vector, strict=True) if has]))
        for read, has in zip(reads, has_vector, strict=True):
            yield self._scores(read, next(vectors) if has else self._mean_D)

    def signals(self, read: ReadQuery, vector_D: np.ndarray) -> Signals:
        """Return what speaks for each product, by name (N,), of a query whose vector (D,) is known.

        What is not wanted speaks against those that have it. Beside a photo or product, words count by their share, and
        the vector, which is of both, is compared with the view asked for.
        """
        query = read.query
        found = dict(self._named(read.spelt, read.entities))
        for name, value_N in self._named(read.spelt_unwanted, read.unwanted).items():
            has_N = np.maximum(value_N + 1, 0) if name.startswith(ENTITY) else value_N * self._countable_N(read)
            found[name] = found.get(name, np.float32(0)) - has_N
        if query.image is not None or query.product_id is not None:
            share = np.float32(min(1.0, 2 * (1 - query.image_weight)))
            seen_N = self.index.views[query.view] @ vector_D
            return {name: share * value_N for name, value_N in found.items()} | dict.fromkeys(VECTORS, seen_N)
        return {**found, **self.products.of_vector(vector_D)}

    def _countable_N(self, read: ReadQuery) -> np.ndarray:
        """Return which products (N,) unwanted words count against: not what is itself "made without laces"."""
        phrases = [own.words for own in read.constraints if own.kind == "not" and not own.group]
        return np.array([True]) if not phrases or read.query.negative else ~self.index.containing(phrases)

    def _named(self, text: str, entities: Mapping[str, list[str]]) -> Signals:
        """Return the signals of words and of entities."""
        words = self.products.words
        tokens = words.tokens(without_purpose(text, words.knows))
        return {**self.products.of_entities(entities), **(words.scores(tokens) if tokens else {})}

    def _scores(self, read: ReadQuery, vector_D: np.ndarray) -> np.ndarray:
        """Return one query's scores (N,) of all products: log-odds under `hybrid` where it has words or entities.

        Of alternatives ("nike or puma shoes") the one that a product answers best counts.
        """
        if read.alternatives:
            others = [read._replace(spelt=spelt, entities=own, alternatives=[]) for spelt, own in read.alternatives]
            scores = [self._scores(own, vector_D) for own in [read._replace(alternatives=[]), *others]]
            return np.asarray(np.max(scores, axis=0))
        match self._ranked_by(read):
            case "like":
                return self.weights_like.scores(self.products.like(self.index.row(str(read.query.product_id))))
            case "hybrid":
                return self._hybrid(read, vector_D)
            case "words":
                found = self._named(read.spelt, {})
                return np.asarray(sum(score_N for name, score_N in found.items() if name != COVERAGE))
            case "vectors":
                return np.asarray(self.index.views[read.query.view] @ vector_D)

    def _ranked_by(self, read: ReadQuery) -> Literal["like", "hybrid", "words", "vectors"]:
        """Return what ranks the products; `like`: by signals of their own, as answers to a product."""
        query = read.query
        # Weights that were not learned are worse than vectors alone here: MRR 91.1 against 95.4 on H&M's styles.
        is_like = query.product_id is not None and _asks_for_the_like(query, read)
        if query.by == "hybrid" and is_like and self.weights_like.queries:
            return "like"
        return query.by if read.spelt else "vectors"

    def _hybrid(self, read: ReadQuery, vector_D: np.ndarray) -> np.ndarray:
        signals = self.signals(read, vector_D)
        score_N = self.weights.scores(signals)
        if len(self.index) > MOST_EXACT and self._is_calibrated(read):
            # By nearly right cosines: the best are scored anew.
            rows = best(score_N, REFINED)
            exact = self.products.exact(vector_D, rows)
            score_N[rows] += self.weights.scores({name: exact[name] - signals[name][rows] for name in exact})
            score_N[rows] -= np.float32(self.weights.constant)
        return score_N

    @staticmethod
    def _is_calibrated(read: ReadQuery) -> bool:
        """Whether scores are calibrated: of a query of words and entities alone, ranked by all signals."""
        query = read.query
        return query.by == "hybrid" and bool(read.spelt) and query.image is None and query.product_id is None

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
        """Return one query's vector (D,), of what of it was encoded."""
        query, joint_ND = read.query, self.index.views["joint"]
        seen_D, fuse = image_D, self.model.encode_joint
        if query.product_id is not None:
            product_D = joint_ND[self.index.row(query.product_id)]
            # A product's joint view holds words already: to fuse it with more is what no model was trained for.
            seen_D, fuse = product_D if image_D is None else unit(image_D + product_D), summed
        if seen_D is not None and words_D is not None:
            vector_D = composed(seen_D, words_D, query.image_weight, fuse)
        elif seen_D is not None:
            vector_D = seen_D
        elif words_D is not None:
            vector_D = words_D
        else:
            raise SettingsError("nothing to search by: the entities given say nothing; give words, a photo, a product")
        if negative_D is not None:
            vector_D = without(vector_D, negative_D)
        for emphasis, attributes in ((0.0, query.remove), (EMPHASIS, query.add)):
            for group, entity in attributes.items():
                has_ND = joint_ND[having(self.index, group, [entity], read.unknown, read.notes)]
                if len(has_ND):
                    vector_D = restyled(vector_D, has_ND, self._mean_D, emphasis)
        return unit(vector_D)

    def _check(self, query: Query) -> None:
        """Raise SettingsError where a product or facet that a query names does not exist."""
        if query.product_id is not None:
            self.index.row(query.product_id)
        for group in (*query.filters, *query.remove, *query.add):
            self.index.facet(group)
        if query.rerank and (why_not := NO_HOME if self._reranker is None else self._reranker.why_not):
            raise SettingsError(f"rerank: {why_not}")

    def nearest(self, read: ReadQuery, vector_D: np.ndarray) -> Found:
        """Return the best products of those that a query's filters leave, in its order; adds to its notes."""
        query, filters = read.query, Filters.of(read.query, self.index, read.unknown, read.notes)
        filters.keep_constraints(read.constraints)
        left_N, score_N, matches, match_N = filters.left_N, self._scores(read, vector_D), None, None
        first, plain_N = np.zeros(0, dtype=np.int64), score_N
        if query.rerank:
            first, score_N = self._rescored(read, score_N, left_N)
        if is_calibrated := self._is_calibrated(read):
            match_N = score_N >= MATCH
            matches = int(np.count_nonzero(match_N if left_N is None else match_N & left_N))
        rows = best(plain_N, rows_needed(query, matches), left_N)
        rows[: len(first)] = first[: len(rows)]
        rows = page(rows, query, self.index, filters.total, matches, read.notes)
        scores = 1 / (1 + np.exp(-score_N[rows])) if is_calibrated else score_N[rows]
        counts = filters.counts(match_N if matches else None) if query.facets else {}  # shoppers look at matches
        return Found(rows, scores, matches, filters.total, counts)

    def _rescored(
        self, read: ReadQuery, score_N: np.ndarray, left_N: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of the first products (K,) in the cross-encoder's order, and all scores (N,); adds a note.

        What comes after them stays there, and no score of the first falls below it.
        """
        assert self._reranker is not None
        weight = self._photo_weight(read)
        if not weight:
            read.notes.append("photos count for nothing in what ranks here: nothing was re-ranked")
            return np.zeros(0, dtype=np.int64), score_N
        rows = best(score_N, self._reranker.first + 1, left_N)
        first, next_one = rows[: self._reranker.first], rows[self._reranker.first :]
        if not len(first):
            return first, score_N
        worth_K = self._worth(self._reranker, read, first)
        floor = float(score_N[next_one[0]]) if len(next_one) else -np.inf
        order_K, new_K = reordered(score_N[first], weight * worth_K, floor)
        found_N = score_N.copy()
        found_N[first[order_K]] = new_K
        count = int(np.count_nonzero(~np.isnan(worth_K)))
        which = f"{count:,} of the first" if count < len(first) else "the first"
        stay = "; the others have no photo here and keep their place" if count < len(first) else ""
        read.notes.append(f"{which} {len(first):,} products were re-ranked{stay}")
        return first[order_K], found_N

    def _photo_weight(self, read: ReadQuery) -> float:
        """Return what a cosine with a product's photo weighs in a query's scores."""
        match self._ranked_by(read):
            case "like":
                return self.weights_like.weight("photo")
            case "hybrid":
                return self.weights.weight("photo")
            case "words":
                return 0.0
            case "vectors":
                return 1.0

    def _worth(self, reranker: Reranker, read: ReadQuery, rows_K: np.ndarray) -> np.ndarray:
        """Return what the cross-encoder finds of the products at `rows_K` (K,): by words where there are any, of the
        query or of the product that is asked for; else by the photo.
        """
        words, query = read.words, read.query
        asked = None if query.product_id is None else self.index.row(query.product_id)
        if words.empty and asked is not None:
            [words] = self._words_of([asked])
        if not words.empty:
            return reranker.of_words(words, rows_K)
        photo = asked if query.image is None else query.image
        assert photo is not None
        return reranker.of_photo(photo, self._words_of(rows_K.tolist()), self.index.views["text"][rows_K])

    def _words_of(self, rows: Sequence[int]) -> list[Words]:
        """Return the texts of products, as training read them."""
        return [Words(fact["description"] or "", fact["entities"]) for fact in self.index.facts_of(rows)]

    def _answer(self, read: ReadQuery, vector_D: np.ndarray) -> Answer:
        """Return the answer of a query whose vector is known."""
        rows, scores, matches, total, facets = self.nearest(read, vector_D)
        query, lost = read.query, self._not_understood(read)
        if query.text.strip() and not (read.spelt or read.constraints or query.image or query.product_id):
            read.notes.append("there is no word in the query; these are the nearest by look")
        by_view = {view: (self.index.views[view][rows] @ vector_D).tolist() for view in VIEWS}
        hits = []
        for place, fact in enumerate(self.index.facts_of(rows.tolist())):
            own: dict[str, Any] = {name: fact[name] for name in FACTS_SHOWN}
            own |= {name: fact[name] or "" for name in ("title", "description", "category", "image_id")}
            views = {view: cosines[place] for view, cosines in by_view.items()}
            rank = read.query.offset + place + 1
            hits.append(Hit(rank=rank, score=float(scores[place]), by_view=views, **own))
        entities = read.words.entities
        gates = self.model.gates(entities)[0] if self.model.variant.gates != "none" and entities else {}
        return Answer(
            hits,
            read.links,
            read.unknown,
            entities,
            gates,
            read.notes,
            lost,
            read.constraints,
            matches,
            0.0,
            total,
            facets,
        )

    def _not_understood(self, read: ReadQuery) -> list[str]:
        """Return the words of a query, as typed, that no product has and neither a link nor a constraint is of."""
        text, known = read.query.text[:MAX_QUERY], self.products.words.knows
        spans = [(own.start, own.end) for own in read.links if own.kept]
        for start, end in spans + [(own.start, own.end) for own in read.constraints]:
            text = f"{text[:start]}{' ' * (end - start)}{text[end:]}"
        return [word for word in dict.fromkeys(text.split()) if not known(word)]


def _asks_for_the_like(query: Query, read: ReadQuery) -> bool:
    """Whether a query is a product and nothing that changes what is looked for."""
    return query.image is None and not (read.spelt or not read.negative.empty or query.add or query.remove)


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
