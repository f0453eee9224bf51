"""Studies: trainings that together answer a question, each a step of the run, and the tables made of their ranks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from assets.common import Project
from assets.outputs import Maker, Output
from assets.sources import source_content
from assets.steps import PartedStep
from assets.training import PRETRAINED, TABLES, frozen_features, recipe_of, variant_job
from eiclip.errors import CorruptOutputError
from eiclip.model.variants import get_variant
from eiclip.settings.load import DatasetSettings
from eiclip.settings.training import OWN
from eiclip.storage.cache import CachedOutput, Inputs, made_before
from eiclip.storage.code_version import code_version
from eiclip.storage.files import digest
from eiclip.studies.trials import Ablation, Base, Trial
from eiclip.train.job import TrainJob
from eiclip.train.key import TRAINER, training_settings, training_sources

WEIGHTS = "weights"


@dataclass(frozen=True)
class Study:
    """A question asked of a dataset in a run: its trials, and how each becomes ranks."""

    rank: ClassVar[Maker]
    """Writes the ranks of a trial."""
    sources: ClassVar[tuple[str, ...]] = ()
    """Tables that ranking reads."""
    file: ClassVar[str] = "ranks.parquet"
    """Where it writes, in the trial's folder."""

    project: Project
    name: str
    dataset: DatasetSettings
    ablation: Ablation
    recipe: Mapping[str, Any]
    """What the run's configuration changes of trainings."""

    @property
    def folder(self) -> Path:
        """Where its trials lie, with those of other studies."""
        return self.project.paths.trials(self.name)

    @cached_property
    def base(self) -> Base:
        """What its trials vary."""
        training = recipe_of(self.project, self.dataset, self.recipe)
        rows = {row: recipe_of(self.project, self.dataset, self.recipe, row) for row in {**self.dataset.rows, **OWN}}
        groups = self.dataset.entity_groups
        return Base(groups, training, self.project.settings.seed, rows, self.dataset.negatives_group)

    @cached_property
    def trials(self) -> dict[str, Trial]:
        """The trials by label."""
        return {trial.label: trial for trial in self.ablation.plan(self.base)}

    def longest_first(self) -> list[str]:
        """Return labels: two are trained at a time, and the longest must not begin last."""
        return sorted(self.trials, key=lambda label: -self.trials[label].budget(self.base))

    def job(self, trial: Trial) -> TrainJob:
        """Return the trial's training, in a folder that is the same for all studies in which it stands."""
        training = trial.training(self.base)
        what = [trial.variant, trial.groups, trial.seed, trial.neutral, training.model_dump()]
        place = {"output": self.folder / digest(what) / WEIGHTS, "seed": trial.seed, "entity_groups": trial.groups}
        job = variant_job(self.project, self.name, self.dataset, get_variant(trial.variant), training)
        return job.model_copy(update=place)

    @classmethod
    def code(cls) -> tuple[str, ...]:
        """Return the functions that decide the ranks of a trial."""
        return (*TRAINER, f"{cls.rank.__module__}:{cls.rank.__qualname__}")

    def output(self, label: str) -> Output:
        """Return the ranks of a trial."""
        job = self.job(self.trials[label])

        def inputs() -> Inputs:
            read = {table: source_content(self.project, self.name, table) for table in self.sources}
            sources = training_sources(job) | read
            return {"code": code_version(self.code()), "parameters": training_settings(job), "sources": sources}

        folder = job.output.parent
        return Output(
            (self.name, self.ablation.name, label), make=type(self).rank, sources=("shards", *self.sources),
            code_of=self.code(), place=folder / self.file, inputs=inputs, subject=job, alone=folder / ".lock",
        )  # fmt: skip

    def made(self, label: str) -> tuple[Path, CachedOutput]:
        """Return the ranks of a trial that a step of this run has made, and their record.

        Raises:
            CorruptOutputError: they are not there, or something they are made from has changed meanwhile.
        """
        output = self.output(label)
        found = made_before(output.at(self.project), output.made_from(self.project))
        if found is None:
            raise CorruptOutputError(
                f"{self.name}, {label}: not as this run made it (code or data changed meanwhile); run it again"
            )
        return output.at(self.project), found

    def results(self) -> list[Output]:
        """Return the tables made of the trials."""
        raise NotImplementedError

    def prepare(self, log: Any) -> None:
        """Make what trials need that is no asset."""


def study_step(
    study: Callable[[Mapping[str, Any]], Study],
    group: str,
    description: str,
    upstream: tuple[str, ...],
    made_by: tuple[tuple[str, ...], tuple[str, ...]],
    writes: tuple[tuple[str, ...], ...],
    shown: Mapping[str, str] | None = None,
) -> PartedStep:
    """Return the step of a study that a run's configuration makes; `made_by` is what its tables are, and `writes` names
    them, with their parts."""
    plain = study({})
    frozen = frozen_features(plain.project, plain.dataset)
    # The checkpoints of the rows that are trials as they are, beside what the trials are trained on.
    rows = dict.fromkeys(trial.variant for trial in plain.trials.values() if trial.plain(plain.base))
    return PartedStep(
        (plain.name, plain.ablation.name),
        group,
        frozenset({"pytorch", "parquet"}),
        description,
        upstream=(
            "shards",
            *frozen,
            *TABLES,
            *upstream,
            PRETRAINED,
            *(f"checkpoint/{row}" for row in rows),
        ),
        plan=lambda recipe: study(recipe).longest_first(),
        part=lambda recipe, label: study(recipe).output(label),
        whole=lambda recipe, parts: study(recipe).results(),
        prepare=lambda recipe, log: study(recipe).prepare(log),
        writes=tuple((plain.name, *table) for table in writes),
        shown=shown or {},
        trains=True,
        made_by=((*plain.code(), *made_by[0]), made_by[1]),
    )
