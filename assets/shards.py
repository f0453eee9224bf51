"""WebDataset shards of a dataset, and of the general corpus."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
import pyarrow.parquet as pq

from assets.common import OWNERS, House, result, say
from eiclip.embedded import write_general_corpus
from eiclip.files import source_version
from eiclip.lake import read_sql
from eiclip.settings import DatasetSettings
from eiclip.stage import content_of, make_once

if TYPE_CHECKING:
    from eiclip.shards import Sample

SOURCES = ("images", "products", "tagged_entities")
GENERAL = "general"


def photo_size(house: House) -> int:
    """Side of the photos in the shards: that of the towers, so that they are resized once and not every epoch."""
    from eiclip.model.towers import SMALL, configured_image_size

    if house.settings.pretrained == GENERAL:
        return int(SMALL["vision_cfg"]["image_size"])
    return configured_image_size(house.settings.model, str(house.settings.pretrained))


def _samples(house: House, name: str, dataset: DatasetSettings) -> Iterator[tuple[str, "Sample"]]:
    """Photos in the raw order, each with its product's text and tags."""
    from eiclip.shards import Sample, encode_photo

    with duckdb.connect() as connection:
        for table in SOURCES:
            connection.read_parquet(str(house.home.lake.path(table, name)), hive_partitioning=False).create_view(table)
        rows = connection.sql(read_sql("shard_samples")).to_arrow_table().to_pylist()
    photos = house.home.reader(name, dataset).photos([row["photo"] for row in rows])
    size = photo_size(house)
    for row, photo in zip(rows, photos, strict=True):
        entities = dict(zip(row["entity_groups"], row["entities"], strict=True))
        jpeg = encode_photo(photo, size)
        yield row["split"], Sample(row["image_id"], row["product_id"], row["description"], entities, jpeg)


def build(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """Shards of a dataset, checked against their manifest."""
    check = "shards_match_manifest"

    @dg.asset(
        key=[name, "shards"],
        deps=[[name, table] for table in SOURCES],
        group_name=f"{name}/shards",
        kinds={"webdataset", "file"},
        owners=OWNERS,
        description="WebDataset tars (photo, text, entities) by split, and a manifest of counts and checksums.",
        check_specs=[
            dg.AssetCheckSpec(
                check,
                asset=[name, "shards"],
                blocking=True,
                description="Every shard is there, with the size, checksum and number of photos its manifest says.",
            )
        ],
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from eiclip.shards import verify_shards

        folder = house.home.shards(name)
        inputs = {
            "code": source_version("eiclip.shards"),
            "sql": read_sql("shard_samples"),
            "photo_size": photo_size(house),
            "sources": {table: content_of(house.home.lake.path(table, name)) for table in SOURCES},
        }
        made = make_once(folder, inputs, lambda: _facts(_write(house, name, dataset)))
        say(context, made, folder)
        problems = verify_shards(folder)
        rows = pq.read_metadata(house.home.lake.path("images", name)).num_rows
        if sum(made.facts["samples"].values()) != rows:
            problems.append(f"{sum(made.facts['samples'].values())} photos in the shards, {rows} in images")
        checked = dg.AssetCheckResult(
            check_name=check, passed=not problems, metadata={"problems": dg.MetadataValue.json(problems)}
        )
        return result(made, folder, checks=[checked], metadata={"dagster/row_count": rows})

    return asset


def _write(house: House, name: str, dataset: DatasetSettings) -> dict[str, Any]:
    from eiclip.shards import write_shards

    folder = house.home.shards(name)
    return write_shards(_samples(house, name, dataset), folder, photo_size=photo_size(house))


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
            "code": source_version("eiclip.embedded", "eiclip.shards"),
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
