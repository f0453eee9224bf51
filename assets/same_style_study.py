"""The rows of same-style retrieval with other seeds, and without each part of the loss: a step a training."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.common import Project
from assets.outputs import Given, Output, PartedStep
from assets.same_style import MEASURES, RANKS, group_of, of_ranks
from assets.sources import source_content
from assets.training import PAIRS, PRETRAINED, TABLES, of_row_or_trained, recipe_of, variant_job
from eiclip.errors import CorruptOutputError
from eiclip.model.variants import get_variant
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import Inputs, content_of, made_before
from eiclip.storage.code_version import code_version
from eiclip.storage.files import digest
from eiclip.storage.sql import read_sql
from eiclip.studies.same_style_trials import Trial, ablation_trials, seed_trials
from eiclip.train.earlier import would_be_the_same
from eiclip.train.job import TrainJob
from eiclip.train.key import TRAINER, training_settings, training_sources

SEEDS, ABLATION = "same_style_seeds", "same_style_ablation"
STUDIES = (SEEDS, ABLATION)
PART = "seeds"
"""Part of the tables of ranks, measures, intervals and comparisons that the other seeds are in."""
FOLDER = "same_style_studies"
TRUTH = ("styles", "product_groups")
TRIALS = {SEEDS: seed_trials, ABLATION: ablation_trials}
TEXTS = {
    SEEDS: "Does each difference hold over training seeds? Results: the part `seeds` of the tables of measures, whose "
    "seed is empty where all are taken together.",
    ABLATION: "What does each term of the loss do? The served row without it.",
}
CODE = (*TRAINER, "assets.same_style_study:_rank")


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[PartedStep]:
    """Both studies of a dataset."""
    return [_step(project, name, dataset, question) for question in STUDIES]


def study_keys(project: Project) -> list[tuple[str, str]]:
    """The keys of all studies: what the report is made after."""
    return [(name, question) for name in project.of_same_style() for question in STUDIES]


def _step(project: Project, name: str, dataset: DatasetSettings, question: str) -> PartedStep:
    def study(recipe: Mapping[str, Any]) -> Study:
        return Study(project, name, dataset, recipe, question)

    rows = dict.fromkeys(trial.variant for trial in TRIALS[question](0))
    return PartedStep(
        (name, question),
        group_of(name),
        frozenset({"pytorch", "parquet"}),
        f"{TEXTS[question]} A step a training; rows that `same_style_eval` has trained are not trained again.",
        upstream=("shards", *TABLES, *PAIRS.values(), *MEASURES, PRETRAINED, *(f"checkpoint/{row}" for row in rows)),
        plan=lambda recipe: list(study(recipe).trials),
        part=lambda recipe, label: study(recipe).output(label),
        whole=lambda recipe, parts: study(recipe).results(),
        trains=True,
        made_by=((*CODE, "assets.same_style_study:_measure"), ()),
    )


@dataclass(frozen=True)
class Study:
    """The study of a dataset in a run: its trials, and how each becomes ranks."""

    project: Project
    name: str
    dataset: DatasetSettings
    recipe: Mapping[str, Any]
    question: str

    @cached_property
    def trials(self) -> dict[str, Trial]:
        """The trials by label."""
        return {trial.label: trial for trial in TRIALS[self.question](self.project.settings.seed)}

    def job(self, trial: Trial) -> TrainJob:
        """A trial's training."""
        settings = trial.training(recipe_of(self.project, self.dataset, self.recipe))
        job = variant_job(self.project, self.name, self.dataset, get_variant(trial.variant), settings)
        place = (
            self.project.paths.root / FOLDER / self.name / digest([trial.variant, trial.seed, settings.model_dump()])
        )
        return job.model_copy(update={"output": place / "weights", "seed": trial.seed})

    def output(self, label: str) -> Output:
        """The ranks of a trial."""
        job = self.job(self.trials[label])

        def inputs() -> Inputs:
            truth = {table: source_content(self.project, self.name, table) for table in TRUTH}
            sources = training_sources(job) | truth
            return {"code": code_version(CODE), "parameters": training_settings(job), "sources": sources}

        return Output(
            (self.name, self.question, label), make=_rank, code_of=CODE, sources=("shards", *TRUTH),
            place=job.output.parent / "ranks.parquet", inputs=inputs, subject=job, alone=job.output.parent / ".lock",
            earlier=lambda recorded: (
                recorded.get("truth") == [source_content(self.project, self.name, table) for table in TRUTH]
                and would_be_the_same(recorded, job)
            ),
        )  # fmt: skip

    def ranks(self, label: str) -> Path:
        """Ranks of a trial that a step of this run has made.

        Raises:
            CorruptOutputError: they are not there, or something they are made from has changed meanwhile.
        """
        output = self.output(label)
        if made_before(output.at(self.project), output.made_from(self.project)) is None:
            raise CorruptOutputError(
                f"{self.name}, {label}: not as this run made it (code or data changed meanwhile); run it again"
            )
        return output.at(self.project)

    def results(self) -> list[Output]:
        """What all trials come to, as tables: of the seeds together, or of each."""
        seed = self.project.settings.seed
        every = self.question == ABLATION
        ranks = {label: self.ranks(label) for label, trial in self.trials.items() if every or trial.seed != seed}

        def contents() -> Mapping[str, str]:
            return {label: content_of(file) for label, file in ranks.items()}

        if self.question == ABLATION:
            made = Output((self.name, ABLATION), make=_measure, external={"trials": contents}, subject=(self, ranks))
            return [made]
        together = Output(
            (self.name, RANKS, PART), make=_together, external={"trials": contents}, subject=list(ranks.values())
        )
        return [together, *of_ranks(self.name, PART, (RANKS, f"{RANKS}/{PART}"), seed)]


def _rank(given: Given) -> Mapping[str, Any]:
    """Ranks of a trial's model."""

    def rank(checkpoint: Path) -> Mapping[str, Any]:
        from eiclip.evaluation.embedding_tables import views_of_checkpoint
        from eiclip.same_style.evaluate import same_style_ranks

        views = views_of_checkpoint(checkpoint, given.path("shards"), given.dataset, given.device)
        tested, (styles, groups) = views.filter(pc.equal(views["split"], "test")), map(given.table, TRUTH)
        job = given.of.subject
        table = same_style_ranks(tested, styles, given.dataset, job.variant, job.seed, groups=groups)
        given.project.paths.lake.write_file(table, given.output)
        return {"ranks": table.num_rows}

    row = given.project.paths.checkpoint(given.dataset, given.of.subject.variant)
    return of_row_or_trained(given, row, rank, "same_style_eval")


def _together(given: Given) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in given.of.subject)


def _measure(given: Given) -> pa.Table:
    study, ranks = given.of.subject
    rows = [
        {"dataset": given.dataset, "label": label, "setting": trial.setting, "value": trial.value} | row
        for label, trial in study.trials.items()
        for row in _measured(ranks[label])
    ]
    return pa.Table.from_pylist(rows)


def _measured(ranks: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.read_parquet(str(ranks)).create_view(RANKS)
        relation = connection.sql(read_sql("evaluation/same_style_metrics")).select("seed, view_pair, mrr, r1, r5, r10")
        rows: list[dict[str, Any]] = relation.to_arrow_table().to_pylist()
    return rows
