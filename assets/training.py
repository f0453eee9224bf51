"""Pretrained towers, and one checkpoint per variant, trained in a process of its own."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from assets.common import Project
from assets.outputs import Check, Given, Output
from assets.sources import GENERAL
from assets.steps import Step
from eiclip.errors import SettingsError
from eiclip.model.sources import STARTER, local_files, starter_versions
from eiclip.model.variants import VARIANTS, Variant
from eiclip.search.sources import RANKED, SERVED
from eiclip.settings.load import DatasetSettings
from eiclip.settings.training import OWN, RowSettings, TrainingSettings, layered
from eiclip.storage.cache import LOG_FILE, MANIFEST, content_digest, made_before, make_once
from eiclip.storage.files import remove_parts, sha256_file, whole_folder, write_json
from eiclip.train.job import TrainJob
from eiclip.train.key import TRAINER, training_inputs, training_settings

JOB_FILE = "job.json"
KINDS = frozenset({"pytorch", "safetensors"})
PRETRAINED = f"{GENERAL}/pretrained"
FEATURES = "features"
PRETRAINING: Mapping[str, Any] = {
    "tower_lr": 1e-3, "warmup_steps": 100, "budget": 1.0, "validations": 0, "patience": 0,
    "image_tower": "full", "text_tower": "full", "head_lr": None,
}  # fmt: skip
PRETRAINING_BATCH = 64
"""How the small general model is pretrained; its batch is the rows' own where that is set."""
TABLES = ("entity_vocabulary", "semantic_prior")
PUBLISHED = LOG_TABLE, OUTCOMES = "training_log", "training_outcomes"
"""Tables with a part of each trained row."""
PAIRS = {"clicked": "click_pairs", "mined": "positive_pairs"}
"""The table of pairs that a variant is trained on."""


def recipe_of(
    project: Project, dataset: DatasetSettings, recipe: Mapping[str, Any], variant: str = ""
) -> TrainingSettings:
    """How a dataset's rows, or one of them, are trained: each over those before it, the settings, what row 6 has of its
    own, what the dataset's entry changes for all rows and for this one, and what the run's configuration does.

    Raises:
        SettingsError: a value is wrong, or some contradict each other.
    """
    own = dataset.rows.get(variant, RowSettings()).model_dump(exclude_none=True)
    general = layered(project.settings.training.model_dump(), OWN.get(variant, {}))
    try:
        found, usual = (
            TrainingSettings.model_validate(layered(general, dataset.training, *others))
            for others in ([own, recipe], [])
        )
    except ValidationError as error:
        raise SettingsError(f"training settings of a dataset or of the run's configuration: {error}") from error
    if _is_whole(found) != _is_whole(usual):
        raise SettingsError(
            "image_tower and text_tower decide whether there are `features`, so that a run's configuration cannot "
            "switch them between full and the others; set EICLIP_TRAINING__IMAGE_TOWER and EICLIP_TRAINING__TEXT_TOWER"
        )
    compared = dataset.same_style is not None and found.style.consistency > 0
    if project.settings.pretrained == STARTER and "frozen" in (found.image_tower, found.text_tower):
        raise SettingsError(
            f"a frozen tower of EICLIP_PRETRAINED={STARTER!r} would keep its untrained head; set "
            "EICLIP_TRAINING__IMAGE_TOWER and EICLIP_TRAINING__TEXT_TOWER to heads, last:N or full"
        )
    if found.feature_views > 1 and (found.image_tower == "full" or not (compared or found.augment)):
        raise SettingsError(
            f"EICLIP_TRAINING__FEATURE_VIEWS={found.feature_views}: the views after the first would never be read; "
            "they are for a frozen image tower with EICLIP_TRAINING__AUGMENT, or with same-style pairs"
        )
    # Same-style rows compare a photo with another view of it, which features must hold.
    needed = compared and found.image_tower != "full" and found.feature_views == 1
    return found.model_copy(update={"feature_views": 2}) if needed else found


def _is_whole(training: TrainingSettings) -> bool:
    """Whether both towers are trained whole: nothing of them is kept as features."""
    return {training.image_tower, training.text_tower} == {"full"}


def frozen_features(project: Project, dataset: DatasetSettings) -> tuple[str, ...]:
    """The features of frozen towers, a source of what is made from a model; none where both are trained whole."""
    return () if _is_whole(recipe_of(project, dataset, {})) else (FEATURES,)


def training(job: TrainJob, key: tuple[str, ...], description: str, sources: tuple[str, ...] = ()) -> Output:
    """The checkpoint folder of a training."""
    return Output(
        key,
        description,
        KINDS,
        make=_train,
        sources=sources,
        settings=training_settings(job),
        code_of=TRAINER,
        place=job.output,
        inputs=lambda: training_inputs(job),
        subject=job,
    )


def _train(given: Given) -> Mapping[str, Any]:
    job: TrainJob = given.of.subject
    if given.trainer is None:  # row 1 takes no steps: it is saved here, with no process of its own
        from eiclip.train.loop import train

        return train(job, given.context.log.info)
    return given.trainer.train(given.context, job, given.project.paths.job(job.dataset, job.variant))


def pretrained(project: Project) -> Step:
    """The towers all variants start from: released weights, a local file, or the small model trained here."""
    text = "CLIP's towers before any product was seen (EICLIP_PRETRAINED): every variant starts from them."
    key = (GENERAL, "pretrained")
    if project.settings.pretrained == GENERAL:
        settings = project.settings
        changes: dict[str, Any] = {"epochs": settings.embedded.pretraining_epochs, **PRETRAINING}
        changes["batch_size"] = settings.training.batch_size or PRETRAINING_BATCH
        job = TrainJob(
            dataset=GENERAL,
            variant="clip_description",
            shards=project.paths.shards(GENERAL),
            initial=None,
            output=project.paths.pretrained,
            seed=project.settings.seed,
            threads=os.cpu_count() or 1,
            training=TrainingSettings.model_validate(layered(settings.training.model_dump(), changes)),
            hardware=project.settings.hardware,
        )
        made = training(job, key, text, (f"{GENERAL}/shards",))
        return Step(f"{GENERAL}__pretrained", "pretraining", [made], trains=True)
    name, weights = project.settings.model, str(project.settings.pretrained)

    def files() -> Mapping[str, str]:
        if weights == STARTER:
            return starter_versions()
        return {file.name: sha256_file(file) for file in local_files(weights)}

    parameters = {"model": name, "pretrained": weights, "photos": project.settings.photos}
    made = Output(key, text, KINDS, make=_fetch, settings=parameters, external={"files": files})
    return Step(f"{GENERAL}__pretrained", "pretraining", [made])


def _fetch(given: Given) -> Mapping[str, Any]:
    from eiclip.model.pretrained import resolve_towers
    from eiclip.model.towers import pad_photos, save_towers

    with whole_folder(given.output) as part:
        towers = resolve_towers(given.parameters["model"], given.parameters["pretrained"])
        if given.parameters["photos"] == "pad":
            pad_photos(towers)
        save_towers(towers, part, given.output)
        write_json(part / MANIFEST, {file.name: sha256_file(file) for file in sorted(part.iterdir())})
    return given.parameters


def variant_job(
    project: Project, name: str, dataset: DatasetSettings, variant: Variant, training: TrainingSettings
) -> TrainJob:
    """The training of one variant of one dataset."""
    return TrainJob(
        dataset=name,
        variant=variant.name,
        shards=project.paths.shards(name),
        initial=project.paths.checkpoint(name, RANKED) if variant.cross == "rerank" else project.paths.pretrained,
        entity_groups=dataset.entity_groups,
        entity_vocabulary=project.paths.lake.path("entity_vocabulary", name),
        semantic_prior=project.paths.lake.path("semantic_prior", name),
        features=project.paths.features(name),
        patches=project.paths.patches(name) if variant.cross != "none" else None,
        pairs=project.paths.lake.path(PAIRS[variant.pairs], name) if variant.pairs in PAIRS else None,
        output=project.paths.checkpoint(name, variant.name),
        seed=project.settings.seed,
        threads=project.threads,
        training=training,
        hardware=project.settings.hardware,
    )


LEARNED = Check(
    "training_has_learned",
    "The loss is under that of guessing, recall on the validation split is above chance, and it no longer rose when "
    "training ended. A warning: the message says what to do.",
    holds=lambda made, place: (made.facts["outcome"]["verdict"] == "learned", made.facts["outcome"]),
    blocking=False,
)


def _publish_log(given: Given) -> None:
    """Put the step log of a trained variant, and what came of the training, into the lake."""
    from eiclip.train.outcome import outcome_row

    tables = {LOG_TABLE: pq.read_table(given.output / LOG_FILE), OUTCOMES: outcome_row(given.output)}
    for name, table in tables.items():
        output = given.project.paths.place((given.dataset, name, given.of.key[-1]))
        remove_parts(output)  # of a step that was killed just here
        given.project.paths.lake.write_file(table, output)
    if given.of.key[-1] in SERVED:
        _publish_products(given)


def _publish_products(given: Given) -> None:
    """Put the products that a model was trained among, as they were, into the lake: `drift` compares with them."""
    from eiclip.shards.products import product_contents

    paths, variant = given.project.paths, given.of.key[-1]
    shards, output = paths.shards(given.dataset), paths.place((given.dataset, "trained_products", variant))

    def make() -> Mapping[str, Any]:
        found = product_contents(shards)
        named = pa.table({"dataset": pa.repeat(given.dataset, len(found)), "variant": pa.repeat(variant, len(found))})
        for column in found.column_names:
            named = named.append_column(column, found[column])
        paths.lake.write_file(named, output)
        return {"rows": len(named)}

    make_once(output, {"sources": {"shards": content_digest(shards), "checkpoint": content_digest(given.output)}}, make)


def checkpoint_step(
    project: Project, name: str, dataset: DatasetSettings, variant: Variant, group: str = "training"
) -> Step:
    """The step of one variant's checkpoint."""

    def outputs(recipe: Mapping[str, Any]) -> list[Output]:
        pairs = (PAIRS[variant.pairs],) if variant.pairs in PAIRS else ()
        frozen = frozen_features(project, dataset)
        job = variant_job(project, name, dataset, variant, recipe_of(project, dataset, recipe, variant.name))
        text = (
            f"Row {variant.row}: {variant.title}. Towers in open_clip's own form; entity encoders, gates, the fusion "
            "of views and the cross-encoder, where it has them, beside them."
        )
        start = f"checkpoint/{RANKED}" if variant.cross == "rerank" else PRETRAINED
        made = training(job, (name, "checkpoint", variant.name), text, ("shards", *frozen, *TABLES, *pairs, start))
        if not variant.trained:
            return [made]
        return [replace(made, publish=_publish_log, published=PUBLISHED, checks=(LEARNED,))]

    return Step(f"{name}__checkpoint__{variant.name}", f"{name}/{group}", outputs, trains=variant.trained)


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """The checkpoints of rows 1 to 6."""
    return [checkpoint_step(project, name, dataset, variant) for variant in VARIANTS.values()]


def of_row_or_trained(given: Given, row: Path, rank: Callable[[Path], Mapping[str, Any]], by: str) -> Mapping[str, Any]:
    """Ranks of a trial: of a row's checkpoint where that is the same training, else it is trained, ranked and removed.

    Args:
        given: its subject is the training.
        row: the checkpoint of the variant's row.
        rank: writes the ranks of a checkpoint folder and returns facts.
        by: the job that trains rows, as the metadata names it.
    """
    job: TrainJob = given.of.subject
    known = made_before(row, training_inputs(job))
    if known is not None:
        return {**rank(row), **known.facts, "trained": f"by {by}"}
    try:
        facts = given.trainer.train(given.context, job, given.output.with_name(JOB_FILE))
        return {**rank(job.output), **facts, "trained": "here"}
    finally:
        shutil.rmtree(job.output, ignore_errors=True)  # of a ViT-B: 600 MB a trial
