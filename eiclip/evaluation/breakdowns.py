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
    members: dict[tuple[str, str], set[str]] = {}
    columns = (facets[name].to_pylist() for name in ("facet", "value", "product_id"))
    for facet, value, product in zip(*columns, strict=True):
        members.setdefault((facet, value), set()).add(product)
    rows: list[dict[str, Any]] = []
    for sums in rank_sums(ranks, [PROTOCOL]):
        place_of = {product: place for place, product in enumerate(sums.products)}
        for (facet, value), products in sorted(members.items()):
            places = sorted(place_of[product] for product in products if product in place_of)
            if places:
                named = {"dataset": sums.dataset, "protocol": PROTOCOL, "facet": facet, "value": value}
                rows += [named | row for row in _value_rows(sums, places, seed=seed, resamples=resamples)]
    return pa.Table.from_pylist(rows, schema=BREAKDOWNS)


def _value_rows(sums: RankSums, places: list[int], *, seed: int, resamples: int) -> Iterator[dict[str, Any]]:
    """Yield a row a direction and variant; gains over the baseline are tested where there are enough products."""
    products, has_baseline = len(places), BASELINE in sums.variants
    is_tested = has_baseline and products >= MINIMUM_PRODUCTS
    sum_PVWM, count_PW = sums.sum_PVWM[places], sums.count_PW[places]
    count_W = count_PW.sum(axis=0)
    mean_VWM = sum_PVWM.sum(axis=0) / count_W[:, None]
    if has_baseline:
        difference_PVW = sum_PVWM[..., R1] - sum_PVWM[:, sums.variants.index(BASELINE), None, :, R1]
        gain_VW = difference_PVW.sum(axis=0) / count_W
        weights_BP = cluster_weights(products, seed=seed, resamples=resamples)
    for way, direction in enumerate(sums.ways):
        if is_tested:
            difference_PV, count_P1 = difference_PVW[:, :, way], count_PW[:, way : way + 1]
            low_V, high_V = interval(resampled_means(difference_PV, count_P1, weights_BP), clusters=products)
            p_V = paired_p_value(difference_PV, seed=seed)
        for place, variant in enumerate(sums.variants):
            row: dict[str, Any] = {"direction": direction, "variant": variant}
            row |= {"products": products, "queries": int(count_W[way])}
            row |= {name: float(mean_VWM[place, way, MEASURES.index(name)]) for name in SHOWN}
            if has_baseline and variant != BASELINE:
                row["gain_r1"] = float(gain_VW[place, way])
                if is_tested:
                    row["p_value"] = float(p_V[place])
                    if difference_PV[:, place].any():
                        row |= {"gain_low": float(low_V[place]), "gain_high": float(high_V[place])}
            yield row


def rank_correlation(
    x_N: np.ndarray, y_N: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float, float]:
    """Compute Spearman's correlation of two columns and its 95 % confidence interval; NaN where a column is constant.

    Bootstrap samples of rows in which all values of a column are equal have no correlation and are left out.

    >>> round(rank_correlation(np.arange(9.0), np.arange(9.0) ** 3)[0], 6)
    1.0
    """
    from scipy.stats import rankdata

    drawn_BN = np.random.default_rng(seed).integers(len(x_N), size=(resamples, len(x_N)))
    rows_BN = np.concatenate([np.arange(len(x_N))[None], drawn_BN])
    rank_BN = (rankdata(values_N[rows_BN], axis=1) for values_N in (x_N, y_N))
    x_BN, y_BN = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in rank_BN)
    scale_B = np.sqrt((x_BN**2).sum(axis=1) * (y_BN**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        found_B = (x_BN * y_BN).sum(axis=1) / np.where(scale_B > 0, scale_B, np.nan)
    if np.isnan(found_B[0]):
        return float("nan"), float("nan"), float("nan")
    known_B = found_B[1:][~np.isnan(found_B[1:])]
    low, high = interval(known_B[:, None])
    return float(found_B[0]), float(low[0]), float(high[0])
