"""Ablations: an asset a question and dataset, whose trials are steps of the run; outside `full_eval`, each a job."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import Project
from assets.neutral import Neutral
from assets.outputs import Given, Output, PartedStep
from assets.training import PRETRAINED, TABLES, of_row_or_trained, recipe_of
from eiclip.errors import CorruptOutputError
from eiclip.settings.load import DatasetSettings
from eiclip.settings.training import TrainingSettings
from eiclip.storage.cache import LOG_FILE, CachedOutput, Inputs, made_before
from eiclip.storage.code_version import code_version
from eiclip.storage.files import digest
from eiclip.storage.lake import open_views
from eiclip.storage.sql import read_sql
from eiclip.studies.trials import ABLATIONS, ALL, SEVERAL_MEANINGS, Ablation, Base, Trial
from eiclip.train.earlier import would_be_the_same
from eiclip.train.job import TrainJob
from eiclip.train.key import TRAINER, training_settings, training_sources

RESULTS, SUMMARY, SEED_STUDY = "ablation_results", "seed_study_summary", "seed_study"
RANKS_FILE, WEIGHTS = "ranks.parquet", "weights"
MEANINGS = ("product_entities", "semantic_prior")
"""What the subset of products with an entity of several meanings is found from."""
CODE = (*TRAINER, "assets.ablations:_rank")


def fitting(dataset: DatasetSettings) -> list[Ablation]:
    """The ablations that a dataset can have."""
    return [ablation for ablation in ABLATIONS.values() if ablation.fits(dataset.entity_groups)]


def ablation_keys(project: Project) -> list[tuple[str, str]]:
    """The keys of all ablations of all datasets: what the report is made after."""
    return [(name, one.name) for name, dataset in project.of_table_1().items() for one in fitting(dataset)]


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[PartedStep]:
    """All ablations of a dataset."""
    return [_step(project, name, dataset, ablation) for ablation in fitting(dataset)]


def _step(project: Project, name: str, dataset: DatasetSettings, ablation: Ablation) -> PartedStep:
    def study(recipe: Mapping[str, Any]) -> Study:
        base = Base(dataset.entity_groups, recipe_of(project, dataset, recipe), project.settings.seed)
        return Study(project, name, ablation, base)

    def prepare(recipe: Mapping[str, Any], log: Any) -> None:
        neutral = study(recipe).neutral
        if any(trial.neutral for trial in study(recipe).trials.values()):
            neutral.make()
            examples = ", ".join(f"{real} -> {made_up}" for real, made_up in list(neutral.names.items())[:3])
            log.info(f"{name}: {len(neutral.names)} neutral brand names ({examples}, ...)")

    base = study({}).base
    # The checkpoints of the rows that are trials as they are, beside what the trials are trained on.
    rows = dict.fromkeys(trial.variant for trial in ablation.plan(base) if trial.plain(base))
    tables = (*TABLES, "product_entities", "tagged_entities", "products")
    plot = f"{ablation.name.removeprefix('ablation_').removesuffix('_study')}_plot"
    table = "seed_table" if ablation.name == SEED_STUDY else f"ablation_table({ablation.name})"
    return PartedStep(
        (name, ablation.name),
        f"{name}/ablations",
        frozenset({"pytorch", "parquet"}),
        f"{ablation.question} {ablation.plan.__doc__} A step a training; rows that `full_eval` has trained are not "
        f"trained again. Results: `{RESULTS}`.",
        upstream=("shards", *tables, PRETRAINED, *(f"checkpoint/{row}" for row in rows)),
        plan=lambda recipe: study(recipe).longest_first(),
        part=lambda recipe, label: study(recipe).output(label),
        whole=lambda recipe, parts: study(recipe).results(),
        prepare=prepare,
        shown={
            "verdict": f"eiclip.report.ablation_verdicts:verdict({ablation.name})",
            "table": f"eiclip.report.ablation_tables:{table}",
            "plot": f"eiclip.report.ablation_plots:{plot}",
        },
        trains=True,
        made_by=((*CODE, "assets.ablations:_results"), (f"evaluation/{SUMMARY}",)),
    )


@dataclass(frozen=True)
class Study:
    """An ablation of a dataset in a run: its trials, and how each becomes ranks."""

    project: Project
    name: str
    ablation: Ablation
    base: Base

    @cached_property
    def trials(self) -> dict[str, Trial]:
        """The trials by label."""
        return {trial.label: trial for trial in self.ablation.plan(self.base)}

    @cached_property
    def neutral(self) -> Neutral:
        """The data with neutral brand names."""
        return Neutral(self.project, self.name, self.project.paths.trials(self.name) / "neutral")

    def training(self, trial: Trial) -> TrainingSettings:
        """How a trial is trained."""
        return trial.training(self.base)

    def longest_first(self) -> list[str]:
        """Labels: two are trained at a time, and the longest must not begin last."""
        return sorted(self.trials, key=lambda label: -self.training(self.trials[label]).epochs)

    def place(self, trial: Trial) -> Path:
        """The trial's folder: one for all ablations in which it stands."""
        what = [trial.variant, trial.groups, trial.seed, trial.neutral, self.training(trial).model_dump()]
        return self.project.paths.trials(self.name) / digest(what)

    def job(self, trial: Trial) -> TrainJob:
        """The trial's training."""
        home, name = self.project.paths, self.name
        tables = {t: self.neutral.table(t) if trial.neutral else home.lake.path(t, name) for t in TABLES}
        return TrainJob(
            dataset=name,
            variant=trial.variant,
            shards=self.neutral.shards if trial.neutral else home.shards(name),
            initial=home.pretrained,
            entity_groups=trial.groups,
            output=self.place(trial) / WEIGHTS,
            seed=trial.seed,
            threads=self.project.threads,
            training=self.training(trial),
            hardware=self.project.settings.hardware,
            **tables,
        )

    def output(self, label: str) -> Output:
        """The ranks of a trial."""
        job = self.job(self.trials[label])

        def inputs() -> Inputs:
            return {"code": code_version(CODE), "parameters": training_settings(job), "sources": training_sources(job)}

        folder = job.output.parent
        return Output(
            (self.name, self.ablation.name, label), make=_rank, code_of=CODE, place=folder / RANKS_FILE, inputs=inputs,
            subject=job, alone=folder / ".lock", earlier=lambda recorded: would_be_the_same(recorded, job),
        )  # fmt: skip

    def made(self, label: str) -> CachedOutput:
        """The record of a trial that a step of this run has made.

        Raises:
            CorruptOutputError: it is not there, or something it is made from has changed meanwhile.
        """
        output = self.output(label)
        found = made_before(output.at(self.project), output.made_from(self.project))
        if found is None:
            raise CorruptOutputError(
                f"{self.name}, {label}: not as this run made it (code or data changed meanwhile); run it again"
            )
        return found

    def results(self) -> list[Output]:
        """The table of results, and what is summed up over seeds."""
        trials = {label: self.made(label) for label in self.trials}
        results = Output(
            (self.name, RESULTS, self.ablation.name),
            make=_results,
            sources=MEANINGS,
            external={"trials": lambda: {label: [made.content, made.facts] for label, made in trials.items()}},
            subject=(self, trials),
        )
        if self.ablation.name != SEED_STUDY:
            return [results]
        of_seeds = (f"{RESULTS}/{SEED_STUDY}",)
        made_by = f"evaluation/{SUMMARY}"
        summary = Output((self.name, SUMMARY), make=made_by, sources=of_seeds, files_of={RESULTS: of_seeds})
        return [results, summary]


def _rank(given: Given) -> Mapping[str, Any]:
    """Ranks of a trial's model, and the log of its training."""

    def rank(checkpoint: Path) -> Mapping[str, Any]:
        from eiclip.studies.ranks import rank_checkpoint

        table = rank_checkpoint(checkpoint, given.of.subject.shards, given.device)
        shutil.copyfile(checkpoint / LOG_FILE, given.output.with_name(LOG_FILE))
        given.project.paths.lake.write_file(table, given.output)
        return {"ranks": table.num_rows}

    row = given.project.paths.checkpoint(given.dataset, given.of.subject.variant)
    return of_row_or_trained(given, row, rank, "full_eval")


def _results(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    from eiclip.studies.results import Outcome, results_table

    study, made = given.of.subject
    outcomes = []
    for label, trial in study.trials.items():
        steps, ranks = int(made[label].facts["steps"]), pq.read_table(study.place(trial) / RANKS_FILE)
        x = float(steps) if study.ablation.against_steps else trial.x
        seconds, epochs = float(made[label].facts["seconds"]), study.training(trial).epochs
        outcomes.append(Outcome(trial, ranks, epochs=epochs, steps=steps, seconds=seconds, x=x))
    table = results_table(given.dataset, study.ablation.name, outcomes, _subsets(given, study.ablation))
    return table, {"trials": len(made), "trained_here": sum(one.facts["trained"] == "here" for one in made.values())}


def _subsets(given: Given, ablation: Ablation) -> dict[str, frozenset[str] | None]:
    found: dict[str, frozenset[str] | None] = {ALL: None}
    if SEVERAL_MEANINGS in ablation.subsets:
        with duckdb.connect() as connection:
            open_views(connection, {table: given.files(table) for table in MEANINGS})
            rows = connection.sql(read_sql("entities/several_meanings")).fetchall()
        found[SEVERAL_MEANINGS] = frozenset(product for (product,) in rows)
    return found
