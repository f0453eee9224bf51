"""The training loop: one variant, from towers and shards to a checkpoint folder and a step log.

Killed, it goes on from its last saved state and ends with the same bytes; several processes share each batch.
"""

import contextlib
import hashlib
import json
import logging
import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import torch
from torch import nn

from eiclip.errors import CorruptOutputError, NonFiniteError, SettingsError
from eiclip.features.patches import PatchStore
from eiclip.features.reader import feature_store
from eiclip.features.store import FeatureStore
from eiclip.model.entity_clip import EntityClipModel, load_beside, save_checkpoint
from eiclip.model.inputs import ModelInputs, normalise
from eiclip.model.levels import evaluating
from eiclip.model.sources import SMALL
from eiclip.model.towers import load_towers, new_towers, photo_form
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import Vocabulary, read_vocabulary
from eiclip.shards import PhotoForm, read_manifest
from eiclip.storage.files import remove_parts
from eiclip.storage.lock import held
from eiclip.system.devices import use_threads
from eiclip.train.cross_objective import fit_patches, match_log
from eiclip.train.encoder import Encoder
from eiclip.train.job import LOG_SCHEMA, TrainJob
from eiclip.train.key import training_key
from eiclip.train.listed import fit_mix, patch_store
from eiclip.train.loader import Batch, Grouped, Loader
from eiclip.train.log import batch_means, epoch_sentences, step_row, validation_sentences
from eiclip.train.negatives import HardNegatives
from eiclip.train.objective import minimised_terms, objective
from eiclip.train.optimizers import Optimizers
from eiclip.train.outcome import outcome_of
from eiclip.train.pairs import read_pairs
from eiclip.train.recipe import Plan, batch_size_for, planned
from eiclip.train.state import State, States, restore, trained_state
from eiclip.train.stopping import StoppedError, noted_signals
from eiclip.train.validation import Validation, has_validation, mix_split, validation_split
from eiclip.train.world import World, joined

logger = logging.getLogger(__name__)

LEVELS_OF = 2_048
"""Training photos over which the levels of photos are scaled."""
Progress = Callable[[str], None]


@dataclass
class Run:
    """What the loop carries from step to step; `progress` takes a sentence on how far it is, now and then."""

    job: TrainJob
    world: World
    model: EntityClipModel
    encoder: Encoder
    optimizers: Optimizers
    loader: Loader
    states: States
    plan: Plan
    validation: Validation
    progress: Progress
    negatives: HardNegatives | None = None
    """Row 14: the wrong answers that it is trained on."""
    started: float = field(default_factory=time.perf_counter)
    step: int = 0
    pairs: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name in messages: dataset/variant."""
        return f"{self.job.dataset}/{self.job.variant}"

    @property
    def steps(self) -> int:
        """Steps of the whole training, unless it gives up before."""
        return self.plan.steps

    def epochs(self, steps: int) -> int:
        """Epochs that are begun in so many steps."""
        return math.ceil(steps / self.loader.steps)

    @property
    def ended(self) -> bool:
        """Whether all steps are taken, or measurements have brought nothing better for too long."""
        return self.step >= self.steps or self.validation.gave_up

    @property
    def seconds(self) -> float:
        """Duration of training, that of runs that were killed included."""
        return time.perf_counter() - self.started

    @property
    def log_table(self) -> pa.Table:
        """The step log so far."""
        return pa.Table.from_pylist(self.log, schema=LOG_SCHEMA)


def train(job: TrainJob, progress: Progress = logger.info) -> dict[str, Any]:
    """Train a variant (an untrained one is only saved) and write its checkpoint folder; under torchrun the first does.

    Returns:
        Facts: steps, seconds, pairs a second, recalls on the validation split; empty in all processes but the first.

    Raises:
        LockedError: another trainer writes the same checkpoint folder.
        StoppedError: asked to stop by a signal; its state is saved.
        NonFiniteError: a loss, a weight or an embedding is NaN or infinite; nothing is written.
        WeightsError, CorruptOutputError: what it starts from cannot be read.
    """
    with joined() as world, held(job.output) if world.first else contextlib.nullcontext():
        world.any(False)  # nobody reads a saved state before the first process is the only one who writes them
        use_threads(job.threads // world.size)
        run = start(job, world, progress if world.first else lambda _: None)
        with contextlib.closing(run.loader):
            if run.steps:
                _train(run)
        return _finish(run) if world.first else {}


def start(job: TrainJob, world: World, progress: Progress) -> Run:
    """Build what a training needs; SettingsError or RawDataError where its pairs are not named, or are no pairs."""
    towers = new_towers(SMALL, job.seed) if job.initial is None else load_towers(job.initial)
    _require_same_photos(job, towers)
    vocabulary = Vocabulary({}, {})
    if job.entity_vocabulary is not None and job.semantic_prior is not None:
        vocabulary = read_vocabulary(job.entity_groups, job.entity_vocabulary, job.semantic_prior)
    torch.manual_seed(job.seed)
    model = EntityClipModel(towers, get_variant(job.variant), vocabulary, job.training)
    if model.variant.cross == "rerank" and job.initial is not None:
        load_beside(model, job.initial)
    model.to(world.device).freeze()
    pairs, name = None, f"{job.dataset}/{job.variant}"
    if model.views is not None:
        if job.pairs is None:
            raise SettingsError(f"{name}: this row is trained on pairs; name them in the job's `pairs`")
        pairs = read_pairs(job.pairs)
    loader = Loader(
        job.shards,
        ModelInputs.of(model),
        batch_size=batch_size_for(job.training, read_manifest(job.shards)["samples"]["train"]),
        seed=job.seed,
        world=world,
        hardware=job.hardware,
        augment=None if model.cross is not None else job.training.augment,
        feature_noise=0.0 if model.cross is not None else job.training.feature_noise,
        grouped=Grouped(job.training.group_batches, job.training.group_every) if job.training.group_batches else None,
        store=_store(model, job, world),
        pairs=pairs,
        self_pair_probability=job.training.style.self_pair_probability,
        another_view=job.training.style.consistency > 0,
    )
    negatives = None
    if model.cross is not None:
        fit_patches(model.cross, loader, world)
    if model.variant.cross == "rerank":
        progress(f"{name}: looks for what row 5 confuses among {loader.samples} training photos")
        numbers = loader.texts.words_N, loader.draws.product_N
        negatives = HardNegatives.of(model, job, loader.checked, *numbers, world.device)
    elif model.level_head is not None:
        _fit_levels(model, loader, world)
    plan = planned(job.training, loader.samples, loader.batch_size) if model.variant.trained else Plan(0)
    if plan.measured_after and not has_validation(job):
        progress(f"{name}: no validation split, so that training neither stops early nor keeps its best state")
        plan = Plan(plan.steps)
    encoder = Encoder(model, job.hardware)
    optimizers = Optimizers(model, job.training, job.hardware, plan.steps, world.device)
    learned = {name for name, weight in model.named_parameters() if weight.requires_grad}
    if model.variant.trained and learned <= {"towers.logit_scale", "towers.logit_bias"}:
        progress(f"WARNING {name}: both towers are frozen and it has no entities: only its temperature is trained")
    states = States(job.output, training_key(job, loader.skipped))
    together = f", {world.size} processes" if world.size > 1 else ""
    progress(f"{name}: {loader.samples} photos, {plan.steps} steps of {loader.batch_size} on {world.device}{together}")
    if pairs is not None:
        progress(f"{name}: {loader.draws.pairs} pairs of {loader.draws.triggers} triggers; the others are their own")
        if loader.draws.unknown:
            progress(f"{name}: {loader.draws.unknown} pairs left out: a product of theirs has no training photo")
    if job.training.group_batches and not loader.groups:
        progress(f"{name}: no training sample has a {job.training.group_batches!r}, so that no batches are made by it")
    for finding in loader.quarantined:
        progress(f"WARNING {name}: {'left out, ' if finding.lost else ''}damaged: {finding}")
    validation = Validation(job, world, plan)
    return Run(job, world, model, encoder, optimizers, loader, states, plan, validation, progress, negatives)


def _store(model: EntityClipModel, job: TrainJob, world: World) -> FeatureStore | PatchStore | None:
    """Where features of photos lie: a cross-encoder's patches, or what frozen towers made of them."""
    if model.cross is None:
        return feature_store(model, job.features, job.shards, world.device)
    tasks = model.cross.kind == "kaleidobert" and model.variant.cross != "rerank"
    return patch_store(model, job, world.device, tasks=tasks)


@torch.no_grad()
def _fit_levels(model: EntityClipModel, loader: Loader, world: World) -> None:
    """Scale the levels of photos by their mean and deviation over the first batches of training photos."""
    head, model_levels = model.level_head, model.image_levels
    assert head is not None
    sums, photos = torch.zeros(2, model_levels.width, device=world.device), 0
    with evaluating(model.towers):
        for batch in loader.epoch(0):
            images = batch.images.to(world.device)
            if images.is_floating_point():
                levels_BG = images[:, -model_levels.width :].float()
            else:
                pixels_BCHW = normalise(model, images).contiguous()
                with model_levels.read() as found:
                    model.towers.encode_image(pixels_BCHW)
                levels_BG = model_levels.of(pixels_BCHW, found)
            sums += torch.stack([levels_BG, levels_BG.square()]).sum(dim=1)
            photos += len(levels_BG)
            if photos >= LEVELS_OF // world.size:
                break
    mean_G, square_G = world.mean((sums / photos).flatten()).view(2, -1)
    head.fit(mean_G, (square_G - mean_G.square()).clamp(min=0).sqrt())


def _require_same_photos(job: TrainJob, towers: nn.Module) -> None:
    """Refuse shards whose photos were made square in another way than the towers say that theirs are."""
    made, wanted = read_manifest(job.shards).get("photos"), photo_form(towers)
    if made is not None and (found := PhotoForm(wanted.size, **made)) != wanted:
        raise CorruptOutputError(
            f"{job.shards}: photos are made square by {found}, the towers of {job.initial} want {wanted} "
            "(EICLIP_PHOTOS); materialise general/pretrained and the shards again"
        )


def _train(run: Run) -> None:
    if run.world.first:
        remove_parts(run.job.output)
    run.started = time.perf_counter()
    known = run.states.last()  # every process reads it
    if known is not None:
        restore(run.model, known.weights)
        run.optimizers.restore(known.moments, known.numbers)
        run.step, run.pairs, run.log = known.step, known.pairs, known.log.to_pylist()
        run.validation.measured, run.validation.best = known.measured, known.best
        run.started -= known.seconds
        run.progress(f"{run.name}: goes on after step {run.step} of {run.steps}")
    run.model.train()
    with noted_signals() as signals:
        while not run.ended:
            epoch, taken = divmod(run.step, run.loader.steps)
            for batch in run.loader.epoch(epoch, start=taken):
                _step(run, batch, epoch)
                _measure(run)
                _save_or_stop(run, signals)
                if run.ended:
                    break
            for sentence in epoch_sentences(run.model, run.log[-1], run.steps, run.epochs(run.steps)):
                run.progress(sentence)


def _step(run: Run, batch: Batch, epoch: int) -> None:
    # Whatever a step draws at random is a function of (seed, step, process): a resumed run draws the same.
    text = f"{run.job.seed}/{run.step}/{run.world.rank}"
    torch.manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))
    found = objective(run.encoder, batch, run.job, run.world, run.loader, run.negatives)
    rates = run.optimizers.rates
    run.optimizers.step(found.loss, run.world)
    run.model.bound_scale()
    run.pairs += run.loader.batch_size
    run.step += 1
    if (run.step - 1) % run.job.training.log_every and run.step < run.steps and not run.validation.due(run.step):
        return
    loss, terms, weights = batch_means(run.world, found)
    if not math.isfinite(loss):
        shown = {name: round(mean, 3) for name, mean in terms.items()}
        raise _not_finite(run, f"loss is {loss} at step {run.step - 1} of {run.steps} (terms {shown})")
    row = {"dataset": run.job.dataset, "variant": run.job.variant, "step": run.step - 1, "epoch": epoch, "loss": loss}
    speed = {"pairs_per_second": run.pairs / run.seconds, "seconds": run.seconds}
    run.log.append(row | step_row(run.model, terms, weights, rates) | speed)


def _not_finite(run: Run, what: str) -> NonFiniteError:
    rates = f"tower_lr {run.job.training.tower_lr}, entity_lr {run.job.training.entity_lr}"
    return NonFiniteError(f"{run.name}: {what}; lower the learning rates ({rates})")


def _measure(run: Run) -> None:
    if not run.validation.due(run.step):
        return
    try:
        run.log[-1]["validation"] = run.validation.measure(run.model, run.step)
    except NonFiniteError as error:
        raise _not_finite(run, f"embeddings of the validation split after step {run.step} are not finite") from error
    for sentence in validation_sentences(run.name, run.step, run.steps, run.validation):
        run.progress(sentence)


def _save_or_stop(run: Run, signals: list[int]) -> None:
    stopped = run.world.any(bool(signals))
    due = run.step % run.job.hardware.checkpoint_every == 0 and not run.ended
    if (stopped or due) and run.world.first:
        weights, optimizers = trained_state(run.model), run.optimizers.state()
        measured = run.validation.best, run.validation.measured
        run.states.save(State(run.step, run.pairs, run.seconds, weights, *optimizers, run.log_table, *measured))
    if stopped:
        raise StoppedError(
            f"{run.name}: stopped by a signal after step {run.step} of {run.steps}; its state is saved and the same "
            "job goes on from there",
            signals[-1] if signals else signal.SIGTERM,
        )


def _finish(run: Run) -> dict[str, Any]:
    job, seconds, device = run.job, run.seconds, run.world.device
    restore(run.model, run.validation.best)
    run.model.eval()
    split = validation_split(run.model, job, device).embedded(run.model)
    validation = {} if split is None else {name: round(value, 3) for name, value in split.recalls().items()}
    facts: dict[str, Any] = {"dataset": job.dataset, "steps": run.step, "planned_steps": run.steps}
    facts |= {"epochs": run.epochs(run.step), "batch_size": run.loader.batch_size, **run.validation.facts(run.step)}
    facts |= {"device": device.split(":")[0], "torch": torch.__version__, "seed": job.seed, "validation": validation}
    chance = None if split is None else round(split.chance(), 3)
    if run.model.variant.cross == "rerank" and has_validation(job):
        facts["mix"] = fit_mix(run.model, mix_split(run.model, job, device))
    if run.loader.skipped:
        facts["quarantined"] = run.loader.skipped
    if run.steps:
        terms, sigmoid, log, answers = minimised_terms(run.model), run.model.sigmoid, run.log_table, 0
        if run.model.cross is not None:
            terms, (log, answers) = 1.0, match_log(run.model, log)
        size = answers or run.loader.batch_size
        facts["outcome"] = outcome_of(facts, log, terms=terms, batch_size=size, chance=chance, sigmoid=sigmoid)
        if facts["outcome"]["verdict"] != "learned":
            run.progress(f"WARNING {run.name}: {facts['outcome']['message']}")
    save_checkpoint(run.model.cpu(), job.output, facts, run.log_table)
    run.states.clear()
    facts |= {"seconds": round(seconds, 1), "pairs_per_second": round(run.pairs / seconds, 1)}
    run.progress(f"{run.name}: validation {json.dumps(validation)}")
    return facts
