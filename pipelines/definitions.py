"""The one code location: every asset of every dataset of the settings, the jobs over them, and their resources."""

import warnings

import dagster as dg

from assets import (
    ablations,
    cards,
    evaluation,
    gates,
    history,
    profile,
    raw,
    relations,
    report,
    same_style,
    same_style_metrics,
    same_style_study,
    shards,
    training,
    typed_queries,
    uncertainty,
)
from assets.cluster import trainer_client
from assets.common import STEPS_AT_ONCE, House, Recipe
from eiclip.home import Home
from eiclip.settings import DatasetSettings, Settings, load_settings
from pipelines.jobs import ablation_jobs, full_eval, ingest, same_style_jobs
from pipelines.sensors import raw_files_sensor

# Dagster's own code uses what Dagster marks as preview or deprecated; nobody here can act on it.
warnings.filterwarnings("ignore", module=r"dagster\..*")
warnings.filterwarnings("ignore", category=dg.BetaWarning)  # data versions of outputs, and we want them

# Steps are forked from a process that has imported everything once: a step costs a second instead of ten.
executor = dg.multiprocess_executor.configured(
    {
        "max_concurrent": STEPS_AT_ONCE,
        "start_method": {
            "forkserver": {
                "preload_modules": [
                    "pipelines.preloaded",
                    "pipelines.definitions",
                    "eiclip.ranks",
                    "eiclip.interventions",
                    "eiclip.breakdowns",
                    "eiclip.train.loop",
                    "eiclip.report.write",
                ]
            }
        },
    }
)


def dataset_assets(house: House) -> list[dg.AssetsDefinition]:
    """Every asset that each dataset has."""
    found: list[dg.AssetsDefinition] = []
    for name, dataset in house.datasets().items():
        found += [make(house, name, dataset) for make in (raw.raw_files, raw.records, raw.photos, raw.reviews)]
        found += [relations.build(house, name, dataset), shards.build(house, name, dataset)]
        if profile.COMPOSITION in dataset.entity_groups:
            found.append(profile.compositions(house, name))
        found.append(profile.build(house, name, dataset))
        if dataset.table_1:
            found += table_1_assets(house, name, dataset)
        if dataset.same_style is not None:
            found += same_style.build(house, name, dataset)
            found += [same_style_metrics.metrics(house, name), *same_style_study.studies(house, name, dataset)]
        found.append(searched(house, name, dataset))
    return found


def searched(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """What linking is worth in a dataset's search: in same-style's, where it has no rows of Table 1."""
    if dataset.table_1:
        upstream = [[name, "checkpoint", "eiclip"], [name, "shards"]]
        return typed_queries.typed_queries(house, name, dataset, "eiclip", f"{name}/evaluation", upstream=upstream)
    upstream = [[name, "checkpoint", "same_style"], [name, "product_views", "same_style"], [name, "shards"]]
    group = same_style.group_of(name)
    return typed_queries.typed_queries(house, name, dataset, "same_style", group, upstream=upstream)


def table_1_assets(house: House, name: str, dataset: DatasetSettings) -> list[dg.AssetsDefinition]:
    """What is made of the five rows of Table 1, trained on one dataset."""
    return [
        *training.checkpoints(house, name, dataset),
        *evaluation.build(house, name, dataset),
        *ablations.build(house, name, dataset),
        gates.build(house, name, dataset),
        history.runs(house, name, dataset),
        *uncertainty.build(house, name, dataset),
        cards.build(house, name, dataset),
    ]


def build_definitions(settings: Settings) -> dg.Definitions:
    """The code location for some settings."""
    house = House(settings, Home(settings.home))
    shared = [training.pretrained(house), report.catalogue(house), report.report(house)]
    if settings.pretrained == shards.GENERAL:
        shared.append(shards.general_corpus(house))
    return dg.Definitions(
        assets=[*dataset_assets(house), *shared],
        asset_checks=[shards.check(house, name) for name in house.datasets()],
        jobs=[full_eval(house), ingest, *same_style_jobs(house), *ablation_jobs],
        sensors=[raw_files_sensor(house)],
        executor=executor,
        resources={"pipes": trainer_client(), "recipe": Recipe()},
    )


defs = build_definitions(load_settings())
