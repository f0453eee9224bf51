"""The log of a training: a row of the step log, a sentence an epoch, a warning when gates close.

Shape suffixes: B own share of the batch, K entity groups.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.losses import LossTerms
from eiclip.train.objective import Objective
from eiclip.train.validation import Validation
from eiclip.train.world import World

CLOSED = 0.04
"""A mean gate under this is a gate that has collapsed."""


def batch_means(world: World, found: Objective) -> tuple[float, dict[str, float], list[float]]:
    """Loss and terms over the global batch, and the mean weight of each group over its entities (none: no gates)."""
    shares, names = [found.loss, *found.terms.values()], list(found.terms)
    if found.weight_BK is not None:
        shares += [*found.weight_BK.sum(0), *(found.weight_BK > 0).sum(0).float()]
    loss, *values = world.mean(torch.stack(shares).detach().float()).tolist()
    terms, sums = dict(zip(names, values, strict=False)), values[len(names) :]
    half = len(sums) // 2
    present = (max(count, 1 / world.size) for count in sums[half:])
    return loss, terms, [total / count for total, count in zip(sums[:half], present, strict=True)]


def step_row(
    model: EntityClipModel, terms: Mapping[str, float], weights: Sequence[float], rates: Mapping[str, float]
) -> dict[str, Any]:
    """Return the part of a row of the step log that is about the model."""
    of_views = model.views is not None or model.cross is not None
    return {
        **{f"loss_{name}": None if of_views else terms[name] for name in LossTerms._fields},
        "loss_views": list(terms.items()) if of_views else [],
        "lr_towers": rates.get("towers", rates.get("heads", 0.0)),
        "lr_entities": rates.get("entities", 0.0),
        "lr_gates": rates.get("gates", 0.0),
        "temperature": 1 / model.scale.item(),
        "gates": list(zip(model.vocabulary.groups, weights, strict=True)) if weights else [],
    }


def validation_sentences(name: str, step: int, steps: int, validation: Validation) -> Iterator[str]:
    """What was measured after a step, beside the best so far; and that the training gives up."""
    known, best_step = dict(validation.measured), validation.best_step or step
    best = "the best so far" if best_step == step else f"best {known[best_step]:.1f} after step {best_step}"
    yield f"{name}: step {step} of {steps}, validation SumR {known[step]:.1f} ({best})"
    if validation.gave_up and step < steps:
        since = sum(measured > best_step for measured in known)
        yield f"{name}: stops early: no better in {since} measurements; the state after step {best_step} is kept"


def epoch_sentences(model: EntityClipModel, row: Mapping[str, Any], steps: int, epochs: int) -> Iterator[str]:
    """How far a training is, by the last row of its log; and a warning when every learned gate has closed."""
    name, gates, done = f"{row['dataset']}/{row['variant']}", dict(row["gates"]), row["step"] + 1
    means = ", ".join(f"{group} {weight:.2f}" for group, weight in gates.items())
    yield (
        f"{name}: epoch {row['epoch'] + 1} of {epochs}, step {done} of {steps}, loss {row['loss']:.3f}, "
        f"{row['pairs_per_second']:.0f} pairs/s, {(steps - done) * row['seconds'] / done:.0f} s to go"
        + (f", mean gates {means}" if means else "")
    )
    if model.variant.gates == "learned" and gates and max(gates.values()) < CLOSED:
        yield (
            f"WARNING {name}: every gate is under {CLOSED}: they closed before the entities meant anything; raise "
            "gate_freeze or lower gate_lr"
        )
