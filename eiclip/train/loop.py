"""The training loop: one variant, from towers and shards to a checkpoint folder and a step log.

Shape suffixes: B batch, K entity groups.
"""

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from eiclip.devices import mixed_precision, pick_device, use_threads
from eiclip.embed import embed_split, normalised_pixels
from eiclip.errors import NonFiniteError
from eiclip.model.entity_clip import EntityClipModel, save_checkpoint
from eiclip.model.inputs import ModelInputs
from eiclip.model.losses import LossTerms
from eiclip.model.towers import SMALL, load_towers, new_towers
from eiclip.shards import Sample, read_manifest, shard_paths
from eiclip.train.job import LOG_SCHEMA, TrainJob
from eiclip.train.loader import Loader
from eiclip.train.schedule import schedule
from eiclip.variants import get_variant

logger = logging.getLogger(__name__)

CLOSED = 0.04
"""A mean gate under this is a gate that has collapsed."""

Progress = Callable[[str], None]
"""Told now and then, in a sentence, how far the training is."""


@dataclass
class _Run:
    """What the loop carries from step to step."""

    job: TrainJob
    model: EntityClipModel
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LambdaLR
    device: str
    steps: int
    started: float = field(default_factory=time.perf_counter)
    step: int = 0
    pairs: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)


def train(job: TrainJob, progress: Progress = logger.info) -> dict[str, Any]:
    """Train a variant (an untrained one is only saved) and write its checkpoint folder.

    Returns:
        Facts: steps, seconds, pairs a second, recalls on the validation split.

    Raises:
        NonFiniteError: a loss, a weight or an embedding became NaN or infinite; nothing is written.
        WeightsError, CorruptOutputError: what it starts from cannot be read.
    """
    use_threads(job.threads)
    device = pick_device()
    model = _build(job).to(device)
    loader = Loader(job.shards, job.training.batch_size, job.seed)
    epochs = job.training.epochs if model.variant.trained else 0
    run = _start(job, model, device, epochs * loader.steps)
    progress(
        f"{job.dataset}/{job.variant}: {loader.samples} photos, {run.steps} steps of {loader.batch_size} on {device}"
    )
    for epoch in range(epochs):
        model.train()
        for samples in loader.epoch(epoch):
            _step(run, samples, epoch)
        progress(_sentence(run, epoch))
        _warn_of_closed_gates(run, progress)
    return _finish(run, progress)


def _build(job: TrainJob) -> EntityClipModel:
    towers = new_towers(SMALL, job.seed) if job.initial is None else load_towers(job.initial)
    torch.manual_seed(job.seed)
    return EntityClipModel(towers, get_variant(job.variant), job.vocabulary(), job.training)


def _start(job: TrainJob, model: EntityClipModel, device: str, steps: int) -> _Run:
    # Decoupled decay (AdamW): Adam's own would shrink every token that a batch lacks by a whole learning rate a step.
    optimizer = torch.optim.AdamW(
        model.parameter_groups(job.training), weight_decay=job.training.weight_decay, fused=True
    )
    return _Run(job, model, optimizer, schedule(optimizer, job.training, max(1, steps)), device, steps)


def _step(run: _Run, samples: list[Sample], epoch: int) -> None:
    with mixed_precision(run.device):
        image_BD = run.model.encode_image(normalised_pixels(run.model, samples, run.device))
        tokens_BL, ids_BK = ModelInputs.of(run.model).of_texts(samples)
        text = run.model.encode_text(tokens_BL.to(run.device), ids_BK.to(run.device))
        terms = run.model.loss(image_BD, text)
    loss = terms.total(run.model.loss_terms)
    if not math.isfinite(loss.item()):
        raise NonFiniteError(
            f"{run.job.dataset}/{run.job.variant}: loss is {loss.item()} at step {run.step} of {run.steps} "
            f"(terms {[round(term.item(), 3) for term in terms]}); lower the learning rates (tower_lr "
            f"{run.job.training.tower_lr}, entity_lr {run.job.training.entity_lr})"
        )
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    rates = {group["name"]: group["lr"] for group in run.optimizer.param_groups}
    run.optimizer.step()
    run.model.bound_scale()
    run.scheduler.step()
    run.pairs += len(samples)
    if run.step % run.job.training.log_every == 0 or run.step == run.steps - 1:
        weight_BK = None if text.entities is None else text.entities.weight_BK.detach()
        run.log.append(_log_row(run, epoch, terms, rates, weight_BK))
    run.step += 1


def _log_row(
    run: _Run, epoch: int, terms: LossTerms, rates: dict[str, float], weight_BK: Tensor | None
) -> dict[str, Any]:
    seconds = time.perf_counter() - run.started
    gates = {}
    if weight_BK is not None:
        mean_K = weight_BK.sum(0) / (weight_BK > 0).sum(0).clamp(min=1)
        gates = dict(zip(run.model.vocabulary.groups, mean_K.tolist(), strict=True))
    return {
        "dataset": run.job.dataset,
        "variant": run.job.variant,
        "step": run.step,
        "epoch": epoch,
        "loss": terms.total(run.model.loss_terms).item(),
        "loss_joint": terms.joint.item(),
        "loss_description": terms.description.item(),
        "loss_entities": terms.entities.item(),
        "lr_towers": rates["towers"],
        "lr_entities": rates.get("entities", 0.0),
        "lr_gates": rates.get("gates", 0.0),
        "temperature": (1 / run.model.scale).item(),
        "gates": list(gates.items()),
        "pairs_per_second": run.pairs / seconds,
        "seconds": seconds,
    }


def _sentence(run: _Run, epoch: int) -> str:
    row = run.log[-1]
    gates = ", ".join(f"{group} {weight:.2f}" for group, weight in row["gates"])
    left = (run.steps - run.step) * (time.perf_counter() - run.started) / max(1, run.step)
    return (
        f"{run.job.dataset}/{run.job.variant}: epoch {epoch + 1} of {run.job.training.epochs}, step {run.step} of "
        f"{run.steps}, loss {row['loss']:.3f}, {row['pairs_per_second']:.0f} pairs/s, {left:.0f} s to go"
        + (f", mean gates {gates}" if gates else "")
    )


def _warn_of_closed_gates(run: _Run, progress: Progress) -> None:
    if run.model.variant.gates != "learned":
        return
    weights = [weight for _, weight in run.log[-1]["gates"]]
    if weights and max(weights) < CLOSED:
        progress(
            f"WARNING {run.job.dataset}/{run.job.variant}: every gate is under {CLOSED}: they closed before the "
            "entities meant anything; raise gate_freeze or lower gate_lr"
        )


def _finish(run: _Run, progress: Progress) -> dict[str, Any]:
    seconds = time.perf_counter() - run.started
    run.model.eval()
    validation = {}
    if read_manifest(run.job.shards)["samples"]["validation"]:
        split = embed_split(run.model, shard_paths(run.job.shards, "validation"), run.device)
        validation = {name: round(value, 3) for name, value in split.recalls().items()}
    facts: dict[str, Any] = {"dataset": run.job.dataset, "steps": run.steps, "device": run.device}
    facts |= {"torch": torch.__version__, "seed": run.job.seed, "validation": validation}
    save_checkpoint(run.model.cpu(), run.job.output, facts, pa.Table.from_pylist(run.log, schema=LOG_SCHEMA))
    facts |= {"seconds": round(seconds, 1), "pairs_per_second": round(run.pairs / seconds, 1)}
    progress(f"{run.job.dataset}/{run.job.variant}: validation {json.dumps(validation)}")
    return facts
