"""The relations that DuckDB makes of a dataset's records, run in order as one step."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from assets.common import Project
from assets.outputs import Check, Given, Output
from assets.steps import Step
from eiclip.settings.load import DatasetSettings

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
Settings = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
CHECKS = {
    "products": Check(
        "no_product_in_two_splits",
        "Every product, and every group of duplicates, is in one split.",
        reads=("records", "split_groups"),
    ),
    "entity_vocabulary": Check("entity_ids_are_dense", "Ids of a group run from 0 without a gap."),
    "quarantine": Check(
        "rows_in_are_used_or_quarantined",
        "Every raw row is in images or in quarantine.",
        reads=("records", "images"),
    ),
}


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """One step for all relations: seventeen tables, one process."""
    return [Step(f"{name}__relations", f"{name}/relations", relations(name, dataset), subset=True)]


def query(name: str, made_by: str, sources: tuple[str, ...], settings: Settings | None = None) -> Output:
    """The table that `sql/<made_by>.sql` makes: it has the file's name."""
    table = made_by.rpartition("/")[2]
    checks = (CHECKS[table],) if table in CHECKS else ()
    return Output((name, table), make=made_by, sources=sources, settings=settings or {}, checks=checks)


def relations(name: str, dataset: DatasetSettings) -> list[Output]:
    """The relations of a dataset, in the order in which they can be made."""
    groups = list(dataset.entity_groups)
    draws = {"seed": str(SPLIT_SEED), "test_share": dataset.test_share, "validation_share": dataset.validation_share}
    vocabulary = {"dataset": name, "groups": groups, "minimum": MINIMUM_PRODUCTS}
    seeded = {"dataset": name, "seed": str(SPLIT_SEED)}
    lists = seeded | {"negatives": NEGATIVES, "draws": DRAWS, "draw_queries": DRAW_QUERIES}
    rules = seeded | {"negatives_group": dataset.negatives_group}
    # An Amazon id is a product's; elsewhere rows of one id are its photos.
    photos = {"one_row": dataset.kind == "amazon", "part_rows": dataset.part_rows}
    helpful = {"count": dataset.helpful_reviews, "characters": REVIEW_CHARACTERS}
    return [
        query(name, "entities/brand_names", ("records",)),
        query(name, "ingest/review_stats", ("reviews",)),
        query(name, "ingest/helpful_reviews", ("reviews",), helpful),
        query(name, "ingest/duplicate_photos", ("records", "photos"), DUPLICATES),
        Output((name, "product_groups"), make=_product_groups, sources=("duplicate_photos",)),
        query(name, "ingest/split_pairs", ("records", "duplicate_photos"), {"dataset": name}),
        Output((name, "split_groups"), make=_split_groups, sources=("split_pairs",)),
        query(name, "ingest/products", ("records", "photos", "split_groups", "review_stats", "helpful_reviews"), draws),
        query(name, "ingest/styles", ("records", "products")),
        query(name, "ingest/images", ("records", "photos", "products"), photos),
        query(name, "ingest/quarantine", ("records", "photos", "images"), {"unit": UNITS[dataset.kind]}),
        query(name, "entities/tagged_entities", ("records", "products"), {"groups": groups}),
        query(name, "entities/entity_vocabulary", ("tagged_entities",), vocabulary),
        query(name, "entities/product_entities", ("tagged_entities", "entity_vocabulary")),
        query(name, "entities/semantic_prior", ("tagged_entities", "products"), {"dataset": name}),
        query(name, "evaluation/candidate_lists", ("products", "images", "product_groups"), lists),
        query(name, "evaluation/protocols", ("candidate_lists", "products", "images"), rules),
    ]


def _product_groups(given: Given) -> pa.Table:
    """One row per product of a group of known duplicates (connected by `duplicate_photos`)."""
    from eiclip.readers.product_groups import product_groups

    return product_groups(given.table("duplicate_photos"), given.dataset)


def _split_groups(given: Given) -> pa.Table:
    """One row per product of a group that is wholly in one split: known duplicates and products of one true style
    (connected by `split_pairs`).
    """
    from eiclip.readers.product_groups import product_groups

    return product_groups(given.table("split_pairs"), given.dataset)
