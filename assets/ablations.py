"""Ablations: an asset a question and dataset, whose trials are steps of the run; outside `full_eval`, each a job."""

import shutil
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import Project
from assets.neutral import Neutral
from assets.outputs import Given, Output
from assets.steps import PartedStep
from assets.studies import Study, study_step
from assets.training import TABLES, of_row_or_trained
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import LOG_FILE
from eiclip.storage.lake import open_views
from eiclip.storage.sql import read_sql
from eiclip.studies.trials import ABLATIONS, ALL, SEVERAL_MEANINGS, Ablation, Trial
from eiclip.train.job import TrainJob

RESULTS, SUMMARY, SEED_STUDY = "ablation_results", "seed_study_summary", "seed_study"
COMPARISONS = "seed_study_comparisons"
MEANINGS = ("product_entities", "semantic_prior")
"""What the subset of products with an entity of several meanings is found from."""


def fitting(dataset: DatasetSettings) -> list[Ablation]:
    """Return the ablations that a dataset can have."""
    return [ablation for ablation in ABLATIONS.values() if ablation.fits(dataset.entity_groups)]


def ablation_keys(project: Project) -> list[tuple[str, str]]:
    """Return the keys of all ablations of all datasets: what the report is made after."""
    return [(name, one.name) for name, dataset in project.of_table_1().items() for one in fitting(dataset)]


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[PartedStep]:
    """Return all ablations of a dataset."""
    found = []
    for ablation in fitting(dataset):
        plot = f"{ablation.name.removeprefix('ablation_').removesuffix('_study')}_plot"
        table = "seeds" if ablation.name == SEED_STUDY else f"trials({ablation.name})"
        step = study_step(
            partial(AblationStudy, project, name, dataset, ablation),
            f"{name}/ablations",
            f"{ablation.question} {ablation.plan.__doc__} A step a training; rows that `full_eval` has trained are not "
            f"trained again. Results: `{RESULTS}`.",
            upstream=("product_entities", "tagged_entities", "products"),
            made_by=(("assets.ablations:_results", "assets.ablations:_compare_seeds"), (f"evaluation/{SUMMARY}",)),
            writes=((RESULTS, ablation.name), *(((SUMMARY,), (COMPARISONS,)) if ablation.name == SEED_STUDY else ())),
            shown={
                "verdict": f"ablations.verdict({ablation.name})",
                "table": f"ablations.{table}",
                "plot": f"eiclip.report.ablation_plots:{plot}",
            },
        )
        found.append(step)
    return found


def _rank(given: Given) -> Mapping[str, Any]:
    """Write ranks of a trial's model, and the log of its training."""

    def rank(checkpoint: Path) -> Mapping[str, Any]:
        from eiclip.studies.ranks import rank_checkpoint

        job = given.of.subject
        table = rank_checkpoint(checkpoint, job.shards, given.device, job.features)
        shutil.copyfile(checkpoint / LOG_FILE, given.output.with_name(LOG_FILE))
        given.project.paths.lake.write_file(table, given.output)
        return {"ranks": table.num_rows}

    row = given.project.paths.checkpoint(given.dataset, given.of.subject.variant)
    return of_row_or_trained(given, row, rank, "full_eval")


class AblationStudy(Study):
    """An ablation of Table 1's rows."""

    rank = _rank

    @cached_property
    def neutral(self) -> Neutral:
        """The data with neutral brand names."""
        return Neutral(self.project, self.name, self.folder / "neutral")

    def prepare(self, log: Any) -> None:
        """Make the data with neutral brand names, where a trial needs them."""
        if any(trial.neutral for trial in self.trials.values()):
            self.neutral.make()
            examples = ", ".join(f"{real} -> {made_up}" for real, made_up in list(self.neutral.names.items())[:3])
            log.info(f"{self.name}: {len(self.neutral.names)} neutral brand names ({examples}, ...)")

    def job(self, trial: Trial) -> TrainJob:
        """Return the trial's training, with neutral brand names where it is to have them."""
        neutral = {"shards": self.neutral.shards} | {table: self.neutral.table(table) for table in TABLES}
        return super().job(trial).model_copy(update=neutral if trial.neutral else {})

    def results(self) -> list[Output]:
        """Return the table of results; of the seed study, its summary and the comparison of rows over seeds too."""
        trials = {label: self.made(label) for label in self.trials}
        results = Output(
            (self.name, RESULTS, self.ablation.name),
            make=_results,
            sources=MEANINGS,
            external={"trials": lambda: {label: [made.content, made.facts] for label, (_, made) in trials.items()}},
            subject=(self, trials),
        )
        if self.ablation.name != SEED_STUDY:
            return [results]
        of_seeds = (f"{RESULTS}/{SEED_STUDY}",)
        made_by = f"evaluation/{SUMMARY}"
        compared = Output(
            (self.name, COMPARISONS),
            make=_compare_seeds,
            external={"trials": lambda: {label: made.content for label, (_, made) in trials.items()}},
            subject=(self, trials),
        )
        summary = Output((self.name, SUMMARY), make=made_by, sources=of_seeds, files_of={RESULTS: of_seeds})
        return [results, summary, compared]


def _compare_seeds(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    from eiclip.studies.results import seed_comparisons

    study, made = given.of.subject
    ranks = {(trial.variant, trial.seed): pq.read_table(made[label][0]) for label, trial in study.trials.items()}
    return seed_comparisons(given.dataset, ranks), {"trainings": len(ranks)}


def _results(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    from eiclip.studies.results import Outcome, results_table

    study, made = given.of.subject
    outcomes = []
    for label, trial in study.trials.items():
        file, record = made[label]
        took = {name: record.facts[name] for name in ("epochs", "steps", "seconds")}
        took["x"] = float(took["steps"]) if study.ablation.against_steps else trial.x
        verdict = record.facts.get("outcome", {}).get("verdict")  # none of a row that is not trained
        outcomes.append(Outcome(trial, pq.read_table(file), budget=trial.budget(study.base), verdict=verdict, **took))
    subsets: dict[str, frozenset[str] | None] = {ALL: None}
    if SEVERAL_MEANINGS in study.ablation.subsets:
        with duckdb.connect() as connection:
            open_views(connection, {table: given.files(table) for table in MEANINGS})
            rows = connection.sql(read_sql("entities/several_meanings")).fetchall()
        subsets[SEVERAL_MEANINGS] = frozenset(product for (product,) in rows)
    table = results_table(given.dataset, study.ablation.name, outcomes, subsets)
    trained = sum(record.facts["trained"] == "here" for _, record in made.values())
    return table, {"trials": len(made), "trained_here": trained}
