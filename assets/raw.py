"""Raw files, and the catalog and quarantine that are read from them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from assets.common import OWNERS, House, result, say, table_metadata
from eiclip import catalog as catalog_module
from eiclip.embedded import write_amazon, write_fashiongen
from eiclip.files import source_version
from eiclip.settings import DatasetSettings
from eiclip.stage import Made, content_of, make_once


def write_embedded(house: House, name: str, dataset: DatasetSettings) -> dict[str, Any]:
    """Write the embedded catalogue's raw files of a dataset."""
    folder, sizes, seed = house.home.raw(name), house.settings.embedded, house.settings.seed
    if dataset.kind == "fashiongen":
        write_fashiongen(
            folder,
            seed=seed,
            train_products=sizes.fashiongen_train,
            test_products=sizes.fashiongen_test,
            neutral_brands=sizes.neutral_brands,
        )
    else:
        write_amazon(folder, seed=seed, products=sizes.amazon, neutral_brands=sizes.neutral_brands)
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {"files": len(files), "bytes": sum(file.stat().st_size for file in files), "source": "embedded catalogue"}


def raw_files(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """The raw files: written here (embedded) or the user's own, which are only fingerprinted."""

    @dg.asset(
        key=[name, "raw_files"],
        group_name=f"{name}/ingestion",
        kinds={"hdf5" if dataset.kind == "fashiongen" else "json", "file"},
        owners=OWNERS,
        description="Raw files in the layout people hold them in: the user's own, or the embedded catalogue's, drawn.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        if not dataset.embedded:
            reader = house.home.reader(name, dataset)
            place = dataset.folder or dataset.metadata
            assert place is not None
            made = Made(reader.fingerprint(), {"source": "files"}, reused=False, seconds=0.0)
            return result(made, place)
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


def catalog(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """Catalog and quarantine: every raw row is in one of the two."""
    key, quarantine_key = dg.AssetKey([name, "catalog"]), dg.AssetKey([name, "quarantine"])
    shared: dict[str, Any] = {"group_name": f"{name}/ingestion", "owners": OWNERS, "deps": [[name, "raw_files"]]}

    @dg.multi_asset(
        name=f"{name}__catalog",
        specs=[
            dg.AssetSpec(key, kinds={"parquet"}, description="One row per usable photo of a product.", **shared),
            dg.AssetSpec(
                quarantine_key,
                kinds={"parquet"},
                description="One row per raw row that could not be used: where it is, and why.",
                **shared,
            ),
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "rows_in_are_accepted_or_quarantined",
                asset=key,
                blocking=True,
                description="Raw rows = catalog rows + quarantine rows: nothing is dropped silently.",
            )
        ],
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        accepted, rejected = (house.home.lake.path(table, name) for table in ("catalog", "quarantine"))
        inputs = {
            "code": source_version("eiclip.readers", "eiclip.catalog"),
            "raw": raw_fingerprint(house, name, dataset),
            "groups": dataset.entity_groups,
        }
        if not rejected.is_file():  # the two are one output: with half of it gone, both are read again
            accepted.unlink(missing_ok=True)
        made = make_once(accepted, inputs, lambda: _write_catalog(house, name, dataset, accepted, rejected))
        say(context, made, accepted)
        tables = {table: table_metadata([table]) for table in (accepted, rejected)}
        counted = sum(metadata["dagster/row_count"] for metadata in tables.values())
        balanced = dg.AssetCheckResult(
            check_name="rows_in_are_accepted_or_quarantined",
            asset_key=key,
            passed=counted == made.facts["rows_in"],
            metadata={"rows_in": made.facts["rows_in"], "rows_out": counted},
        )
        yield result(made, accepted, key=key, metadata=tables[accepted], checks=[balanced])
        yield result(made, rejected, key=quarantine_key, metadata=tables[rejected])
        house.home.lake.refresh_catalogue()

    return asset


def _write_catalog(house: House, name: str, dataset: DatasetSettings, accepted: Path, rejected: Path) -> dict[str, Any]:
    """Read all raw rows beside the lake, then rename both tables into it."""
    house.home.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".catalog-", dir=house.home.root) as scratch:
        folder = Path(scratch) / name
        counts = catalog_module.write_catalog(house.home.reader(name, dataset), name, folder)
        for table, place in ((catalog_module.QUARANTINE_FILE, rejected), (catalog_module.CATALOG_FILE, accepted)):
            place.parent.mkdir(parents=True, exist_ok=True)
            (folder / table).replace(place)
    return {"rows_in": counts.rows_in, "accepted": counts.accepted, "quarantined": counts.quarantined}
