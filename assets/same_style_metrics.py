"""How well each row finds products of one style: ranks, measures, intervals, comparisons, duplicate detection."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.common import OWNERS, House, result, say, sql_description, table_metadata
from assets.same_style import VIEWS, group_of
from eiclip.files import source_version
from eiclip.storage.sql import read_sql
from eiclip.storage.cache import Made, content_of, make_once
from eiclip.variants import SAME_STYLE_ROWS

RANKS, METRICS, INTERVALS, COMPARISONS, CURVE = (
    f"same_style_{table}" for table in ("ranks", "metrics", "intervals", "comparisons", "pr_curve")
)
TABLES = (RANKS, METRICS, INTERVALS, COMPARISONS, CURVE)
TRUTH = ("styles", "product_groups", "products", "images")
"""What the rows are measured by, and the model-free rows made from."""
TEXTS = {
    RANKS: "One row per row, pair of views and test product whose style has another one: the rank of the best of its "
    "style among all other test products; ties count against the model.",
    INTERVALS: "Every measure with its 95 % interval over styles.",
    COMPARISONS: "Differences between rows, and of the joint view with the better single one, with intervals.",
    CURVE: "Duplicate detection: precision and recall of pairs of test products by threshold on their cosine.",
}


def metrics(house: House, name: str) -> dg.AssetsDefinition:
    """The tables of a dataset's same-style rows, of the seed of the settings."""
    embedded = [[name, VIEWS, variant] for variant in SAME_STYLE_ROWS]
    upstream = {RANKS: [*embedded, [name, "shards"], *([name, table] for table in TRUTH)]}
    upstream |= {METRICS: [[name, RANKS]], INTERVALS: [[name, RANKS]], COMPARISONS: [[name, RANKS]]}
    upstream[CURVE] = upstream[RANKS]

    @dg.multi_asset(
        name=f"{name}__same_style_metrics",
        specs=[
            dg.AssetSpec(
                [name, table],
                deps=upstream[table],
                group_name=group_of(name),
                kinds={"parquet"},
                owners=OWNERS,
                description=TEXTS.get(table) or sql_description(table),
            )
            for table in TABLES
        ],
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        for table, made in make_metrics(house, name).items():
            output = house.home.lake.path(table, name)
            say(context, made, output)
            house.home.lake.refresh_catalogue()
            metadata = table_metadata([output]) | (_shown(house, name) if table == COMPARISONS else {})
            yield result(made, output, key=dg.AssetKey([name, table]), metadata=metadata)

    return asset


def make_metrics(house: House, name: str) -> dict[str, Made]:
    """Make what is not there, or not as it would be."""
    lake = house.home.lake
    views = {variant: lake.path(VIEWS, name, variant) for variant in SAME_STYLE_ROWS}
    inputs = {
        "code": source_version("eiclip.same_style.evaluate", "eiclip.same_style.baselines", "eiclip.retrieval"),
        "views": {variant: content_of(path) for variant, path in views.items()},
        "truth": {table: content_of(lake.path(table, name)) for table in TRUTH},
        "shards": content_of(house.home.shards(name)),
        "seed": house.settings.seed,
    }
    ranks, curve = (lake.path(table, name) for table in (RANKS, CURVE))

    def over_views(write: Callable[..., pa.Table], table: str) -> Callable[[], dict[str, Any]]:
        def make() -> dict[str, Any]:
            house.step_device()
            truth = truth_of(house, name)
            seed = house.settings.seed
            parts = [write(view, truth["styles"], name, variant, seed, groups=truth["product_groups"])
                     for variant, view in all_views(house, name, truth).items()]  # fmt: skip
            lake.write(pa.concat_tables(parts), table, name)
            return {"rows": sum(map(len, parts))}

        return make

    from eiclip.same_style.evaluate import same_style_ranks
    from eiclip.same_style.pairs_curve import same_style_pr_curve

    made = {RANKS: make_once(ranks, inputs, over_views(same_style_ranks, RANKS))}
    made |= of_ranks(house, name, [ranks])
    code = {"curve": source_version("eiclip.same_style.pairs_curve")}
    made[CURVE] = make_once(curve, inputs | code, over_views(same_style_pr_curve, CURVE))
    return made


def of_ranks(
    house: House, name: str, ranks: list[Path], part: str = "data", keep: pc.Expression | None = None
) -> dict[str, Made]:
    """Measures, intervals and comparisons of ranks, in one part of their tables.

    Args:
        ranks: files of the table of ranks; those of several seeds are drawn together.
        part: of the tables.
        keep: rows of the intervals and comparisons to keep; None: all.
    """
    from eiclip.same_style.uncertainty import same_style_comparisons, same_style_intervals

    lake = house.home.lake
    sources = [content_of(path) for path in ranks]
    outputs = {table: lake.path(table, name, part) for table in (METRICS, INTERVALS, COMPARISONS)}

    def drawn(make: Callable[[pa.Table], pa.Table], table: str) -> Callable[[], dict[str, Any]]:
        def write() -> dict[str, Any]:
            found = make(pa.concat_tables(pq.read_table(path) for path in ranks))
            found = found if keep is None else found.filter(keep)
            lake.write(found, table, name, part)
            return {"rows": len(found)}

        return write

    sql = {"code": read_sql(METRICS), "ranks": sources[-1:]}
    code = {
        "code": source_version("eiclip.same_style.uncertainty", "eiclip.same_style.style_sums", "eiclip.uncertainty"),
        "ranks": sources,
        "keep": str(keep),
    }
    return {
        METRICS: make_once(
            outputs[METRICS], sql, lambda: {"rows": lake.query(METRICS, outputs[METRICS], {RANKS: ranks[-1:]}, {})}
        ),
        INTERVALS: make_once(outputs[INTERVALS], code, drawn(same_style_intervals, INTERVALS)),
        COMPARISONS: make_once(outputs[COMPARISONS], code, drawn(same_style_comparisons, COMPARISONS)),
    }


def truth_of(house: House, name: str) -> dict[str, pa.Table]:
    """The tables of `TRUTH`."""
    return {table: pq.read_table(house.home.lake.path(table, name)) for table in TRUTH}


def all_views(house: House, name: str, truth: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Test rows of `product_views` by variant, the model-free ones first."""
    from eiclip.same_style.baselines import BASELINES, phash_views, pixel_views, word_views
    from eiclip.shards import shard_paths

    products = truth["products"]
    tested, trained = (products.filter(pc.equal(products["split"], split)) for split in ("test", "train"))
    texts = dict(zip(tested["product_id"].to_pylist(), tested["description"].to_pylist(), strict=True))
    free = [
        pixel_views(shard_paths(house.home.shards(name), "test"), name),
        phash_views(truth["images"], name),
        word_views(texts, trained["description"].to_pylist(), name),
    ]
    found = dict(zip(BASELINES, free, strict=True))
    for variant in SAME_STYLE_ROWS:
        path = house.home.lake.path(VIEWS, name, variant)
        found[variant] = pq.read_table(path, filters=[("split", "==", "test")])
    return found


def _shown(house: House, name: str) -> dict[str, Any]:
    """The table of rows, as Dagster's UI shows it."""
    from eiclip.storage.catalogue import connect

    with connect(house.home.root) as connection:
        rows = connection.execute(
            "SELECT variant, view_pair, mrr, r1, r10 FROM same_style_metrics WHERE dataset = ? ORDER BY ALL", [name]
        ).fetchall()
    lines = [f"| {variant} | {pair} | {mrr:.1f} | {r1:.1f} | {r10:.1f} |" for variant, pair, mrr, r1, r10 in rows]
    return {
        "table": dg.MetadataValue.md("\n".join(["| row | views | MRR | R@1 | R@10 |", "|---|---|---|---|---|", *lines]))
    }
