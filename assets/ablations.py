"""Ablations: an asset a question and dataset, whose trials are steps of the run; outside `full_eval`, each a job."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow.parquet as pq

from assets.common import House, Recipe, table_metadata
from assets.neutral import Neutral
from assets.parts import Parted, parted_asset
from assets.training import PRETRAINED, TABLES, recipe_of, run_job, trainer_step
from eiclip.ablations.trials import ABLATIONS, ALL, SEVERAL_MEANINGS, Ablation, Base, Trial
from eiclip.errors import CorruptOutputError
from eiclip.files import digest, source_version, whole_file
from eiclip.lake import open_views
from eiclip.storage.catalogue import connect
from eiclip.storage.sql import read_sql
from eiclip.settings import DatasetSettings
from eiclip.storage.cache import LOG_FILE, Made, content_of, made_before, make_once
from eiclip.train.job import TrainJob
from eiclip.train.key import training_inputs
from eiclip.training_settings import TrainingSettings

RESULTS, SUMMARY, SEED_STUDY = "ablation_results", "seed_study_summary", "seed_study"
RANKS_FILE, JOB_FILE, WEIGHTS = "ranks.parquet", "job.json", "weights"
MEANINGS = ("product_entities", "semantic_prior")
"""What the subset of products with an entity of several meanings is found from."""


def fitting(dataset: DatasetSettings) -> list[Ablation]:
    """The ablations that a dataset can have."""
    return [ablation for ablation in ABLATIONS.values() if ablation.fits(dataset.entity_groups)]


def ablation_keys(house: House) -> list[dg.AssetKey]:
    """The keys of all ablations of all datasets: what the report is made after."""
    return [dg.AssetKey([name, one.name]) for name, dataset in house.of_table_1().items() for one in fitting(dataset)]


def build(house: House, name: str, dataset: DatasetSettings) -> list[dg.AssetsDefinition]:
    """All ablations of a dataset."""
    return [_asset(house, name, dataset, ablation) for ablation in fitting(dataset)]


def _asset(house: House, name: str, dataset: DatasetSettings, ablation: Ablation) -> dg.AssetsDefinition:
    def study(context: dg.OpExecutionContext) -> _Study:
        recipe: Recipe = context.resources.recipe
        return _Study(house, name, ablation, _base(house, dataset, recipe))

    def plan(context: dg.OpExecutionContext) -> Sequence[str]:
        trials = study(context)
        if any(trial.neutral for trial in trials.trials.values()):
            trials.neutral.make()
            examples = ", ".join(f"{real} -> {made_up}" for real, made_up in list(trials.neutral.names.items())[:3])
            context.log.info(f"{name}: {len(trials.neutral.names)} neutral brand names ({examples}, ...)")
        return trials.longest_first()

    def make(context: dg.OpExecutionContext, label: str) -> str:
        return study(context).make(context, label).content

    def gather(context: dg.OpExecutionContext, parts: Mapping[str, str]) -> dg.Output[None]:
        return _gather(study(context), parts)

    return parted_asset(
        [name, ablation.name],
        Parted(plan, make, gather, frozenset({"pipes", "recipe"}), trainer_step()),
        upstream=_upstream(house, name, dataset, ablation),
        group=f"{name}/ablations",
        kinds={"pytorch", "parquet"},
        text=f"{ablation.question} {ablation.plan.__doc__} A step a training; rows that `full_eval` has trained are "
        f"not trained again. Results: `{RESULTS}`.",
    )


def _upstream(house: House, name: str, dataset: DatasetSettings, ablation: Ablation) -> list[list[str]]:
    """What the trials are trained on, and the checkpoints of the rows that are trials as they are."""
    base = _base(house, dataset, Recipe())
    rows = dict.fromkeys(trial.variant for trial in ablation.plan(base) if trial.plain(base))
    tables = [*TABLES, "product_entities", "tagged_entities", "products"]
    return [
        [name, "shards"],
        *([name, table] for table in tables),
        list(PRETRAINED.path),
        *([name, "checkpoint", variant] for variant in rows),
    ]


def _base(house: House, dataset: DatasetSettings, recipe: Recipe) -> Base:
    return Base(dataset.entity_groups, recipe_of(house, dataset, recipe), house.settings.seed)


@dataclass(frozen=True)
class _Study:
    """An ablation of a dataset in a run: its trials, and how each becomes ranks."""

    house: House
    name: str
    ablation: Ablation
    base: Base

    @cached_property
    def trials(self) -> dict[str, Trial]:
        return {trial.label: trial for trial in self.ablation.plan(self.base)}

    @property
    def folder(self) -> Path:
        """Where the dataset's trials lie."""
        return self.house.home.root / "ablations" / self.name

    @cached_property
    def neutral(self) -> Neutral:
        return Neutral(self.house, self.name, self.folder / "neutral")

    def training(self, trial: Trial) -> TrainingSettings:
        return trial.training(self.base)

    def longest_first(self) -> list[str]:
        """Labels: two are trained at a time, and the longest must not begin last."""
        return sorted(self.trials, key=lambda label: -self.training(self.trials[label]).epochs)

    def place(self, trial: Trial) -> Path:
        """The trial's folder: one for all ablations in which it stands."""
        what = [trial.variant, trial.groups, trial.seed, trial.neutral, self.training(trial).model_dump()]
        return self.folder / digest(what)

    def job(self, trial: Trial) -> TrainJob:
        home, name = self.house.home, self.name
        tables = {t: self.neutral.table(t) if trial.neutral else home.lake.path(t, name) for t in TABLES}
        return TrainJob(
            dataset=name,
            variant=trial.variant,
            shards=self.neutral.shards if trial.neutral else home.shards(name),
            initial=home.pretrained,
            entity_groups=trial.groups,
            output=self.place(trial) / WEIGHTS,
            seed=trial.seed,
            threads=self.house.threads,
            training=self.training(trial),
            hardware=self.house.settings.hardware,
            **tables,
        )

    def make(self, context: dg.OpExecutionContext, label: str) -> Made:
        """The trial's ranks: of a row's checkpoint where that is the same training, else it is trained here."""
        job = self.job(self.trials[label])
        inputs, ranks = self.inputs(job), job.output.parent / RANKS_FILE

        def make() -> dict[str, Any]:
            checkpoint = self.house.home.checkpoint(self.name, job.variant)
            row = made_before(checkpoint, training_inputs(job))
            if row is not None:
                return self._ranked(job, checkpoint, ranks) | row.facts | {"trained": "by full_eval"}
            try:
                facts = run_job(context, context.resources.pipes, job, ranks.parent / JOB_FILE)
                return self._ranked(job, job.output, ranks) | facts | {"trained": "here"}
            finally:
                shutil.rmtree(job.output, ignore_errors=True)  # of a ViT-B: 600 MB a trial

        with _alone(ranks.parent):
            made = make_once(ranks, inputs, make)
        how = "unchanged, reused" if made.reused else f"trained {made.facts['trained']}"
        context.log.info(f"{self.name}, {label}: {how}, {made.facts['steps']} steps in {made.facts['seconds']} s")
        return made

    def inputs(self, job: TrainJob) -> dict[str, Any]:
        return training_inputs(job) | {"ranks": source_version("eiclip.ablations.ranks")}

    def _ranked(self, job: TrainJob, checkpoint: Path, output: Path) -> dict[str, Any]:
        from eiclip.ablations.ranks import rank_checkpoint

        table = rank_checkpoint(checkpoint, job.shards, self.house.step_device())
        shutil.copyfile(checkpoint / LOG_FILE, output.with_name(LOG_FILE))
        with whole_file(output) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return {"ranks": table.num_rows}

    def made(self, trial: Trial) -> Made:
        """The record of a trial that a step of this run has made.

        Raises:
            CorruptOutputError: it is not there, or something it is made from has changed meanwhile.
        """
        job = self.job(trial)
        found = made_before(job.output.parent / RANKS_FILE, self.inputs(job))
        if found is None:
            raise CorruptOutputError(
                f"{self.name}, {trial.label}: not as this run made it (code or data changed meanwhile); run it again"
            )
        return found


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for another run that makes the same trial."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _gather(study: _Study, parts: Mapping[str, str]) -> dg.Output[None]:
    """Results of all trials as a table, the seeds' summary, and both as the asset's metadata."""
    house, name, ablation = study.house, study.name, study.ablation.name
    lake = house.home.lake
    output, summary = lake.path(RESULTS, name, ablation), lake.path(SUMMARY, name)
    trials = {label: study.made(trial) for label, trial in study.trials.items()}
    inputs = {
        "code": source_version("eiclip.ablations", "eiclip.uncertainty"),
        "trials": {label: [made.content, made.facts] for label, made in trials.items()},
        "meanings": [content_of(lake.path(table, name)) for table in MEANINGS],
    }

    def make() -> dict[str, Any]:
        from eiclip.ablations.results import results_table

        table = results_table(name, ablation, _outcomes(study, trials), _subsets(house, name, study.ablation))
        lake.write(table, RESULTS, name, ablation)
        return {"trials": len(trials), "trained_here": sum(m.facts["trained"] == "here" for m in trials.values())}

    made = make_once(output, inputs, make)
    if ablation == SEED_STUDY:
        sql = {"sql": read_sql(SUMMARY), "results": made.content}
        make_once(summary, sql, lambda: {"rows": lake.query(SUMMARY, summary, {RESULTS: [output]}, {})})
    lake.refresh_catalogue()
    metadata = made.facts | table_metadata([output]) | _shown(house, name, ablation)
    return dg.Output(None, metadata=metadata, data_version=dg.DataVersion(made.content))


def _outcomes(study: _Study, made: Mapping[str, Made]) -> list[Any]:
    from eiclip.ablations.results import Outcome

    found = []
    for label, trial in study.trials.items():
        steps = int(made[label].facts["steps"])
        found.append(
            Outcome(
                trial,
                pq.read_table(study.place(trial) / RANKS_FILE),
                epochs=study.training(trial).epochs,
                steps=steps,
                seconds=float(made[label].facts["seconds"]),
                x=float(steps) if study.ablation.against_steps else trial.x,
            )
        )
    return found


def _subsets(house: House, name: str, ablation: Ablation) -> dict[str, frozenset[str] | None]:
    found: dict[str, frozenset[str] | None] = {ALL: None}
    if SEVERAL_MEANINGS in ablation.subsets:
        with duckdb.connect() as connection:
            open_views(connection, {table: [house.home.lake.path(table, name)] for table in MEANINGS})
            rows = connection.sql(read_sql("several_meanings")).fetchall()
        found[SEVERAL_MEANINGS] = frozenset(product for (product,) in rows)
    return found


def _shown(house: House, name: str, ablation: str) -> dict[str, Any]:
    """The verdict, the table and the plot, as Dagster's UI shows them."""
    from eiclip.report.ablation_plots import PLOTS
    from eiclip.report.ablation_tables import ablation_table, seed_table, verdict
    from eiclip.report.profile_tables import markdown
    from eiclip.report.theme import as_markdown_image

    shown: dict[str, Any] = {}
    with connect(house.home.root) as connection:
        if sentence := verdict(connection, name, ablation):
            shown["verdict"] = dg.MetadataValue.md(sentence)
        table = seed_table(connection, name) if ablation == SEED_STUDY else ablation_table(connection, name, ablation)
        if table:
            shown["table"] = dg.MetadataValue.md(markdown(table))
        if picture := PLOTS[ablation](connection, name):
            shown["plot"] = dg.MetadataValue.md(as_markdown_image(picture, f"{name} {ablation}"))
    return shown
