"""Text-to-image retrieval with queries and their relevant products from a file, by the measures of public leaderboards.

Each query is read twice: as plain words, and with the entities that the linker finds in it. A product counts once, by
the view that the index has of it: `image` is the mean of its photos. docs/search.md says what the columns mean.

Shape suffixes: Q queries, N candidates, K relevant candidates, W readings, M measures, B bootstrap samples or queries
of a chunk, D embedding width.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from eiclip.errors import RawDataError
from eiclip.evaluation import bootstrap
from eiclip.evaluation.chance import FIRST, expected_shares
from eiclip.evaluation.ranking import TIE
from eiclip.readers.cells import UnusableRowError
from eiclip.readers.table.files import JsonlTable, is_parquet, open_table
from eiclip.search.engine import SearchEngine
from eiclip.search.index import SearchIndex
from eiclip.search.query import MAX_QUERY, View
from eiclip.search.reading import Words

PLAIN, LINKED, DIFFERENCE, CHANCE, BEST = "plain words", "linked entities", "linked - plain", "chance", "best possible"
MEASURES = ("r1", "r10", "mrr10")
"""Of a query, in percent: the share of its relevant products that are among the first 1 and 10, and the reciprocal rank
of the first of them, 0 beyond ten."""
ALL = "all"  # splits
CHUNK_BYTES = 64 << 20

QUERIES = pa.schema([("query", pa.string()), ("product_id", pa.string())])
_NAMED = [(name, pa.string()) for name in ("dataset", "variant", "view", "reading")]
MEASURED = pa.schema(
    [*_NAMED, ("query", pa.string()), ("linked", pa.bool_()), ("relevant", pa.int64()), ("candidates", pa.int64())]
    + [(name, pa.float64()) for name in MEASURES]
)
_ENDS = ("", "_low", "_high")
FIGURES = pa.schema(
    [*_NAMED, *((name, pa.int64()) for name in ("queries", "linked", "candidates"))]
    + [(name + end, pa.float64()) for name in MEASURES for end in _ENDS]
)


def read_queries(path: Path | str) -> pa.Table:
    """Read queries and their relevant products from CSV, JSONL or Parquet, gzipped or plain; schema `QUERIES`.

    A row is a query and a relevant product (`query`, `product_id`); the other relevant products of the query have rows
    of their own, or are in a list (JSONL: `product_ids`). Blank lines do not count.

    Raises RawDataError where the file cannot be read, or a row has no query or no product: says which.
    """
    path, columns = Path(path), ("query", "product_id")
    is_parquet(path, "QUERIES")  # says what is wrong where there is no file
    table = open_table(path, columns, photo="query")  # a column of the table as any other
    where = "line" if isinstance(table, JsonlTable) else "row"
    if isinstance(table, JsonlTable):
        table = replace(table, wanted=("query",))
    found = []
    for number, row in enumerate(table.rows(), start=1):
        place = f"{path}: {where} {number}"
        if isinstance(row, UnusableRowError):
            if str(row).startswith("blank"):
                continue
            raise RawDataError(f"{place}: {row}; mend it, or leave it out")
        given = row.get("product_ids", row.get("product_id"))
        query, ids = _text(row.get("query")), [_text(own) for own in (given if isinstance(given, list) else [given])]
        if not query:
            raise RawDataError(f"{place}: no query; write its words in 'query', or leave the {where} out")
        if not ids or not all(ids):
            raise RawDataError(f"{place}: no product for {query[:60]!r}; write its id in 'product_id'")
        found += [(query, own) for own in ids]
    if not found:
        raise RawDataError(f"{path}: no queries; write a query and the id of a relevant product in each row")
    return pa.table(list(zip(*found, strict=True)), schema=QUERIES)


def _text(cell: Any) -> str:
    """A cell as text; '' for what is neither text nor number."""
    if isinstance(cell, float) and cell.is_integer():  # a column of whole numbers with gaps is one of floats
        cell = int(cell)
    return str(cell).strip() if isinstance(cell, str | int | float) else ""


def name_queries(index: SearchIndex, split: str) -> pa.Table:
    """Return the names (titles) of a split's products as queries; schema `QUERIES`, by name.

    All products of the index that have the name are relevant, whatever their split. Products without one are left out.

    Raises RawDataError where no product of the split has a name.
    """
    titles = [title or "" for title in index.facts["title"].to_pylist()]
    names = {titles[row] for row in index.rows_of_split(split)} - {""}
    if not names:
        raise RawDataError(f"{index.dataset}: no product of the split {split!r} has a title; give a file of queries")
    found = sorted((title, own) for title, own in zip(titles, index.product_ids, strict=True) if title in names)
    return pa.table(list(zip(*found, strict=True)), schema=QUERIES)


class Asked(NamedTuple):
    """Queries whose relevant products are known, and the products that are ranked."""

    texts: list[str]
    relevant: list[np.ndarray]
    """Of each query the places (K,) of its relevant products in `rows_N`."""
    rows_N: np.ndarray
    """The candidates' rows in the index."""
    notes: list[str]
    """What was left out or cut, a sentence each."""

    @classmethod
    def of(cls, queries: pa.Table, index: SearchIndex, split: str = ALL, source: str = "the queries") -> Self:
        """Look up the products of `queries` (schema `QUERIES`) among those of a split of the index, or of all.

        Relevant products that are not there are not counted, and a query without any other is left out.

        Raises RawDataError, which names `source`, where no query is left.
        """
        rows_N = np.arange(len(index)) if split == ALL else index.rows_of_split(split)
        place_of = {index.product_ids[row]: place for place, row in enumerate(rows_N)}
        wanted: dict[str, dict[str, None]] = {}
        for query, product in zip(queries["query"].to_pylist(), queries["product_id"].to_pylist(), strict=True):
            wanted.setdefault(query, {})[product] = None
        known = {query: [place_of[own] for own in ids if own in place_of] for query, ids in wanted.items()}
        there = f"the {len(rows_N):,} products of {index.dataset}{'' if split == ALL else f', split {split}'}"
        kept = {query: places for query, places in known.items() if places}
        if not kept:
            look = f"ids look like {', '.join(index.product_ids[:3])}"
            raise RawDataError(
                f"{source}: none of {len(wanted):,} queries has a relevant product among {there}; {look}"
            )
        notes = []
        if absent := dict.fromkeys(own for ids in wanted.values() for own in ids if own not in place_of):
            notes.append(f"product ids that are not among {there}, and do not count: {_some(absent)}")
        if lost := [query for query in wanted if query not in kept]:
            notes.append(f"queries without a relevant product there, left out of {len(wanted):,}: {_some(lost)}")
        if cut := [query for query in kept if len(query) > MAX_QUERY]:
            notes.append(f"queries of which only the first {MAX_QUERY:,} characters are read: {_some(cut)}")
        return cls(list(kept), [np.array(places) for places in kept.values()], rows_N, notes)


def _some(names: Collection[str]) -> str:
    """How many there are, and the first three."""
    shown = [repr(name if len(name) <= 40 else f"{name[:39]}…") for name in islice(names, 3)]
    return f"{len(names):,} ({', '.join(shown + ['...'] * (len(names) > 3))})"


def judged(engine: SearchEngine, asked: Asked, view: View = "image") -> pa.Table:
    """Measure each query in both readings by the model of `engine`; a row a query and reading, schema `MEASURED`.

    `linked` tells whether entities were found and read. Where there are none, both readings are the same.

    Args:
        asked: made with the engine's own index.
        view: of the candidates.
    """
    plain = [Words(text[:MAX_QUERY], {}) for text in asked.texts]
    linked = [engine.reader.linked(words.text) for words in plain]
    plain_QD = engine.encode_words(plain)
    linked_QD, changed = plain_QD.copy(), [n for n, words in enumerate(plain) if linked[n] != words]
    if changed:
        linked_QD[changed] = engine.encode_words([linked[n] for n in changed])
    candidate_ND, queries, index = engine.index.views[view][asked.rows_N], len(asked.texts), engine.index
    parts = []
    for reading, words, query_QD in ((PLAIN, plain, plain_QD), (LINKED, linked, linked_QD)):
        named = [[value] * queries for value in (index.dataset, index.variant, view, reading)]
        facts = [asked.texts, [bool(own.entities) for own in words], [len(own) for own in asked.relevant]]
        measures_QM = _measures(query_QD, candidate_ND, asked.relevant)
        columns = [*named, *facts, [len(candidate_ND)] * queries, *measures_QM.T]
        parts.append(pa.table(columns, schema=MEASURED))
    return pa.concat_tables(parts)


def _measures(query_QD: np.ndarray, candidate_ND: np.ndarray, relevant: Sequence[np.ndarray]) -> np.ndarray:
    """Return `MEASURES` (Q, M).

    Ties count against the model: the j-th best relevant candidate has the rank j + the number of irrelevant candidates
    that score at least as high (less `TIE`).
    """
    candidate_ND = candidate_ND.astype(np.float64)  # as everywhere: ranks must not depend on rounding
    measures_QM, step = np.empty((len(query_QD), len(MEASURES))), max(1, CHUNK_BYTES // (8 * len(candidate_ND)))
    for start in range(0, len(query_QD), step):
        score_BN = query_QD[start : start + step].astype(np.float64) @ candidate_ND.T
        for query, score_N in enumerate(score_BN, start):
            own_K = np.sort(score_N[relevant[query]])[::-1][:FIRST]
            score_N[relevant[query]] = -np.inf
            others = np.partition(score_N, -FIRST)[-FIRST:] if len(score_N) > FIRST else score_N
            rank_K = np.arange(1, len(own_K) + 1) + (others >= own_K[:, None] - TIE).sum(axis=1)
            shares = [(rank_K <= k).sum() / len(relevant[query]) for k in (1, FIRST)]
            measures_QM[query] = *shares, 1 / rank_K[0] if rank_K[0] <= FIRST else 0
    return 100 * measures_QM


def figures(measured: pa.Table, *, seed: int = 0, resamples: int = bootstrap.RESAMPLES) -> pa.Table:
    """Return the means over queries with 95 % bootstrap intervals over queries; schema `FIGURES`, five rows.

    Both readings, their difference, what a random order gives (exact, so without an interval), and the best that any
    order could give: with several relevant products the first place holds one of them at most.

    Args:
        measured: `judged` of one variant and view.
        seed, resamples: of the bootstrap.
    """
    measures = [measured[name].to_numpy() for name in MEASURES]
    order = {"reading": [PLAIN, LINKED]}
    _, sum_QWM, count_QW = bootstrap.sums_by(measured, measures, ("query", "reading"), order)
    queries, value_WM = len(sum_QWM), sum_QWM.mean(axis=0)
    weights = bootstrap.cluster_weights(queries, seed=seed, resamples=resamples)
    drawn_BWM = bootstrap.resampled_means(sum_QWM, count_QW[:, 0], weights)
    value_WM = np.concatenate([value_WM, value_WM[1:] - value_WM[:1]])
    drawn_BWM = np.concatenate([drawn_BWM, drawn_BWM[:, 1:] - drawn_BWM[:, :1]], axis=1)
    figure_3WM = np.stack([value_WM, *bootstrap.interval(drawn_BWM, clusters=queries)])
    first = measured.slice(0, 1).to_pylist()[0]
    linked = len(measured.filter(measured["linked"]))
    same = {name: first[name] for name in ("dataset", "variant", "view", "candidates")}
    same |= {"queries": queries, "linked": linked}
    rows: list[dict[str, Any]] = [
        same | {"reading": reading}
        | {name + end: float(figure_3WM[e, w, m]) for m, name in enumerate(MEASURES) for e, end in enumerate(_ENDS)}
        for w, reading in enumerate((PLAIN, LINKED, DIFFERENCE))
    ]  # fmt: skip
    kinds = list(zip(measured["candidates"].to_pylist(), measured["relevant"].to_pylist(), strict=True))
    rows.append(same | {"reading": CHANCE} | expected_shares(kinds))
    best = {
        name: 100 * float(np.mean([min(1, k / own) for _, own in kinds])) for name, k in (("r1", 1), ("r10", FIRST))
    }
    rows.append(same | {"reading": BEST, "mrr10": 100.0} | best)
    return pa.Table.from_pylist(rows, schema=FIGURES)
