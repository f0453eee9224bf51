"""Results of an ablation's trials: recalls with intervals over products, and gains over each trial's reference.

Shape suffixes: P products, T trials, W ways (directions), M measures, B bootstrap samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from eiclip.errors import EiclipError
from eiclip.evaluation import bootstrap
from eiclip.evaluation.bootstrap import RESAMPLES
from eiclip.model.variants import VARIANTS
from eiclip.studies.trials import Trial

MEASURES = tuple(f"{way}_{name}" for way in ("i2t", "t2i") for name in ("r1", "r5", "r10", "mrr"))
RECALLS = [name for name in MEASURES if not name.endswith("mrr")]
SUMMED = [MEASURES.index(name) for name in RECALLS]
"""The six whose sum is SumR."""

_TYPES = {
    pa.string(): ("dataset", "ablation", "trial", "setting", "value", "variant", "subset", "reference", "verdict"),
    pa.int64(): ("row", "seed", "epochs", "steps", "products"),
}
_COLUMNS = (
    "dataset", "ablation", "trial", "setting", "value", "x", "variant", "row", "seed", "subset", "epochs", "steps",
    "budget", "seconds", "products", *RECALLS, "sum_r", "sum_r_low", "sum_r_high", "i2t_mrr", "t2i_mrr", "reference",
    "sum_r_gain", "gain_low", "gain_high", "verdict",
)  # fmt: skip
RESULTS_SCHEMA = pa.schema(
    [(name, next((kind for kind, names in _TYPES.items() if name in names), pa.float64())) for name in _COLUMNS]
)


@dataclass(frozen=True)
class Outcome:
    """A trial that was trained and ranked (`RANKS_SCHEMA`); `x` as the table shows it, `verdict` on its training."""

    trial: Trial
    ranks: pa.Table
    epochs: int
    steps: int
    budget: float
    """The length it was given, in that of the rows."""
    seconds: float
    x: float | None
    verdict: str | None = None


def results_table(
    dataset: str,
    ablation: str,
    outcomes: Sequence[Outcome],
    subsets: Mapping[str, frozenset[str] | None],
    *,
    resamples: int = RESAMPLES,
) -> pa.Table:
    """Return one row per trial and subset; schema `RESULTS_SCHEMA`.

    Args:
        subsets: test products by name of the subset, None for all; one without products has no rows.
        resamples: bootstrap samples of products.

    Raises:
        EiclipError: trials rank other queries than the first, or none.
    """
    parts = {outcome.trial.label: outcome.ranks.select(["direction", "product_id", "rank"]) for outcome in outcomes}
    place, remedy = f"{dataset}, {ablation}", "delete the ablations' folder of the dataset and run the job again"
    if empty := [label for label, ranks in parts.items() if not ranks.num_rows]:
        raise EiclipError(f"{place}: {', '.join(empty)} ranks no query; {remedy}")
    labels = list(parts)
    ranks = pa.concat_tables(
        ranks.append_column("trial", pa.array([label] * ranks.num_rows)) for label, ranks in parts.items()
    )
    measures, axes = bootstrap.measures_of(ranks["rank"].to_numpy()), ("product_id", "trial", "direction")
    (products, *_), sum_PTWM, count_PTW = bootstrap.sums_by(ranks, list(measures.values()), axes, {"trial": labels})
    bootstrap.require_same_queries(count_PTW, labels, place, remedy)
    rows = []
    for name, members in subsets.items():
        kept_P = np.array([members is None or product in members for product in products])
        if kept_P.any():
            shared = {"dataset": dataset, "ablation": ablation, "subset": name}
            rows += [shared | row for row in _rows(outcomes, sum_PTWM[kept_P], count_PTW[kept_P], resamples)]
    return pa.Table.from_pylist(rows, schema=RESULTS_SCHEMA)


def _rows(
    outcomes: Sequence[Outcome], sum_PTWM: np.ndarray, count_PTW: np.ndarray, resamples: int
) -> list[dict[str, Any]]:
    products, drawn_B, rows = len(sum_PTWM), dict[str, np.ndarray](), dict[str, dict[str, Any]]()
    weights_BP = bootstrap.cluster_weights(products, resamples=resamples)
    for place, outcome in enumerate(outcomes):
        sum_PM = sum_PTWM[:, place].reshape(products, -1)
        count_PM = np.repeat(count_PTW[:, place], sum_PTWM.shape[-1], axis=1)
        mean_M, trial, label = sum_PM.sum(axis=0) / count_PM.sum(axis=0), outcome.trial, outcome.trial.label
        drawn_B[label] = bootstrap.resampled_means(sum_PM, count_PM, weights_BP)[:, SUMMED].sum(axis=1)
        low, high = map(float, bootstrap.interval(drawn_B[label], clusters=products))
        total = {"sum_r": float(mean_M[SUMMED].sum()), "sum_r_low": low, "sum_r_high": high, "products": products}
        shown = {name: getattr(trial, name) for name in ("setting", "value", "variant", "seed", "reference")}
        shown |= {name: getattr(outcome, name) for name in ("epochs", "steps", "budget", "seconds", "x", "verdict")}
        shown |= {"trial": label, "row": VARIANTS[trial.variant].row}
        rows[label] = shown | dict(zip(MEASURES, mean_M.tolist(), strict=True)) | total
    # The same samples for both: the gain is paired by product.
    for label, entry in rows.items():
        if (reference := entry["reference"]) is not None:
            low, high = map(float, bootstrap.interval(drawn_B[label] - drawn_B[reference], clusters=products))
            entry |= {"sum_r_gain": entry["sum_r"] - rows[reference]["sum_r"], "gain_low": low, "gain_high": high}
    return list(rows.values())
