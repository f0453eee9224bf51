"""Tuning: rows 3 and 5 with rates drawn around the recipe, as many trainings of each, judged on the validation split.

The test split has no part in it: what is chosen by it would be measured too well by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from eiclip.errors import NonFiniteError
from eiclip.settings.training import TrainingSettings
from eiclip.studies.trials import AS_TEXT, DESCRIPTION, EQUAL, OURS, PLUS, Base, Trial

TUNING, RESULTS = "tuning", "tuning_results"
RANGES: Mapping[str, tuple[float, float]] = {
    "tower_lr": (1 / 8, 8), "weight_decay": (1 / 10, 1000), "entity_lr": (1 / 8, 8), "gate_lr": (1 / 8, 8),
    "head_lr": (1 / 8, 8),
}  # fmt: skip
"""Factors, from and to, of the recipe's own value; drawn evenly over their logarithm."""
SETTINGS: Mapping[str, tuple[str, ...]] = {
    DESCRIPTION: ("tower_lr", "head_lr", "weight_decay"),
    AS_TEXT: ("tower_lr", "head_lr", "weight_decay"),
    EQUAL: ("tower_lr", "head_lr", "weight_decay", "entity_lr"),
    OURS: ("tower_lr", "head_lr", "weight_decay", "entity_lr", "gate_lr"),
    PLUS: ("tower_lr", "head_lr", "weight_decay", "entity_lr", "gate_lr"),
}
"""What is chosen for each row, as far as it trains something."""
FOLLOWS = {DESCRIPTION: AS_TEXT, AS_TEXT: AS_TEXT, EQUAL: OURS, OURS: OURS, PLUS: OURS}
"""The tuned row whose choice a row takes."""

SCHEMA = pa.schema(
    [("dataset", pa.string()), ("variant", pa.string()), ("trial", pa.int64())]
    + [(name, pa.float64()) for name in RANGES]
    + [("validation", pa.float64()), ("steps", pa.int64()), ("seconds", pa.float64()), ("chosen", pa.bool_())]
)


def rates_of(training: TrainingSettings, variant: str) -> dict[str, float]:
    """Return the rates of a row that train something: heads may have a rate of their own, towers none.

    >>> rates_of(TrainingSettings(image_tower="heads", text_tower="frozen", head_lr=1e-3), "clip_description")
    {'head_lr': 0.001, 'weight_decay': 0.0001}
    """
    rates = {name: getattr(training, name) for name in SETTINGS[variant]}
    if rates["head_lr"] is None:
        del rates["head_lr"]
    elif {training.image_tower, training.text_tower} <= {"heads", "frozen"}:
        del rates["tower_lr"]
    return rates


def drawn_rates(rates: Mapping[str, float], seed: int, trial: int) -> dict[str, float]:
    """Return the rates of a trial: those given for trial 0, else each times a factor that depends on seed and trial.

    All rows that draw the same rates draw them alike. Three significant digits are kept.
    """
    if not trial:
        return dict(rates)
    factors = np.exp(np.random.default_rng([seed, trial]).uniform(*np.log(list(RANGES.values())).T))
    by_name = dict(zip(RANGES, factors.tolist(), strict=True))
    return {name: float(f"{rate * by_name[name]:.3g}") for name, rate in rates.items()}


def tuning(base: Base, trainings: int) -> list[Trial]:
    """Return so many trials of row 3 and of row 5, the recipe as it is first."""
    found = []
    for number in range(trainings):
        for variant in (AS_TEXT, OURS):
            changes = drawn_rates(rates_of(base.of(variant), variant), base.seed, number)
            given = (variant, TUNING, str(number), base.groups, base.seed, changes)
            found.append(Trial(f"{variant}, draw {number}", *given, x=float(number)))
    return found


@dataclass(frozen=True)
class Judged:
    """A trial's rates and what its training came to; `validation` is SumR on that split, None where it diverged."""

    trial: Trial
    rates: Mapping[str, float]
    validation: float | None
    steps: int
    seconds: float


def tuning_table(dataset: str, judged: Sequence[Judged]) -> pa.Table:
    """Return one row per training, schema `SCHEMA`; chosen is the best of each row, the first of equal ones.

    Raises:
        NonFiniteError: every training of a row has diverged.
    """
    best = {}
    for variant in dict.fromkeys(one.trial.variant for one in judged):
        own = [one for one in judged if one.trial.variant == variant and one.validation is not None]
        if not own:
            raise NonFiniteError(f"{dataset}/{variant}: all trainings diverged; lower tower_lr and entity_lr by far")
        best[variant] = max(own, key=lambda one: one.validation or 0.0)
    rows = [
        {"dataset": dataset, "variant": one.trial.variant, "trial": int(one.trial.value), **one.rates}
        | {"validation": one.validation, "steps": one.steps, "seconds": one.seconds}
        | {"chosen": one is best[one.trial.variant]}
        for one in judged
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def chosen_toml(table: pa.Table) -> str:
    """Return what was chosen as lines of a settings file: a table for each of rows 2 to 6."""
    rows = table.to_pylist()
    lines: list[str] = []
    for variant, tuned in FOLLOWS.items():
        [chosen] = [row for row in rows if row["variant"] == tuned and row["chosen"]]
        trainings = sum(row["variant"] == tuned for row in rows)
        said = f"{tuned}: SumR {chosen['validation']:.1f} on the validation split, the best of {trainings} trainings"
        lines += [f"[datasets.{chosen['dataset']}.rows.{variant}]  # {said}"]
        lines += [f"{name} = {chosen[name]!r}" for name in SETTINGS[variant] if chosen[name] is not None]
        lines.append("")
    return "\n".join(lines)
