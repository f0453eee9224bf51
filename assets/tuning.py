"""Tuning: an asset a dataset, whose trials are steps of the run; outside `full_eval`, the job `tune`."""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.common import Project
from assets.outputs import Given, Output
from assets.steps import PartedStep
from assets.studies import Study, study_step
from assets.training import of_row_or_trained
from eiclip.errors import NonFiniteError, SettingsError
from eiclip.settings.load import DatasetSettings
from eiclip.shards import read_manifest
from eiclip.storage.files import write_text
from eiclip.studies.trials import Ablation
from eiclip.studies.tuning import RESULTS, TUNING, Judged, chosen_toml, rates_of, tuning, tuning_table

QUESTION = "Which rates suit rows 3 and 5? Judged on the validation split; the test split is not read."


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[PartedStep]:
    """Return the tuning of a dataset."""
    trainings = project.settings.tune.trainings
    question = Ablation(TUNING, QUESTION, partial(tuning, trainings=trainings))
    return [
        study_step(
            partial(Tuning, project, name, dataset, question),
            f"{name}/tuning",
            f"{QUESTION} As many trainings of each (`EICLIP_TUNE__TRAININGS`), with rates drawn around the recipe, "
            f"which is the first. Results: `{RESULTS}`, and lines for the settings file in `tuned/{name}.toml`.",
            upstream=(),
            made_by=(("assets.tuning:_results",), ()),
            writes=((RESULTS,),),
            shown={"table": "tuning.trials", "chosen": "tuning.chosen"},
        )
    ]


def _judge(given: Given) -> Mapping[str, Any]:
    """Note SumR of a trial's model on the validation split; a training that diverges is judged too, and has none."""

    def note(sum_r: float | None) -> Mapping[str, Any]:
        given.project.paths.lake.write_file(pa.table({"validation": pa.array([sum_r], pa.float64())}), given.output)
        return {}

    job, paths = given.of.subject, given.project.paths
    row = paths.checkpoint(given.dataset, job.variant)
    try:
        facts = of_row_or_trained(given, row, lambda _: {}, "full_eval")
    except NonFiniteError as error:
        shutil.rmtree(job.output.with_name(f"{job.output.name}.resume"), ignore_errors=True)
        note(None)
        return {"diverged": str(error), "validation": {}, "steps": 0, "seconds": 0.0, "trained": "here"}
    note(facts["validation"]["sum_r"])
    return facts


class Tuning(Study):
    """The tuning of rows 3 and 5."""

    rank = _judge
    file = "validation.parquet"

    @property
    def folder(self) -> Path:
        """Where its trials lie."""
        return self.project.paths.root / TUNING / self.name

    def prepare(self, log: Any) -> None:
        """Refuse a dataset that has nothing to judge by.

        Raises:
            SettingsError: there is no validation split.
        """
        if not read_manifest(self.project.paths.shards(self.name))["samples"].get("validation"):
            raise SettingsError(
                f"{self.name}: no validation split to judge rates by; set datasets.{self.name}.validation_share"
            )

    def results(self) -> list[Output]:
        """Return the table of all trials; what was chosen lies beside it."""
        trials = {label: self.made(label)[1] for label in self.trials}
        contents = {label: [made.content, made.facts["validation"]] for label, made in trials.items()}
        return [
            Output(
                (self.name, RESULTS),
                make=_results,
                external={"trials": lambda: contents},
                beside=(self.project.paths.tuned(self.name),),
                subject=(self, trials),
            )
        ]


def _results(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    study, trials = given.of.subject
    judged = []
    for label, trial in study.trials.items():
        facts, rates = trials[label].facts, rates_of(trial.training(study.base), trial.variant)
        sum_r = facts["validation"].get("sum_r")
        judged.append(Judged(trial, rates, sum_r, facts["steps"], facts["seconds"]))
    table = tuning_table(given.dataset, judged)
    write_text(given.beside(), chosen_toml(table))
    diverged = sum(one.validation is None for one in judged)
    return table, {"trials": len(judged), "diverged": diverged, "to_use_it": f"cat {given.beside()} >> eiclip.toml"}
