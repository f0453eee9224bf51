"""Embeddings per variant, ranks and metrics over them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import OWNERS, House, column_lineage, result, say, sql_description, table_metadata
from assets.relations import Relation, make_relation
from eiclip.files import source_version
from eiclip.lake import read_sql
from eiclip.settings import DatasetSettings
from eiclip.stage import Made, content_of, make_once
from eiclip.variants import VARIANTS, Variant


def evaluation_code() -> str:
    """Version of the code that decides what an evaluation comes to."""
    return source_version("eiclip.model", "eiclip.embed", "eiclip.embeddings")


def embeddings(house: House, name: str, dataset: DatasetSettings, variant: Variant) -> dg.AssetsDefinition:
    """Test embeddings of one variant."""
    check = "embeddings_are_finite"

    @dg.asset(
        key=[name, "embeddings", variant.name],
        deps=[[name, "checkpoint", variant.name], [name, "shards"]],
        group_name=f"{name}/evaluation",
        kinds={"pytorch", "parquet"},
        owners=OWNERS,
        description=f"Unit-length embeddings of the test photos and texts by row {variant.row}: {variant.title}.",
        check_specs=[
            dg.AssetCheckSpec(
                check,
                asset=[name, "embeddings", variant.name],
                blocking=True,
                description="No embedding has a NaN or an infinity, and each has length one.",
            )
        ],
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        output = house.home.lake.path("embeddings", name, variant.name)
        folder, shards = house.home.checkpoint(name, variant.name), house.home.shards(name)
        inputs = {
            "code": evaluation_code(),
            "checkpoint": content_of(folder),
            "shards": content_of(shards),
            "left_out": dataset.negatives_group,
        }

        def make() -> dict[str, Any]:
            from eiclip.embeddings import embeddings_table
            from eiclip.model.entity_clip import load_checkpoint
            from eiclip.shards import shard_paths

            device = house.step_device()
            model = load_checkpoint(folder, device)
            paths = shard_paths(shards, "test")
            left_out = dataset.negatives_group
            table = embeddings_table(model, name, paths, left_out=left_out, device=device)
            house.home.lake.write(table, "embeddings", name, variant.name)
            return {"device": device}

        made = make_once(output, inputs, make)
        say(context, made, output)
        bad = _not_of_unit_length(output)
        checked = dg.AssetCheckResult(check_name=check, passed=bad == 0, metadata={"offenders": bad})
        return result(made, output, metadata=table_metadata([output]), checks=[checked])

    return asset


def _not_of_unit_length(output: Path) -> int:
    with duckdb.connect() as connection:
        connection.read_parquet(str(output), hive_partitioning=False).create_view("embeddings")
        rows = connection.sql(read_sql("checks/embeddings_are_finite")).fetchall()
    return int(rows[0][0])


def metrics(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """Ranks of every query under every variant, and the recalls they come to."""
    lists = dg.AssetKey([name, "candidate_lists"])
    group: dict[str, Any] = {"group_name": f"{name}/evaluation", "owners": OWNERS}
    ranks_key = dg.AssetKey([name, "retrieval_ranks"])
    metric_tables = [
        Relation("retrieval_metrics", ("retrieval_ranks",)),
        Relation("leaderboard", ("retrieval_metrics",), {"variants": list(VARIANTS)}),
    ]
    embedded = [[name, "embeddings", variant] for variant in VARIANTS]
    specs = [
        dg.AssetSpec(
            ranks_key,
            deps=[lists, [name, "product_groups"], [name, "products"], *embedded],
            kinds={"pytorch", "parquet"},
            description="Rank of every test query under every variant, protocol and direction; ties count against "
            "the model.",
            **group,
        )
    ]
    specs += [
        dg.AssetSpec(
            [name, relation.table],
            deps=[[name, source] for source in relation.sources],
            kinds={"duckdb", "parquet"},
            description=sql_description(relation.table),
            **group,
        )
        for relation in metric_tables
    ]

    @dg.multi_asset(name=f"{name}__metrics", specs=specs)
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        made, output = _make_ranks(house, name)
        say(context, made, output)
        yield result(made, output, key=ranks_key, metadata=table_metadata([output]))
        for relation in metric_tables:
            made, output = make_relation(house, name, relation)
            say(context, made, output)
            house.home.lake.refresh_catalogue()
            sources = {dg.AssetKey([name, s]): house.home.lake.path(s, name) for s in relation.sources}
            metadata = table_metadata([output]) | {"dagster/column_lineage": column_lineage([output], sources)}
            if relation.table == "leaderboard":
                metadata |= _leaderboards(house, name)
            yield result(made, output, key=dg.AssetKey([name, relation.table]), metadata=metadata)

    return asset


def _make_ranks(house: House, name: str) -> tuple[Made, Path]:
    lake = house.home.lake
    output, lists = lake.path("retrieval_ranks", name), lake.path("candidate_lists", name)
    groups, products = lake.path("product_groups", name), lake.path("products", name)
    files = {variant: lake.path("embeddings", name, variant) for variant in VARIANTS}
    inputs = {
        "code": source_version("eiclip.embeddings", "eiclip.ranks", "eiclip.retrieval", "eiclip.scores"),
        "lists": content_of(lists),
        "groups": content_of(groups),
        "products": content_of(products),
        "embeddings": {variant: content_of(file) for variant, file in files.items()},
    }

    def make() -> dict[str, Any]:
        from eiclip.ranks import ranks_table

        device = house.step_device()
        drawn = pq.read_table(lists)
        tested = pq.read_table(products, columns=["product_id", "description"], filters=[("split", "=", "test")])
        given: dict[str, Any] = {
            "descriptions": dict(zip(*tested.to_pydict().values(), strict=True)),
            "product_groups": pq.read_table(groups),
            "device": device,
        }
        ranked = [ranks_table(pq.read_table(file), drawn, **given) for file in files.values()]
        lake.write(pa.concat_tables(ranked), "retrieval_ranks", name)
        return {"shortfall": int(sum(drawn["shortfall"].to_pylist()))}

    return make_once(output, inputs, make), output


def _leaderboards(house: House, name: str) -> dict[str, Any]:
    from eiclip.lake import connect
    from eiclip.report.tables import leaderboard_markdown

    with connect(house.home.root) as connection:
        tables = {p: leaderboard_markdown(connection, name, p) for p in ("full", "sample100")}
    return {f"table_{protocol}": dg.MetadataValue.md(table) for protocol, table in tables.items()}


def build(house: House, name: str, dataset: DatasetSettings) -> Sequence[dg.AssetsDefinition]:
    """All evaluation assets of a dataset."""
    variants = VARIANTS.values()
    each = [embeddings(house, name, dataset, variant) for variant in variants]
    return [*each, metrics(house, name, dataset)]
