"""How sure same-style figures are: styles are drawn again, and seeds where there are several; rows are paired by style.

The products of a style ask for one another, so their queries are not independent: the style is what is drawn, with all
its queries. Where a variant was trained with several seeds there are also rows of its mean over them (seed NULL), whose
interval holds the spread between seeds as well.

Shape suffixes: B resamples, P styles, K rankings, S seeds, M measures, C comparisons.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from eiclip.evaluation.comparisons import RESAMPLES, interval, paired_p_value, product_weights, resampled_means
from eiclip.same_style.style_sums import MEASURES, Ranking, StyleSums

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
CONFIDENCE = 0.95

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


@dataclass(frozen=True)
class Pairing:
    """Two rankings of one variant each, with the seeds that stand beside each other."""

    one: tuple[Ranking, ...]
    other: tuple[Ranking, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the one; of the other, where the one has a single one."""
        alike = len({ranking.seed for ranking in self.one}) < len({ranking.seed for ranking in self.other})
        return tuple(ranking.seed for ranking in (self.other if alike else self.one))


class Resampled:
    """The measures of every ranking, and their values by resample of styles."""

    def __init__(self, sums: StyleSums, *, seed: int = 0, resamples: int = RESAMPLES) -> None:
        self.sums, self.seed, self.resamples = sums, seed, resamples
        self.place_of = {ranking: place for place, ranking in enumerate(sums.rankings)}
        self.value_KM = sums.share_PKM().sum(axis=0)
        weights_BP = product_weights(len(sums.styles), seed=seed, resamples=resamples)
        flat_PM = sums.sum_PKM.reshape(len(sums.styles), -1)
        drawn = resampled_means(flat_PM, sums.count_P[:, None], weights_BP)
        self.resampled_BKM = drawn.reshape(resamples, *self.value_KM.shape)

    def places(self, rankings: Sequence[Ranking]) -> list[int]:
        """Where rankings stand on the axis K."""
        return [self.place_of[ranking] for ranking in rankings]

    def over_seeds(self, value_SM: np.ndarray, resampled_BSM: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mean over seeds and its low and high end, (M,) each; of one seed the interval is over styles alone."""
        drawn_BM = resampled_BSM.mean(axis=1) + seed_noise(value_SM, seed=self.seed, resamples=len(resampled_BSM))
        low_M, high_M = interval(drawn_BM, CONFIDENCE, products=len(self.sums.styles))
        return value_SM.mean(axis=0), low_M, high_M

    def counts(self, seeds: int) -> dict[str, int]:
        """What the figures were computed from."""
        sums = self.sums
        counted = {"queries": sums.queries, "styles": len(sums.styles), "resamples": self.resamples}
        return {"seeds": seeds} | counted


def seed_noise(value_SM: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """What drawing seeds again adds to their mean, (resamples, M): zeros for one seed.

    Draws of S seeds spread too little by the factor sqrt((S - 1) / S), and a normal curve has thinner tails than
    Student's: both are made up for, as a mean's interval over so few numbers has to. With three seeds they alone are
    worth some 2.7 times what the bare draws would say.
    """
    seeds = len(value_SM)
    if seeds < 2:
        return np.zeros((resamples, value_SM.shape[1]))
    drawing = np.random.default_rng([seed, seeds])
    count_BS = drawing.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    noise_BM: np.ndarray = _stretch(seeds) * count_BS @ (value_SM - value_SM.mean(axis=0)) / seeds
    return noise_BM


def _stretch(seeds: int) -> float:
    from scipy.special import stdtrit

    middle = (1 + CONFIDENCE) / 2
    return float(stdtrit(seeds - 1, middle)) / NormalDist().inv_cdf(middle) * (seeds / (seeds - 1)) ** 0.5


def same_style_intervals(ranks: pa.Table, *, seed: int = 0, resamples: int = RESAMPLES) -> pa.Table:
    """Every figure of `same_style_ranks` of one dataset with its 95 % interval; schema `INTERVALS`.

    A row for each seed and, of variants with several seeds, one with seed NULL: their mean, with styles and seeds drawn
    again.

    Raises:
        EiclipError: the ranks are of several datasets, or rankings are of different queries.
    """
    sums = StyleSums.of(ranks)
    if not sums.rankings:
        return INTERVALS.empty_table()
    found = Resampled(sums, seed=seed, resamples=resamples)
    rows: list[dict[str, Any]] = []
    for rankings in _by_variant(sums.rankings).values():
        for chosen, label in _one_by_one_and_together(rankings):
            places = found.places(chosen)
            value_M, low_M, high_M = found.over_seeds(found.value_KM[places], found.resampled_BKM[:, places])
            named = _named(sums.dataset, chosen[0], label) | found.counts(len(chosen))
            rows += [
                named | {"measure": measure, "value": value_M[place], "low": low_M[place], "high": high_M[place]}
                for place, measure in enumerate(MEASURES)
            ]
    return pa.Table.from_pylist(rows, schema=INTERVALS)


def _named(dataset: str, ranking: Ranking, seed: int | None) -> dict[str, Any]:
    return {"dataset": dataset, "variant": ranking.variant, "view_pair": ranking.view_pair, "seed": seed}


def _by_variant(rankings: Sequence[Ranking]) -> dict[tuple[str, str], tuple[Ranking, ...]]:
    """The rankings of each variant and pair of views, by seed."""
    found: dict[tuple[str, str], tuple[Ranking, ...]] = {}
    for ranking in sorted(rankings):
        key = (ranking.variant, ranking.view_pair)
        found[key] = (*found.get(key, ()), ranking)
    return found


def _one_by_one_and_together(rankings: tuple[Ranking, ...]) -> Iterator[tuple[tuple[Ranking, ...], int | None]]:
    """Each ranking with its seed, then all of them, where they are several, without one."""
    yield from (((ranking,), ranking.seed) for ranking in rankings)
    if len(rankings) > 1:
        yield rankings, None


def same_style_comparisons(
    ranks: pa.Table, *, pairs: Sequence[tuple[str, str]] = PAIRS, seed: int = 0, resamples: int = RESAMPLES
) -> pa.Table:
    """Differences between rows of `pairs`, and of m-m from the better single view of its variant; schema `COMPARISONS`.

    Pairs of rows are compared in every pair of views that both have, seed by seed; a variant of a single seed (one that
    is not trained) stands beside every seed of the other. With several seeds there is also a row of the mean difference
    (seed NULL), with styles and seeds drawn again; it has no p-value, since that is over styles alone. The better
    single view is that of the higher value in this measure and row, so that what m-m gains over it is not flattered.

    Raises:
        EiclipError: as `same_style_intervals`.
    """
    sums = StyleSums.of(ranks)
    pairings = list(_pairings(_by_variant(sums.rankings), pairs))
    if not pairings:
        return COMPARISONS.empty_table()
    found = Resampled(sums, seed=seed, resamples=resamples)
    p_values = _p_values(found, pairings)
    rows = [row for pairing in pairings for row in _compared(found, pairing, p_values)]
    return pa.Table.from_pylist(list(_with_better_single(rows)), schema=COMPARISONS)


def _pairings(
    known: Mapping[tuple[str, str], tuple[Ranking, ...]], pairs: Sequence[tuple[str, str]]
) -> Iterator[Pairing]:
    for variant, baseline in pairs:
        for (name, view_pair), ours in known.items():
            if name == variant and (baseline, view_pair) in known:
                yield from _side_by_side(ours, known[baseline, view_pair])
    for (variant, view_pair), ours in known.items():
        for single in SINGLE if view_pair == JOINT else ():
            if (variant, single) in known:
                yield from _side_by_side(ours, known[variant, single])


def _side_by_side(ours: tuple[Ranking, ...], theirs: tuple[Ranking, ...]) -> Iterator[Pairing]:
    """Seeds that both have; all of them where one side has a single one; nothing where no seed is shared."""
    if len(ours) == 1 or len(theirs) == 1:
        most = max(len(ours), len(theirs))
        yield Pairing(ours * (most if len(ours) == 1 else 1), theirs * (most if len(theirs) == 1 else 1))
        return
    by_seed = {ranking.seed: ranking for ranking in theirs}
    shared = tuple(ranking for ranking in ours if ranking.seed in by_seed)
    if shared:
        yield Pairing(shared, tuple(by_seed[ranking.seed] for ranking in shared))


def _p_values(found: Resampled, pairings: Sequence[Pairing]) -> dict[tuple[Ranking, Ranking], np.ndarray]:
    """P-values of every two rankings that stand beside each other, (M,) each: from the same flips."""
    beside = list(dict.fromkeys(two for each in pairings for two in zip(each.one, each.other, strict=True)))
    share_PKM = found.sums.share_PKM()
    ours, theirs = (found.places([two[side] for two in beside]) for side in (0, 1))
    difference_PCM = share_PKM[:, ours] - share_PKM[:, theirs]
    p_value_M = paired_p_value(difference_PCM.reshape(len(share_PKM), -1), seed=found.seed)
    return dict(zip(beside, p_value_M.reshape(len(beside), -1), strict=True))


def _compared(
    found: Resampled, pairing: Pairing, p_values: Mapping[tuple[Ranking, Ranking], np.ndarray]
) -> Iterator[dict[str, Any]]:
    """A row for each seed and measure, and for the mean over several seeds."""
    every = list(zip(pairing.one, pairing.other, pairing.seeds, strict=True))
    for chosen, label in [*(([each], each[2]) for each in every), *([(every, None)] if len(every) > 1 else [])]:
        ours, theirs = found.places([one for one, *_ in chosen]), found.places([other for _, other, _ in chosen])
        difference_BSM = found.resampled_BKM[:, ours] - found.resampled_BKM[:, theirs]
        value_M, baseline_M = found.value_KM[ours].mean(axis=0), found.value_KM[theirs].mean(axis=0)
        ends = found.over_seeds(found.value_KM[ours] - found.value_KM[theirs], difference_BSM)
        p_value_M = p_values[chosen[0][0], chosen[0][1]] if label is not None else [None] * len(MEASURES)
        (one, other, _), *_ = chosen
        named = _named(found.sums.dataset, one, label) | found.counts(len(chosen))
        named |= {"baseline": other.variant, "baseline_view_pair": other.view_pair}
        names = ("measure", "value", "baseline_value", "difference", "low", "high", "p_value")
        columns = (MEASURES, value_M, baseline_M, *ends, p_value_M)
        for values in zip(*columns, strict=True):
            yield named | dict(zip(names, values, strict=True))


def _with_better_single(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All rows but, of m-m against two single views of its variant, the one against the worse view."""
    best: dict[tuple[Any, ...], float] = {}
    for row in rows:
        best[_within(row)] = max(best.get(_within(row), -np.inf), row["baseline_value"])
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        is_within = row["variant"] == row["baseline"]
        if is_within and (row["baseline_value"] < best[_within(row)] or _within(row) in seen):
            continue
        seen.add(_within(row))
        yield row


def _within(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["variant"], row["baseline"], row["seed"], row["measure"], row["view_pair"]
