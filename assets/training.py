"""Pretrained towers, and one checkpoint per variant, trained in a process of its own through Dagster Pipes."""

import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from assets.cluster import ClusterClient
from assets.common import OWNERS, House, Recipe, result, say
from assets.shards import GENERAL
from assets.trainer_client import TrainerFailedError
from eiclip.files import remove_parts, sha256_file, source_version, whole_folder, write_json
from eiclip.model.sources import local_weights
from eiclip.settings import DatasetSettings
from eiclip.stage import LOG_FILE, MANIFEST, Made, make_once
from eiclip.train.job import TrainJob
from eiclip.train.key import training_inputs
from eiclip.training_settings import TrainingSettings
from eiclip.variants import VARIANTS, Variant

PRETRAINED = dg.AssetKey(["general", "pretrained"])
TABLES = ("entity_vocabulary", "semantic_prior")
PAIRS = {"clicked": "click_pairs", "mined": "positive_pairs"}
"""The table of pairs that a variant is trained on."""


def gpu_pool() -> str | None:
    """The pool of steps that train: on a GPU one at a time (`dagster.yaml` says how many), on CPUs as many as steps.

    EICLIP_DEVICE decides, as it does in the trainer; where it is not set, a driver's device file (torch is not loaded
    here).
    """
    device = os.environ.get("EICLIP_DEVICE") or ("cuda" if Path("/dev/nvidiactl").exists() else "cpu")
    return "gpu" if device.startswith("cuda") else None


def trainer_step() -> dict[str, Any]:
    """What a step that runs a trainer is made with, an asset or an op: its pool, and when it is tried again.

    Another try can mend what killed a trainer (memory, a lost node): it goes on from the last saved state.
    """
    return {"pool": gpu_pool(), "retry_policy": dg.RetryPolicy(max_retries=2, delay=1)}


def trainer_command(job: TrainJob, path: Path) -> list[str]:
    """torchrun, behind a launcher that ties its life to that of this process."""
    launcher = [sys.executable, "-m", "pipelines.launch", str(os.getpid())]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes(job))]
    return [*launcher, *torchrun, "-m", "pipelines.trainer", str(path)]


def processes(job: TrainJob) -> int:
    """How many processes train a job: what its settings say, else one for each GPU, else one."""
    device = os.environ.get("EICLIP_DEVICE") or "cuda"
    if job.hardware.processes or device != "cuda":
        return job.hardware.processes or 1
    import torch

    return max(1, torch.cuda.device_count())


def run_job(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    pipes: dg.PipesSubprocessClient,
    job: TrainJob,
    path: Path,
) -> dict[str, Any]:
    """Run a training in a process of its own, from the job file `path`; its log and its facts come through Pipes.

    Raises:
        dg.Failure: the trainer refused its job, and says why (another try would end the same), or it ended without a
            word (a retry policy may try again).
    """
    write_json(path, job.model_dump(mode="json"))
    command = pipes.command(job, path) if isinstance(pipes, ClusterClient) else trainer_command(job, path)
    # Threads that wait for each other must not spin for long: beside another step's work that halves their speed.
    threads = {"OMP_NUM_THREADS": str(job.threads), "GOMP_SPINCOUNT": "1000", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    try:
        messages = pipes.run(command=command, context=context, env=threads).get_custom_messages()
    except TrainerFailedError as error:
        messages = error.messages
    facts: dict[str, Any] = messages[-1] if messages else {}
    if "error" in facts:
        raise dg.Failure(facts["error"], allow_retries=False)
    if not facts:
        raise dg.Failure(
            f"{job.dataset}/{job.variant}: the trainer was killed, or failed where no error was foreseen: see its "
            "output. What it had saved is kept, and the next try goes on from there"
        )
    return facts


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
        **(trainer_step() if general else {}),
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
        hardware=house.settings.hardware,
    )
    path = house.home.job(GENERAL, job.variant)
    return make_once(folder, training_inputs(job), lambda: run_job(context, pipes, job, path))


def _fetch(house: House, folder: Path) -> Made:
    name, pretrained = house.settings.model, str(house.settings.pretrained)
    local = local_weights(pretrained)
    code = source_version("eiclip.model.pretrained", "eiclip.model.towers")
    inputs = {"code": code, "model": name, "pretrained": pretrained, "files": local.digests() if local else {}}

    def make() -> dict[str, Any]:
        from eiclip.model.pretrained import resolve_towers
        from eiclip.model.towers import save_towers

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
        pairs=house.home.lake.path(PAIRS[variant.pairs], name) if variant.pairs in PAIRS else None,
        output=house.home.checkpoint(name, variant.name),
        seed=house.settings.seed,
        threads=house.threads,
        training=training,
        hardware=house.settings.hardware,
    )


def checkpoint(
    house: House, name: str, dataset: DatasetSettings, variant: Variant, group: str = "training"
) -> dg.AssetsDefinition:
    """One variant's checkpoint."""
    pairs = [PAIRS[variant.pairs]] if variant.pairs in PAIRS else []

    @dg.asset(
        key=[name, "checkpoint", variant.name],
        deps=[[name, "shards"], *([name, table] for table in (*TABLES, *pairs)), PRETRAINED],
        group_name=f"{name}/{group}",
        kinds={"pytorch", "safetensors"},
        owners=OWNERS,
        description=f"Row {variant.row}: {variant.title}. Towers in open_clip's own form; entity encoders, gates and "
        "the fusion of views, where it has them, beside them.",
        **(trainer_step() if variant.trained else {}),
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
        remove_parts(house.home.lake.path("training_log", name, variant.name))  # of a step that was killed just here
        house.home.lake.write(log, "training_log", name, variant.name)


def checkpoints(house: House, name: str, dataset: DatasetSettings) -> list[dg.AssetsDefinition]:
    """The five variants' checkpoints."""
    return [checkpoint(house, name, dataset, variant) for variant in VARIANTS.values()]
