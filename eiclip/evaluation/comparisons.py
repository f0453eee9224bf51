"""How sure a figure is: products are drawn again, and differences between rows are tested product by product.

The photos of a product show one garment under one text, so their queries are not independent: the product is what is
drawn, with all its queries. Every figure here is a mean over queries, thus a sum over products divided by a count.

Shape suffixes: B resamples, P products, V variants, F figures (a direction and a measure), M measures of any kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from eiclip.evaluation.rank_sums import MEASURES, SUMMED, WAYS, RankSums, rank_sums

RESAMPLES = 2000
"""Times the products are drawn again for an interval."""

FLIPS = 9_999
"""Random sign patterns of a paired test: the smallest p-value it can give is 1 / 10,000."""

CHUNK_BYTES = 32 << 20
"""Memory of one chunk of weights or signs as numbers."""

PAIRS = (
    ("eiclip", "clip_entities_text"),
    ("eiclip", "eiclip_equal"),
    ("eiclip", "clip_description"),
    ("eiclip_equal", "clip_entities_text"),
    ("clip_entities_text", "clip_description"),
    ("clip_description", "clip_pretrained"),
)
"""Rows that are compared, the second the baseline; the first pair is the question asked beforehand."""

_COUNTS = [("queries", pa.int64()), ("products", pa.int64()), ("resamples", pa.int64())]
_NAMES = [(name, pa.string()) for name in ("dataset", "protocol", "direction", "measure", "variant")]
INTERVALS = pa.schema([*_NAMES, *((name, pa.float64()) for name in ("value", "low", "high")), *_COUNTS])
_COMPARED = (
    "value", "baseline_value", "difference", "low", "high", "relative", "relative_low", "relative_high", "p_value",
)  # fmt: skip
COMPARISONS = pa.schema([*_NAMES, ("baseline", pa.string()), *((name, pa.float64()) for name in _COMPARED), *_COUNTS])


def product_weights(products: int, *, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """How often each product is drawn in each resample: products are drawn with replacement, as many as there are.

    Args:
        products: number of products.
        seed: the same seed and number of products give the same weights.
        resamples: rows of the result.

    Returns:
        Counts, (resamples, products), one byte each; every row sums to `products`.

    >>> product_weights(3, resamples=2).sum(axis=1).tolist()
    [3, 3]
    """
    drawing = np.random.default_rng(seed)
    weights_BP = np.empty((resamples, products), dtype=np.uint8)  # a count beyond 255 has no chance worth naming
    for start, stop in _chunks(resamples, products):
        drawn_CP = drawing.integers(products, size=(stop - start, products))
        drawn_CP += np.arange(stop - start)[:, None] * products
        counts = np.bincount(drawn_CP.ravel(), minlength=drawn_CP.size)
        weights_BP[start:stop] = counts.reshape(drawn_CP.shape)
    return weights_BP


def resampled_means(sum_PM: np.ndarray, count_PM: np.ndarray, weights_BP: np.ndarray) -> np.ndarray:
    """The mean over queries of each measure in each resample: a product weighs as many queries as it has.

    Args:
        sum_PM: a measure summed over a product's queries.
        count_PM: queries of a product; (P, 1) where all measures have the same.
        weights_BP: how often each product is drawn (`product_weights`).

    Returns:
        (resamples, measures); NaN where a resample holds no query.
    """
    means_BM = np.empty((len(weights_BP), sum_PM.shape[1]))
    for start, stop in _chunks(*weights_BP.shape):
        weights_CP = weights_BP[start:stop].astype(np.float64)
        with np.errstate(invalid="ignore"):
            means_BM[start:stop] = (weights_CP @ sum_PM) / (weights_CP @ count_PM)
    return means_BM


def interval(
    values_BM: np.ndarray, confidence: float = 0.95, *, products: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of each measure: what the middle `confidence` of the resamples lie between.

    Args:
        values_BM: measures by resample.
        confidence: share of resamples within.
        products: where given, the share is widened for how few products there are (`widened`).

    Returns:
        Low and high, (measures,) each; NaN where a resample is NaN.
    """
    tail = (1 - (confidence if products is None else widened(confidence, products))) / 2
    low_M, high_M = np.quantile(values_BM, [tail, 1 - tail], axis=0)
    return low_M, high_M


def widened(confidence: float, products: int) -> float:
    """The share of resamples that covers the truth `confidence` of the time with so few products.

    Resamples of P products spread too little by the factor sqrt((P - 1) / P), and a normal curve has thinner tails than
    Student's: the usual correction of a mean's interval, applied to the shares (nothing to speak of from 100 products).

    >>> round(widened(0.95, 5), 4), round(widened(0.95, 1000), 4)
    (0.9981, 0.9504)
    """
    from scipy.special import stdtrit

    if products < 2:
        return 1.0
    reach = float(stdtrit(products - 1, (1 + confidence) / 2)) * (products / (products - 1)) ** 0.5
    return 2 * NormalDist().cdf(reach) - 1


def paired_p_value(difference_PM: np.ndarray, *, seed: int = 0, flips: int = FLIPS) -> np.ndarray:
    """Two-sided p-value of a paired randomisation test over products.

    Were two rows alike, either could have had the other's ranks on any product: the sign of each product's difference
    is flipped at random, all its queries and measures at once, and the p-value is how often the total then lies as far
    from zero as the one seen, the one seen counted in.

    Args:
        difference_PM: a product's share in the difference of two means, summed over its queries.
        seed: the same seed gives the same flips.
        flips: random sign patterns.

    Returns:
        (measures,), from 1 / (1 + flips) to 1.
    """
    drawing = np.random.default_rng(seed)
    products, measures = difference_PM.shape
    total_M = difference_PM.sum(axis=0)
    least_M = np.abs(total_M) - 1e-9 * np.abs(difference_PM).sum(axis=0)  # equal but for rounding is equal
    hits_M = np.zeros(measures, dtype=np.int64)
    for start, stop in _chunks(flips, products):
        words = drawing.integers(1 << 64, size=(stop - start, -(-products // 64)), dtype=np.uint64)
        flipped_CP = np.unpackbits(words.view(np.uint8), axis=1, count=products).astype(np.float64)
        hits_M += (np.abs(total_M - 2 * flipped_CP @ difference_PM) >= least_M).sum(axis=0)
    return (1 + hits_M) / (1 + flips)


def _chunks(rows: int, columns: int) -> list[tuple[int, int]]:
    """Spans of rows whose numbers take `CHUNK_BYTES` at most."""
    size = max(1, CHUNK_BYTES // (8 * max(1, columns)))
    return [(start, min(start + size, rows)) for start in range(0, rows, size)]


@dataclass(frozen=True)
class Figures:
    """The figures of one protocol: their values, each product's share in them, and their values by resample."""

    names: tuple[tuple[str, str], ...]
    queries: tuple[int, ...]
    value_VF: np.ndarray
    share_PVF: np.ndarray
    resampled_BVF: np.ndarray


def figures(sums: RankSums, *, seed: int = 0, resamples: int = RESAMPLES) -> Figures:
    """Every measure of every direction and, with both directions, SumR: from the same resamples of products."""
    weights_BP = product_weights(len(sums.products), seed=seed, resamples=resamples)
    names, queries, values, shares, drawn = [], [], [], [], []
    for way, direction in enumerate(sums.ways):
        sum_PVM, count_P1 = sums.sum_PVWM[:, :, way], sums.count_PW[:, way : way + 1]
        flat_PM = sum_PVM.reshape(len(sum_PVM), -1)
        names += [(direction, measure) for measure in MEASURES]
        queries += [int(count_P1.sum())] * len(MEASURES)
        values.append(sum_PVM.sum(axis=0) / count_P1.sum())
        shares.append(sum_PVM / count_P1.sum())
        drawn.append(resampled_means(flat_PM, count_P1, weights_BP).reshape(resamples, *sum_PVM.shape[1:]))
    if set(sums.ways) == set(WAYS):
        names.append(("both", "sum_r"))
        queries.append(int(sums.count_PW.sum()))
        for parts in (values, shares, drawn):
            parts.append(sum(part[..., SUMMED].sum(axis=-1, keepdims=True) for part in parts))
    joined = (np.concatenate(parts, axis=-1) for parts in (values, shares, drawn))
    return Figures(tuple(names), tuple(queries), *joined)


def metric_intervals(ranks: pa.Table, *, seed: int = 0, resamples: int = RESAMPLES) -> pa.Table:
    """Every figure of `retrieval_ranks` of one dataset with its 95 % interval; schema `INTERVALS`."""
    rows: list[dict[str, Any]] = []
    for sums in rank_sums(ranks):
        found = figures(sums, seed=seed, resamples=resamples)
        products = len(sums.products)
        for place, variant in enumerate(sums.variants):
            low_F, high_F = interval(found.resampled_BVF[:, place], products=products)
            columns = {"value": found.value_VF[place], "low": low_F, "high": high_F}
            shared = _shared(sums, variant, resamples)
            rows += [shared | row for row in _rows(found, columns)]
    return pa.Table.from_pylist(rows, schema=INTERVALS)


def row_comparisons(ranks: pa.Table, *, seed: int = 0, resamples: int = RESAMPLES) -> pa.Table:
    """The differences between the rows of `PAIRS` that are there, with intervals and p-values; schema `COMPARISONS`."""
    rows: list[dict[str, Any]] = []
    for sums in rank_sums(ranks):
        found = figures(sums, seed=seed, resamples=resamples)
        pairs = [pair for pair in PAIRS if set(pair) <= set(sums.variants)]
        places_N2 = np.array([[sums.variants.index(name) for name in pair] for pair in pairs], dtype=int).reshape(-1, 2)
        p_value_NF = _p_values(found.share_PVF, places_N2, seed=seed)
        for (variant, baseline), (ours, theirs), p_value_F in zip(pairs, places_N2, p_value_NF, strict=True):
            columns = _compared(found, ours, theirs, products=len(sums.products)) | {"p_value": p_value_F}
            shared = _shared(sums, variant, resamples) | {"baseline": baseline}
            rows += [shared | row for row in _rows(found, columns)]
    return pa.Table.from_pylist(rows, schema=COMPARISONS)


def _p_values(share_PVF: np.ndarray, places_N2: np.ndarray, *, seed: int) -> np.ndarray:
    """P-values of all pairs (the variants' places), (N, F): from the same flips, which are most of the work."""
    difference_PNF = share_PVF[:, places_N2[:, 0]] - share_PVF[:, places_N2[:, 1]]
    flat_PM = difference_PNF.reshape(len(share_PVF), -1)
    return paired_p_value(flat_PM, seed=seed).reshape(difference_PNF.shape[1:])


def _compared(found: Figures, ours: int, theirs: int, *, products: int) -> dict[str, np.ndarray]:
    """The columns of one pair but for its p-values, (figures,) each."""
    value_F, baseline_F = found.value_VF[ours], found.value_VF[theirs]
    difference_BF = found.resampled_BVF[:, ours] - found.resampled_BVF[:, theirs]
    low_F, high_F = interval(difference_BF, products=products)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative_F = 100 * (value_F - baseline_F) / baseline_F
        relative_BF = np.nan_to_num(100 * difference_BF / found.resampled_BVF[:, theirs], nan=np.inf, posinf=np.inf)
        relatives = (relative_F, *interval(relative_BF, products=products))
    # Where so many resamples leave the baseline nothing that the interval has no end, there are no percents of it.
    known_F = np.isfinite(relatives).all(axis=0)
    relative_F, relative_low_F, relative_high_F = (np.where(known_F, numbers_F, np.nan) for numbers_F in relatives)
    return {
        "value": value_F,
        "baseline_value": baseline_F,
        "difference": value_F - baseline_F,
        "low": low_F,
        "high": high_F,
        "relative": relative_F,
        "relative_low": relative_low_F,
        "relative_high": relative_high_F,
    }


def _shared(sums: RankSums, variant: str, resamples: int) -> dict[str, Any]:
    return {
        "dataset": sums.dataset,
        "protocol": sums.protocol,
        "variant": variant,
        "products": len(sums.products),
        "resamples": resamples,
    }


def _rows(found: Figures, columns: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """One row a figure; NaN (a change relative to nothing) is null."""
    for place, (direction, measure) in enumerate(found.names):
        numbers = {name: float(column[place]) for name, column in columns.items()}
        finite = {name: number if np.isfinite(number) else None for name, number in numbers.items()}
        yield {"direction": direction, "measure": measure, "queries": found.queries[place]} | finite
