"""Table 1's figures with confidence intervals over products, and paired comparisons of its rows.

Shape suffixes: P products, V variants, W ways (directions), M measures, F figures (a direction and a measure), B
bootstrap samples, N pairs of variants.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eiclip.evaluation import bootstrap
from eiclip.evaluation.bootstrap import RESAMPLES
from eiclip.model.variants import CROSS_VARIANTS, VARIANTS

MEASURES = ("r1", "r5", "r10", "mrr", "ndcg10", "text_equal_r1")
"""Measures of a query, in percent; a figure is their mean over queries."""
SUMMED = slice(0, 3)
"""Those that SumR adds up, over both directions."""
WAYS = ("i2t", "t2i")
PAIRS = (
    ("eiclip", "clip_entities_text"),
    ("eiclip", "eiclip_equal"),
    ("eiclip", "clip_description"),
    ("eiclip_plus", "eiclip"),
    ("eiclip_plus", "clip_entities_text"),
    ("eiclip_plus", "eiclip_equal"),
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


@dataclass(frozen=True)
class RankSums:
    """One protocol of one dataset: each product's measures, summed over its queries, and how many queries it has.

    Of a protocol with several draws a product's queries are those of all draws.
    """

    dataset: str
    protocol: str
    products: tuple[str, ...]
    variants: tuple[str, ...]
    ways: tuple[str, ...]
    sum_PVWM: np.ndarray
    count_PW: np.ndarray


def rank_sums(ranks: pa.Table, protocols: Sequence[str] = ()) -> Iterator[RankSums]:
    """Sum each protocol of `retrieval_ranks` of one dataset (only `protocols`, where given) by product.

    The order of the rows makes no difference: products are sorted, variants are in the paper's order.

    Raises:
        EiclipError: the ranks are of several datasets, or variants rank different queries.
    """
    dataset = bootstrap.only_dataset(ranks)
    for protocol in sorted(ranks["protocol"].unique().to_pylist()):
        if not protocols or protocol in protocols:
            rows = ranks.filter(pc.equal(ranks["protocol"], protocol))
            measures = [
                *bootstrap.measures_of(rows["rank"].to_numpy()).values(),
                100.0 * rows["ndcg10"].to_numpy(),
                bootstrap.measures_of(rows["rank_text_equal"].to_numpy())["r1"],
            ]
            axes = ("product_id", "variant", "direction")
            (products, variants, ways), sum_PVWM, count_PVW = bootstrap.sums_by(
                rows, measures, axes, {"variant": list(VARIANTS | CROSS_VARIANTS)}
            )
            place, remedy = f"{dataset}, {protocol}", "materialise retrieval_ranks again"
            bootstrap.require_same_queries(count_PVW, variants, place, remedy)
            yield RankSums(dataset, protocol, products, variants, ways, sum_PVWM, count_PVW[:, 0])


@dataclass(frozen=True)
class Figures:
    """The figures of one protocol: their values, each product's share in them, and their values by bootstrap sample."""

    sums: RankSums
    names: list[tuple[str, str]]
    queries: list[int]
    value_VF: np.ndarray
    share_PVF: np.ndarray
    resampled_BVF: np.ndarray

    def rows(self, named: dict[str, str], columns: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
        """Yield a row a figure of columns (F,); NaN (a change relative to nothing) is null."""
        named = {"dataset": self.sums.dataset, "protocol": self.sums.protocol} | named
        counts = {"products": len(self.sums.products), "resamples": len(self.resampled_BVF)}
        for place, (direction, measure) in enumerate(self.names):
            numbers = {name: float(column[place]) for name, column in columns.items()}
            finite = {name: number if np.isfinite(number) else None for name, number in numbers.items()}
            figure = {"direction": direction, "measure": measure, "queries": self.queries[place]}
            yield named | counts | figure | finite


def figures(sums: RankSums, *, seed: int = 0, resamples: int = RESAMPLES) -> Figures:
    """Return each measure of each direction and, with both directions, SumR: over the same bootstrap samples."""
    weights_BP = bootstrap.cluster_weights(len(sums.products), seed=seed, resamples=resamples)
    names, queries, values, shares, drawn = [], [], [], [], []
    for way, direction in enumerate(sums.ways):
        sum_PVM, count_P = sums.sum_PVWM[:, :, way], sums.count_PW[:, way]
        names += [(direction, measure) for measure in MEASURES]
        queries += [int(count_P.sum())] * len(MEASURES)
        values.append(sum_PVM.sum(axis=0) / count_P.sum())
        shares.append(sum_PVM / count_P.sum())
        drawn.append(bootstrap.resampled_means(sum_PVM, count_P, weights_BP))
    if set(sums.ways) == set(WAYS):
        names.append(("both", "sum_r"))
        queries.append(int(sums.count_PW.sum()))
        for parts in (values, shares, drawn):
            parts.append(sum(part[..., SUMMED].sum(axis=-1, keepdims=True) for part in parts))
    return Figures(sums, names, queries, *(np.concatenate(parts, axis=-1) for parts in (values, shares, drawn)))


def metric_intervals(ranks: pa.Table, *, seed: int = 0, resamples: int = RESAMPLES) -> pa.Table:
    """Return every figure of `retrieval_ranks` of one dataset with its 95 % interval; schema `INTERVALS`.

    Raises:
        EiclipError: as `rank_sums`.
    """
    rows: list[dict[str, Any]] = []
    for sums in rank_sums(ranks):
        found = figures(sums, seed=seed, resamples=resamples)
        low_VF, high_VF = bootstrap.interval(found.resampled_BVF, clusters=len(sums.products))
        for place, variant in enumerate(sums.variants):
            columns = {"value": found.value_VF[place], "low": low_VF[place], "high": high_VF[place]}
            rows += found.rows({"variant": variant}, columns)
    return pa.Table.from_pylist(rows, schema=INTERVALS)


def row_comparisons(
    ranks: pa.Table, *, seed: int = 0, resamples: int = RESAMPLES, pairs: Sequence[tuple[str, str]] = PAIRS
) -> pa.Table:
    """Return differences between those rows of `pairs` that are there, with intervals; schema `COMPARISONS`.

    Raises:
        EiclipError: as `rank_sums`.
    """
    rows: list[dict[str, Any]] = []
    for sums in rank_sums(ranks):
        found = figures(sums, seed=seed, resamples=resamples)
        found_pairs = [pair for pair in pairs if set(pair) <= set(sums.variants)]
        ours, theirs = ([sums.variants.index(pair[side]) for pair in found_pairs] for side in (0, 1))
        # The p-values of all are from the same flips, which are most of the work.
        p_value_NF = bootstrap.paired_p_value(found.share_PVF[:, ours] - found.share_PVF[:, theirs], seed=seed)
        for pair, our, their, p_value_F in zip(found_pairs, ours, theirs, p_value_NF, strict=True):
            value_F, baseline_F, baseline_BF = found.value_VF[our], found.value_VF[their], found.resampled_BVF[:, their]
            difference_BF = found.resampled_BVF[:, our] - baseline_BF
            low_F, high_F = bootstrap.interval(difference_BF, clusters=len(sums.products))
            with np.errstate(divide="ignore", invalid="ignore"):
                relative_F = 100 * (value_F - baseline_F) / baseline_F
                relative_BF = np.nan_to_num(100 * difference_BF / baseline_BF, nan=np.inf, posinf=np.inf)
                relative_3F = np.stack([relative_F, *bootstrap.interval(relative_BF, clusters=len(sums.products))])
            # Where the baseline has nothing in so many samples that the interval has no end, there are no percents.
            relative_3F[:, ~np.isfinite(relative_3F).all(axis=0)] = np.nan
            columns = (value_F, baseline_F, value_F - baseline_F, low_F, high_F, *relative_3F, p_value_F)
            named = dict(zip(("variant", "baseline"), pair, strict=True))
            rows += found.rows(named, dict(zip(_COMPARED, columns, strict=True)))
    return pa.Table.from_pylist(rows, schema=COMPARISONS)
