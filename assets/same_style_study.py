"""The rows of same-style retrieval with other seeds, and without each part of the loss: a step a training."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.common import House, Recipe, table_metadata
from assets.parts import Parted, parted_asset
from assets.same_style import group_of
from assets.same_style_metrics import COMPARISONS, RANKS, TABLES, of_ranks
from assets.training import PAIRS, PRETRAINED, recipe_of, run_job, trainer_step, variant_job
from assets.training import TABLES as TRAINING_TABLES
from eiclip.errors import CorruptOutputError
from eiclip.files import digest, source_version, whole_file
from eiclip.storage.sql import read_sql
from eiclip.same_style.trials import Trial, ablation_trials, seed_trials
from eiclip.settings import DatasetSettings
from eiclip.storage.cache import Made, content_of, made_before, make_once
from eiclip.train.job import TrainJob
from eiclip.train.key import training_inputs
from eiclip.variants import get_variant

SEEDS, ABLATION = "same_style_seeds", "same_style_ablation"
STUDIES = (SEEDS, ABLATION)
PART = "seeds"
"""Part of the tables of ranks, measures, intervals and comparisons that the other seeds are in."""
FOLDER = "same_style_studies"
TRIALS = {SEEDS: seed_trials, ABLATION: ablation_trials}
TEXTS = {
    SEEDS: "Does each difference hold over training seeds? Results: the part `seeds` of the tables of measures, whose "
    "seed is empty where all are taken together.",
    ABLATION: "What does each term of the loss do? The served row without it.",
}


def studies(house: House, name: str, dataset: DatasetSettings) -> list[dg.AssetsDefinition]:
    """Both studies of a dataset."""
    return [_asset(house, name, dataset, question) for question in STUDIES]


def study_keys(house: House) -> list[dg.AssetKey]:
    """The keys of all studies: what the report is made after."""
    return [dg.AssetKey([name, question]) for name in house.of_same_style() for question in STUDIES]


def _asset(house: House, name: str, dataset: DatasetSettings, question: str) -> dg.AssetsDefinition:
    def of(context: dg.OpExecutionContext) -> "_Study":
        recipe: Recipe = context.resources.recipe
        return _Study(house, name, dataset, recipe, question)

    def make(context: dg.OpExecutionContext, label: str) -> str:
        return of(context).make(context, label).content

    def gather(context: dg.OpExecutionContext, parts: Mapping[str, str]) -> dg.Output[None]:
        return of(context).gather()

    rows = dict.fromkeys(trial.variant for trial in TRIALS[question](0))
    return parted_asset(
        [name, question],
        Parted(lambda context: list(of(context).trials), make, gather, frozenset({"pipes", "recipe"}), trainer_step()),
        upstream=[
            [name, "shards"],
            *([name, table] for table in (*TRAINING_TABLES, *PAIRS.values(), *TABLES)),
            list(PRETRAINED.path),
            *([name, "checkpoint", row] for row in rows),
        ],
        group=group_of(name),
        kinds={"pytorch", "parquet"},
        text=f"{TEXTS[question]} A step a training; rows that `same_style_eval` has trained are not trained again.",
    )


@dataclass(frozen=True)
class _Study:
    """The study of a dataset in a run: its trials, and how each becomes ranks."""

    house: House
    name: str
    dataset: DatasetSettings
    recipe: Recipe
    question: str

    @cached_property
    def trials(self) -> dict[str, Trial]:
        return {trial.label: trial for trial in TRIALS[self.question](self.house.settings.seed)}

    def job(self, trial: Trial) -> TrainJob:
        base = recipe_of(self.house, self.dataset, self.recipe)
        training = trial.training(base)
        job = variant_job(self.house, self.name, self.dataset, get_variant(trial.variant), training)
        place = self.house.home.root / FOLDER / self.name / digest([trial.variant, trial.seed, training.model_dump()])
        return job.model_copy(update={"output": place / "weights", "seed": trial.seed})

    def inputs(self, job: TrainJob) -> dict[str, Any]:
        lake = self.house.home.lake
        truth = [content_of(lake.path(table, self.name)) for table in ("styles", "product_groups")]
        code = source_version("eiclip.views", "eiclip.same_style.evaluate", "eiclip.retrieval")
        return training_inputs(job) | {"truth": truth, "ranks": code}

    def make(self, context: dg.OpExecutionContext, label: str) -> Made:
        """The trial's ranks: of a row's checkpoint where that is the same training, else it is trained here."""
        trial = self.trials[label]
        job = self.job(trial)
        ranks = job.output.parent / "ranks.parquet"

        def make() -> dict[str, Any]:
            checkpoint = self.house.home.checkpoint(self.name, job.variant)
            row = made_before(checkpoint, training_inputs(job))
            if row is not None:
                return self._rank(trial, checkpoint, ranks) | row.facts | {"trained": "by same_style_eval"}
            try:
                facts = run_job(context, context.resources.pipes, job, ranks.parent / "job.json")
                return self._rank(trial, job.output, ranks) | facts | {"trained": "here"}
            finally:
                shutil.rmtree(job.output, ignore_errors=True)  # of a ViT-B: 600 MB a trial

        made = make_once(ranks, self.inputs(job), make)
        how = "unchanged, reused" if made.reused else f"trained {made.facts['trained']}"
        context.log.info(f"{self.name}, {label}: {how}, {made.facts['steps']} steps in {made.facts['seconds']} s")
        return made

    def _rank(self, trial: Trial, checkpoint: Path, output: Path) -> dict[str, Any]:
        from eiclip.same_style.evaluate import same_style_ranks
        from eiclip.views import views_of_checkpoint

        lake = self.house.home.lake
        views = views_of_checkpoint(checkpoint, self.house.home.shards(self.name), self.name, self.house.step_device())
        styles, groups = (pq.read_table(lake.path(table, self.name)) for table in ("styles", "product_groups"))
        tested = views.filter(pc.equal(views["split"], "test"))
        table = same_style_ranks(tested, styles, self.name, trial.variant, trial.seed, groups=groups)
        with whole_file(output) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return {"ranks": table.num_rows}

    def ranks(self, trial: Trial) -> Path:
        """Ranks of a trial that a step of this run has made.

        Raises:
            CorruptOutputError: they are not there, or something they are made from has changed meanwhile.
        """
        job = self.job(trial)
        found = job.output.parent / "ranks.parquet"
        if made_before(found, self.inputs(job)) is None:
            raise CorruptOutputError(
                f"{self.name}, {trial.label}: not as this run made it (code or data changed meanwhile); run it again"
            )
        return found

    def gather(self) -> dg.Output[None]:
        """What all trials come to, as tables."""
        made, output = self._seeds() if self.question == SEEDS else self._ablation()
        self.house.home.lake.refresh_catalogue()
        return dg.Output(None, metadata=table_metadata([output]), data_version=dg.DataVersion(made.content))

    def _seeds(self) -> tuple[Made, Path]:
        """The other seeds' ranks, and measures, intervals and comparisons of all seeds together."""
        seed, lake = self.house.settings.seed, self.house.home.lake
        others = [self.ranks(trial) for trial in self.trials.values() if trial.seed != seed]
        ranks = lake.path(RANKS, self.name, PART)
        inputs = {"ranks": [content_of(path) for path in others]}
        make_once(ranks, inputs, lambda: _together(others, ranks))
        several = pc.field("seed").is_null() | (pc.field("seed") != seed)
        made = of_ranks(self.house, self.name, [lake.path(RANKS, self.name), ranks], PART, several)
        return made[COMPARISONS], lake.path(COMPARISONS, self.name, PART)

    def _ablation(self) -> tuple[Made, Path]:
        output = self.house.home.lake.path(ABLATION, self.name)
        trials = {label: content_of(self.ranks(trial)) for label, trial in self.trials.items()}
        code = [source_version("eiclip.same_style.trials"), read_sql("same_style_metrics")]
        return make_once(output, {"code": code, "trials": trials}, lambda: self._measure(output)), output

    def _measure(self, output: Path) -> dict[str, Any]:
        rows = [
            {"dataset": self.name, "label": label, "setting": trial.setting, "value": trial.value} | row
            for label, trial in self.trials.items()
            for row in _measured(self.ranks(trial))
        ]
        self.house.home.lake.write(pa.Table.from_pylist(rows), ABLATION, self.name)
        return {"rows": len(rows)}


def _together(ranks: Sequence[Path], output: Path) -> dict[str, Any]:
    table = pa.concat_tables(pq.read_table(path) for path in ranks)
    with whole_file(output) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return {"rows": table.num_rows}


def _measured(ranks: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.read_parquet(str(ranks)).create_view(RANKS)
        relation = connection.sql(read_sql("same_style_metrics")).select("seed, view_pair, mrr, r1, r5, r10")
        rows: list[dict[str, Any]] = relation.to_arrow_table().to_pylist()
    return rows
