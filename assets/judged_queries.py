"""Search measured with queries whose relevant products are known: the shop's own from a file, and generated ones."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assets.common import Project
from assets.outputs import Check, Given, Output
from assets.steps import Step
from assets.training import frozen_features
from eiclip.model.variants import get_variant
from eiclip.settings.load import DatasetSettings
from eiclip.storage.locations import local_file, stamp

GENERATED, JUDGED = "generated_queries", "judged_queries"
WEIGHTS = "search_weights"
REJECTIONS, RESULTS, METRICS = "judged_query_rejections", "judged_query_results", "judged_query_metrics"
VARIANTS = ("clip_entities_text", "eiclip", "eiclip_plus")
"""The rows of Table 1 that read entities, each in a way of its own."""
SAME_STYLE = "same_style"
READ = ("products", "product_entities", "images", "entity_spellings", "entity_vocabulary", "semantic_prior")
"""Tables that search reads."""
VIEW = "joint"
"""Of the products, where vectors alone rank them: what search compares with unless it is told otherwise."""


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """The queries, and what each served variant finds for them."""
    group = f"{name}/{'evaluation' if dataset.table_1 else 'same_style'}"
    variants = dict.fromkeys(VARIANTS if dataset.table_1 else (), f"{name}/evaluation")
    variants |= {SAME_STYLE: f"{name}/same_style"} if dataset.same_style else {}
    return [
        Step(f"{name}__{JUDGED}", group, _queries(project, name, dataset)),
        *(
            Step(f"{name}__{RESULTS}__{variant}", group, _measures(project, name, dataset, variant))
            for variant, group in variants.items()
        ),
    ]


def _queries(project: Project, name: str, dataset: DatasetSettings) -> list[Output]:
    settings = dataset.queries
    places = [place for place in (settings.file, settings.texts) if place]
    usable = Check(
        "queries_are_usable",
        "Every row of the file of queries can be used, and names a product of the catalogue.",
        reads=(REJECTIONS,),
        says=True,
        blocking=False,
    )
    return [
        Output(
            (name, GENERATED),
            make=_generated,
            sources=("products", "product_entities"),
            settings=settings.model_dump(include={"minimum", "most", "most_products"})
            | {"brand_group": dataset.brand_group},
        ),
        Output(
            (name, JUDGED),
            make=_judged,
            sources=(GENERATED, "products"),
            settings=settings.model_dump(include={"columns", "log", "encoding", "most_of_file"}),
            external={"files": lambda: [stamp(place) for place in places]},
            beside=(project.paths.lake.path(REJECTIONS, name),),
            checks=(usable,),
        ),
    ]


def _measures(project: Project, name: str, dataset: DatasetSettings, variant: str) -> list[Output]:
    views = (f"product_views/{variant}",) if variant == SAME_STYLE else ()
    index = (f"checkpoint/{variant}", *views, "shards", *frozen_features(project, dataset))
    title, results, weights = f"{get_variant(variant).title}. ", f"{RESULTS}/{variant}", f"{WEIGHTS}/{variant}"
    return [
        Output(
            (name, WEIGHTS, variant),
            f"{title}One row per way to ask and signal: its weight in the score of hybrid search, learned on the "
            "validation split.",
            make=_weights,
            sources=(*index, *READ, "styles", "product_groups"),
            settings={"variant": variant, "brand_group": dataset.brand_group},
            external={"synonyms": lambda: _synonyms(project)},
        ),
        Output(
            (name, RESULTS, variant),
            f"{title}One row per judged query and way of reading it: where its relevant products are found.",
            make=_results,
            sources=(*index, weights, JUDGED, *READ),
            settings={"variant": variant, "view": VIEW},
        ),
        Output(
            (name, METRICS, variant),
            f"{title}Recall, MRR, nDCG and precision of judged queries by kind and reading, and what hybrid search "
            "gains, with intervals over queries.",
            make=_metrics,
            sources=(results,),
        ),
    ]


def _generated(given: Given) -> pa.Table:
    """One row per generated query and relevant product: kinds of products, brand + kind, colour + kind, names,
    and descriptions with the brand written in.
    """
    from eiclip.search.queries import generated_queries

    rows = generated_queries(given.project.paths.lake, given.dataset, **given.parameters)
    return rows.add_column(0, "dataset", pa.array([given.dataset] * len(rows), pa.string()))


def _judged(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    """One row per query and product judged: those of the dataset's file of queries, and the generated ones."""
    from eiclip.readers.queries import REJECTED, read_query_file
    from eiclip.search.queries import drawn

    settings, cache = given.entry.queries, given.project.paths.fetched(given.dataset)
    generated = given.table(GENERATED)
    parts = [generated.add_column(1, "source", pa.array(["generated"] * len(generated), pa.string()))]
    rejected, facts = REJECTED.empty_table(), {}
    if settings.file:
        texts = local_file(settings.texts, cache) if settings.texts else None
        file = local_file(settings.file, cache)
        rows, rejected, notes = read_query_file(file, settings, texts)
        queries = pc.count_distinct(rows["query"]).as_py()
        rows = drawn(rows, settings.most_of_file)
        named = {"dataset": given.dataset, "source": file.name}
        for place, (column, value) in enumerate(named.items()):
            rows = rows.add_column(place, column, pa.array([value] * len(rows), pa.string()))
        parts.append(rows)
        facts = {"queries of the file": queries, "rows rejected": len(rejected), "notes": "; ".join(notes)}
    given.project.paths.lake.write_file(
        rejected.add_column(0, "dataset", pa.array([given.dataset] * len(rejected), pa.string())), given.beside()
    )
    split_of = given.table("products", ["product_id", "split"])
    found = pa.concat_tables(parts).join(split_of, "product_id")  # products that there are not have no split
    order = ["dataset", "source", "kind", "query", "product_id", "grade", "split"]
    return found.select(order).sort_by([(name, "ascending") for name in order[1:5]]), facts


def _synonyms(project: Project) -> list[list[str]]:
    from eiclip.search.words import read_synonym_table, synonym_table

    return read_synonym_table(synonym_table(project.paths))


def _weights(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    from eiclip.search.engine import SearchEngine
    from eiclip.search.learn import learned_weights

    home, asked = given.project.paths, given.parameters
    engine = SearchEngine.open(home.root, given.dataset, asked["variant"], given.device)
    table = learned_weights(
        engine, home.lake, asked["brand_group"], given.table("styles"), given.table("product_groups")
    )
    queries = dict(zip(table["asked"].to_pylist(), table["queries"].to_pylist(), strict=True))
    return table, {f"queries by {name}": count for name, count in queries.items()}


def _results(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    from eiclip.errors import RawDataError
    from eiclip.search.engine import SearchEngine
    from eiclip.search.judged import MEASURED, Asked, judged

    variant, view = given.parameters["variant"], given.parameters["view"]
    engine = SearchEngine.open(given.project.paths.root, given.dataset, variant, given.device)
    try:
        asked = Asked.of(given.table(JUDGED), engine.index)
    except RawDataError as error:  # a catalogue without brands, kinds and titles
        return MEASURED.empty_table(), {"notes": str(error)}
    return judged(engine, asked, view), {"notes": "; ".join(asked.notes)}


def _metrics(given: Given) -> pa.Table:
    from eiclip.search.judged import figures

    [results] = given.of.sources
    return figures(given.table(results))
