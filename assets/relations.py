"""The relations that DuckDB makes of a dataset's records, run in order as one step."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from assets.common import Project
from assets.outputs import Check, Given, Output
from assets.steps import Step
from eiclip.settings.load import DatasetSettings

Settings = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
CHECKS = {
    "products": Check(
        "no_product_in_two_splits", "Every product, and every group of duplicates, is in one split.",
        reads=("records", "split_groups"),
    ),
    "entity_vocabulary": Check("entity_ids_are_dense", "Ids of a group run from 0 without a gap."),
    "conflicting_ids": Check(
        "rows_of_an_id_agree", "Rows of one product id, which are photos of one product, agree in title, tags and "
        "price; where they do not, several products may share an id.",
        blocking=False,
    ),
    "quarantine": Check(
        "rows_in_are_used_or_quarantined", "Every raw row is in images or in quarantine.", reads=("records", "images")
    ),
}  # fmt: skip


def query(name: str, made_by: str, sources: tuple[str, ...], settings: Settings | None = None) -> Output:
    """The table that `sql/<made_by>.sql` makes: it has the file's name."""
    table = made_by.rpartition("/")[2]
    checks = (CHECKS[table],) if table in CHECKS else ()
    return Output((name, table), make=made_by, sources=sources, settings=settings or {}, checks=checks)


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """One step for all relations, in the order in which they can be made: nineteen tables, one process."""
    groups = list(dataset.entity_groups)
    seed = "0"  # splits and candidate lists stay the same whatever seed a training has
    draws = {"seed": seed, "test_share": dataset.test_share, "validation_share": dataset.validation_share}
    # An entity of one training product has no embedding of its own: it trains `<unk>`.
    vocabulary = {"dataset": name, "groups": groups, "minimum": 2}
    seeded = {"dataset": name, "seed": seed}
    # Sample-100, and 5 times 1000 queries of it as others report it.
    lists = seeded | {"negatives": 100, "draws": 5, "draw_queries": 1000}
    rules = seeded | {"negatives_group": dataset.negatives_group}
    # An Amazon id is a product's; elsewhere rows of one id are its photos.
    photos = {"one_row": dataset.kind == "amazon", "part_rows": dataset.part_rows}
    unit = {"unit": "line" if dataset.kind == "amazon" else "row"}
    helpful = {"count": dataset.helpful_reviews, "characters": 500}
    near = {"group": dataset.brand_group, "distance": 0, "similarity": 0.6}

    spellings = {"placeholders": list(dataset.placeholders), "fold": dataset.fold_entities}

    def synonyms() -> Mapping[str, str]:
        """The file of synonyms, which counts by what it says."""
        from eiclip.readers.spellings import read_synonyms
        from eiclip.storage.locations import local_file

        place = dataset.synonyms
        return read_synonyms(None if place is None else local_file(place, project.paths.fetched(name)))

    of_products = ("records", "photos", "split_groups", "review_stats", "helpful_reviews")
    products = query(name, "ingest/products", of_products, draws)
    split = Check(
        "train_and_test_have_products", "There is a product to train on, and one to test with.", reads=("records",),
        parameters={"test_share": dataset.test_share}, says=True,
    )  # fmt: skip
    outputs = [
        Output(
            (name, "entity_spellings"),
            make=_entity_spellings,
            sources=("records",),
            settings=spellings,
            external={"synonyms": synonyms},
        ),
        query(name, "ingest/conflicting_ids", ("records", "entity_spellings")),
        query(name, "ingest/review_stats", ("reviews",)),
        query(name, "ingest/helpful_reviews", ("reviews",), helpful),
        query(name, "ingest/duplicate_photos", ("records", "photos", "entity_spellings"), near),
        Output((name, "product_groups"), make=_product_groups, sources=("duplicate_photos",)),
        query(name, "ingest/split_pairs", ("records", "duplicate_photos"), {"dataset": name}),
        Output((name, "split_groups"), make=_split_groups, sources=("split_pairs",)),
        replace(products, checks=(*products.checks, split)),
        query(name, "ingest/offers", ("records", "products"), {"shop_url": dataset.shop_url or ""}),
        query(name, "ingest/styles", ("records", "products")),
        query(name, "ingest/images", ("records", "photos", "products"), photos),
        query(name, "ingest/quarantine", ("records", "photos", "images"), unit).showing(reasons="data.quarantine"),
        query(name, "entities/tagged_entities", ("records", "products", "entity_spellings"), {"groups": groups}),
        query(name, "entities/entity_vocabulary", ("tagged_entities",), vocabulary),
        query(name, "entities/product_entities", ("tagged_entities", "entity_vocabulary")),
        query(name, "entities/semantic_prior", ("tagged_entities", "products"), {"dataset": name}),
        query(name, "evaluation/candidate_lists", ("products", "images", "product_groups"), lists),
        query(name, "evaluation/protocols", ("candidate_lists", "products", "images"), rules),
    ]
    return [Step(f"{name}__relations", f"{name}/relations", outputs, subset=True)]


def _entity_spellings(given: Given) -> pa.Table:
    """One row per entity group and way to write an entity in the raw rows, with the one name that it is counted by."""
    from eiclip.readers.spellings import entity_spellings

    synonyms = given.inputs["sources"]["synonyms"]
    return entity_spellings(given.files("records"), given.dataset, synonyms, **given.parameters)


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
