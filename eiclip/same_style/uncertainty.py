"""Same-style figures with confidence intervals over styles and training seeds, and comparisons paired by style.

The products of a style are each other's relevant candidates, so their queries are not independent: the style is the
cluster. Where a variant was trained with several seeds there are also rows of its mean over them (seed NULL), whose
interval holds the spread between seeds as well.

Shape suffixes: B bootstrap samples, P styles, K rankings or differences between two, S seeds, M measures.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from eiclip.evaluation import bootstrap
from eiclip.evaluation.bootstrap import RESAMPLES

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


Row = tuple[str, str]
"""A variant and a pair of views."""


@dataclass(frozen=True)
class Estimates:
    """The measures of every ranking: each style's share in their values, and their values by bootstrap sample."""

    dataset: str
    places: Mapping[Row, Mapping[int, int]]
    """Places on the axis K by row and seed."""
    styles: int
    queries: int
    share_PKM: np.ndarray
    resampled_BKM: np.ndarray


def estimates(ranks: pa.Table, *, seed: int = 0, resamples: int = RESAMPLES) -> Estimates:
    """Return the measures of `same_style_ranks` of one dataset, of one row at least, in any order of rows.

    Raises:
        EiclipError: the ranks are of several datasets, or two rankings are of different queries.
    """
    dataset, measures = bootstrap.only_dataset(ranks), bootstrap.measures_of(ranks["rank"].to_numpy())
    axes = ("style_id", "variant", "seed", "view_pair")
    (styles, variants, seeds, view_pairs), sums, counts = bootstrap.sums_by(
        ranks, [measures[name] for name in MEASURES], axes
    )
    ranked = counts.any(axis=0)
    sum_PKM, count_PK = sums[:, ranked], counts[:, ranked]
    places: dict[Row, dict[int, int]] = {}
    labels = []
    for place, (v, s, p) in enumerate(np.argwhere(ranked)):
        places.setdefault((variants[v], view_pairs[p]), {})[seeds[s]] = place
        labels.append(f"{variants[v]}, seed {seeds[s]}, {view_pairs[p]}")
    bootstrap.require_same_queries(count_PK, labels, "same_style_ranks", "materialise same_style_ranks again")
    weights_BP = bootstrap.cluster_weights(len(styles), seed=seed, resamples=resamples)
    resampled_BKM, queries = bootstrap.resampled_means(sum_PKM, count_PK[:, 0], weights_BP), int(count_PK[:, 0].sum())
    return Estimates(dataset, places, len(styles), queries, sum_PKM / queries, resampled_BKM)


def seed_noise(value_SM: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Return what sampling the seeds adds to the samples of their mean, (resamples, M): zeros for one seed.

    Samples of S seeds spread too little by the factor sqrt((S - 1) / S), and a normal curve has thinner tails than
    Student's: both are made up for, as a mean's interval over so few numbers has to. With three seeds they alone are
    worth some 2.7 times what the bare samples would say.
    """
    from scipy.special import stdtrit

    seeds, middle = len(value_SM), (1 + bootstrap.CONFIDENCE) / 2
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
    value_KM = found.share_PKM.sum(axis=0)
    for (variant, view_pair), place_of in found.places.items():
        named = {"variant": variant, "view_pair": view_pair}
        drawn = value_KM, found.resampled_BKM
        rows += [named | row for row in _rows(found, place_of, *drawn, {"value": value_KM}, seed=seed)]
    return pa.Table.from_pylist(rows, schema=INTERVALS)


def same_style_comparisons(
    ranks: pa.Table, *, pairs: Sequence[tuple[str, str]] = PAIRS, seed: int = 0, resamples: int = RESAMPLES
) -> pa.Table:
    """Return differences between rows of `pairs`, and of m-m from its variant's better single view.

    Pairs of rows are compared in every pair of views that both have, seed by seed; a variant of a single seed (one that
    is not trained) is compared with every seed of the other. With several seeds there is also a row of the mean
    difference (seed NULL), over samples of styles and seeds; it has no p-value, since that is over styles alone. The
    better single view is that of the higher value in this measure and row, so that the gain of m-m is not flattered.
    The schema is `COMPARISONS`.

    Raises:
        EiclipError: as `same_style_intervals`.
    """
    if not ranks.num_rows:
        return COMPARISONS.empty_table()
    found, rows = estimates(ranks, seed=seed, resamples=resamples), list[dict[str, Any]]()
    pairings = list(_pairings(found.places, pairs))
    ours, theirs = ([two[side] for *_, by_seed in pairings for two in by_seed.values()] for side in (0, 1))
    value_KM = found.share_PKM.sum(axis=0)
    difference_KM = value_KM[ours] - value_KM[theirs]
    drawn = difference_KM, found.resampled_BKM[:, ours] - found.resampled_BKM[:, theirs]
    # The p-values of all are from the same flips, which are most of the work.
    p_value_KM = bootstrap.paired_p_value(found.share_PKM[:, ours] - found.share_PKM[:, theirs], seed=seed)
    columns = {"value": value_KM[ours], "baseline_value": value_KM[theirs], "difference": difference_KM}
    numbers = itertools.count()
    for (variant, view_pair), (baseline, other), by_seed in pairings:
        named = {"variant": variant, "view_pair": view_pair, "baseline": baseline, "baseline_view_pair": other}
        place_of = {number: next(numbers) for number in by_seed}
        rows += [named | row for row in _rows(found, place_of, *drawn, columns | {"p_value": p_value_KM}, seed=seed)]
    return pa.Table.from_pylist(_without_worse_single(rows), schema=COMPARISONS)


def _pairings(
    places: Mapping[Row, Mapping[int, int]], pairs: Sequence[tuple[str, str]]
) -> Iterator[tuple[Row, Row, dict[int, tuple[int, int]]]]:
    """Rows that are compared, and their places by seed."""
    sides = [((one, view), (other, view)) for one, other in pairs for name, view in places if name == one]
    sides += [((variant, view), (variant, single)) for variant, view in places if view == JOINT for single in SINGLE]
    for one, other in sides:
        ours, theirs = places[one], places.get(other, {})
        if len(ours) == 1 < len(theirs):  # compared with every seed of the other
            ours = dict.fromkeys(theirs, *ours.values())
        if len(theirs) == 1:
            theirs = dict.fromkeys(ours, *theirs.values())
        if by_seed := {seed: (place, theirs[seed]) for seed, place in ours.items() if seed in theirs}:
            yield one, other, by_seed


def _rows(
    found: Estimates,
    place_of: Mapping[int, int],
    value_KM: np.ndarray,
    drawn_BKM: np.ndarray,
    columns: Mapping[str, np.ndarray],
    *,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """The rows of each seed, then of the mean over them, where they are several: their interval, and other columns."""
    every = list(place_of.values())
    labelled = [(number, [place]) for number, place in place_of.items()]
    for label, places in [*labelled, *([(None, every)] if len(every) > 1 else [])]:
        noise_BM = seed_noise(value_KM[places], seed=seed, resamples=len(drawn_BKM))
        low_M, high_M = bootstrap.interval(drawn_BKM[:, places].mean(axis=1) + noise_BM, clusters=found.styles)
        shown = {name: column_KM[places].mean(axis=0) for name, column_KM in columns.items()}
        shown |= {"low": low_M, "high": high_M}
        if label is None:  # a test is over styles alone
            shown.pop("p_value", None)
        counts = {"queries": found.queries, "styles": found.styles, "resamples": len(drawn_BKM), "seeds": len(places)}
        for measure, *values in zip(MEASURES, *shown.values(), strict=True):
            measured = {"measure": measure} | dict(zip(shown, values, strict=True))
            yield {"dataset": found.dataset, "seed": label} | counts | measured


def _without_worse_single(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All rows but, of m-m against two single views of its variant, the one against the worse view."""
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("variant", "baseline", "seed", "measure", "view_pair"))
        if key not in best or row["baseline_value"] > best[key]["baseline_value"]:
            best[key] = row
    kept = {id(row) for row in best.values()}
    return [row for row in rows if id(row) in kept]
