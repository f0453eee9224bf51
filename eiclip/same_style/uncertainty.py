"""Same-style figures with confidence intervals over styles and training seeds, and comparisons paired by style.

The products of a style are each other's relevant candidates, so their queries are not independent: the style is the
cluster. Where a variant was trained with several seeds there are also rows of its mean over them (seed NULL), whose
interval holds the spread between seeds as well.

Shape suffixes: B bootstrap samples, P styles, K rankings or differences between two, S seeds, M measures.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
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

_NUMBERS = ("value", "baseline_value", "difference", "low", "high", "p_value")
_COUNTS = ("seeds", "queries", "styles", "resamples")
_TYPES = dict.fromkeys(_NUMBERS, pa.float64()) | dict.fromkeys(("seed", *_COUNTS), pa.int64())
_ROW = ("dataset", "variant", "seed", "view_pair")
_OF_INTERVALS = (*_ROW, "measure", "value", "low", "high", *_COUNTS)
INTERVALS = pa.schema([(name, _TYPES.get(name, pa.string())) for name in _OF_INTERVALS])
_OF_COMPARISONS = (*_ROW, "baseline", "baseline_view_pair", "measure", *_NUMBERS, *_COUNTS)
COMPARISONS = pa.schema([(name, _TYPES.get(name, pa.string())) for name in _OF_COMPARISONS])

Row = tuple[str, str]
"""A variant and a pair of views."""
Places = dict[Row, dict[int, int]]
"""Places on the axis K by row and seed."""


def seed_noise(value_SM: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
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
    drawing = np.random.default_rng([0, seeds])
    count_BS = drawing.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    noise_BM: np.ndarray = stretch * count_BS @ (value_SM - value_SM.mean(axis=0)) / seeds
    return noise_BM


def same_style_intervals(ranks: pa.Table, *, resamples: int = RESAMPLES) -> pa.Table:
    """Return every figure of `same_style_ranks` of one dataset with its 95 % interval; schema `INTERVALS`.

    A row for each seed and, of variants with several seeds, one with seed NULL: their mean, over samples of styles and
    seeds.

    Raises:
        EiclipError: the ranks are of several datasets, or rankings are of different queries.
    """
    if not ranks.num_rows:
        return INTERVALS.empty_table()
    counts, place_of, share_PKM, drawn_BKM = _estimates(ranks, resamples)
    columns, rows = {"value": share_PKM.sum(axis=0)}, list[dict[str, Any]]()
    for (variant, view_pair), by_seed in place_of.items():
        shared = counts | {"variant": variant, "view_pair": view_pair}
        rows += _rows(shared, by_seed, columns["value"], drawn_BKM, columns)
    return pa.Table.from_pylist(rows, schema=INTERVALS)


def same_style_comparisons(
    ranks: pa.Table, *, pairs: Sequence[tuple[str, str]] = PAIRS, resamples: int = RESAMPLES
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
    counts, place_of, share_PKM, drawn_BKM = _estimates(ranks, resamples)
    pairings, rows = list(_pairings(place_of, pairs)), list[dict[str, Any]]()
    ours, theirs = ([two[side] for *_, by_seed in pairings for two in by_seed.values()] for side in (0, 1))
    value_KM = share_PKM.sum(axis=0)
    difference_KM, difference_BKM = value_KM[ours] - value_KM[theirs], drawn_BKM[:, ours] - drawn_BKM[:, theirs]
    # The p-values of all are from the same flips, which are most of the work.
    p_value_KM = bootstrap.paired_p_value(share_PKM[:, ours] - share_PKM[:, theirs])
    columns = {"value": value_KM[ours], "baseline_value": value_KM[theirs], "difference": difference_KM}
    columns["p_value"] = p_value_KM
    numbers = itertools.count()
    for (variant, view_pair), (baseline, other), by_seed in pairings:
        named = {"variant": variant, "view_pair": view_pair, "baseline": baseline, "baseline_view_pair": other}
        numbered = {seed: next(numbers) for seed in by_seed}
        rows += _rows(counts | named, numbered, difference_KM, difference_BKM, columns)
    return pa.Table.from_pylist(_without_worse_single(rows), schema=COMPARISONS)


def _estimates(ranks: pa.Table, resamples: int) -> tuple[dict[str, Any], Places, np.ndarray, np.ndarray]:
    """Counts that rows share, the rankings, each style's share in their measures (P, K, M), and samples (B, K, M)."""
    dataset, measures = bootstrap.only_dataset(ranks), bootstrap.measures_of(ranks["rank"].to_numpy())
    axes = ("style_id", "variant", "seed", "view_pair")
    (styles, variants, seeds, view_pairs), sums, counts = bootstrap.sums_by(
        ranks, [measures[name] for name in MEASURES], axes
    )
    ranked = counts.any(axis=0)
    sum_PKM, count_PK = sums[:, ranked], counts[:, ranked]
    places, labels = Places(), []
    for place, (v, s, p) in enumerate(np.argwhere(ranked)):
        places.setdefault((variants[v], view_pairs[p]), {})[seeds[s]] = place
        labels.append(f"{variants[v]}, seed {seeds[s]}, {view_pairs[p]}")
    bootstrap.require_same_queries(count_PK, labels, "same_style_ranks", "materialise same_style_ranks again")
    weights_BP = bootstrap.cluster_weights(len(styles), resamples=resamples)
    resampled_BKM, queries = bootstrap.resampled_means(sum_PKM, count_PK[:, 0], weights_BP), int(count_PK[:, 0].sum())
    shared = {"dataset": dataset, "queries": queries, "styles": len(styles), "resamples": resamples}
    return shared, places, sum_PKM / queries, resampled_BKM


def _pairings(
    places: Places, pairs: Sequence[tuple[str, str]]
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
    shared: Mapping[str, Any], by_seed: Mapping[int, int], value_KM: np.ndarray, drawn_BKM: np.ndarray,
    columns: Mapping[str, np.ndarray],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The rows of each seed, then of the mean over them, where they are several: their interval, and other columns."""
    together = [(None, list(by_seed.values()))] if len(by_seed) > 1 else []
    for seed, places in [*((seed, [place]) for seed, place in by_seed.items()), *together]:
        noise_BM = seed_noise(value_KM[places], len(drawn_BKM))
        low_M, high_M = bootstrap.interval(drawn_BKM[:, places].mean(axis=1) + noise_BM, clusters=shared["styles"])
        shown = {name: column_KM[places].mean(axis=0) for name, column_KM in columns.items()}
        shown |= {"low": low_M, "high": high_M}
        if seed is None:  # a test is over styles alone
            shown.pop("p_value", None)
        for measure, *values in zip(MEASURES, *shown.values(), strict=True):
            named = {"seed": seed, "seeds": len(places), "measure": measure}
            yield {**shared, **named, **dict(zip(shown, values, strict=True))}


def _without_worse_single(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All rows but, of m-m against two single views of its variant, the one against the worse view."""
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("variant", "baseline", "seed", "measure", "view_pair"))
        if key not in best or row["baseline_value"] > best[key]["baseline_value"]:
            best[key] = row
    kept = {id(row) for row in best.values()}
    return [row for row in rows if id(row) in kept]
