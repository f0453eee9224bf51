"""The relations that DuckDB makes of a catalog: a table of queries, run in order as one step."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import OWNERS, House, column_lineage, result, say, sql_description, table_metadata
from eiclip.files import digest, source_version
from eiclip.lake import RECORDS, VIEWS, open_views, read_sql
from eiclip.settings import DatasetSettings
from eiclip.stage import Made, content_of, make_once

MINIMUM_PRODUCTS = 2
"""An entity of fewer training products has no embedding of its own: it trains `<unk>`."""
NEGATIVES = 100
DRAWS, DRAW_QUERIES = 5, 1000
"""Sample-100 as others report it: so many times so many queries."""
SPLIT_SEED = 0
"""Of splits and candidate lists: they stay the same whatever seed a training has."""


REVIEW_CHARACTERS = 500
"""Of each helpful review that is added to a description."""
UNITS = {"fashiongen": "row", "amazon": "line", "table": "row", "styles": "row"}
DUPLICATES = {"distance": 0, "similarity": 0.6}
GROUPS_TEXT = {
    "product_groups": "One row per product of a group of known duplicates (connected by `duplicate_photos`).",
    "split_groups": "One row per product of a group that is wholly in one split: known duplicates and products of one "
    "true style (connected by `split_pairs`).",
}


@dataclass(frozen=True)
class Relation:
    """`sql/<table>.sql`, the tables it reads and the parameters it takes; or what makes it in Python."""

    table: str
    sources: tuple[str, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    make: Callable[[Mapping[str, Sequence[Path]]], pa.Table] | None = None

    @property
    def description(self) -> str:
        """For the UI."""
        return GROUPS_TEXT[self.table] if self.make else sql_description(self.table)

    @property
    def code(self) -> str:
        """What the relation comes to depends on this, beside its sources and parameters."""
        views = [read_sql(f"views/{view}") for view in VIEWS if RECORDS in self.sources]
        return digest([source_version("eiclip.duplicates") if self.make else read_sql(self.table), views])


def relations(name: str, dataset: DatasetSettings) -> list[Relation]:
    """The relations of a dataset, in the order in which they can be made."""
    groups = list(dataset.entity_groups)
    draws = {
        "seed": str(SPLIT_SEED),
        "test_share": dataset.test_share,
        "validation_share": dataset.validation_share,
    }
    vocabulary = {"dataset": name, "groups": groups, "minimum": MINIMUM_PRODUCTS}
    seeded = {"dataset": name, "seed": str(SPLIT_SEED)}
    lists = seeded | {"negatives": NEGATIVES, "draws": DRAWS, "draw_queries": DRAW_QUERIES}
    rules = seeded | {"negatives_group": dataset.negatives_group}
    # An Amazon id is a product's; elsewhere rows of one id are its photos.
    photos = {"one_row": dataset.kind == "amazon", "part_rows": dataset.part_rows}
    helpful = {"count": dataset.helpful_reviews, "characters": REVIEW_CHARACTERS}
    reviewed = ("review_stats", "helpful_reviews")
    return [
        Relation("brand_names", ("records",)),
        Relation("review_stats", ("reviews",)),
        Relation("helpful_reviews", ("reviews",), helpful),
        Relation("duplicate_photos", ("records", "photos"), DUPLICATES),
        Relation("product_groups", ("duplicate_photos",), make=functools.partial(_groups, name, "duplicate_photos")),
        Relation("split_pairs", ("records", "duplicate_photos"), {"dataset": name}),
        Relation("split_groups", ("split_pairs",), make=functools.partial(_groups, name, "split_pairs")),
        Relation("products", ("records", "photos", "split_groups", *reviewed), draws),
        Relation("styles", ("records", "products")),
        Relation("images", ("records", "photos", "products"), photos),
        Relation("quarantine", ("records", "photos", "images"), {"unit": UNITS[dataset.kind]}),
        Relation("tagged_entities", ("records", "products"), {"groups": groups}),
        Relation("entity_vocabulary", ("tagged_entities",), vocabulary),
        Relation("product_entities", ("tagged_entities", "entity_vocabulary")),
        Relation("semantic_prior", ("tagged_entities", "products"), {"dataset": name}),
        Relation("candidate_lists", ("products", "images", "product_groups"), lists),
        Relation("protocols", ("candidate_lists", "products", "images"), rules),
    ]


def _groups(name: str, pairs: str, files: Mapping[str, Sequence[Path]]) -> pa.Table:
    from eiclip.duplicates import product_groups

    return product_groups(pq.read_table(files[pairs][0]), name)


def make_relation(house: House, name: str, relation: Relation) -> tuple[Made, Path]:
    """Make one relation, unless its sources, text and parameters are as they were."""
    lake = house.home.lake
    output = lake.path(relation.table, name)
    files = {source: lake.files(source, name) for source in relation.sources}
    inputs = {
        "code": relation.code,
        "parameters": relation.parameters,
        "sources": {source: [content_of(path) for path in paths] for source, paths in files.items()},
    }

    def make() -> dict[str, Any]:
        if relation.make is None:
            return {"rows": lake.query(relation.table, output, files, relation.parameters)}
        rows = relation.make(files)
        lake.write(rows, relation.table, name)
        return {"rows": rows.num_rows}

    return make_once(output, inputs, make), output


def build(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """One multi-asset for all relations of a dataset: seven tables, one process."""
    entries = relations(name, dataset)

    @dg.multi_asset(
        name=f"{name}__relations",
        specs=[_spec(name, relation) for relation in entries],
        check_specs=[
            _check(
                name,
                "products",
                "no_product_in_two_splits",
                "Every product, and every group of duplicates, is in one split.",
            ),
            _check(name, "entity_vocabulary", "entity_ids_are_dense", "Ids of a group run from 0 without a gap."),
            _check(
                name, "quarantine", "rows_in_are_used_or_quarantined", "Every raw row is in images or in quarantine."
            ),
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
            sources = {dg.AssetKey([name, s]): house.home.lake.files(s, name)[0] for s in relation.sources}
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
        description=relation.description,
        code_version=relation.code,
    )


def _check(name: str, table: str, check: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(check, asset=[name, table], blocking=True, description=description)


CHECKS = {
    "products": ("no_product_in_two_splits", ("records", "split_groups")),
    "entity_vocabulary": ("entity_ids_are_dense", ()),
    "quarantine": ("rows_in_are_used_or_quarantined", ("records", "images")),
}
"""The check of a table, `sql/checks/<check>.sql`, and what else it reads."""


def _checks(house: House, name: str, relation: Relation, key: dg.AssetKey) -> list[dg.AssetCheckResult]:
    if relation.table not in CHECKS:
        return []
    check, others = CHECKS[relation.table]
    with duckdb.connect() as connection:
        open_views(connection, {t: house.home.lake.files(t, name) for t in (*others, relation.table)})
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
