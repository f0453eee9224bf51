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
from eiclip.studies.trials import AS_TEXT, DESCRIPTION, EQUAL, OURS, PLUS, Trial

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


SEED_PAIRS = ((OURS, AS_TEXT), (OURS, EQUAL), (PLUS, OURS), (PLUS, AS_TEXT), (AS_TEXT, DESCRIPTION))
"""Rows that are compared over training seeds, the second the baseline."""
COMPARED = ("i2t_r1", "t2i_r1", "sum_r")
_COMPARED_FIGURES = (
    "value",
    "baseline_value",
    "difference",
    "low",
    "high",
    "relative",
    "relative_low",
    "relative_high",
)
SEED_COMPARISONS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "variant", "baseline", "measure")]
    + [(name, pa.int64()) for name in ("seeds", "products")]
    + [(name, pa.float64()) for name in _COMPARED_FIGURES]
)


def seed_comparisons(
    dataset: str,
    ranks: Mapping[tuple[str, int], pa.Table],
    resamples: int = RESAMPLES,
    pairs: Sequence[tuple[str, str]] = SEED_PAIRS,
) -> pa.Table:
    """Compare rows over products and training seeds together; schema `SEED_COMPARISONS_SCHEMA`.

    A figure is the mean over the seeds. Its 95 % interval is of bootstrap samples that draw products and seeds anew,
    both with replacement and the same for both rows. With three seeds their spread is a rough guess.

    Args:
        dataset: its name.
        ranks: of each row and seed, as `eiclip.studies.ranks.RANKS_SCHEMA`.
        resamples: bootstrap samples.
        pairs: rows that are compared, as far as they are there, the second the baseline.

    Returns:
        A row a pair and measure; `relative` is the difference in percent of the baseline's figure.

    Raises:
        EiclipError: rows or seeds rank other queries than the first.
    """
    names = {f"{variant}, seed {seed}": (variant, seed) for variant, seed in ranks}
    table = pa.concat_tables(
        ranks[key]
        .select(["direction", "product_id", "rank"])
        .append_column("trial", pa.array([name] * len(ranks[key])))
        for name, key in names.items()
    )
    measures = bootstrap.measures_of(table["rank"].to_numpy())
    axes = ("product_id", "trial", "direction")
    (products, trials, _), sum_PTWM, count_PTW = bootstrap.sums_by(
        table, list(measures.values()), axes, {"trial": list(names), "direction": ["i2t", "t2i"]}
    )
    bootstrap.require_same_queries(count_PTW, trials, f"{dataset}, seeds", "run the seed study again")
    weights_BP = bootstrap.cluster_weights(len(products), resamples=resamples)
    drawn_BTM = _compared_measures(bootstrap.resampled_means(sum_PTWM, count_PTW[..., None] + 0 * sum_PTWM, weights_BP))
    plain_TM = _compared_measures((sum_PTWM.sum(axis=0) / count_PTW.sum(axis=0)[..., None])[None])[0]
    seeds = sorted({seed for _, seed in names.values()})
    seed_BS = np.random.default_rng(1).integers(len(seeds), size=(resamples, len(seeds)))
    place = {key: number for number, key in enumerate(names.values())}

    def of(variant: str) -> tuple[np.ndarray, np.ndarray]:
        """A row's figures: the mean over seeds (M,), and that of each bootstrap sample (B, M)."""
        own_S = [place[variant, seed] for seed in seeds]
        drawn_BSM = drawn_BTM[:, own_S]
        return plain_TM[own_S].mean(axis=0), np.take_along_axis(drawn_BSM, seed_BS[..., None], axis=1).mean(axis=1)

    found = []
    for variant, baseline in pairs:
        if not all((name, seed) in place for name in (variant, baseline) for seed in seeds):
            continue
        (value_M, value_BM), (base_M, base_BM) = of(variant), of(baseline)
        low_M, high_M = bootstrap.interval(value_BM - base_BM, clusters=len(products))
        with np.errstate(divide="ignore", invalid="ignore"):
            relative_M = 100 * (value_M / base_M - 1)
            least_M, most_M = bootstrap.interval(100 * (value_BM / base_BM - 1), clusters=len(products))
        figures = (value_M, base_M, value_M - base_M, low_M, high_M, relative_M, least_M, most_M)
        for number, measure in enumerate(COMPARED):
            shared: dict[str, Any] = {"dataset": dataset, "variant": variant, "baseline": baseline, "measure": measure}
            shared |= {"seeds": len(seeds), "products": len(products)}
            row = {name: float(figure[number]) for name, figure in zip(_COMPARED_FIGURES, figures, strict=True)}
            found.append(shared | {name: value if np.isfinite(value) else None for name, value in row.items()})
    return pa.Table.from_pylist(found, schema=SEED_COMPARISONS_SCHEMA)


def _compared_measures(values: np.ndarray) -> np.ndarray:
    """`COMPARED` (..., 3) of r1, r5, r10 and mrr by way (..., W, M), photo to text first."""
    recalls = values[..., :3]
    return np.stack([recalls[..., 0, 0], recalls[..., 1, 0], recalls.sum(axis=(-1, -2))], axis=-1)


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
