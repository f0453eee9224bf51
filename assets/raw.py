"""Raw files, the records read from them, and their photos, examined in parts."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg

from assets.common import OWNERS, House, result, say, table_metadata
from assets.parts import Parted, parted_asset
from eiclip.embedded import write_amazon, write_fashiongen, write_styles
from eiclip.files import digest, source_version
from eiclip.lake import count_rows, read_sql
from eiclip.locations import local_file, stamp
from eiclip.photos import download_missing, list_parts, part_rows_of, write_photos
from eiclip.readers import reviews as reviews_module
from eiclip.records import write_records
from eiclip.settings import DatasetSettings
from eiclip.stage import Made, content_of, make_once, remembered

KINDS = {"fashiongen": "hdf5", "amazon": "json", "table": "parquet", "styles": "parquet"}


def write_embedded(house: House, name: str, dataset: DatasetSettings) -> dict[str, Any]:
    """Write the embedded catalogue's raw files of a dataset."""
    folder, sizes, seed = house.home.raw(name), house.settings.embedded, house.settings.seed
    if dataset.kind == "fashiongen":
        train, test = sizes.fashiongen_train, sizes.fashiongen_test
        write_fashiongen(folder, seed=seed, train_products=train, test_products=test)
    elif dataset.kind == "styles":
        write_styles(folder, seed=seed, styles=sizes.styles)
    else:
        write_amazon(folder, seed=seed, products=sizes.amazon)
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {"files": len(files), "bytes": sum(file.stat().st_size for file in files), "source": "embedded catalogue"}


def raw_files(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """The raw files: written here (embedded) or the user's own, which are only fingerprinted."""

    @dg.asset(
        key=[name, "raw_files"],
        group_name=f"{name}/ingestion",
        kinds={KINDS[dataset.kind], "file"},
        owners=OWNERS,
        description="Raw files in the layout people hold them in: the user's own, or the embedded catalogue's, drawn.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        if not dataset.embedded:
            place = dataset.folder or dataset.metadata or dataset.files
            made = Made(raw_fingerprint(house, name, dataset), {"source": "files"}, reused=False, seconds=0.0)
            return result(made, Path(str(place)))
        inputs = {
            "code": source_version("eiclip.embedded"),
            "seed": house.settings.seed,
            "sizes": house.settings.embedded.model_dump(exclude={"general_images", "pretraining_epochs"}),
        }
        folder = house.home.raw(name)
        made = make_once(folder, inputs, lambda: write_embedded(house, name, dataset))
        say(context, made, folder)
        return result(made, folder)

    return asset


def raw_fingerprint(house: House, name: str, dataset: DatasetSettings) -> str:
    """What identifies the raw files: the generator's record, or the files' names, sizes and times."""
    return content_of(house.home.raw(name)) if dataset.embedded else house.home.reader(name, dataset).fingerprint()


def records(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """Every raw row: usable, or with the reason why not."""
    check = "rows_in_are_in_records"
    key = dg.AssetKey([name, "records"])

    @dg.asset(
        key=key,
        deps=[[name, "raw_files"]],
        group_name=f"{name}/ingestion",
        kinds={"parquet"},
        owners=OWNERS,
        description="One row per raw row: text and tags where it is usable (`listings`), else the reason why not.",
        check_specs=[
            dg.AssetCheckSpec(
                check,
                asset=key,
                blocking=True,
                description="There are as many records as raw rows, counted independently: nothing is dropped.",
            )
        ],
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        output = house.home.lake.path("records", name)
        inputs = {
            "code": source_version("eiclip.readers", "eiclip.records"),
            "sql": [read_sql(query) for query in ("amazon_records", "mended_records")],
            "raw": raw_fingerprint(house, name, dataset),
            "settings": dataset.model_dump(include={"entity_groups", "columns", "subset", "download"}),
        }

        def make() -> dict[str, Any]:
            counts = write_records(house.home.reader(name, dataset), name, output)
            return {"rows_in": counts.rows_in, "usable": counts.usable, "rejected": counts.rejected}

        made = make_once(output, inputs, make)
        say(context, made, output)
        house.home.lake.refresh_catalogue()
        rows = count_rows([output])
        counted = {"rows_in": made.facts["rows_in"], "records": rows}
        checked = dg.AssetCheckResult(check_name=check, passed=rows == made.facts["rows_in"], metadata=counted)
        return result(made, output, metadata=table_metadata([output]), checks=[checked])

    return asset


def photos(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """The listings' photos, examined in parts."""
    lake = house.home.lake
    listed = [lake.path("records", name)]

    def make(context: dg.OpExecutionContext, part: str) -> str:
        made = _make_photos(house, name, dataset, part)
        context.log.info(f"{part}: {made.facts} {'unchanged, reused' if made.reused else 'examined'}")
        return made.content

    def gather(context: dg.OpExecutionContext, parts: Mapping[str, str]) -> dg.Output[None]:
        files = [lake.path("photos", name, part) for part in parts]
        for stale in set(lake.files("photos", name)) - set(files):
            stale.unlink()
        lake.refresh_catalogue()
        found = table_metadata(files) | {"parts": len(files)}
        return dg.Output(None, metadata=found, data_version=dg.DataVersion(digest(dict(parts))))

    return parted_asset(
        [name, "photos"],
        Parted(lambda _: list_parts(listed, dataset.part_rows), make, gather),
        upstream=[[name, "records"]],
        group=f"{name}/ingestion",
        kinds={"parquet"},
        text="One row per listing: its photo decoded in full (size, digest, perceptual hash), or why it is unusable. "
        "Photos given as URLs are fetched first.",
    )


def _make_photos(house: House, name: str, dataset: DatasetSettings, part: str) -> Made:
    output = house.home.lake.path("photos", name, part)
    rows = part_rows_of([house.home.lake.path("records", name)], part, dataset.part_rows)
    refs = [row.photo for row in rows]
    reader, failures = house.home.reader(name, dataset), {}
    if dataset.download is not None:
        failures = download_missing(rows, reader, house.home.downloads(name), dataset.download)
        reader = house.home.reader(name, dataset)  # which looks into the folders anew
    asked = digest([[row.source, row.place, row.photo] for row in rows])
    seen = {"raw": raw_fingerprint(house, name, dataset), "rows": asked}
    held = reader.photos_in_rows
    photos = (
        remembered(output.with_name(f"{part}.photos.json"), seen, lambda: reader.photos_fingerprint(refs))
        if held
        else reader.photos_fingerprint(refs)
    )
    inputs = {
        "code": source_version("eiclip.photos", "eiclip.readers.photo_files", "eiclip.readers.photo_hash"),
        "rows": asked,
        "photos": photos,
        "failures": failures,
    }
    return make_once(output, inputs, lambda: write_photos(rows, reader, name, output, failures))


def reviews(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """Reviews of a dataset's products; an empty table where it has none."""

    @dg.asset(
        key=[name, "reviews"],
        deps=[[name, "raw_files"]],
        group_name=f"{name}/ingestion",
        kinds={"json", "parquet"},
        owners=OWNERS,
        description="One row per usable review (empty without a reviews file); the others are in review_rejections.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        output, rejected = (house.home.lake.path(table, name) for table in ("reviews", "review_rejections"))
        inputs = {
            "code": source_version("eiclip.readers.reviews"),
            "sql": [read_sql(query) for query in ("review_lines", "mended_reviews")],
            "raw": stamp(dataset.reviews) if dataset.reviews else "none",
        }
        if not rejected.is_file():  # the two are one output
            output.unlink(missing_ok=True)
        made = make_once(output, inputs, lambda: _write_reviews(house, name, dataset))
        say(context, made, output)
        house.home.lake.refresh_catalogue()
        return result(made, output, metadata=table_metadata([output]))

    return asset


def _write_reviews(house: House, name: str, dataset: DatasetSettings) -> dict[str, Any]:
    lake = house.home.lake
    if dataset.reviews is None:
        lake.write(reviews_module.SCHEMA.empty_table(), "reviews", name)
        lake.write(reviews_module.REJECTED_SCHEMA.empty_table(), "review_rejections", name)
        return {"rows_in": 0}
    place = local_file(dataset.reviews, house.home.fetched(name))
    counts = reviews_module.write_reviews(place, lake.path("reviews", name), lake.path("review_rejections", name), name)
    return asdict(counts)
