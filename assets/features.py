"""Features of frozen towers: their output over every photo and text, computed once, a step a shard."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assets.common import Project
from assets.outputs import Given, Output
from assets.steps import PartedStep
from assets.training import FEATURES, PRETRAINED, TABLES, frozen_features, recipe_of
from eiclip.errors import CorruptOutputError
from eiclip.model.variants import VARIANTS
from eiclip.settings.load import DatasetSettings
from eiclip.settings.training import TrainingSettings
from eiclip.storage.cache import MANIFEST, Inputs, content_of, remove_output
from eiclip.storage.files import sha256_file, write_json

if TYPE_CHECKING:
    from eiclip.features.store import FeatureStore
    from eiclip.model.entity_clip import EntityClipModel

SETTINGS = ("image_tower", "text_tower", "feature_views", "augment", "entities_first")
"""Settings of a training that decide its features."""


def store_of(given: Given, model: "EntityClipModel") -> "FeatureStore | None":
    """Where the features of a model lie that is looked at in a step; None where both its towers read pixels and
    tokens.
    """
    from eiclip.features.reader import feature_store

    folder = given.project.paths.features(given.dataset)
    return feature_store(model, folder if FEATURES in given.of.sources else None, given.path("shards"), given.device)


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[PartedStep]:
    """The features of a dataset; none where both towers are trained as a whole."""
    if not frozen_features(project, dataset):
        return []

    def part(recipe: Mapping[str, Any], label: str) -> Output:
        return _part(project, name, dataset, recipe_of(project, dataset, recipe), label)

    def tidy(parts: Mapping[str, str]) -> None:
        folder = project.paths.features(name)
        for file in folder.rglob("*.safetensors"):
            if file.relative_to(folder).as_posix() not in parts and file.parent != folder / "texts":
                remove_output(file)

    def whole(recipe: Mapping[str, Any], parts: Mapping[str, str]) -> list[Output]:
        return [Output((name, FEATURES), make=_merge, external={"parts": lambda: dict(parts)})]

    return [
        PartedStep(
            (name, FEATURES),
            f"{name}/training",
            frozenset({"pytorch", "safetensors"}),
            "Output of the frozen parts of the towers over every photo and text, in float16, a file a shard: training, "
            "embedding and studies read it instead of pixels and tokens.",
            upstream=("shards", *TABLES, PRETRAINED),
            plan=lambda _: [_file(shard["name"]) for shard in _manifest(project, name)["shards"]],
            part=part,
            whole=whole,
            tidy=tidy,
            trains=True,
            made_by=(("assets.features:_compute", "assets.features:_merge"), ()),
        )
    ]


def _manifest(project: Project, name: str) -> dict[str, Any]:
    from eiclip.shards import read_manifest

    return read_manifest(project.paths.shards(name))


def _file(shard: str) -> str:
    return f"{shard.removesuffix('.tar')}.safetensors"


def _part(project: Project, name: str, dataset: DatasetSettings, training: TrainingSettings, label: str) -> Output:
    settings = training.model_dump(include=set(SETTINGS))
    settings |= {"groups": list(dataset.entity_groups)}
    shards = {_file(shard["name"]): shard for shard in _manifest(project, name)["shards"]}
    if label not in shards:
        raise CorruptOutputError(f"{name}/{FEATURES}: no shard of {label}; materialise the shards again")
    # Sample-100 is asked of the test split alone.
    settings["excluded"] = dataset.negatives_group if shards[label]["split"] == "test" else ""
    settings["trained"] = shards[label]["split"] == "train"  # the others' augmented views are read by nobody

    def inputs() -> Inputs:
        found = {"shard": shards[label]["sha256"], "pretrained": content_of(project.paths.pretrained)}
        return {"code": declared.code, "parameters": settings, "sources": found}

    declared = Output(
        (name, FEATURES, label),
        make=_compute,
        sources=("shards", PRETRAINED),
        settings=settings,
        place=project.paths.features(name) / label,
        inputs=inputs,
        subject=training,
    )
    return declared


def _compute(given: Given) -> Mapping[str, Any]:
    """Write the features of one shard: of its photos, and of the texts that the rows read, and sample-100's."""
    from eiclip.features.reader import feature_store, shard_texts
    from eiclip.features.store import text_forms
    from eiclip.model.entity_clip import EntityClipModel
    from eiclip.model.towers import load_towers
    from eiclip.model.vocabulary import UNKNOWN, Vocabulary
    from eiclip.shards.read import index_of

    towers, shards = load_towers(given.path(PRETRAINED)), given.path("shards")
    vocabulary = Vocabulary({group: [UNKNOWN] for group in given.parameters["groups"]}, {})  # texts need the groups
    model = EntityClipModel(towers, VARIANTS["clip_entities_text"], vocabulary,
                            given.of.subject)  # fmt: skip
    store = feature_store(model, given.project.paths.features(given.dataset), shards, given.device)
    assert store is not None
    shard = shards / f"{given.of.key[-1].removesuffix('.safetensors')}.tar"
    index = index_of(shard)
    forms = text_forms(model, given.parameters["excluded"])
    texts = [shard_texts(index, read) for read in forms]
    return store.write(shard, index, texts, plain=not given.parameters["trained"])


def _merge(given: Given) -> Mapping[str, Any]:
    folder, parts = given.output, list(given.inputs["sources"]["parts"])
    write_json(folder / MANIFEST, {part: sha256_file(folder / part) for part in parts})
    return {"shards": len(parts), "bytes": sum((folder / part).stat().st_size for part in parts)}
