"""What an ablation's trials come to: recalls with intervals over products, and gains over the trial compared with.

Shape suffixes: P products, M measures (`MEASURES`), B resamples, Q queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from eiclip.errors import EiclipError
from eiclip.evaluation.comparisons import interval, product_weights, resampled_means
from eiclip.studies.trials import Trial, row

CUTS = (1, 5, 10)
WAYS = ("i2t", "t2i")
MEASURES = tuple(f"{way}_{name}" for way in WAYS for name in (*(f"r{cut}" for cut in CUTS), "mrr"))
SUMMED = [place for place, name in enumerate(MEASURES) if not name.endswith("mrr")]
"""The six whose sum is SumR."""

_RECALLS = [name for name in MEASURES if not name.endswith("mrr")]
RESULTS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "ablation", "trial", "setting", "value")]
    + [
        ("x", pa.float64()),
        ("variant", pa.string()),
        ("row", pa.int64()),
        ("seed", pa.int64()),
        ("subset", pa.string()),
    ]
    + [("epochs", pa.int64()), ("steps", pa.int64()), ("seconds", pa.float64()), ("products", pa.int64())]
    + [(name, pa.float64()) for name in (*_RECALLS, "sum_r", "sum_r_low", "sum_r_high", "i2t_mrr", "t2i_mrr")]
    + [("reference", pa.string())]
    + [(name, pa.float64()) for name in ("sum_r_gain", "gain_low", "gain_high")]
)


@dataclass(frozen=True)
class Outcome:
    """A trial that was trained and ranked; `x` as the table shows it."""

    trial: Trial
    ranks: pa.Table
    epochs: int
    steps: int
    seconds: float
    x: float | None
    products: tuple[str, ...] = field(init=False, repr=False)
    sum_PM: np.ndarray = field(init=False, repr=False)
    count_PM: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        products, sum_PM, count_PM = _by_product(self.ranks)
        for name, value in (("products", products), ("sum_PM", sum_PM), ("count_PM", count_PM)):
            object.__setattr__(self, name, value)


def _by_product(ranks: pa.Table) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Products in the order of their ids, their measures in percent summed over their queries, and their queries."""
    products, place_Q = np.unique(np.array(ranks["product_id"].to_pylist(), dtype=object), return_inverse=True)
    rank_Q, way_Q = ranks["rank"].to_numpy(), np.array(ranks["direction"].to_pylist())
    sums, counts = [], []
    for way in WAYS:
        here_Q = way_Q == way
        of_way, ranked = place_Q[here_Q], rank_Q[here_Q]
        for percent in (*(100.0 * (ranked <= cut) for cut in CUTS), 100.0 / ranked):
            sums.append(np.bincount(of_way, percent, len(products)))
            counts.append(np.bincount(of_way, minlength=len(products)))
    return tuple(products), np.stack(sums, axis=1), np.stack(counts, axis=1)


def results_table(
    dataset: str,
    ablation: str,
    outcomes: Sequence[Outcome],
    subsets: Mapping[str, frozenset[str] | None],
    *,
    resamples: int | None = None,
) -> pa.Table:
    """One row per trial and subset; schema `RESULTS_SCHEMA`.

    Args:
        subsets: test products by name of the subset, None for all; one without products has no rows.
        resamples: times the products are drawn again; None: as often as everywhere.

    Raises:
        EiclipError: trials were ranked on other queries than the first.
    """
    first = outcomes[0]
    for other in outcomes[1:]:
        if other.products != first.products or (other.count_PM != first.count_PM).any():
            raise EiclipError(
                f"{dataset}, {ablation}: {other.trial.label} was ranked on other queries than {first.trial.label}; "
                "delete the ablations' folder of the dataset and run the job again"
            )
    rows = []
    for name, members in subsets.items():
        kept_P = np.array([members is None or product in members for product in first.products])
        if kept_P.any():
            drawn = {} if resamples is None else {"resamples": resamples}
            weights_BP = product_weights(int(kept_P.sum()), **drawn)
            rows += _rows(outcomes, kept_P, weights_BP, {"dataset": dataset, "ablation": ablation, "subset": name})
    return pa.Table.from_pylist(rows, schema=RESULTS_SCHEMA)


def _rows(
    outcomes: Sequence[Outcome], kept_P: np.ndarray, weights_BP: np.ndarray, shared: dict[str, Any]
) -> list[dict[str, Any]]:
    products = int(kept_P.sum())
    sum_r: dict[str, float] = {}
    drawn_B: dict[str, np.ndarray] = {}
    rows = []
    for outcome in outcomes:
        label, sum_PM, count_PM = outcome.trial.label, outcome.sum_PM[kept_P], outcome.count_PM[kept_P]
        means_M = sum_PM.sum(axis=0) / count_PM.sum(axis=0)
        sum_r[label] = float(means_M[SUMMED].sum())
        drawn_B[label] = resampled_means(sum_PM, count_PM, weights_BP)[:, SUMMED].sum(axis=1)
        low, high = _interval(drawn_B[label], products)
        measured = dict(zip(MEASURES, means_M.tolist(), strict=True))
        intervals = {"sum_r": sum_r[label], "sum_r_low": low, "sum_r_high": high}
        rows.append(shared | _described(outcome) | {"products": products} | measured | intervals)
    # The same resamples for both: the gain is paired by product.
    for entry in rows:
        if (reference := entry["reference"]) is not None:
            low, high = _interval(drawn_B[entry["trial"]] - drawn_B[reference], products)
            entry |= {"sum_r_gain": entry["sum_r"] - sum_r[reference], "gain_low": low, "gain_high": high}
    return rows


def _interval(values_B: np.ndarray, products: int) -> tuple[float, float]:
    low_M, high_M = interval(values_B[:, None], products=products)
    return float(low_M[0]), float(high_M[0])


def _described(outcome: Outcome) -> dict[str, Any]:
    trial = outcome.trial
    return {
        "trial": trial.label,
        "setting": trial.setting,
        "value": trial.value,
        "x": outcome.x,
        "variant": trial.variant,
        "row": row(trial.variant),
        "seed": trial.seed,
        "epochs": outcome.epochs,
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        "reference": trial.reference,
    }
