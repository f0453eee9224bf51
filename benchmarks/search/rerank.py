"""A hybrid answer with its first products re-ranked, beside the same answer without: milliseconds a query, and ratio.

Names of test products are asked as words, and photos of the same products; both sides turn by turn, in one process.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import median, say
from benchmarks.search.speed import timed
from eiclip.search.engine import SearchEngine
from eiclip.search.queries import drawn, name_queries
from eiclip.search.query import Query
from eiclip.search.sources import RANKED, trained_variants
from eiclip.storage.home import Paths

QUERIES, REPEATS = 20, 3
TOP = 20


def measure(homes: Sequence[Path], *, quick: bool) -> None:
    """Print a line a dataset and kind of queries, of each home that can re-rank."""
    for home in homes:
        paths = Paths(home)
        for dataset, variants in trained_variants(paths).items():
            if RANKED not in variants:
                continue
            engine = SearchEngine.open(home, dataset, RANKED)
            if engine.reranked is None:
                continue
            rows = drawn(name_queries(paths.lake, dataset, "test"), 2 if quick else QUERIES).to_pylist()
            asked = {
                "words": [Query(text=row["query"], top=TOP) for row in rows],
                "photo": [Query(image=engine.photo(row["product_id"]), top=TOP) for row in rows],
            }
            for kind, queries in asked.items():
                engine.search(replace(queries[0], rerank=True))  # loads the weights, and makes what is kept
                times: dict[bool, list[float]] = {False: [], True: []}
                for query, rerank in _in_turn(queries, 1 if quick else REPEATS):
                    times[rerank].append(timed(functools.partial(engine.search, replace(query, rerank=rerank)))[0])
                without, with_it = (median(times[rerank]) for rerank in (False, True))
                of = {"dataset": dataset, "asked": kind, "products": len(engine.index), "queries": len(queries)}
                figures = {"ms": with_it, "ms_without": without, "ratio": round(with_it / without, 2)}
                slowest = {"slowest_ms": round(max(times[True]), 3)}
                say({"figure": "rerank"} | of | {"first": engine.reranked} | figures | slowest)


def _in_turn(queries: Sequence[Query], repeats: int) -> Iterator[tuple[Query, bool]]:
    """Yield each query with and without, so many times; each is first as often as second."""
    for number, query in enumerate(query for _ in range(repeats) for query in queries):
        for rerank in (False, True) if number % 2 else (True, False):
            yield query, rerank
