"""What a training says of itself: a row of the step log, a sentence an epoch, a warning when gates close.

Shape suffixes: B own share of the batch, K entity groups.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.losses import LossTerms
from eiclip.train.world import World

CLOSED = 0.04
"""A mean gate under this is a gate that has collapsed."""


def batch_means(world: World, terms: LossTerms, weight_BK: Tensor | None) -> list[float]:
    """The three terms over the global batch, then the mean weight of each group over its entities."""
    shares = list(terms)
    if weight_BK is not None:
        shares += [*weight_BK.sum(0), *(weight_BK > 0).sum(0).float()]
    values: list[float] = world.mean(torch.stack(shares).detach().float()).tolist()
    losses, sums = values[:3], values[3:]
    half = len(sums) // 2
    present = (max(count, 1 / world.size) for count in sums[half:])
    return losses + [total / count for total, count in zip(sums[:half], present, strict=True)]


def step_row(model: EntityClipModel, means: Sequence[float], rates: Mapping[str, float]) -> dict[str, Any]:
    """What the model has to say for a row of the step log, of `batch_means`."""
    joint, description, entities, *weights = means
    losses = dict(zip(("joint", "description", "entities"), (joint, description, entities), strict=True))
    return {
        "loss": sum(losses[name] for name in model.loss_terms),
        "loss_joint": joint,
        "loss_description": description,
        "loss_entities": entities,
        "lr_towers": rates["towers"],
        "lr_entities": rates.get("entities", 0.0),
        "lr_gates": rates.get("gates", 0.0),
        "temperature": 1 / model.scale.item(),
        "gates": list(zip(model.vocabulary.groups, weights, strict=True)) if weights else [],
    }


def epoch_sentence(row: Mapping[str, Any], steps: int, epochs: int) -> str:
    """How far a training is, by the last row of its log."""
    gates = ", ".join(f"{group} {weight:.2f}" for group, weight in row["gates"])
    done = row["step"] + 1
    left = (steps - done) * row["seconds"] / done
    return (
        f"{row['dataset']}/{row['variant']}: epoch {row['epoch'] + 1} of {epochs}, step {done} of {steps}, loss "
        f"{row['loss']:.3f}, {row['pairs_per_second']:.0f} pairs/s, {left:.0f} s to go"
        + (f", mean gates {gates}" if gates else "")
    )


def closed_gates(model: EntityClipModel, row: Mapping[str, Any]) -> str | None:
    """A warning when every learned gate has closed; else None."""
    weights = [weight for _, weight in row["gates"]]
    if model.variant.gates != "learned" or not weights or max(weights) >= CLOSED:
        return None
    return (
        f"WARNING {row['dataset']}/{row['variant']}: every gate is under {CLOSED}: they closed before the entities "
        "meant anything; raise gate_freeze or lower gate_lr"
    )
