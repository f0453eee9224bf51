"""The validation split along a training: its recalls, the best state so far, and when to give up.

Measuring draws nothing at random, and leaves the model as it was.
"""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from eiclip.evaluation.embed import EmbeddedSplit, embed_samples
from eiclip.features.reader import SplitFeatures, feature_store, features_of
from eiclip.model.entity_clip import EntityClipModel
from eiclip.shards import Sample, read_manifest, valid_samples, valid_shards
from eiclip.train.job import TrainJob
from eiclip.train.listed import MIX_CANDIDATES, MIX_QUERIES, ListedSplit, listed_split, patch_store
from eiclip.train.recipe import Plan
from eiclip.train.state import trained_state
from eiclip.train.world import World

MOST_MEASURED = 4_000
"""Photos measured along a training: of a larger split every second one, every third, ..."""


def has_validation(job: TrainJob) -> bool:
    """Whether the shards have a validation split, and samples in it."""
    return bool(read_manifest(job.shards)["samples"].get("validation"))


@dataclass(frozen=True)
class Split:
    """Samples of the validation split, and their features where towers are frozen."""

    samples: list[Sample]
    features: SplitFeatures | None
    device: str

    def embedded(self, model: EntityClipModel) -> EmbeddedSplit | None:
        """Embeddings by a model, which is left in training or not, as it was; None where there are no samples.

        Raises:
            NonFiniteError: an embedding is NaN or infinite.
        """
        if not self.samples:
            return None
        was_training = model.training
        model.eval()
        try:
            return embed_samples(model, self.samples, self.device, self.features)
        finally:
            model.train(was_training)


def validation_split(
    model: EntityClipModel, job: TrainJob, device: str, most: int | None = None
) -> Split | ListedSplit:
    """The intact samples of the validation split, or evenly spaced ones, at most so many; none without such a split.

    A cross-encoder's comes in lists.

    Raises:
        CorruptOutputError: samples are not as the manifest says and are not to be left out, or none is left; features
            are missing, damaged or of other towers.
    """
    if not has_validation(job):
        return Split([], None, device)
    shards = valid_shards(job.shards, "validation", job.hardware.corrupt_samples)
    every = 1 if most is None else math.ceil(sum(len(shard.index) for shard in shards) / most)
    if model.cross is not None:
        samples = [sample for number, sample in enumerate(valid_samples(shards)) if number % every == 0]
        return listed_split(model, job, samples, shards, patch_store(model, job, device), device)
    store = feature_store(model, job.features, job.shards, device)
    features = features_of(store, [shard.path for shard in shards])
    kept = [sample for number, sample in enumerate(valid_samples(shards)) if number % every == 0]
    return Split(kept, features, device)


def mix_split(model: EntityClipModel, job: TrainJob, device: str) -> ListedSplit:
    """The lists of the validation split on which a re-ranker's weight is fitted. Raises as `validation_split`."""
    shards = valid_shards(job.shards, "validation", job.hardware.corrupt_samples)
    samples, store = list(valid_samples(shards)), patch_store(model, job, device)
    return listed_split(model, job, samples, shards, store, device, MIX_QUERIES, MIX_CANDIDATES)


class Validation:
    """What has been measured of a training, which all processes know, and the best state, which the first one holds.

    Args:
        job: whose validation split it is.
        world: the first process reads the split and measures; the others wait for what it finds.
        plan: when to measure, and when to give up.
    """

    def __init__(self, job: TrainJob, world: World, plan: Plan) -> None:
        self._job, self._world, self._plan = job, world, plan
        self._split: Split | ListedSplit | None = None
        self.measured: list[tuple[int, float]] = []
        """Steps taken and SumR, in order."""
        self.best: dict[str, Tensor] = {}
        """What is trained of the model, as it was at the best measurement."""

    def due(self, step: int) -> bool:
        """Whether to measure after so many steps."""
        return step in self._plan.measured_after

    @property
    def best_step(self) -> int | None:
        """Steps taken at the best measurement, the first of equal ones; None before any."""
        return max(self.measured, key=lambda one: one[1])[0] if self.measured else None

    @property
    def gave_up(self) -> bool:
        """Whether as many measurements as the plan's patience have brought no new best."""
        since = sum(step > (self.best_step or 0) for step, _ in self.measured)
        return bool(self._plan.patience) and since >= self._plan.patience

    def measure(self, model: EntityClipModel, step: int) -> float:
        """SumR (percent) after so many steps; keeps the state where it is the best so far.

        Raises:
            NonFiniteError: an embedding is NaN or infinite.
            CorruptOutputError: the split cannot be read.
        """
        sum_r = 0.0
        if self._world.first:
            self._split = self._split or validation_split(model, self._job, self._world.device, MOST_MEASURED)
            embedded = self._split.embedded(model)
            sum_r = 0.0 if embedded is None else embedded.recalls()["sum_r"]
        sum_r = self._world.of_first(sum_r)
        self.measured.append((step, sum_r))
        if self._world.first and self.best_step == step:
            self.best = {name: value.detach().cpu().clone() for name, value in trained_state(model).items()}
        return sum_r

    def facts(self, steps: int) -> dict[str, Any]:
        """What a checkpoint says of a training that has taken so many steps."""
        return {
            "best_step": self.best_step or steps,
            "stopped_early": steps < self._plan.steps,
            "measured": [[step, round(sum_r, 3)] for step, sum_r in self.measured],
        }
