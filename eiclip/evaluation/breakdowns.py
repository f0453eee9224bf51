"""Recall over the products of one brand, one subcategory, one state of an entity group, and the gain over row 3."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from eiclip.evaluation.bootstrap import RESAMPLES, cluster_weights, interval, paired_p_value, resampled_means
from eiclip.evaluation.comparisons import MEASURES, RankSums, rank_sums

PROTOCOL, BASELINE = "full", "clip_entities_text"
MINIMUM_PRODUCTS = 5
"""A value of fewer products has means, but neither interval nor test: they would carry no information."""
R1 = MEASURES.index("r1")
SHOWN = ("r1", "r10", "mrr")

BREAKDOWNS = pa.schema(
    [(name, pa.string()) for name in ("dataset", "protocol", "direction", "facet", "value", "variant")]
    + [(name, pa.int64()) for name in ("products", "queries")]
    + [(name, pa.float64()) for name in (*SHOWN, "gain_r1", "gain_low", "gain_high", "p_value")]
)


def recall_breakdowns(ranks: pa.Table, facets: pa.Table, *, seed: int = 0, resamples: int = RESAMPLES) -> pa.Table:
    """Compute every variant's recall over the products of each facet's values, and its gain over row 3.

    Bootstrap samples are of the value's own products, so that a confidence interval is about that value alone.

    Args:
        ranks: `retrieval_ranks` of one dataset; only the protocol `full` is read.
        facets: `query_facets`: product_id, facet, value.
        seed, resamples: of the intervals and tests.

    Returns:
        Schema `BREAKDOWNS`, in order of facet and value. Gains are null without row 3; intervals and p-values also for
        too few products, and intervals where no product differs between the two rows: there is nothing to resample.
    """
    rows: list[dict[str, Any]] = []
    for sums in rank_sums(ranks, [PROTOCOL]):
        for (facet, value), products_P in _members(facets, sums.products).items():
            named = {"dataset": sums.dataset, "protocol": PROTOCOL, "facet": facet, "value": value}
            part = sums.of_products(products_P)
            rows += [named | row for row in _value_rows(part, seed=seed, resamples=resamples)]
    return pa.Table.from_pylist(rows, schema=BREAKDOWNS)


def _members(facets: pa.Table, products: tuple[str, ...]) -> dict[tuple[str, str], np.ndarray]:
    """Find the products of each facet's values, as indices into `products`; those without ranks are left out."""
    place_of = {product: place for place, product in enumerate(products)}
    members: dict[tuple[str, str], set[int]] = {}
    columns = (facets[name].to_pylist() for name in ("facet", "value", "product_id"))
    for facet, value, product in zip(*columns, strict=True):
        if product in place_of:
            members.setdefault((facet, value), set()).add(place_of[product])
    return {key: np.array(sorted(members[key])) for key in sorted(members)}


def _value_rows(part: RankSums, *, seed: int, resamples: int) -> Iterator[dict[str, Any]]:
    products = len(part.products)
    mean_VWM = part.means()
    gains = _gains(part, seed=seed, resamples=resamples)
    for way, direction in enumerate(part.ways):
        for place, variant in enumerate(part.variants):
            counts = {"products": products, "queries": int(part.count_PW[:, way].sum())}
            measures = {name: float(mean_VWM[place, way, MEASURES.index(name)]) for name in SHOWN}
            gain = gains.get((way, place), {})
            yield {"direction": direction, "variant": variant} | counts | measures | gain


def _gains(part: RankSums, *, seed: int, resamples: int) -> dict[tuple[int, int], dict[str, float]]:
    """Compute gains in R@1 over the baseline by way and variant; with intervals and p-values for enough products."""
    if BASELINE not in part.variants:
        return {}
    difference_PVW = part.sum_PVWM[..., R1] - part.sum_PVWM[:, part.variants.index(BASELINE), None, :, R1]
    gain_VW = difference_PVW.sum(axis=0) / part.count_PW.sum(axis=0)
    others = [place for place, variant in enumerate(part.variants) if variant != BASELINE]
    ways = range(len(part.ways))
    gains = {(way, place): {"gain_r1": float(gain_VW[place, way])} for way in ways for place in others}
    if len(part.products) < MINIMUM_PRODUCTS:
        return gains
    weights_BP = cluster_weights(len(part.products), seed=seed, resamples=resamples)
    for way in ways:
        difference_PV, count_P1 = difference_PVW[:, :, way], part.count_PW[:, way : way + 1]
        drawn_BV = resampled_means(difference_PV, count_P1, weights_BP)
        low_V, high_V = interval(drawn_BV, clusters=len(part.products))
        p_V = paired_p_value(difference_PV, seed=seed)
        for place in others:
            gains[way, place]["p_value"] = float(p_V[place])
            if difference_PV[:, place].any():
                gains[way, place] |= {"gain_low": float(low_V[place]), "gain_high": float(high_V[place])}
    return gains


def rank_correlation(
    x_N: np.ndarray, y_N: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float, float]:
    """Compute Spearman's correlation of two columns and its 95 % confidence interval; NaN where a column is constant.

    Bootstrap samples of rows in which all values of a column are equal have no correlation and are left out.

    >>> round(rank_correlation(np.arange(9.0), np.arange(9.0) ** 3)[0], 6)
    1.0
    """
    drawn_BN = np.random.default_rng(seed).integers(len(x_N), size=(resamples, len(x_N)))
    rows_BN = np.concatenate([np.arange(len(x_N))[None], drawn_BN])
    found_B = _correlations(x_N[rows_BN], y_N[rows_BN])
    if np.isnan(found_B[0]):
        return float("nan"), float("nan"), float("nan")
    known_B = found_B[1:][~np.isnan(found_B[1:])]
    low, high = interval(known_B[:, None])
    return float(found_B[0]), float(low[0]), float(high[0])


def _correlations(x_BN: np.ndarray, y_BN: np.ndarray) -> np.ndarray:
    """Compute Spearman's correlation of each line."""
    from scipy.stats import rankdata

    x_BN, y_BN = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (rankdata(v, axis=1) for v in (x_BN, y_BN)))
    scale_B = np.sqrt((x_BN**2).sum(axis=1) * (y_BN**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        correlation_B: np.ndarray = (x_BN * y_BN).sum(axis=1) / np.where(scale_B > 0, scale_B, np.nan)
    return correlation_B
