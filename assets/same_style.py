"""Same-style retrieval: pairs out of clicks, models trained on them, products in three views, and their evaluation."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assets import training
from assets.common import Project
from assets.judged_queries import READ as SEARCHED
from assets.outputs import Check, Given, Output, Table
from assets.sources import prefixed, raw_content
from assets.steps import Step
from eiclip.model.variants import SAME_STYLE_ROWS, Variant
from eiclip.same_style.log import write_log
from eiclip.same_style.mining import MINING_VARIANT, SOURCES, TABLES, check_parameters, mine_pairs
from eiclip.same_style.related import write_related
from eiclip.settings.load import DatasetSettings
from eiclip.storage.home import Paths
from eiclip.storage.locations import local_file, stamp
from eiclip.storage.sql import header

VIEWS_TABLE, CLICKS_FILE = "product_views", "clicks.parquet"
RANKS, METRICS, INTERVALS, COMPARISONS, CURVE, CHANCE = MEASURES = tuple(
    f"same_style_{table}" for table in ("ranks", "metrics", "intervals", "comparisons", "pr_curve", "chance")
)
MADE = ("click_log", "click_rejections", "related_items", *TABLES, VIEWS_TABLE, *MEASURES)
"""The tables of same-style retrieval."""
TRUTH = ("styles", "product_groups", "products", "images")
"""What the rows are measured by, and the model-free rows made from."""
QUERY = frozenset({"duckdb", "parquet"})


def group_of(name: str) -> str:
    """Name of the asset group of a dataset's same-style assets."""
    return f"{name}/same_style"


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """What is made of the clicks of a dataset: pairs, models, products in three views, and how well they are found."""
    group = group_of(name)
    own = [row for row in SAME_STYLE_ROWS.values() if row.pairs != "none" or not dataset.table_1]
    return [
        Step(f"{name}__clicks", group, clicks(project, name, dataset)),
        Step(f"{name}__pairs", group, [pairs(name, dataset)]),
        *(training.checkpoint_step(project, name, dataset, row, "same_style") for row in own),
        *(
            Step(f"{name}__{VIEWS_TABLE}__{row.name}", group, [views(project, name, dataset, row)])
            for row in SAME_STYLE_ROWS.values()
        ),
        Step(f"{name}__same_style_metrics", group, measures(project, name)),
    ]


def click_log_of(home: Paths, name: str, dataset: DatasetSettings) -> str | None:
    """The click log of a dataset: the user's (a path, a URL or a pattern), the embedded one, or none."""
    if dataset.same_style is None:
        return None
    embedded = str(home.raw(name) / CLICKS_FILE) if dataset.kind == "styles" else None
    return dataset.same_style.log or embedded


def clicks(project: Project, name: str, dataset: DatasetSettings) -> list[Output]:
    """The click log as it can be used, and what of it cannot; and what Amazon's metadata say of related products."""
    settings, log = dataset.same_style, click_log_of(project.paths, name, dataset)
    assert settings is not None
    drawn = dataset.embedded and settings.log is None

    def look() -> Any:
        if drawn:
            return raw_content(project, name)
        return "none" if log is None else {file: rest for file, *rest in stamp(log)}

    return [
        Output(
            (name, "click_log"),
            header("clicks/click_log").markdown,
            QUERY,
            make=_log,
            after=("raw_files",),
            external={"log_files": look},
            settings={"columns": settings.columns.model_dump(), "latest": settings.mining.latest_time},
            also=(Table((name, "click_rejections"), header("clicks/click_rejections").markdown, QUERY),),
        ),
        Output(
            (name, "related_items"),
            header("clicks/related_items").markdown,
            QUERY,
            make=_related,
            after=("raw_files",),
            external={"raw_files": lambda: raw_content(project, name)},
        ),
    ]


def _log(given: Given) -> Mapping[str, Any]:
    home, settings = given.project.paths, given.entry.same_style
    assert settings is not None
    log, rejections = click_log_of(home, given.dataset, given.entry), given.place("click_rejections")
    cache, latest = home.fetched(given.dataset), given.parameters["latest"]
    return write_log(log, settings.columns, given.dataset, given.output, rejections, cache=cache, latest=latest)


def _related(given: Given) -> Mapping[str, Any]:
    home, dataset, metadata = given.project.paths, given.entry, None
    if dataset.kind == "amazon":
        embedded = home.raw(given.dataset) / "meta_Fashion.json.gz"
        metadata = embedded if dataset.metadata is None else local_file(dataset.metadata, home.fetched(given.dataset))
    return {"rows": write_related(metadata, given.dataset, given.output)}


def pairs(name: str, dataset: DatasetSettings) -> Output:
    """Pairs of products: all that were clicked together, and those that are taken for one style."""
    assert dataset.same_style is not None
    mining = dataset.same_style.mining
    held = Check(
        "pairs_keep_their_constraints",
        "Every pair is of two training products that satisfy the settings' constraints.",
        reads=("products",),
        parameters=check_parameters(mining),
    )
    clicked, positive, funnel = (header(f"mining/{table}").markdown for table in TABLES)
    return Output(
        (name, "click_pairs"),
        clicked,
        QUERY,
        make=_mine,
        sources=tuple(f"{VIEWS_TABLE}/{MINING_VARIANT}" if source == VIEWS_TABLE else source for source in SOURCES),
        settings=mining.model_dump(mode="json", exclude={"latest_time"}),
        also=(
            Table((name, "positive_pairs"), positive, QUERY, (held,)),
            Table((name, "pair_funnel"), funnel, QUERY, shown={"funnel": "same_style.funnel"}),
        ),
    )


def _mine(given: Given) -> Mapping[str, Any]:
    settings = given.entry.same_style
    assert settings is not None
    sources = {source.partition("/")[0]: given.files(source) for source in given.of.sources}
    outputs = {table: given.output if table == TABLES[0] else given.place(table) for table in TABLES}
    counts = mine_pairs(sources, given.dataset, settings.mining, outputs)
    return {"rows": counts[TABLES[0]]}


def views(project: Project, name: str, dataset: DatasetSettings, variant: Variant) -> Output:
    """Every product of a dataset under one variant, in three views."""
    return Output(
        (name, VIEWS_TABLE, variant.name),
        f"{variant.title}: one row per product of any split; its photos, its text and both together as unit-length "
        "embeddings of one space.",
        frozenset({"pytorch", "parquet"}),
        make=_views,
        sources=(f"checkpoint/{variant.name}", "shards", *training.frozen_features(project, dataset)),
    )


def _views(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    from eiclip.evaluation.embedding_tables import views_of_checkpoint

    device, (checkpoint, shards, *_) = given.device, map(given.path, given.of.sources)
    folder = given.project.paths.features(given.dataset)
    return views_of_checkpoint(checkpoint, shards, given.dataset, device, folder), {"device": device}


def measures(project: Project, name: str) -> list[Output]:
    """How well each row finds products of one style: the tables of the settings' seed."""
    sources = (*prefixed(f"{VIEWS_TABLE}/", SAME_STYLE_ROWS), "shards", *TRUTH)
    seed = {"seed": project.settings.seed}
    return [
        Output(
            (name, RANKS),
            make=_ranks,
            sources=tuple(dict.fromkeys((*sources, "checkpoint/same_style", "search_weights/same_style", *SEARCHED))),
            settings=seed,
        ),
        Output((name, CHANCE), make=_chance, sources=("products", "styles", "product_groups")),
        *of_ranks(name),
        Output((name, CURVE), make=_curve, sources=sources, settings=seed),
    ]


def of_ranks(name: str, part: str = "", ranks: tuple[str, ...] = (RANKS,), seed: int | None = None) -> list[Output]:
    """Measures, intervals and comparisons of ranks, in one part of their tables.

    Args:
        name: the dataset.
        part: of the tables; the whole of them without.
        ranks: parts of the table of ranks; those of several seeds are drawn together.
        seed: whose own intervals and comparisons are left out, being in another part.
    """
    place, kept = ((part,) if part else ()), {"left_out": seed}
    return [
        Output((name, METRICS, *place), make=f"evaluation/{METRICS}", sources=ranks[-1:], files_of={RANKS: ranks[-1:]}),
        Output((name, INTERVALS, *place), make=_intervals, sources=ranks, settings=kept),
        Output(
            (name, COMPARISONS, *place),
            make=_comparisons,
            sources=ranks,
            settings=kept,
            shown={"table": "same_style.measure(mrr)"},
        ),
    ]


def _intervals(given: Given) -> pa.Table:
    """Every measure with its 95 % interval over styles."""
    from eiclip.same_style.uncertainty import same_style_intervals

    return _of_ranks(given, same_style_intervals)


def _comparisons(given: Given) -> pa.Table:
    """Differences between rows, and of the joint view with the better single one, with intervals."""
    from eiclip.same_style.uncertainty import same_style_comparisons

    return _of_ranks(given, same_style_comparisons)


def _of_ranks(given: Given, make: Callable[[pa.Table], pa.Table]) -> pa.Table:
    found = make(pa.concat_tables(given.table(source) for source in given.of.sources))
    seed = given.parameters["left_out"]
    return found if seed is None else found.filter(pc.field("seed").is_null() | (pc.field("seed") != seed))


def _ranks(given: Given) -> pa.Table:
    """One row per row, pair of views and test product whose style has another one: the rank of the best of its style
    among all other test products; ties count against the model.
    """
    from eiclip.same_style.evaluate import same_style_ranks
    from eiclip.search.engine import SearchEngine
    from eiclip.search.evaluate import hybrid_ranks

    engine = SearchEngine.open(given.project.paths.root, given.dataset, "same_style", given.device)
    of_style = given.table("styles"), given.table("product_groups")
    hybrid = hybrid_ranks(engine, given.parameters["seed"], *of_style)
    return pa.concat_tables([_over_views(given, same_style_ranks), hybrid])


def _chance(given: Given) -> pa.Table:
    """What a random order of the candidates reaches, in every pair of views alike."""
    from eiclip.same_style.evaluate import same_style_chance

    tested = given.table("products", ["product_id"], [("split", "=", "test")])["product_id"].to_pylist()
    return same_style_chance(tested, given.table("styles"), given.dataset, given.table("product_groups"))


def _curve(given: Given) -> pa.Table:
    """Duplicate detection: precision and recall of pairs of test products by threshold on their cosine."""
    from eiclip.same_style.pairs_curve import same_style_pr_curve

    return _over_views(given, same_style_pr_curve)


def _over_views(given: Given, make: Callable[..., pa.Table]) -> pa.Table:
    """Tables made of the test rows of each variant's `product_views`, the model-free ones first."""
    from eiclip.same_style.baselines import PHASH, PIXELS, WORDS, phash_views, pixel_views, word_views
    from eiclip.shards import shard_paths

    given.project.step_device()
    products, name = given.table("products"), given.dataset
    tested, trained = (products.filter(pc.equal(products["split"], split)) for split in ("test", "train"))
    texts = dict(zip(tested["product_id"].to_pylist(), tested["description"].to_pylist(), strict=True))
    views_of = {
        PIXELS: pixel_views(shard_paths(given.path("shards"), "test"), name),
        PHASH: phash_views(given.table("images"), name),
        WORDS: word_views(texts, trained["description"].to_pylist(), name),
    }
    tests = [("split", "==", "test")]
    views_of |= {row: given.table(f"{VIEWS_TABLE}/{row}", filters=tests) for row in SAME_STYLE_ROWS}
    styles, groups, seed = given.table("styles"), given.table("product_groups"), given.parameters["seed"]
    return pa.concat_tables(make(of, styles, name, row, seed, groups=groups) for row, of in views_of.items())
