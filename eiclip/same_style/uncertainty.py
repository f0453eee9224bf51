"""Same-style figures with confidence intervals over styles and training seeds, and comparisons paired by style.

The products of a style ask for one another, so their queries are not independent: the style is the cluster. Where a
variant was trained with several seeds there are also rows of its mean over them (seed NULL), whose interval holds the
spread between seeds as well.

Shape suffixes: B bootstrap samples, P styles, K rankings, S seeds, M measures.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from eiclip.evaluation.bootstrap import (
    CONFIDENCE,
    RESAMPLES,
    cluster_weights,
    interval,
    measures_of,
    only_dataset,
    paired_p_value,
    require_same_queries,
    resampled_means,
    sums_by,
)

MEASURES = ("mrr", "r1", "r5", "r10")
"""Measures of a query, in percent; a figure is their mean over queries."""
PAIRS = (
    ("same_style", "same_style_unconstrained"),
    ("same_style", "same_style_plain"),
    ("same_style", "clip_description"),
    ("same_style", "eiclip"),
    ("same_style", "clip_pretrained"),
)
"""Rows that are compared, the second the baseline; the first pair is the question asked beforehand."""
JOINT, SINGLE = "m-m", ("i-i", "t-t")
"""The pair of joint views is compared with the better of the single ones of its own variant."""

_NAMES = [("dataset", pa.string()), ("variant", pa.string()), ("seed", pa.int64()), ("view_pair", pa.string())]
_COUNTS = [("seeds", pa.int64()), ("queries", pa.int64()), ("styles", pa.int64()), ("resamples", pa.int64())]
_ENDS = [("low", pa.float64()), ("high", pa.float64())]
INTERVALS = pa.schema([*_NAMES, ("measure", pa.string()), ("value", pa.float64()), *_ENDS, *_COUNTS])
COMPARISONS = pa.schema(
    [
        *_NAMES, ("baseline", pa.string()), ("baseline_view_pair", pa.string()), ("measure", pa.string()),
        ("value", pa.float64()), ("baseline_value", pa.float64()), ("difference", pa.float64()), *_ENDS,
        ("p_value", pa.float64()), *_COUNTS,
    ]
)  # fmt: skip


class Ranking(NamedTuple):
    """What was ranked: by which variant, trained with which seed, from which view to which."""

    variant: str
    seed: int
    view_pair: str


@dataclass(frozen=True)
class Estimates:
    """The measures of every ranking: their values, each style's share in them, and their values by bootstrap sample."""

    dataset: str
    rankings: list[Ranking]
    styles: int
    queries: int
    value_KM: np.ndarray
    share_PKM: np.ndarray
    resampled_BKM: np.ndarray
    seed: int

    @property
    def places(self) -> dict[tuple[str, str], dict[int, int]]:
        """Places of the rankings by variant and pair of views, and by seed."""
        found: dict[tuple[str, str], dict[int, int]] = {}
        for place, (variant, seed, view_pair) in enumerate(self.rankings):
            found.setdefault((variant, view_pair), {})[seed] = place
        return found

    def over_seeds(self, value_SM: np.ndarray, resampled_BSM: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the mean over seeds and its low and high end, (M,) each; of one seed the interval is over styles."""
        noise_BM = seed_noise(value_SM, seed=self.seed, resamples=len(resampled_BSM))
        low_M, high_M = interval(resampled_BSM.mean(axis=1) + noise_BM, clusters=self.styles)
        return value_SM.mean(axis=0), low_M, high_M

    def rows(
        self, ranking: Ranking, seeds: Sequence[int], columns: Mapping[str, Iterable[Any]], **more: str
    ) -> Iterator[dict[str, Any]]:
        """Yield a row a measure of columns (M,)."""
        named = {"dataset": self.dataset, "variant": ranking.variant, "view_pair": ranking.view_pair} | more
        seed = seeds[0] if len(seeds) == 1 else None
        counts = {"queries": self.queries, "styles": self.styles, "resamples": len(self.resampled_BKM)}
        for measure, *values in zip(MEASURES, *columns.values(), strict=True):
            measured = {"measure": measure} | dict(zip(columns, values, strict=True))
            yield named | {"seed": seed, "seeds": len(seeds)} | counts | measured


def estimates(ranks: pa.Table, *, seed: int = 0, resamples: int = RESAMPLES) -> Estimates:
    """Return the measures of `same_style_ranks` of one dataset, of one row at least, in any order of rows.

    Raises:
        EiclipError: the ranks are of several datasets, or two rankings are of different queries.
    """
    measures = measures_of(ranks["rank"].to_numpy())
    axes = ("style_id", "variant", "seed", "view_pair")
    (styles, *names), sums, counts = sums_by(ranks, [measures[name] for name in MEASURES], axes)
    ranked = counts.any(axis=0)
    rankings = [Ranking(*(names[axis][place] for axis, place in enumerate(each))) for each in np.argwhere(ranked)]
    sum_PKM, count_PK = sums[:, ranked], counts[:, ranked]
    labels = [f"{variant}, seed {number}, {view_pair}" for variant, number, view_pair in rankings]
    require_same_queries(count_PK, labels, "same_style_ranks", "materialise same_style_ranks again")
    queries = int(count_PK[:, 0].sum())
    share_PKM, weights_BP = sum_PKM / queries, cluster_weights(len(styles), seed=seed, resamples=resamples)
    drawn_BKM = resampled_means(sum_PKM, count_PK[:, 0], weights_BP)
    values = share_PKM.sum(axis=0), share_PKM, drawn_BKM
    return Estimates(only_dataset(ranks), rankings, len(styles), queries, *values, seed)


def seed_noise(value_SM: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Return what sampling the seeds adds to the samples of their mean, (resamples, M): zeros for one seed.

    Samples of S seeds spread too little by the factor sqrt((S - 1) / S), and a normal curve has thinner tails than
    Student's: both are made up for, as a mean's interval over so few numbers has to. With three seeds they alone are
    worth some 2.7 times what the bare samples would say.
    """
    from scipy.special import stdtrit

    seeds, middle = len(value_SM), (1 + CONFIDENCE) / 2
    if seeds < 2:
        return np.zeros((resamples, value_SM.shape[1]))
    stretch = float(stdtrit(seeds - 1, middle)) / NormalDist().inv_cdf(middle) * (seeds / (seeds - 1)) ** 0.5
    drawing = np.random.default_rng([seed, seeds])
    count_BS = drawing.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    noise_BM: np.ndarray = stretch * count_BS @ (value_SM - value_SM.mean(axis=0)) / seeds
    return noise_BM


def same_style_intervals(ranks: pa.Table, *, seed: int = 0, resamples: int = RESAMPLES) -> pa.Table:
    """Return every figure of `same_style_ranks` of one dataset with its 95 % interval; schema `INTERVALS`.

    A row for each seed and, of variants with several seeds, one with seed NULL: their mean, over samples of styles and
    seeds.

    Raises:
        EiclipError: the ranks are of several datasets, or rankings are of different queries.
    """
    if not ranks.num_rows:
        return INTERVALS.empty_table()
    found, rows = estimates(ranks, seed=seed, resamples=resamples), list[dict[str, Any]]()
    for place_of in found.places.values():
        for seeds in _each_and_all(place_of):
            places = [place_of[seed] for seed in seeds]
            values = found.over_seeds(found.value_KM[places], found.resampled_BKM[:, places])
            columns = dict(zip(("value", "low", "high"), values, strict=True))
            rows += found.rows(found.rankings[places[0]], seeds, columns)
    return pa.Table.from_pylist(rows, schema=INTERVALS)


def _each_and_all(seeds: Iterable[int]) -> list[list[int]]:
    """Each seed alone, then all of them, where they are several."""
    every = list(seeds)
    return [*([seed] for seed in every), *([every] if len(every) > 1 else [])]


def same_style_comparisons(
    ranks: pa.Table, *, pairs: Sequence[tuple[str, str]] = PAIRS, seed: int = 0, resamples: int = RESAMPLES
) -> pa.Table:
    """Return differences between rows of `pairs`, and of m-m from its variant's better single view.

    Pairs of rows are compared in every pair of views that both have, seed by seed; a variant of a single seed (one that
    is not trained) stands beside every seed of the other. With several seeds there is also a row of the mean difference
    (seed NULL), over samples of styles and seeds; it has no p-value, since that is over styles alone. The better
    single view is that of the higher value in this measure and row, so that what m-m gains over it is not flattered.
    The schema is `COMPARISONS`.

    Raises:
        EiclipError: as `same_style_intervals`.
    """
    if not ranks.num_rows:
        return COMPARISONS.empty_table()
    found, rows = estimates(ranks, seed=seed, resamples=resamples), list[dict[str, Any]]()
    pairings = list(_pairings(found.places, pairs))
    # From the same flips, which are most of the work.
    beside = list(dict.fromkeys(two for pairing in pairings for two in pairing.values()))
    ours, theirs = ([two[side] for two in beside] for side in (0, 1))
    p_values = paired_p_value(found.share_PKM[:, ours] - found.share_PKM[:, theirs], seed=seed)
    p_value_of = dict(zip(beside, p_values, strict=True))
    for pairing in pairings:
        for seeds in _each_and_all(pairing):
            rows += _compared(found, pairing, seeds, p_value_of)
    return pa.Table.from_pylist(_without_worse_single(rows), schema=COMPARISONS)


def _pairings(
    places: Mapping[tuple[str, str], dict[int, int]], pairs: Sequence[tuple[str, str]]
) -> Iterator[dict[int, tuple[int, int]]]:
    """Places of two rankings that are compared, by seed."""
    sides = [
        ((variant, view_pair), (baseline, view_pair))
        for variant, baseline in pairs
        for name, view_pair in places
        if name == variant
    ]
    sides += [((variant, pair), (variant, single)) for variant, pair in places if pair == JOINT for single in SINGLE]
    for one, other in sides:
        ours, theirs = places[one], places.get(other, {})
        if len(ours) == 1:  # beside every seed of the other
            ours = dict.fromkeys(theirs if len(theirs) > 1 else ours, *ours.values())
        if len(theirs) == 1:
            theirs = dict.fromkeys(ours, *theirs.values())
        if shared := {seed: (place, theirs[seed]) for seed, place in ours.items() if seed in theirs}:
            yield shared


def _compared(
    found: Estimates,
    pairing: Mapping[int, tuple[int, int]],
    seeds: Sequence[int],
    p_value_of: Mapping[tuple[int, int], np.ndarray],
) -> Iterator[dict[str, Any]]:
    """The rows of one comparison, with one seed or as the mean over several."""
    ours, theirs = ([pairing[seed][side] for seed in seeds] for side in (0, 1))
    difference_BSM = found.resampled_BKM[:, ours] - found.resampled_BKM[:, theirs]
    difference_M, low_M, high_M = found.over_seeds(found.value_KM[ours] - found.value_KM[theirs], difference_BSM)
    columns = {
        "value": found.value_KM[ours].mean(axis=0),
        "baseline_value": found.value_KM[theirs].mean(axis=0),
        "difference": difference_M,
        "low": low_M,
        "high": high_M,
        "p_value": p_value_of[ours[0], theirs[0]] if len(seeds) == 1 else [None] * len(MEASURES),
    }
    other = found.rankings[theirs[0]]
    named = {"baseline": other.variant, "baseline_view_pair": other.view_pair}
    return found.rows(found.rankings[ours[0]], seeds, columns, **named)


def _without_worse_single(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All rows but, of m-m against two single views of its variant, the one against the worse view."""
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("variant", "baseline", "seed", "measure", "view_pair"))
        if key not in best or row["baseline_value"] > best[key]["baseline_value"]:
            best[key] = row
    kept = {id(row) for row in best.values()}
    return [row for row in rows if id(row) in kept]
