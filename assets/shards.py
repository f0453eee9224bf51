"""WebDataset shards of a dataset, part by part, and of the general corpus."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from assets.common import Project
from assets.outputs import Given, Output
from assets.sources import GENERAL
from assets.steps import PartedStep, Step
from eiclip.model.sources import PADDED, SMALL
from eiclip.readers.open import open_reader
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import Inputs
from eiclip.storage.files import digest
from eiclip.storage.lake import open_views
from eiclip.storage.publish import publish_folder
from eiclip.storage.sql import read_sql
from eiclip.synthetic import write_general_corpus

if TYPE_CHECKING:
    from eiclip.shards import Sample

SOURCES = ("images", "products", "tagged_entities")
KINDS = frozenset({"webdataset", "file"})


def photo_form(project: Project) -> dict[str, Any]:
    """How photos are made square for the towers, so that it is done once and not every epoch; side: `photo_size`."""
    settings = project.settings
    size = int(SMALL["vision_cfg"]["image_size"])
    if settings.pretrained == GENERAL:
        return {"photo_size": size, "photos": {**PADDED}}
    from eiclip.model.pretrained import configured_photos

    form = asdict(configured_photos(settings.model, str(settings.pretrained)))
    size = form.pop("size")
    return {"photo_size": size, "photos": form if settings.photos == "own" else {**PADDED}}


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[PartedStep]:
    """Shards of a dataset, made part by part."""
    folder = project.paths.shards(name)

    def part(recipe: Mapping[str, Any], label: str) -> Output:
        def inputs() -> Inputs:
            rows = digest(_rows(project, name, label))
            return {"code": declared.code, "parameters": declared.parameters, "sources": {"rows": rows}}

        declared = Output(
            (name, "shards", label),
            make=_write_part,
            sources=SOURCES,
            settings=lambda: photo_form(project),
            place=folder / label,
            inputs=inputs,
        )
        return declared

    def whole(recipe: Mapping[str, Any], parts: Mapping[str, str]) -> list[Output]:
        def publish(given: Given) -> None:
            if dataset.publish is not None:
                sent = publish_folder(folder, dataset.publish)
                given.context.log.info(f"{dataset.publish}: {sent} shards sent, the others were there")

        return [Output((name, "shards"), make=_merge, external={"parts": lambda: dict(parts)}, publish=publish)]

    return [
        PartedStep(
            (name, "shards"),
            f"{name}/shards",
            KINDS,
            "WebDataset tars (photo, text, entities) by part and split, and a manifest of counts and checksums.",
            upstream=SOURCES,
            plan=lambda _: _query(project, name, read_sql("ingest/shard_parts")).column(0).to_pylist(),
            part=part,
            whole=whole,
            made_by=(("assets.shards:_write_part", "assets.shards:_merge"), ()),
        )
    ]


def _query(project: Project, name: str, query: str, parameters: dict[str, Any] | None = None) -> pa.Table:
    with duckdb.connect() as connection:
        open_views(connection, {table: [project.paths.lake.path(table, name)] for table in SOURCES})
        return connection.sql(query, params=parameters).to_arrow_table()


def _rows(project: Project, name: str, part: str) -> list[dict[str, Any]]:
    return _query(project, name, read_sql("ingest/shard_samples"), {"part": part}).to_pylist()


def _write_part(given: Given) -> Mapping[str, Any]:
    from eiclip.shards import PhotoForm, Sample, encode_photos, write_shards

    size, photos = given.parameters["photo_size"], given.parameters["photos"]
    form = PhotoForm(size, **photos)
    rows = _rows(given.project, given.dataset, given.of.key[-1])
    reader = open_reader(given.project.paths, given.dataset, given.entry)

    def samples() -> Iterator[tuple[str, "Sample"]]:
        """Photos in the raw order, each with its product's text and tags."""
        for row, jpeg in zip(rows, encode_photos(reader, [row["photo"] for row in rows], form), strict=True):
            entities = dict(zip(row["entity_groups"], row["entities"], strict=True))
            yield row["split"], Sample(row["image_id"], row["product_id"], row["description"], entities, jpeg)

    return _facts(write_shards(samples(), given.output, photo_size=size, photos=photos))


def _merge(given: Given) -> Mapping[str, Any]:
    from eiclip.shards import merge_parts

    parts = list(given.inputs["sources"]["parts"])
    facts = _facts(merge_parts(given.output, parts))
    return facts | {"parts": len(parts), "dagster/row_count": sum(facts["samples"].values())}


def _facts(manifest: dict[str, Any]) -> dict[str, Any]:
    return {
        "photo_size": manifest["photo_size"],
        "samples": manifest["samples"],
        "shards": len(manifest["shards"]),
        "bytes": sum(shard["bytes"] for shard in manifest["shards"]),
    }


def general_corpus(project: Project) -> Step:
    """The general-domain corpus: raw image-caption tars, and shards of them."""
    settings = project.settings
    corpus = Output(
        (GENERAL, "shards"),
        "General-domain pictures and captions, in which the brands' words carry their general meaning: what the small "
        "model is pretrained on, in place of released weights.",
        KINDS,
        make=_write_general,
        settings={
            "seed": settings.seed, "images": settings.embedded.general_images,
            "photo_size": int(SMALL["vision_cfg"]["image_size"]),
        },
    )  # fmt: skip
    return Step(f"{GENERAL}__shards", "pretraining", [corpus])


def _write_general(given: Given) -> Mapping[str, Any]:
    from eiclip.shards import read_samples, write_shards

    raw, size = given.project.paths.raw(GENERAL), given.parameters["photo_size"]
    seed, images = given.parameters["seed"], given.parameters["images"]
    write_general_corpus(raw, seed=seed, images=images, photo_size=size)
    samples = (("train", sample) for sample in read_samples(sorted(raw.glob("*.tar"))))
    facts = _facts(write_shards(samples, given.output, photo_size=size))
    return facts | {"dagster/row_count": facts["samples"]["train"]}


def damage_of(project: Project, name: str) -> tuple[list[str], bool, dict[str, Any]]:
    """Return the problems of a dataset's shards, whether training goes on all the same, and metadata for people."""
    from eiclip.shards import find_damage, read_manifest

    folder = project.paths.shards(name)
    damage = find_damage(folder)
    problems = [str(finding) for finding in damage]
    held = sum(read_manifest(folder)["samples"].values())
    wanted = _query(project, name, read_sql("checks/images_to_shard")).column(0)[0].as_py()
    # Without a test sample the tables would lose queries: that is never left out.
    tolerated = project.settings.hardware.corrupt_samples == "quarantine" and all(f.split != "test" for f in damage)
    if held != wanted:
        problems.append(f"{held} photos in the shards, {wanted} in images")
        tolerated = False
    quarantined = {"quarantined": sum(f.lost for f in damage)} if tolerated and damage else {}
    return problems, tolerated, {"problems": problems, **quarantined}
