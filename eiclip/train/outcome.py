"""Whether a training has learned: its loss against guessing, its recall against chance, and whether it still rose."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from eiclip.errors import CorruptOutputError
from eiclip.evaluation.chance import at_chance

Verdict = Literal["learned", "at ln(batch)", "at chance", "still rising"]
UNLEARNED: tuple[Verdict, ...] = ("at ln(batch)", "at chance")
"""Verdicts on a training whose figures say nothing about its row."""

GUESSING = 0.97
"""A loss of at least this share of what guessing gives is called at it. The log's last tenth is a mean over batches and
moves by less than 1 % of it; a model that can tell half of a batch of 64 from the right pair is 17 % below."""
LAST = 0.1
"""Share of the steps, at the end, that the final loss is the mean of: single batches are too noisy."""
LAST_QUARTER, RISING = 0.75, 0.05
"""Still rising: the last quarter of the steps, in which the learning rate falls to nothing, raised SumR by more than
5 % of what it was: more than seeds differ by (about 2 %, docs/results.md)."""
LONGER = "train longer (EICLIP_TRAINING__STEPS)"
ADVICE = f"{LONGER} or raise the learning rate"

SCHEMA = pa.schema(
    [("dataset", pa.string()), ("variant", pa.string())]
    + [(name, pa.int64()) for name in ("steps", "best_step", "batch_size")]
    + [(name, pa.float64()) for name in ("loss", "loss_at_chance", "validation", "validation_chance")]
    + [("verdict", pa.string()), ("message", pa.string())]
)
"""The table `training_outcomes`."""


@dataclass(frozen=True)
class Outcome:
    """What came of a training, in figures and in a sentence."""

    batch_size: int
    loss: float
    loss_at_chance: float
    validation: float | None
    validation_chance: float | None
    verdict: Verdict
    message: str


def outcome(
    log: Sequence[Mapping[str, Any]],
    *,
    steps: int,
    batch_size: int,
    terms: float,
    sigmoid: bool = False,
    validation: float | None = None,
    validation_chance: float | None = None,
    measured: Sequence[Sequence[float]] = (),
) -> Outcome:
    """Judge a training.

    Args:
        log: rows of the step log: `step` and `loss`; one at least.
        steps: how many it took.
        batch_size: pairs compared in one step.
        terms: how many cross entropies the loss is the sum of, as `objective.minimised_terms` counts them.
        sigmoid: whether each term is the sigmoid loss, whose best guess is the share of pairs that belong together.
        validation: SumR on the validation split; None without one.
        validation_chance: what a random order reaches there.
        measured: step and SumR of every measurement on the way.
    """
    ending = [row["loss"] for row in log if row["step"] >= (1 - LAST) * steps] or [log[-1]["loss"]]
    more = (batch_size - 1) * math.log(batch_size / (batch_size - 1)) if sigmoid and batch_size > 1 else 0.0
    loss, guessed = sum(ending) / len(ending), terms * (math.log(batch_size) + more)
    one = f"(ln({batch_size}) + {more:.2f})" if more else f"ln({batch_size})"
    formula = f"{'' if terms == 1 else f'{terms:g} x '}{one} = {guessed:.2f}"
    verdict: Verdict = "learned"
    message = f"it has learned: the loss ended at {loss:.2f}, where guessing gives {formula}"
    if validation is not None and validation_chance is not None:
        message += f"; validation SumR {validation:.1f}, where chance gives {validation_chance:.1f}"
    if loss >= GUESSING * guessed:
        verdict = "at ln(batch)"
        said = f"loss is still at {formula}" if loss < (2 - GUESSING) * guessed else f"loss is over {formula}"
        message = f"{said} after {steps:,} steps ({loss:.2f}): {ADVICE}"
    elif validation is not None and validation_chance is not None and at_chance(validation, validation_chance):
        verdict = "at chance"
        message = (
            f"validation SumR is {validation:.1f} after {steps:,} steps, where a random order reaches "
            f"{validation_chance:.1f}: {ADVICE}"
        )
    elif (before := _before_a_rise(measured, steps)) is not None:
        verdict = "still rising"
        message = (
            f"validation SumR was still rising when training ended: {before[1]:.1f} after step {before[0]:,.0f}, "
            f"{measured[-1][1]:.1f} after step {measured[-1][0]:,.0f}: {LONGER}"
        )
    return Outcome(batch_size, round(loss, 4), round(guessed, 4), validation, validation_chance, verdict, message)


def outcome_of(
    facts: Mapping[str, Any],
    log: pa.Table,
    *,
    terms: float,
    batch_size: int,
    chance: float | None,
    sigmoid: bool = False,
) -> dict[str, Any]:
    """Judge a training by its facts (`steps`, `validation`, `measured`) and its log; an `Outcome` as a dictionary."""
    found = outcome(
        log.select(["step", "loss"]).to_pylist(),
        steps=facts["steps"],
        batch_size=batch_size,
        terms=terms,
        sigmoid=sigmoid,
        validation=facts["validation"].get("sum_r"),
        validation_chance=chance,
        measured=facts.get("measured") or (),
    )
    return asdict(found)


def outcome_row(checkpoint: Path) -> pa.Table:
    """Return the row of `training_outcomes` of a checkpoint folder, from its `eiclip.json`.

    Raises:
        CorruptOutputError: the file cannot be read, or says nothing of a training.
    """
    file = checkpoint / "eiclip.json"
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        row = {name: described[name] for name in ("dataset", "variant", "steps")} | described["outcome"]
    except (OSError, ValueError, KeyError) as error:
        raise CorruptOutputError(f"{file}: no outcome of a training ({error!r}); materialise it again") from error
    best = described.get("best_step") or row["steps"]
    return pa.Table.from_pylist([{"best_step": best} | row], schema=SCHEMA)


def _before_a_rise(measured: Sequence[Sequence[float]], steps: int) -> Sequence[float] | None:
    """The measurement before the last quarter, where the last one is the best and by `RISING` above it; else None."""
    before = [one for one in measured if one[0] <= LAST_QUARTER * steps]
    if not before or measured[-1][1] < max(value for _, value in measured):
        return None
    return before[-1] if measured[-1][1] > (1 + RISING) * before[-1][1] else None
