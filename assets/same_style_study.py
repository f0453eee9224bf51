"""The rows of same-style retrieval with other seeds, and without each part of the loss: a step a training."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.common import Project
from assets.outputs import Given, Output
from assets.same_style import COMPARISONS, INTERVALS, MEASURES, METRICS, RANKS, group_of, of_ranks
from assets.steps import PartedStep
from assets.studies import Study, study_step
from assets.training import PAIRS, of_row_or_trained
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import content_of
from eiclip.storage.sql import read_sql
from eiclip.studies.trials import SAME_STYLE_STUDIES

SEEDS, ABLATION = STUDIES = tuple(SAME_STYLE_STUDIES)
OF_SEEDS = (RANKS, METRICS, INTERVALS, COMPARISONS)
PART = "seeds"
"""Part of the tables of ranks, measures, intervals and comparisons that the other seeds are in."""


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[PartedStep]:
    """Return both studies of a dataset."""
    return [
        study_step(
            partial(SameStyleStudy, project, name, dataset, study),
            group_of(name),
            f"{study.question} A step a training; rows that `same_style_eval` has trained are not trained again.",
            upstream=(*PAIRS.values(), *MEASURES),
            made_by=(("assets.same_style_study:_measure",), ()),
            writes=((ABLATION,),) if study.name == ABLATION else tuple((table, PART) for table in OF_SEEDS),
        )
        for study in SAME_STYLE_STUDIES.values()
    ]


def study_keys(project: Project) -> list[tuple[str, str]]:
    """Return the keys of all studies: what the report is made after."""
    return [(name, question) for name in project.of_same_style() for question in STUDIES]


def _rank(given: Given) -> Mapping[str, Any]:
    """Write ranks of a trial's model."""

    def rank(checkpoint: Path) -> Mapping[str, Any]:
        from eiclip.evaluation.embedding_tables import views_of_checkpoint
        from eiclip.same_style.evaluate import same_style_ranks

        views = views_of_checkpoint(
            checkpoint, given.path("shards"), given.dataset, given.device, given.of.subject.features
        )
        tested = views.filter(pc.equal(views["split"], "test"))
        styles, groups, job = given.table("styles"), given.table("product_groups"), given.of.subject
        table = same_style_ranks(tested, styles, given.dataset, job.variant, job.seed, groups=groups)
        given.project.paths.lake.write_file(table, given.output)
        return {"ranks": table.num_rows}

    row = given.project.paths.checkpoint(given.dataset, given.of.subject.variant)
    return of_row_or_trained(given, row, rank, "same_style_eval")


class SameStyleStudy(Study):
    """A study of the rows of same-style retrieval."""

    rank = _rank
    sources = ("styles", "product_groups")

    @property
    def folder(self) -> Path:
        """Where its trials lie."""
        return self.project.paths.root / "same_style_studies" / self.name

    def results(self) -> list[Output]:
        """Return tables of all trials: of the seeds together, or of each."""
        seed, is_ablation = self.project.settings.seed, self.ablation.name == ABLATION
        wanted = [label for label, trial in self.trials.items() if is_ablation or trial.seed != seed]
        ranks = {label: self.made(label)[0] for label in wanted}
        contents = {"trials": lambda: {label: content_of(file) for label, file in ranks.items()}}
        if is_ablation:
            return [Output((self.name, ABLATION), make=_measure, external=contents, subject=(self, ranks))]
        together = Output((self.name, RANKS, PART), make=_together, external=contents, subject=list(ranks.values()))
        return [together, *of_ranks(self.name, PART, (RANKS, f"{RANKS}/{PART}"), seed)]


def _together(given: Given) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in given.of.subject)


def _measure(given: Given) -> pa.Table:
    study, ranks = given.of.subject
    rows = []
    for label, trial in study.trials.items():
        with duckdb.connect() as connection:
            connection.read_parquet(str(ranks[label])).create_view(RANKS)
            measures = connection.sql(read_sql("evaluation/same_style_metrics"))
            found = measures.select("seed, view_pair, mrr, r1, r5, r10").to_arrow_table().to_pylist()
        named = {"dataset": given.dataset, "label": label, "setting": trial.setting, "value": trial.value}
        rows += [named | row for row in found]
    return pa.Table.from_pylist(rows)
