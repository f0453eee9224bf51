"""WebDataset shards of a dataset, part by part, and of the general corpus."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb

from assets.common import OWNERS, House, readable, result, say
from assets.parts import Parted, parted_asset
from eiclip.embedded import write_general_corpus
from eiclip.files import digest, source_version
from eiclip.lake import open_views, read_sql
from eiclip.published import publish_folder
from eiclip.readers import RawReader
from eiclip.settings import DatasetSettings
from eiclip.stage import Made, make_once

if TYPE_CHECKING:
    from eiclip.shards import Sample

SOURCES = ("images", "products", "tagged_entities")
GENERAL = "general"
WRITERS = ("eiclip.shards.sample", "eiclip.shards.write")
"""The modules that decide what bytes shards are made of: how they are read may change without making them again."""


def photo_size(house: House) -> int:
    """Side of the photos in the shards: that of the towers, so that they are resized once and not every epoch."""
    from eiclip.model.pretrained import configured_image_size
    from eiclip.model.towers import SMALL

    if house.settings.pretrained == GENERAL:
        return int(SMALL["vision_cfg"]["image_size"])
    return configured_image_size(house.settings.model, str(house.settings.pretrained))


def _tables(house: House, name: str) -> dict[str, list[Path]]:
    return {table: [house.home.lake.path(table, name)] for table in SOURCES}


def _part_names(house: House, name: str) -> list[str]:
    """Parts with photos to train or test on."""
    with duckdb.connect() as connection:
        open_views(connection, _tables(house, name))
        return [row[0] for row in connection.sql(read_sql("shard_parts")).fetchall()]


def _part_rows(house: House, name: str, part: str) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        open_views(connection, _tables(house, name))
        rows: list[dict[str, Any]] = (
            connection.sql(read_sql("shard_samples"), params={"part": part}).to_arrow_table().to_pylist()
        )
    return rows


def _samples(reader: RawReader, rows: list[dict[str, Any]], size: int) -> Iterator[tuple[str, "Sample"]]:
    """Photos in the raw order, each with its product's text and tags."""
    from eiclip.shards import Sample, encode_photos

    for row, jpeg in zip(rows, encode_photos(reader, [row["photo"] for row in rows], size), strict=True):
        entities = dict(zip(row["entity_groups"], row["entities"], strict=True))
        yield row["split"], Sample(row["image_id"], row["product_id"], row["description"], entities, jpeg)


def build(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """Shards of a dataset, made part by part."""
    folder = house.home.shards(name)

    def make(context: dg.OpExecutionContext, part: str) -> str:
        made = _make_part(house, name, dataset, part)
        context.log.info(f"{part}: {'unchanged, reused' if made.reused else f'made in {made.seconds:.1f} s'}")
        return made.content

    def gather(context: dg.OpExecutionContext, parts: Mapping[str, str]) -> dg.Output[None]:
        from eiclip.shards import merge_parts

        inputs = {"code": source_version("eiclip.shards.merge"), "parts": parts}
        made = make_once(folder, inputs, lambda: _facts(merge_parts(folder, list(parts))) | {"parts": len(parts)})
        if dataset.publish is not None:
            sent = publish_folder(folder, dataset.publish)
            context.log.info(f"{dataset.publish}: {sent} shards sent, the others were there")
        rows = sum(made.facts["samples"].values())
        facts = {key: readable(value) for key, value in made.facts.items()}
        metadata = facts | {"dagster/row_count": rows, "path": dg.MetadataValue.path(str(folder))}
        return dg.Output(None, metadata=metadata, data_version=dg.DataVersion(made.content))

    return parted_asset(
        [name, "shards"],
        Parted(lambda _: _part_names(house, name), make, gather),
        upstream=[[name, table] for table in SOURCES],
        group=f"{name}/shards",
        kinds={"webdataset", "file"},
        text="WebDataset tars (photo, text, entities) by part and split, and a manifest of counts and checksums.",
    )


def _make_part(house: House, name: str, dataset: DatasetSettings, part: str) -> Made:
    from eiclip.shards import write_shards

    output, size = house.home.shards(name) / part, photo_size(house)
    rows = _part_rows(house, name, part)
    inputs = {"code": source_version(*WRITERS), "photo_size": size, "rows": digest(rows)}

    def make() -> dict[str, Any]:
        reader = house.home.reader(name, dataset)
        return _facts(write_shards(_samples(reader, rows, size), output, photo_size=size))

    return make_once(output, inputs, make)


def check(house: House, name: str) -> dg.AssetChecksDefinition:
    """Blocking: nothing is trained on shards that are not what their manifest says."""

    @dg.asset_check(
        asset=[name, "shards"],
        name="shards_match_manifest",
        blocking=True,
        additional_deps=[[name, "images"]],
        description="Every shard and its index are there, with the size, checksum and number of photos the manifest "
        "says, and every photo of a product that is not excluded is in one. With corrupt_samples: quarantine, damage "
        "outside the test split is a warning, and training goes on without those samples.",
    )
    def shards_match_manifest() -> dg.AssetCheckResult:
        from eiclip.shards import find_damage, read_manifest

        folder = house.home.shards(name)
        damage = find_damage(folder)
        problems = [str(finding) for finding in damage]
        held = sum(read_manifest(folder)["samples"].values())
        with duckdb.connect() as connection:
            open_views(connection, _tables(house, name))
            (wanted,) = connection.sql(read_sql("checks/images_to_shard")).fetchall()[0]
        # Without a test sample the tables would lose queries: that is never left out.
        spared = house.settings.hardware.corrupt_samples == "quarantine" and all(f.split != "test" for f in damage)
        if held != wanted:
            problems.append(f"{held} photos in the shards, {wanted} in images")
            spared = False
        severity = dg.AssetCheckSeverity.WARN if spared else dg.AssetCheckSeverity.ERROR
        metadata: dict[str, Any] = {"problems": dg.MetadataValue.json(problems)}
        if spared and damage:
            metadata["quarantined"] = sum(finding.lost for finding in damage)
        return dg.AssetCheckResult(passed=not problems, severity=severity, metadata=metadata)

    return shards_match_manifest


def _facts(manifest: dict[str, Any]) -> dict[str, Any]:
    return {
        "photo_size": manifest["photo_size"],
        "samples": manifest["samples"],
        "shards": len(manifest["shards"]),
        "bytes": sum(shard["bytes"] for shard in manifest["shards"]),
    }


def general_corpus(house: House) -> dg.AssetsDefinition:
    """The general-domain corpus: raw image-caption tars, and shards of them."""

    @dg.asset(
        key=[GENERAL, "shards"],
        group_name="pretraining",
        kinds={"webdataset", "file"},
        owners=OWNERS,
        description="General-domain pictures and captions, in which the brands' words carry their general meaning: "
        "what the small model is pretrained on, in place of released weights.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        folder = house.home.shards(GENERAL)
        inputs = {
            "code": source_version("eiclip.embedded", *WRITERS),
            "seed": house.settings.seed,
            "images": house.settings.embedded.general_images,
        }
        made = make_once(folder, inputs, lambda: _facts(_write_general(house)))
        say(context, made, folder)
        return result(made, folder, metadata={"dagster/row_count": made.facts["samples"]["train"]})

    return asset


def _write_general(house: House) -> dict[str, Any]:
    from eiclip.shards import read_samples, write_shards

    raw = house.home.raw(GENERAL)
    images = house.settings.embedded.general_images
    write_general_corpus(raw, seed=house.settings.seed, images=images, photo_size=photo_size(house))
    samples = (("train", sample) for sample in read_samples(sorted(raw.glob("*.tar"))))
    return write_shards(samples, house.home.shards(GENERAL), photo_size=photo_size(house))
