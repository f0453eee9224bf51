"""What linking typed words to entities is worth: test descriptions with an entity's words written in, and no tags."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import OWNERS, House, result, say, table_metadata
from eiclip.files import source_version
from eiclip.storage.sql import read_sql
from eiclip.settings import DatasetSettings
from eiclip.storage.cache import Made, content_of, make_once
from eiclip.variants import get_variant

RANKS, METRICS, COMPARISONS = (f"typed_query_{table}" for table in ("ranks", "metrics", "comparisons"))
TABLES = (RANKS, METRICS, COMPARISONS)
SOURCES = ("products", "product_entities", "entity_vocabulary", "semantic_prior", "styles", "product_groups")
TEXTS = {
    RANKS: "One row per way of reading, pair of views and test product: its description with an entity's words written "
    "in is the query. Read as words alone, with the entities that linking finds, or with the product's own tags.",
    METRICS: "Recall and MRR of typed queries, by how they are read.",
    COMPARISONS: "What linking gains over plain text, and what is left to the product's own tags, with intervals.",
}


def typed_queries(
    house: House, name: str, dataset: DatasetSettings, variant: str, group: str, *, upstream: list[list[str]]
) -> dg.AssetsDefinition:
    """The three tables of a dataset under one variant.

    Args:
        variant: whose search engine is asked.
        group: of assets, in the UI.
        upstream: what the engine's index is made of.
    """

    @dg.multi_asset(
        name=f"{name}__typed_queries",
        specs=[
            dg.AssetSpec(
                [name, table],
                deps=[*upstream, *([name, source] for source in SOURCES)] if table == RANKS else [[name, RANKS]],
                group_name=group,
                kinds={"parquet"},
                owners=OWNERS,
                description=f"{get_variant(variant).title}. {TEXTS[table]}",
            )
            for table in TABLES
        ],
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        for table, made in _make(house, name, dataset, variant).items():
            output = house.home.lake.path(table, name)
            say(context, made, output)
            yield result(made, output, key=dg.AssetKey([name, table]), metadata=table_metadata([output]))
        house.home.lake.refresh_catalogue()

    return asset


def _make(house: House, name: str, dataset: DatasetSettings, variant: str) -> dict[str, Made]:
    lake = house.home.lake
    outputs = {table: lake.path(table, name) for table in TABLES}
    inputs = {
        "code": [source_version("eiclip.search", "eiclip.same_style.evaluate", "eiclip.retrieval"), *_queries()],
        "checkpoint": content_of(house.home.checkpoint(name, variant)),
        "shards": content_of(house.home.shards(name)),
        "sources": {source: content_of(lake.path(source, name)) for source in SOURCES},
        "group": _written_in(dataset),
        "seed": house.settings.seed,
    }
    made = {RANKS: make_once(outputs[RANKS], inputs, lambda: _rank(house, name, dataset, variant))}
    known = {"ranks": made[RANKS].content}
    sql = known | {"code": read_sql("same_style_metrics")}
    query = {"same_style_ranks": [outputs[RANKS]]}
    made[METRICS] = make_once(
        outputs[METRICS], sql, lambda: {"rows": lake.query("same_style_metrics", outputs[METRICS], query, {})}
    )
    code = known | {"code": source_version("eiclip.same_style.uncertainty", "eiclip.same_style.style_sums")}
    made[COMPARISONS] = make_once(outputs[COMPARISONS], code, _compare(house, name, variant))
    return made


def _queries() -> list[str]:
    return [read_sql(query) for query in ("typed_queries", "linkable_entities", "catalogue_words")]


def _written_in(dataset: DatasetSettings) -> str:
    """The entity group whose words buyers type: the brand, where there is one."""
    return "brand" if "brand" in dataset.entity_groups else dataset.entity_groups[0]


def _rank(house: House, name: str, dataset: DatasetSettings, variant: str) -> dict[str, Any]:
    from eiclip.search.engine import SearchEngine
    from eiclip.search.evaluate import linked_query_ranks

    lake = house.home.lake
    engine = SearchEngine.open(house.home.root, name, variant, house.step_device())
    styles, groups = (pq.read_table(lake.path(table, name)) for table in ("styles", "product_groups"))
    table = linked_query_ranks(
        engine,
        lake,
        house.settings.seed,
        group=_written_in(dataset),
        styles=styles if styles.num_rows else None,
        groups=groups,
    )
    lake.write(table, RANKS, name)
    return {"rows": table.num_rows, "entities written in": _written_in(dataset)}


def _compare(house: House, name: str, variant: str) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        from eiclip.same_style.uncertainty import same_style_comparisons
        from eiclip.search.evaluate import LINKED, TAGGED, TYPED

        typed, linked, tagged = (f"{variant}, {way}" for way in (TYPED, LINKED, TAGGED))
        ranks: pa.Table = pq.read_table(house.home.lake.path(RANKS, name))
        table = same_style_comparisons(ranks, pairs=((linked, typed), (tagged, linked)))
        house.home.lake.write(table, COMPARISONS, name)
        return {"rows": table.num_rows}

    return make
