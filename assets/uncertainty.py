"""How sure the recalls are, which rows differ, and where: intervals, paired tests and breakdowns."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import OWNERS, House, result, say, sql_description, table_metadata
from assets.relations import Relation, make_relation
from eiclip.files import source_version
from eiclip.lake import connect
from eiclip.settings import DatasetSettings
from eiclip.stage import Made, content_of, make_once

FACETS = Relation("query_facets", ("products", "product_entities", "semantic_prior", "entity_vocabulary"))
RANKS = "retrieval_ranks"
RANK_COLUMNS = [
    "dataset", "variant", "protocol", "direction", "product_id", "rank", "rank_text_equal", "ndcg10",
]  # fmt: skip
SOURCES = {
    "metric_intervals": (RANKS,),
    "row_comparisons": (RANKS,),
    "recall_breakdowns": (RANKS, FACETS.table),
}
DESCRIPTIONS = {
    "metric_intervals": "Every recall, MRR, nDCG@10 and SumR with its 95 % bootstrap interval over products.",
    "row_comparisons": "Differences between rows on the same resampled products, with 95 % intervals and the p-value "
    "of a paired randomisation test over products; row 5 against row 3 first.",
    "recall_breakdowns": "Recall of every row by brand, subcategory, state of each entity group, how confounded the "
    "brand is, and number of meanings; the gain over row 3 with its interval, from 5 products up.",
}


def build(house: House, name: str, dataset: DatasetSettings) -> Sequence[dg.AssetsDefinition]:
    """One asset for what a dataset's ranks are worth: facets, intervals, comparisons and breakdowns."""
    group: dict[str, Any] = {"group_name": f"{name}/evaluation", "owners": OWNERS}
    facets = dg.AssetSpec(
        [name, FACETS.table],
        deps=[[name, source] for source in FACETS.sources],
        kinds={"duckdb", "parquet"},
        description=sql_description(FACETS.table),
        code_version=FACETS.code,
        **group,
    )
    specs = [
        dg.AssetSpec(
            [name, table],
            deps=[[name, source] for source in sources],
            kinds={"numpy", "parquet"},
            description=DESCRIPTIONS[table],
            **group,
        )
        for table, sources in SOURCES.items()
    ]

    @dg.multi_asset(name=f"{name}__uncertainty", specs=[facets, *specs])
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        made, output = make_relation(house, name, FACETS)
        say(context, made, output)
        yield result(made, output, key=dg.AssetKey([name, FACETS.table]), metadata=table_metadata([output]))
        for table in SOURCES:
            made, output = make_table(house, name, table)
            say(context, made, output)
            house.home.lake.refresh_catalogue()
            metadata = table_metadata([output]) | _shown(house, name, table)
            yield result(made, output, key=dg.AssetKey([name, table]), metadata=metadata)

    return [asset]


def make_table(house: House, name: str, table: str) -> tuple[Made, Path]:
    """Make one of `SOURCES`, unless its sources and the code are as they were."""
    lake = house.home.lake
    output = lake.path(table, name)
    files = {source: lake.files(source, name) for source in SOURCES[table]}
    inputs = {
        "code": source_version("eiclip.rank_sums", "eiclip.uncertainty", "eiclip.breakdowns"),
        "sources": {source: [content_of(file) for file in paths] for source, paths in files.items()},
    }

    def make() -> dict[str, Any]:
        rows = _maker(table)(*(_read(source, paths) for source, paths in files.items()))
        lake.write(rows, table, name)
        return {"rows": rows.num_rows}

    return make_once(output, inputs, make), output


def _maker(table: str) -> Callable[..., pa.Table]:
    from eiclip.breakdowns import recall_breakdowns
    from eiclip.uncertainty import metric_intervals, row_comparisons

    makers: dict[str, Callable[..., pa.Table]] = {
        "metric_intervals": metric_intervals,
        "row_comparisons": row_comparisons,
        "recall_breakdowns": recall_breakdowns,
    }
    return makers[table]


def _read(source: str, files: Sequence[Path]) -> pa.Table:
    columns = RANK_COLUMNS if source == RANKS else None
    return pa.concat_tables([pq.read_table(file, columns=columns, partitioning=None) for file in files])


def _shown(house: House, name: str, table: str) -> dict[str, Any]:
    """What a person wants to see of a table: itself as markdown, and its plots."""
    from eiclip.report import breakdown
    from eiclip.report.profile_tables import markdown
    from eiclip.report.theme import as_markdown_image

    tables = {"row_comparisons": breakdown.comparisons_table, "recall_breakdowns": breakdown.facet_table}
    plots: dict[str, tuple[Callable[[duckdb.DuckDBPyConnection, str], bytes | None], ...]] = {
        "row_comparisons": (breakdown.comparison_plot,),
        "recall_breakdowns": (breakdown.facet_plot, breakdown.brand_plot),
    }
    metadata: dict[str, Any] = {}
    with connect(house.home.root) as connection:
        if table in tables and (rows := tables[table](connection, name)):
            metadata["table"] = dg.MetadataValue.md(markdown(rows))
        for plot in plots.get(table, ()):
            if picture := plot(connection, name):
                metadata[plot.__name__] = dg.MetadataValue.md(as_markdown_image(picture, f"{name} {plot.__name__}"))
        if table == "recall_breakdowns" and (sentence := breakdown.where_it_wins(connection, name)):
            metadata["where_it_wins"] = sentence
    return metadata
