"""Embeddings per variant, ranks and metrics over them, gate weights, and what each entity group is worth."""

from collections.abc import Callable, Iterator, Sequence
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

WITH_ENTITIES = [variant for variant in VARIANTS.values() if variant.has_entities]


def evaluation_code() -> str:
    """Version of the code that decides what an evaluation comes to."""
    return source_version("eiclip.model", "eiclip.embed", "eiclip.evaluate", "eiclip.retrieval")


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
            from eiclip.evaluate import embeddings_table
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
            deps=[lists, [name, "product_groups"], *embedded],
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
    groups = lake.path("product_groups", name)
    files = {variant: lake.path("embeddings", name, variant) for variant in VARIANTS}
    inputs = {
        "code": source_version("eiclip.evaluate", "eiclip.retrieval"),
        "lists": content_of(lists),
        "groups": content_of(groups),
        "embeddings": {variant: content_of(file) for variant, file in files.items()},
    }

    def make() -> dict[str, Any]:
        from eiclip.evaluate import ranks_table

        house.step_device()
        drawn, duplicates = pq.read_table(lists), pq.read_table(groups)
        ranked = [ranks_table(pq.read_table(file), drawn, duplicates) for file in files.values()]
        lake.write(pa.concat_tables(ranked), "retrieval_ranks", name)
        return {"shortfall": int(sum(drawn["shortfall"].to_pylist()))}

    return make_once(output, inputs, make), output


def _leaderboards(house: House, name: str) -> dict[str, Any]:
    from eiclip.lake import connect
    from eiclip.report.tables import leaderboard_markdown

    with connect(house.home.root) as connection:
        tables = {p: leaderboard_markdown(connection, name, p) for p in ("full", "sample100")}
    return {f"table_{protocol}": dg.MetadataValue.md(table) for protocol, table in tables.items()}


def gates(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """Gate weights, what shuffling a group costs, and the step logs, as tables."""
    group: dict[str, Any] = {"group_name": f"{name}/evaluation", "owners": OWNERS, "kinds": {"pytorch", "parquet"}}
    weights_key, shuffles_key = dg.AssetKey([name, "gate_weights"]), dg.AssetKey([name, "entity_shuffles"])
    trained = [[name, "checkpoint", variant.name] for variant in WITH_ENTITIES]
    embedded = [[name, "embeddings", variant.name] for variant in WITH_ENTITIES]

    @dg.multi_asset(
        name=f"{name}__gates",
        specs=[
            dg.AssetSpec(
                weights_key, deps=trained, description="w_k of every entity, for rows 4 (constant) and 5.", **group
            ),
            dg.AssetSpec(
                shuffles_key,
                deps=[*trained, *embedded],
                description="Recall@1 lost when one group's entities change places between the test products.",
                **group,
            ),
        ],
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        makers: list[tuple[dg.AssetKey, Callable[[], pa.Table]]] = [
            (weights_key, lambda: _gate_weights(house, name)),
            (shuffles_key, lambda: _entity_shuffles(house, name)),
        ]
        for key, make in makers:
            made, output = _make_from_models(house, name, key.path[-1], make)
            say(context, made, output)
            yield result(made, output, key=key, metadata=table_metadata([output]))
        house.home.lake.refresh_catalogue()

    return asset


def _make_from_models(house: House, name: str, table: str, make: Callable[[], pa.Table]) -> tuple[Made, Path]:
    output = house.home.lake.path(table, name)
    checkpoints = {v.name: content_of(house.home.checkpoint(name, v.name)) for v in WITH_ENTITIES}
    shards, seed = content_of(house.home.shards(name)), house.settings.seed
    inputs = {"code": evaluation_code(), "checkpoints": checkpoints, "shards": shards, "seed": seed}

    def write() -> dict[str, Any]:
        house.home.lake.write(make(), table, name)
        return {}

    return make_once(output, inputs, write), output


def _gate_weights(house: House, name: str) -> pa.Table:
    from eiclip.evaluate import gate_weights
    from eiclip.model.entity_clip import load_checkpoint

    models = [load_checkpoint(house.home.checkpoint(name, variant.name)) for variant in WITH_ENTITIES]
    return pa.concat_tables(gate_weights(model, name) for model in models)


def _entity_shuffles(house: House, name: str) -> pa.Table:
    from eiclip.evaluate import entity_shuffles
    from eiclip.model.entity_clip import load_checkpoint
    from eiclip.shards import read_samples, shard_paths

    device = house.step_device()
    samples = list(read_samples(shard_paths(house.home.shards(name), "test")))
    tables = []
    for variant in WITH_ENTITIES:
        model = load_checkpoint(house.home.checkpoint(name, variant.name), device)
        table = pq.read_table(house.home.lake.path("embeddings", name, variant.name))
        seed = house.settings.seed
        tables.append(entity_shuffles(model, table, samples, seed=seed, device=device))
    return pa.concat_tables(tables)


def build(house: House, name: str, dataset: DatasetSettings) -> Sequence[dg.AssetsDefinition]:
    """All evaluation assets of a dataset."""
    variants = VARIANTS.values()
    each = [embeddings(house, name, dataset, variant) for variant in variants]
    return [*each, metrics(house, name, dataset), gates(house, name, dataset)]
