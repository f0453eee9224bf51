"""What a random order of the candidates reaches, and when a figure is no better: the floor of every leaderboard.

Shape suffixes: Q queries.
"""

import math
from collections.abc import Callable, Iterable

PERFECT_RECALL, PERFECT_SUM = 100.0, 600.0
FIRST = 10
"""Places that the measures of `expected_shares` look at."""
TIMES = 3.0
"""A figure under this many times chance is called at chance. The failed trainings that this is for ended at 1.2 to 1.3
times; what has learned anything was at 20 times and more (SumR over all candidates, docs/results.md)."""


def expected_measures(kinds: Iterable[tuple[int, int]]) -> dict[str, float]:
    """Return the exact means of r1, r5, r10 and mrr over queries, in percent, for a random order.

    Args:
        kinds: of each query the number of its candidates, and of relevant ones among them (one at least).

    >>> {name: round(value, 2) for name, value in expected_measures([(4, 1), (4, 2)]).items()}
    {'r1': 37.5, 'r5': 100.0, 'r10': 100.0, 'mrr': 62.15}
    """
    return _means(kinds, _measures, ("r1", "r5", "r10", "mrr"))


def expected_shares(kinds: Iterable[tuple[int, int]]) -> dict[str, float]:
    """Return the exact means of r1, r10 and mrr10 over queries, in percent, where several candidates are relevant.

    Recall is the share of a query's relevant candidates that are among the first 1 and 10, mrr10 the reciprocal rank
    of the first of them, 0 beyond ten.

    >>> {name: round(value, 2) for name, value in expected_shares([(4, 1), (20, 2)]).items()}
    {'r1': 15.0, 'r10': 75.0, 'mrr10': 38.83}
    """
    return _means(kinds, _shares, ("r1", "r10", "mrr10"))


def _means(
    kinds: Iterable[tuple[int, int]], measure: Callable[[int, int], dict[str, float]], names: tuple[str, ...]
) -> dict[str, float]:
    """Measure each kind of query once; the means over all."""
    times: dict[tuple[int, int], int] = {}
    for kind in kinds:
        times[kind] = times.get(kind, 0) + 1
    measured = {kind: measure(*kind) for kind in times}
    queries = sum(times.values())
    return {
        name: sum(times[kind] * values[name] for kind, values in measured.items()) / queries if queries else math.nan
        for name in names
    }


def _shares(candidates: int, relevant: int) -> dict[str, float]:
    reciprocal, none_before = 0.0, 1.0
    for place in range(1, min(FIRST, candidates - relevant + 1) + 1):
        first_here = none_before * relevant / (candidates - place + 1)
        reciprocal, none_before = reciprocal + first_here / place, none_before - first_here
    recalls = {f"r{k}": 100 * min(k, candidates) / candidates for k in (1, FIRST)}
    return recalls | {"mrr10": 100 * reciprocal}


def _measures(candidates: int, relevant: int) -> dict[str, float]:
    """Of one query: the probability that k draws without putting back hold a relevant candidate, and mean 1 / rank."""
    found = {}
    for k in (1, 5, 10):
        drawn = min(k, candidates)
        none = math.comb(candidates - relevant, drawn) / math.comb(candidates, drawn)
        found[f"r{k}"] = 100 * (1 - none)
    harmonic = sum(1 / place for place in range(relevant, candidates + 1))
    return found | {"mrr": 100 * relevant / (candidates - relevant + 1) * harmonic}


def at_chance(value: float, chance: float, perfect: float = PERFECT_SUM) -> bool:
    """Return whether a figure is under `TIMES` times chance; where that is out of reach, under half way to perfect.

    >>> at_chance(4.6, chance=4.0), at_chance(198.0, chance=4.0), at_chance(500.0, chance=350.0)
    (True, False, False)
    """
    return value < min(TIMES * chance, (chance + perfect) / 2)
