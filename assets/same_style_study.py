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
from assets.same_style_metrics import RANKS, TABLES, of_ranks
from assets.training import PAIRS, PRETRAINED, recipe_of, run_job, trainer_step, variant_job
from assets.training import TABLES as TRAINING_TABLES
from eiclip.errors import CorruptOutputError
from eiclip.files import digest, source_version, whole_file
from eiclip.lake import read_sql
from eiclip.same_style.trials import OURS, Trial, ablation_trials, seed_trials
from eiclip.settings import DatasetSettings
from eiclip.stage import Made, content_of, made_before, make_once
from eiclip.train.job import TrainJob
from eiclip.train.key import training_inputs
from eiclip.variants import get_variant

STUDY = "same_style_study"
ABLATION = "same_style_ablation"
PART = "study"
"""Part of the tables of measures, intervals and comparisons that the other seeds are in."""


def study(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """All trainings of a dataset's study."""

    def of(context: dg.OpExecutionContext) -> "_Study":
        recipe: Recipe = context.resources.recipe
        return _Study(house, name, dataset, recipe)

    def make(context: dg.OpExecutionContext, label: str) -> str:
        return of(context).make(context, label).content

    def gather(context: dg.OpExecutionContext, parts: Mapping[str, str]) -> dg.Output[None]:
        return of(context).gather()

    rows = dict.fromkeys(trial.variant for trial in seed_trials(0))
    return parted_asset(
        [name, STUDY],
        Parted(lambda context: list(of(context).trials), make, gather, frozenset({"pipes", "recipe"}), trainer_step()),
        upstream=[
            [name, "shards"],
            *([name, table] for table in (*TRAINING_TABLES, *PAIRS.values(), *TABLES)),
            list(PRETRAINED.path),
            *([name, "checkpoint", row] for row in rows),
        ],
        group=group_of(name),
        kinds={"pytorch", "parquet"},
        text="Does each difference hold over training seeds, and what does each term of the loss do? A step a "
        f"training; rows that `same_style_eval` has trained are not trained again. Results: `{ABLATION}`, and the part `{PART}` "
        "of the tables of measures.",
    )


@dataclass(frozen=True)
class _Study:
    """The study of a dataset in a run: its trials, and how each becomes ranks."""

    house: House
    name: str
    dataset: DatasetSettings
    recipe: Recipe

    @cached_property
    def trials(self) -> dict[str, Trial]:
        seed = self.house.settings.seed
        return {trial.label: trial for trial in (*seed_trials(seed), *ablation_trials(seed))}

    def job(self, trial: Trial) -> TrainJob:
        base = recipe_of(self.house, self.dataset, self.recipe)
        training = trial.training(base)
        job = variant_job(self.house, self.name, self.dataset, get_variant(trial.variant), training)
        place = self.house.home.root / STUDY / self.name / digest([trial.variant, trial.seed, training.model_dump()])
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
        """The other seeds' ranks and what all seeds come to, and the table of the ablation."""
        seed, lake = self.house.settings.seed, self.house.home.lake
        others = [self.ranks(trial) for trial in self.trials.values() if trial.setting == "seed" and trial.seed != seed]
        ranks = lake.path(RANKS, self.name, PART)
        inputs = {"ranks": [content_of(path) for path in others]}
        made = make_once(ranks, inputs, lambda: _together(others, ranks))
        several = pc.field("seed").is_null() | (pc.field("seed") != seed)
        of_ranks(self.house, self.name, [lake.path(RANKS, self.name), ranks], PART, several)
        ablation = lake.path(ABLATION, self.name)
        trials = {label: content_of(self.ranks(trial)) for label, trial in self.trials.items()}
        code = [source_version("eiclip.same_style.trials"), read_sql("same_style_metrics")]
        found = make_once(ablation, {"code": code, "trials": trials}, lambda: self._ablation(ablation))
        lake.refresh_catalogue()
        return dg.Output(
            None, metadata=table_metadata([ablation]), data_version=dg.DataVersion(made.content + found.content)
        )

    def _ablation(self, output: Path) -> dict[str, Any]:
        rows = []
        for label, trial in self.trials.items():
            if trial.setting == "seed" and (trial.variant, trial.seed) != (OURS, self.house.settings.seed):
                continue
            for row in _measured(self.ranks(trial)):
                rows.append(
                    {"dataset": self.name, "label": label, "setting": trial.setting, "value": trial.value} | row
                )
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
