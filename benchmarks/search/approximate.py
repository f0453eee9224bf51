"""Approximate search among a million products beside comparing with each: time, and recall against the exact answer.

The products are points of 2,000 overlapping clusters of 32 dimensions, projected at random to the embeddings' width
with noise. Real catalogues are clustered too, but how much is their own matter: measure recall on yours.
"""

import os

from benchmarks.measure import Work, line, median, run_apart, say
from benchmarks.search.speed import timed

PRODUCTS, WIDTH, QUERIES, TOP = 1_000_000, 128, 100, 20
CLUSTERS, DIMENSIONS, SPREAD, NOISE = 2_000, 32, 0.6, 0.05
RECALL, TIMES = 0.95, 10.0


def measure(*, quick: bool, rounds: int | None, threads: int) -> None:
    """Print recall, and how many times faster than exact search; building takes minutes."""
    products = 5_000 if quick else PRODUCTS
    runs = [run_apart(prepare, [(products, threads)]) for _ in range(rounds or 1)]
    named = {name: median([run.facts[name] for run in runs]) for name in runs[0].facts}
    note = f"{products:,} products, width {WIDTH}, {threads} threads, top {TOP}; built in {named['build']:.0f} s"
    say(line("recall of approximate search against exact", named["recall"], 1.0, RECALL, at_most=False, note=note))
    speed = "approximate search, times exact (ms)"
    say(line(speed, named["approximate"], named["exact"], TIMES, at_most=False, speed=True, note=note))


def prepare(products: int, threads: int) -> Work:
    """Products and queries of the same clusters."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    import numpy as np

    from eiclip.search.approximate import ApproximateIndex, recall
    from eiclip.search.compose import unit
    from eiclip.search.engine import best

    random = np.random.default_rng(0)
    centres = random.standard_normal((CLUSTERS, DIMENSIONS), dtype=np.float32)
    projection = random.standard_normal((DIMENSIONS, WIDTH), dtype=np.float32) / DIMENSIONS**0.5

    def drawn(count: int) -> np.ndarray:
        parts = []
        for begin in range(0, count, 50_000):
            rows = min(50_000, count - begin)
            own = random.standard_normal((rows, DIMENSIONS), dtype=np.float32)
            points = centres[random.integers(0, CLUSTERS, rows)] + SPREAD * own
            parts.append(unit(points @ projection + NOISE * random.standard_normal((rows, WIDTH), dtype=np.float32)))
        return np.concatenate(parts)

    product_ND, query_QD = drawn(products), drawn(QUERIES)

    def work() -> dict[str, float]:
        build_ms, index = timed(lambda: ApproximateIndex.build(product_ND))
        exact = [timed(lambda own=own: best(product_ND @ own, TOP))[0] for own in query_QD]  # type: ignore[misc]
        found = [timed(lambda own=own: index.search(own, TOP)[0][0]) for own in query_QD]  # type: ignore[misc]
        share = recall(np.array([rows for _, rows in found]), product_ND, query_QD)
        times = {"exact": median(exact), "approximate": median([milliseconds for milliseconds, _ in found])}
        return {"recall": share, "build": build_ms / 1000} | times

    return work
