"""Retrieval with queries whose relevant products are known, by the measures of public leaderboards.

Each query is read in four ways (`READINGS`): as plain words and with the entities that the linker finds in it, compared
with vectors; by its words alone (BM25); and by all of these together. A product counts once, by the view that the index
has of it: `image` is the mean of its photos. docs/search.md says what the columns mean.

Shape suffixes: Q queries, N candidates, K relevant candidates, P relevant candidates that are looked at, W readings, M
measures, B bootstrap samples, D embedding width.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eiclip.errors import RawDataError
from eiclip.evaluation import bootstrap
from eiclip.evaluation.chance import FIRST, expected_shares
from eiclip.evaluation.ranking import TIE
from eiclip.readers.queries import QUERIES
from eiclip.search.engine import SearchEngine
from eiclip.search.index import SearchIndex
from eiclip.search.queries import ALL, PAIRS
from eiclip.search.query import MAX_QUERY, Query, View
from eiclip.search.reading import Words

PLAIN, LINKED, WORDS, HYBRID = "plain words", "linked entities", "words", "hybrid"
READINGS: Mapping[str, Query] = {
    PLAIN: Query("-", by="vectors", link=False),
    LINKED: Query("-", by="vectors"),
    WORDS: Query("-", by="words", link=False),
    HYBRID: Query("-", by="hybrid"),
}
"""How a query is read and what ranks the products, by name: a `Query` but for its words and view."""
DIFFERENCES = ((LINKED, PLAIN), (HYBRID, WORDS), (HYBRID, LINKED))
BETTER, CHANCE, BEST = "hybrid - better of the others", "chance", "best possible"
MEASURES = ("r1", "r10", "mrr10", "ndcg10", "p10")
"""Of a query, in percent: the share of its relevant products that are among the first 1 and 10; the reciprocal rank of
the first of them, 0 beyond ten; nDCG of the first ten, whose gains are the grades themselves (linear, as in trec_eval);
and the share of the first ten that is relevant."""
TAGS = "tags"  # of figures: the kinds `PAIRS` together
BATCH = 256  # queries that are encoded together

_NAMED = [(name, pa.string()) for name in ("dataset", "variant", "view", "kind", "reading")]
MEASURED = pa.schema(
    [*_NAMED, ("query", pa.string()), ("linked", pa.bool_())]
    + [(name, pa.int64()) for name in ("relevant", "candidates", "rank")]
    + [(name, pa.float64()) for name in (*MEASURES, "chance_ndcg10")]
)
_ENDS = ("", "_low", "_high")
FIGURES = pa.schema(
    [*_NAMED, *((name, pa.int64()) for name in ("queries", "linked", "candidates"))]
    + [(name + end, pa.float64()) for name in MEASURES for end in _ENDS]
)
_DISCOUNT_P = 1 / np.log2(np.arange(2, FIRST + 2))


class Asked(NamedTuple):
    """Queries whose relevant products are known, and the products that are ranked."""

    kinds: list[str]
    texts: list[str]
    relevant: list[np.ndarray]
    """Of each query the places (K,) of its relevant products in `rows_N`."""
    grades: list[np.ndarray]
    """How relevant each of these is (K,), from 1."""
    rows_N: np.ndarray
    """The candidates' rows in the index."""
    notes: list[str]
    """What was left out or cut, a sentence each."""

    @classmethod
    def of(cls, queries: pa.Table, index: SearchIndex, split: str = ALL, source: str = "the queries") -> Self:
        """Look up the products of `queries` (schema `QUERIES`) among those of a split of the index, or of all.

        Relevant products that are not there are not counted, and a query without any other is left out. A product that
        a query names several times has the highest of its grades. Those of grade 0 are as irrelevant as all others.

        Raises RawDataError, which names `source`, where no query is left.
        """
        rows_N = np.arange(len(index)) if split == ALL else index.rows_of_split(split)
        place_of = {index.product_ids[row]: place for place, row in enumerate(rows_N)}
        columns = (queries[name].to_pylist() for name in QUERIES.names)
        wanted: dict[tuple[str, str], dict[str, int]] = {}
        for kind, query, product, grade in zip(*columns, strict=True):
            own = wanted.setdefault((kind, query), {})
            own[product] = max(grade, own.get(product, 0))
        known = {
            asked: {place_of[own]: grade for own, grade in grades.items() if own in place_of and grade}
            for asked, grades in wanted.items()
        }
        there = f"the {len(rows_N):,} products of {index.dataset}{'' if split == ALL else f', split {split}'}"
        kept = {asked: grades for asked, grades in known.items() if grades}
        if not kept:
            look = f"ids look like {', '.join(index.product_ids[:3])}"
            raise RawDataError(
                f"{source}: none of {len(wanted):,} queries has a relevant product among {there}; {look}"
            )
        notes = []
        if absent := dict.fromkeys(own for ids in wanted.values() for own in ids if own not in place_of):
            notes.append(f"product ids that are not among {there}, and do not count: {_some(absent)}")
        if lost := [query for (kind, query) in wanted if (kind, query) not in kept]:
            notes.append(f"queries without a relevant product there, left out of {len(wanted):,}: {_some(lost)}")
        if cut := [query for _, query in kept if len(query) > MAX_QUERY]:
            notes.append(f"queries of which only the first {MAX_QUERY:,} characters are read: {_some(cut)}")
        kinds, texts = map(list, zip(*kept, strict=True))
        relevant = [np.fromiter(grades, np.int64) for grades in kept.values()]
        return cls(kinds, texts, relevant, [np.fromiter(g.values(), np.int64) for g in kept.values()], rows_N, notes)


def _some(names: Collection[str]) -> str:
    """How many there are, and the first three."""
    shown = [repr(name if len(name) <= 40 else f"{name[:39]}…") for name in islice(names, 3)]
    return f"{len(names):,} ({', '.join(shown + ['...'] * (len(names) > 3))})"


def judged(
    engine: SearchEngine, asked: Asked, view: View = "image", readings: Collection[str] = tuple(READINGS)
) -> pa.Table:
    """Measure each query in each reading by the model of `engine`; a row a query and reading, schema `MEASURED`.

    `linked` tells whether entities were found and read. Where there are none, the first two readings are the same.

    Args:
        asked: made with the engine's own index.
        view: of the candidates, where vectors alone rank them.
        readings: of `READINGS`.
    """
    index, places = engine.index, len(asked.rows_N)
    texts = [text[:MAX_QUERY] for text in asked.texts]
    linked = [engine.reader.linked(text) for text in texts]
    ideal = [_ideal(grade_K) for grade_K in asked.grades]
    chance = [
        100 * own.sum() / places * _DISCOUNT_P[:places].sum() / best
        for own, best in zip(asked.grades, ideal, strict=True)
    ]
    parts: dict[str, pa.Table] = {}
    for reading in readings:
        settings = READINGS[reading]
        rows, kept = list(range(len(texts))), None
        if reading == LINKED and PLAIN in parts:  # what has no entities is encoded once
            rows, kept = [n for n in rows if linked[n] != Words(texts[n], {})], parts[PLAIN]
        asks = [replace(settings, text=texts[n], view=view) for n in rows]
        batches = (asks[start : start + BATCH] for start in range(0, len(asks), BATCH))
        scores = (score_N[asked.rows_N] for batch in batches for score_N in engine.scores(batch))
        found = np.empty((1 + len(MEASURES), len(texts)))
        if kept is not None:
            found[:] = [kept[name] for name in ("rank", *MEASURES)]
        relevant, grades = ([own[n] for n in rows] for own in (asked.relevant, asked.grades))
        found[:, rows] = _measures(scores, relevant, grades, [ideal[n] for n in rows])
        named = [[value] * len(texts) for value in (index.dataset, index.variant, view)]
        facts = [
            asked.texts,
            [settings.link and bool(own.entities) for own in linked],
            [len(own) for own in asked.relevant],
        ]
        columns: list[Any] = [*named, asked.kinds, [reading] * len(texts), *facts, [places] * len(texts)]
        parts[reading] = pa.table([*columns, found[0].astype(np.int64), *found[1:], chance], schema=MEASURED)
    return pa.concat_tables(parts.values())


def _ideal(grade_K: np.ndarray) -> float:
    """The highest sum of discounted gains that any order has in its first ten places."""
    best_P = np.sort(grade_K)[::-1][:FIRST]
    return float(best_P @ _DISCOUNT_P[: len(best_P)])


def _measures(
    scores: Iterator[np.ndarray], relevant: Sequence[np.ndarray], grades: Sequence[np.ndarray], ideal: Sequence[float]
) -> np.ndarray:
    """Return the rank of each query's best relevant candidate, then its `MEASURES` in percent: (1 + M, Q).

    Ties count against the model: the j-th best relevant candidate has the rank j + the number of irrelevant candidates
    that score at least as high (less `TIE`), and of relevant ones that tie the least relevant come first.
    """
    found = np.empty((1 + len(MEASURES), len(relevant)))
    for query, (score_N, own_K, grade_K, best) in enumerate(zip(scores, relevant, grades, ideal, strict=True)):
        score_N = score_N.astype(np.float64)
        order_P = np.lexsort((grade_K, -score_N[own_K]))[:FIRST]
        score_P, grade_P = score_N[own_K][order_P], grade_K[order_P]
        score_N[own_K] = -np.inf
        least_P = score_P - TIE * np.maximum(1, np.abs(score_P))  # scores of words are no cosines
        others = np.partition(score_N, -FIRST)[-FIRST:] if len(score_N) > FIRST else score_N
        rank_P = np.arange(1, len(score_P) + 1) + (others >= least_P[:, None]).sum(axis=1)
        rank = 1 + (score_N >= least_P[0]).sum()
        is_first_P = rank_P <= FIRST
        gains = grade_P[is_first_P] @ _DISCOUNT_P[rank_P[is_first_P] - 1]
        shares = [(rank_P <= k).sum() / len(own_K) for k in (1, FIRST)]
        reciprocal = 1 / rank_P[0] if is_first_P[0] else 0
        measures_M = np.array([*shares, reciprocal, gains / best, is_first_P.sum() / FIRST])
        found[:, query] = rank, *(100 * measures_M)
    return found


def figures(measured: pa.Table, *, seed: int = 0, resamples: int = bootstrap.RESAMPLES) -> pa.Table:
    """Return means over the queries of each kind with 95 % bootstrap intervals over queries; schema `FIGURES`.

    Of each kind, and of the kinds of tags together (`TAGS`): the readings, their `DIFFERENCES`, what `HYBRID` has over
    the best of the others (`BETTER`, of each measure, chosen anew in each bootstrap sample), what a random order gives
    (exact, so without an interval), and the best that any order could give: with several relevant products the first
    place holds one of them at most.

    Args:
        measured: `judged` of one variant and view.
        seed, resamples: of the bootstrap.
    """
    kinds: dict[str, tuple[str, ...]] = {kind: (kind,) for kind in measured["kind"].unique().to_pylist()}
    if len(kinds.keys() & set(PAIRS)) > 1:
        kinds[TAGS] = PAIRS
    rows = []
    for name, among in kinds.items():
        own = measured.filter(pc.is_in(measured["kind"], pa.array(among)))
        rows += _figures_of(own, name, seed, resamples)
    return pa.Table.from_pylist(rows, schema=FIGURES)


def _figures_of(measured: pa.Table, kind: str, seed: int, resamples: int) -> list[dict[str, Any]]:
    """Return the rows of `figures` of one kind."""
    readings = measured["reading"].unique().to_pylist()
    asked = pc.binary_join_element_wise(measured["kind"], measured["query"], "\n")
    measures = [measured[name].to_numpy() for name in MEASURES]
    axes = pa.table({"asked": asked, "reading": measured["reading"]})
    _, sum_QWM, count_QW = bootstrap.sums_by(axes, measures, ("asked", "reading"), {"reading": readings})
    queries, value_WM = len(sum_QWM), sum_QWM.mean(axis=0)
    weights = bootstrap.cluster_weights(queries, seed=seed, resamples=resamples)
    drawn_BWM = bootstrap.resampled_means(sum_QWM, count_QW[:, 0], weights)
    place = {reading: number for number, reading in enumerate(readings)}
    pairs = [(one, other) for one, other in DIFFERENCES if one in place and other in place]
    names = [*readings, *(f"{one} - {other}" for one, other in pairs)]
    values, draws = [*value_WM], [drawn_BWM[:, n] for n in range(len(readings))]
    for one, other in pairs:
        values.append(value_WM[place[one]] - value_WM[place[other]])
        draws.append(drawn_BWM[:, place[one]] - drawn_BWM[:, place[other]])
    if HYBRID in place and len(place) > 1:
        others = [number for reading, number in place.items() if reading != HYBRID]
        names.append(BETTER)
        values.append(value_WM[place[HYBRID]] - value_WM[others].max(axis=0))
        draws.append(drawn_BWM[:, place[HYBRID]] - drawn_BWM[:, others].max(axis=1))
    low_WM, high_WM = bootstrap.interval(np.stack(draws, axis=1), clusters=queries)
    first = measured.slice(0, 1).to_pylist()[0]
    found = pc.count_distinct(pc.filter(asked, measured["linked"])).as_py()
    same = {name: first[name] for name in ("dataset", "variant", "view", "candidates")}
    same |= {"kind": kind, "queries": queries, "linked": found}
    columns = [name + end for end in _ENDS for name in MEASURES]
    rows = [
        same | {"reading": reading} | dict(zip(columns, np.concatenate(three).tolist(), strict=True))
        for reading, *three in zip(names, values, low_WM, high_WM, strict=True)
    ]
    known = list(zip(measured["candidates"].to_pylist(), measured["relevant"].to_pylist(), strict=True))
    chance = expected_shares(known) | {
        "ndcg10": pc.mean(measured["chance_ndcg10"]).as_py(),
        "p10": 100 * float(np.mean([own / there * min(1, there / FIRST) for there, own in known])),
    }
    own_Q = measured["relevant"].to_numpy()
    shares = {"r1": 1 / own_Q, "r10": np.minimum(1, FIRST / own_Q), "p10": np.minimum(1, own_Q / FIRST)}
    best = {"mrr10": 100.0, "ndcg10": 100.0} | {name: 100 * float(share_Q.mean()) for name, share_Q in shares.items()}
    return [*rows, same | {"reading": CHANCE} | chance, same | {"reading": BEST} | best]


def worst(measured: pa.Table, most: int, reading: str | None = None) -> pa.Table:
    """Return the `most` queries that a reading (the last one there is) finds least for; schema `MEASURED`, worst first.

    By nDCG@10, then by the rank of the best relevant product.
    """
    reading = reading or measured["reading"][-1].as_py()
    own = measured.filter(pc.equal(measured["reading"], reading))
    return own.sort_by([("ndcg10", "ascending"), ("rank", "descending"), ("query", "ascending")]).slice(0, most)
