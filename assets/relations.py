"""The relations that DuckDB makes of a catalog: a table of queries, run in order as one step."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from assets.common import OWNERS, House, column_lineage, result, say, sql_description, table_metadata
from eiclip.files import digest
from eiclip.lake import read_sql
from eiclip.settings import DatasetSettings
from eiclip.stage import Made, content_of, make_once

MINIMUM_PRODUCTS = 2
"""An entity of fewer training products has no embedding of its own: it trains `<unk>`."""
NEGATIVES = 100
SPLIT_SEED = 0
"""Of splits and candidate lists: they stay the same whatever seed a training has."""


@dataclass(frozen=True)
class Relation:
    """`sql/<table>.sql`, the tables it reads and the parameters it takes."""

    table: str
    sources: tuple[str, ...]
    parameters: dict[str, Any] = field(default_factory=dict)


def relations(name: str, dataset: DatasetSettings) -> list[Relation]:
    """The relations of a dataset, in the order in which they can be made."""
    groups = list(dataset.entity_groups)
    draws = {
        "seed": str(SPLIT_SEED),
        "test_share": dataset.test_share,
        "validation_share": dataset.validation_share,
    }
    vocabulary = {"dataset": name, "groups": groups, "minimum": MINIMUM_PRODUCTS}
    lists = {"dataset": name, "seed": str(SPLIT_SEED), "negatives": NEGATIVES}
    return [
        Relation("products", ("catalog",), draws),
        Relation("images", ("catalog", "products")),
        Relation("tagged_entities", ("catalog", "products"), {"groups": groups}),
        Relation("entity_vocabulary", ("tagged_entities",), vocabulary),
        Relation("product_entities", ("tagged_entities", "entity_vocabulary")),
        Relation("semantic_prior", ("tagged_entities", "products"), {"dataset": name}),
        Relation("candidate_lists", ("products", "images"), lists),
    ]


def make_relation(house: House, name: str, relation: Relation) -> tuple[Made, Path]:
    """Run one relation's query, unless its sources, text and parameters are as they were."""
    lake = house.home.lake
    output = lake.path(relation.table, name)
    files = {source: [lake.path(source, name)] for source in relation.sources}
    inputs = {
        "sql": read_sql(relation.table),
        "parameters": relation.parameters,
        "sources": {source: content_of(paths[0]) for source, paths in files.items()},
    }
    made = make_once(output, inputs, lambda: {"rows": lake.query(relation.table, output, files, relation.parameters)})
    return made, output


def build(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """One multi-asset for all relations of a dataset: seven tables, one process."""
    entries = relations(name, dataset)

    @dg.multi_asset(
        name=f"{name}__relations",
        specs=[_spec(name, relation) for relation in entries],
        check_specs=[
            _check(name, "products", "no_product_in_two_splits", "Every product, and every photo, is in one split."),
            _check(name, "entity_vocabulary", "entity_ids_are_dense", "Ids of a group run from 0 without a gap."),
        ],
        can_subset=True,
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        for relation in entries:
            key = dg.AssetKey([name, relation.table])
            if key not in context.selected_asset_keys:
                continue
            made, output = make_relation(house, name, relation)
            say(context, made, output)
            sources = {dg.AssetKey([name, s]): house.home.lake.path(s, name) for s in relation.sources}
            metadata = table_metadata([output]) | {"dagster/column_lineage": column_lineage([output], sources)}
            yield result(made, output, key=key, metadata=metadata, checks=_checks(house, name, relation, key))
        house.home.lake.refresh_catalogue()

    return asset


def _spec(name: str, relation: Relation) -> dg.AssetSpec:
    return dg.AssetSpec(
        [name, relation.table],
        deps=[[name, source] for source in relation.sources],
        group_name=f"{name}/relations",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        description=sql_description(relation.table),
        code_version=digest(read_sql(relation.table)),
    )


def _check(name: str, table: str, check: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(check, asset=[name, table], blocking=True, description=description)


def _checks(house: House, name: str, relation: Relation, key: dg.AssetKey) -> list[dg.AssetCheckResult]:
    queries = {"products": "no_product_in_two_splits", "entity_vocabulary": "entity_ids_are_dense"}
    if relation.table not in queries:
        return []
    check = queries[relation.table]
    with duckdb.connect() as connection:
        for table in ("catalog", relation.table):
            connection.read_parquet(str(house.home.lake.path(table, name)), hive_partitioning=False).create_view(table)
        offenders = connection.sql(read_sql(f"checks/{check}")).fetchall()
    examples = [", ".join(map(str, row)) for row in offenders[:5]]
    return [
        dg.AssetCheckResult(
            check_name=check,
            asset_key=key,
            passed=not offenders,
            metadata={"offenders": len(offenders), "examples": dg.MetadataValue.json(examples)},
        )
    ]
