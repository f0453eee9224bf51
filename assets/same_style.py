"""Same-style retrieval: pairs out of clicks, models trained on them, products in three views, and their evaluation."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from assets import training
from assets.common import OWNERS, House, result, say, sql_description, table_metadata
from assets.evaluation import evaluation_code
from assets.raw import raw_fingerprint
from eiclip.files import source_version
from eiclip.lake import open_views
from eiclip.storage.sql import read_sql
from eiclip.locations import local_file, stamp
from eiclip.same_style.log import LOG_QUERIES, write_log
from eiclip.same_style.mining import MINING_VARIANT, QUERIES, SOURCES, TABLES, check_parameters, mine_pairs
from eiclip.same_style.related import write_related
from eiclip.settings import DatasetSettings
from eiclip.storage.cache import Made, content_of, make_once
from eiclip.variants import SAME_STYLE_ROWS, Variant

VIEWS = "product_views"
CHECK = "pairs_keep_their_constraints"


def group_of(name: str) -> str:
    """Name of the asset group of a dataset's same-style assets."""
    return f"{name}/same_style"


def build(house: House, name: str, dataset: DatasetSettings) -> list[dg.AssetsDefinition]:
    """What is made of the clicks of a dataset: pairs, models, and every product in three views under each."""
    own = [row for row in SAME_STYLE_ROWS.values() if row.pairs != "none" or not dataset.table_1]
    return [
        clicks(house, name, dataset),
        pairs(house, name, dataset),
        *(training.checkpoint(house, name, dataset, row, "same_style") for row in own),
        *(product_views(house, name, row) for row in SAME_STYLE_ROWS.values()),
    ]


def clicks(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """The click log as it can be used, and what of it cannot; and what Amazon's metadata say of related products."""
    tables = ("click_log", "click_rejections", "related_items")

    @dg.multi_asset(
        name=f"{name}__clicks",
        specs=[_spec(name, table, [[name, "raw_files"]], {"duckdb", "parquet"}) for table in tables],
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        for table, made in _make_clicks(house, name, dataset).items():
            output = house.home.lake.path(table, name)
            say(context, made, output)
            yield result(made, output, key=dg.AssetKey([name, table]), metadata=table_metadata([output]))
        house.home.lake.refresh_catalogue()

    return asset


def _make_clicks(house: House, name: str, dataset: DatasetSettings) -> dict[str, Made]:
    settings, lake, log = dataset.same_style, house.home.lake, house.home.clicks(name, dataset)
    assert settings is not None
    output, rejections, related = (
        lake.path(table, name) for table in ("click_log", "click_rejections", "related_items")
    )
    embedded = dataset.embedded and settings.log is None
    seen = {
        "code": [source_version("eiclip.same_style.log", "eiclip.same_style.log_files"), *map(read_sql, LOG_QUERIES)],
        "log": raw_fingerprint(house, name, dataset) if embedded else "none" if log is None else stamp(log),
        "columns": settings.columns.model_dump(),
        "latest": settings.mining.latest_time,
    }

    def make_log() -> dict[str, Any]:
        latest, cache = settings.mining.latest_time, house.home.fetched(name)
        return asdict(write_log(log, settings.columns, name, output, rejections, cache=cache, latest=latest))

    def make_related() -> dict[str, Any]:
        return {"rows": write_related(_metadata(house, name, dataset), name, related)}

    if not rejections.is_file():  # the two are one output
        output.unlink(missing_ok=True)
    of_log = make_once(output, seen, make_log)
    code = [source_version("eiclip.same_style.related"), read_sql("related_items")]
    told = {"code": code, "raw": raw_fingerprint(house, name, dataset)}
    return {
        "click_log": of_log,
        "click_rejections": make_once(rejections, seen, lambda: {"rows": of_log.facts["rejected"]}),
        "related_items": make_once(related, told, make_related),
    }


def _metadata(house: House, name: str, dataset: DatasetSettings) -> Path | None:
    """Amazon's metadata file, of a dataset that has one."""
    if dataset.kind != "amazon":
        return None
    if dataset.metadata is None:
        return house.home.raw(name) / "meta_Fashion.json.gz"
    return local_file(dataset.metadata, house.home.fetched(name))


def pairs(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """Pairs of products: all that were clicked together, and those that are taken for one style."""
    upstream = [[name, source] for source in SOURCES if source != VIEWS] + [[name, VIEWS, MINING_VARIANT]]

    @dg.multi_asset(
        name=f"{name}__pairs",
        specs=[_spec(name, table, upstream, {"duckdb", "parquet"}) for table in TABLES],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=[name, "positive_pairs"],
                blocking=True,
                description="Every pair is of two training products that satisfy the settings' constraints.",
            )
        ],
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        for table, made in _make_pairs(house, name, dataset).items():
            output, key = house.home.lake.path(table, name), dg.AssetKey([name, table])
            say(context, made, output)
            checks = [_checked(house, name, dataset)] if table == "positive_pairs" else []
            metadata = table_metadata([output]) | (_funnel(output) if table == "pair_funnel" else {})
            yield result(made, output, key=key, metadata=metadata, checks=checks)
        house.home.lake.refresh_catalogue()

    return asset


def _make_pairs(house: House, name: str, dataset: DatasetSettings) -> dict[str, Made]:
    lake, settings = house.home.lake, dataset.same_style
    assert settings is not None
    sources = {source: lake.path(source, name, MINING_VARIANT if source == VIEWS else "data") for source in SOURCES}
    inputs = {
        "code": [source_version("eiclip.same_style.mining"), *map(read_sql, QUERIES)],
        "settings": settings.mining.model_dump(exclude={"latest_time"}),
        "sources": {source: content_of(path) for source, path in sources.items()},
    }
    outputs = {table: lake.path(table, name) for table in TABLES}
    if not all(output.is_file() for output in outputs.values()):  # they are one output
        outputs[TABLES[0]].unlink(missing_ok=True)
    counts: dict[str, int] = {}

    def mine() -> dict[str, Any]:
        counts.update(mine_pairs({s: [path] for s, path in sources.items()}, name, settings.mining, outputs))
        return {"rows": counts[TABLES[0]]}

    def counted(table: str) -> Callable[[], dict[str, Any]]:
        return lambda: {"rows": counts[table]}

    made = {TABLES[0]: make_once(outputs[TABLES[0]], inputs, mine)}
    return made | {table: make_once(outputs[table], inputs, counted(table)) for table in TABLES[1:]}


def _checked(house: House, name: str, dataset: DatasetSettings) -> dg.AssetCheckResult:
    assert dataset.same_style is not None
    with duckdb.connect() as connection:
        tables = ("positive_pairs", "products")
        open_views(connection, {table: [house.home.lake.path(table, name)] for table in tables})
        query = read_sql(f"checks/{CHECK}")
        offenders = connection.sql(query, params=check_parameters(dataset.same_style.mining)).fetchall()
    metadata: dict[str, Any] = {
        "offenders": len(offenders),
        "examples": dg.MetadataValue.json([str(row) for row in offenders[:5]]),
    }
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=dg.AssetKey([name, "positive_pairs"]),
        passed=not offenders,
        metadata=metadata,
    )


def _funnel(output: Path) -> dict[str, Any]:
    """What each step of the mining kept and lost, as Dagster's UI shows it."""
    with duckdb.connect() as connection:
        connection.read_parquet(str(output)).create_view("pair_funnel")
        rows = connection.sql("SELECT name, unit, kept, lost, why FROM pair_funnel ORDER BY step").fetchall()
    lines = [f"| {step} | {kept:,} {unit} | {lost:,} | {why or ''} |" for step, unit, kept, lost, why in rows]
    return {"funnel": dg.MetadataValue.md("\n".join(["| step | kept | lost | why |", "|---|---|---|---|", *lines]))}


def product_views(house: House, name: str, variant: Variant) -> dg.AssetsDefinition:
    """Every product of a dataset under one variant, in three views."""

    @dg.asset(
        key=[name, VIEWS, variant.name],
        deps=[[name, "checkpoint", variant.name], [name, "shards"]],
        group_name=group_of(name),
        kinds={"pytorch", "parquet"},
        owners=OWNERS,
        description=f"{variant.title}: one row per product of any split; its photos, its text and both together as "
        "unit-length embeddings of one space.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        output = house.home.lake.path(VIEWS, name, variant.name)
        folder, shards = house.home.checkpoint(name, variant.name), house.home.shards(name)
        inputs = {
            "code": [evaluation_code(), source_version("eiclip.views")],
            "checkpoint": content_of(folder),
            "shards": content_of(shards),
        }

        def make() -> dict[str, Any]:
            from eiclip.views import views_of_checkpoint

            device = house.step_device()
            house.home.lake.write(views_of_checkpoint(folder, shards, name, device), VIEWS, name, variant.name)
            return {"device": device}

        made = make_once(output, inputs, make)
        say(context, made, output)
        house.home.lake.refresh_catalogue()
        return result(made, output, metadata=table_metadata([output]))

    return asset


def _spec(name: str, table: str, upstream: list[list[str]], kinds: set[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        [name, table],
        deps=upstream,
        group_name=group_of(name),
        kinds=kinds,
        owners=OWNERS,
        description=sql_description(table),
    )
