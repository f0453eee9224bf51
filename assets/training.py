"""Pretrained towers, and one checkpoint per variant, trained in a process of its own through Dagster Pipes."""

import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from assets.common import OWNERS, House, Recipe, result, say
from assets.shards import GENERAL
from eiclip.files import sha256_file, source_version, whole_folder, write_json
from eiclip.settings import DatasetSettings
from eiclip.stage import LOG_FILE, MANIFEST, Made, content_of, make_once
from eiclip.train.job import TrainJob
from eiclip.training_settings import TrainingSettings
from eiclip.variants import VARIANTS, Variant

PRETRAINED = dg.AssetKey(["general", "pretrained"])
TABLES = ("entity_vocabulary", "semantic_prior")


def training_code() -> str:
    """Version of the code that decides what a training comes to."""
    return source_version("eiclip.model", "eiclip.train", "eiclip.embed")


def trainer_command(job: Path) -> list[str]:
    """torchrun on one process, behind a launcher that ties its life to the step's."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    return [sys.executable, "-m", "pipelines.launch", *torchrun, "-m", "pipelines.trainer", str(job)]


def run_job(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    pipes: dg.PipesSubprocessClient,
    job: TrainJob,
    path: Path,
) -> dict[str, Any]:
    """Run a training in a process of its own, from the job file `path`; its log and its facts come through Pipes."""
    write_json(path, job.model_dump(mode="json"))
    threads = {"OMP_NUM_THREADS": str(job.threads), "TORCH_CPP_LOG_LEVEL": "ERROR"}
    invocation = pipes.run(command=trainer_command(path), context=context, env=dict(os.environ) | threads)
    messages = invocation.get_custom_messages()
    if not messages:
        raise dg.Failure(f"{job.dataset}/{job.variant}: the trainer ended without its facts; see its output above")
    facts: dict[str, Any] = messages[-1]
    return facts


def training_inputs(job: TrainJob) -> dict[str, Any]:
    """What a training comes to depends on this: equal inputs give equal weights, wherever they and the job lie."""
    places = {"output", "shards", "initial", "entity_vocabulary", "semantic_prior"}
    tables = {"entity_vocabulary": job.entity_vocabulary, "semantic_prior": job.semantic_prior}
    return {
        "code": training_code(),
        "pretrained": content_of(job.initial) if job.initial else None,
        "shards": content_of(job.shards),
        "tables": {table: content_of(path) for table, path in tables.items() if path},
        "job": job.model_dump(mode="json", exclude={*places, "threads"}),
    }


def recipe_of(house: House, dataset: DatasetSettings, recipe: Recipe) -> TrainingSettings:
    """How a dataset's rows are trained: the settings, what its own entry changes, what the run's configuration does."""
    merged = house.settings.training.model_dump() | dataset.training | recipe.training
    return TrainingSettings.model_validate(merged)


def pretrained(house: House) -> dg.AssetsDefinition:
    """The towers all variants start from: released weights, a local file, or the small model trained here."""
    general = house.settings.pretrained == GENERAL

    @dg.asset(
        key=PRETRAINED,
        deps=[[GENERAL, "shards"]] if general else [],
        group_name="pretraining",
        kinds={"pytorch", "safetensors"},
        owners=OWNERS,
        description="CLIP's towers before any product was seen (EICLIP_PRETRAINED): every variant starts from them.",
    )
    def asset(context: dg.AssetExecutionContext, pipes: dg.PipesSubprocessClient) -> dg.MaterializeResult:
        folder = house.home.pretrained
        made = _pretrain(context, pipes, house) if general else _fetch(house, folder)
        say(context, made, folder)
        return result(made, folder)

    return asset


def _pretrain(context: dg.AssetExecutionContext, pipes: dg.PipesSubprocessClient, house: House) -> Made:
    folder, shards = house.home.pretrained, house.home.shards(GENERAL)
    training = house.settings.training.model_copy(
        update={"epochs": house.settings.embedded.pretraining_epochs, "tower_lr": 1e-3, "warmup_steps": 100}
    )
    job = TrainJob(
        dataset=GENERAL,
        variant="clip_description",
        shards=shards,
        initial=None,
        output=folder,
        seed=house.settings.seed,
        threads=os.cpu_count() or 1,
        training=training,
    )
    path = house.home.job(GENERAL, job.variant)
    return make_once(folder, training_inputs(job), lambda: run_job(context, pipes, job, path))


def _fetch(house: House, folder: Path) -> Made:
    name, pretrained = house.settings.model, str(house.settings.pretrained)
    local = Path(pretrained)
    inputs = {"model": name, "pretrained": pretrained}
    if local.is_file():
        inputs["sha256"] = sha256_file(local)

    def make() -> dict[str, Any]:
        from eiclip.model.towers import resolve_towers, save_towers

        with whole_folder(folder) as part:
            save_towers(resolve_towers(name, pretrained), part)
            write_json(part / MANIFEST, {file.name: sha256_file(file) for file in sorted(part.iterdir())})
        return {"model": name, "pretrained": pretrained}

    return make_once(folder, inputs, make)


def variant_job(
    house: House, name: str, dataset: DatasetSettings, variant: Variant, training: TrainingSettings
) -> TrainJob:
    """The training of one variant of one dataset."""
    return TrainJob(
        dataset=name,
        variant=variant.name,
        shards=house.home.shards(name),
        initial=house.home.pretrained,
        entity_groups=dataset.entity_groups,
        entity_vocabulary=house.home.lake.path("entity_vocabulary", name),
        semantic_prior=house.home.lake.path("semantic_prior", name),
        output=house.home.checkpoint(name, variant.name),
        seed=house.settings.seed,
        threads=house.threads,
        training=training,
    )


def checkpoint(house: House, name: str, dataset: DatasetSettings, variant: Variant) -> dg.AssetsDefinition:
    """One variant's checkpoint."""

    @dg.asset(
        key=[name, "checkpoint", variant.name],
        deps=[[name, "shards"], *([name, table] for table in TABLES), PRETRAINED],
        group_name=f"{name}/training",
        kinds={"pytorch", "safetensors"},
        owners=OWNERS,
        description=f"Row {variant.row}: {variant.title}. Towers in open_clip's own form, entity encoders and gates "
        "beside them.",
    )
    def asset(
        context: dg.AssetExecutionContext, pipes: dg.PipesSubprocessClient, recipe: Recipe
    ) -> dg.MaterializeResult:
        job = variant_job(house, name, dataset, variant, recipe_of(house, dataset, recipe))

        def make() -> dict[str, Any]:
            if variant.trained:
                return run_job(context, pipes, job, house.home.job(name, variant.name))
            from eiclip.train.loop import train  # row 1 takes no steps: it is saved here, with no process of its own

            return train(job, context.log.info)

        made = make_once(job.output, training_inputs(job), make)
        say(context, made, job.output)
        _publish_log(house, name, variant)
        return result(made, job.output)

    return asset


def _publish_log(house: House, name: str, variant: Variant) -> None:
    """Put the step log of a trained variant into the lake."""
    if variant.trained:
        log = pq.read_table(house.home.checkpoint(name, variant.name) / LOG_FILE)
        house.home.lake.write(log, "training_log", name, variant.name)


def checkpoints(house: House, name: str, dataset: DatasetSettings) -> list[dg.AssetsDefinition]:
    """The five variants' checkpoints."""
    return [checkpoint(house, name, dataset, variant) for variant in VARIANTS.values()]
