"""The one code location: every asset of every dataset of the settings, the jobs over them, and their resources."""

import warnings

import dagster as dg

from assets.common import STEPS_AT_ONCE, Project
from assets.datasets import declared
from eiclip.settings.load import Settings, load_settings
from eiclip.storage.home import Paths
from pipelines.alerts import alert_sensors
from pipelines.checks import shards_match_manifest
from pipelines.cluster import trainer_client
from pipelines.factory import Recipe, build
from pipelines.jobs import ablation_jobs, cross_modal, freshness, full_eval, ingest, refresh, same_style_jobs, tune
from pipelines.results import catalogue, report, runs
from pipelines.sensors import raw_files_sensor
from pipelines.verdict import results_are_of_the_raw_files, verdict

# Dagster's own code uses what Dagster marks as preview or deprecated; nobody here can act on it.
warnings.filterwarnings("ignore", module=r"dagster\..*")
warnings.filterwarnings("ignore", category=dg.BetaWarning)  # data versions of outputs, and we want them

# Steps are forked from a process that has imported everything once: a step costs a second instead of ten.
PRELOADED = [
    "pipelines.preloaded", "pipelines.definitions", "eiclip.evaluation.protocols", "eiclip.evaluation.interventions",
    "eiclip.evaluation.breakdowns", "eiclip.train.loop", "eiclip.report.write",
]  # fmt: skip
executor = dg.multiprocess_executor.configured(
    {"max_concurrent": STEPS_AT_ONCE, "start_method": {"forkserver": {"preload_modules": PRELOADED}}}
)


def build_definitions(settings: Settings) -> dg.Definitions:
    """The code location for some settings."""
    project = Project(settings, Paths(settings.home))
    assets = [build(project, step) for step in declared(project)]
    assets += [runs(project, name, dataset) for name, dataset in project.of_table_1().items()]
    return dg.Definitions(
        assets=[*assets, catalogue(project), verdict(project), report(project)],
        asset_checks=[
            *(shards_match_manifest(project, name) for name in project.datasets()),
            results_are_of_the_raw_files(project),
        ],
        jobs=[
            full_eval(project),
            ingest,
            refresh,
            cross_modal,
            tune,
            freshness.job,
            *same_style_jobs(project),
            *ablation_jobs,
        ],
        schedules=[freshness],
        sensors=[raw_files_sensor(project), *alert_sensors(project)],
        executor=executor,
        resources={"pipes": trainer_client(), "recipe": Recipe()},
    )


defs = build_definitions(load_settings())
