"""A home small enough to search in every test: the small shop's products, their views, photos and vocabulary."""

from pathlib import Path

import pyarrow as pa
import pytest

from eiclip.evaluation.embedding_tables import product_views_table
from eiclip.model.entity_clip import load_checkpoint, save_checkpoint
from eiclip.search.engine import SearchEngine
from eiclip.shards import shard_paths, write_shards
from eiclip.storage.home import Paths

DATASET = "shop"
TEXT = ("title", "description", "description_raw", "category", "subcategory", "department", "gender")
SPLITS = {"p0": "train", "p1": "train", "p2": "validation", "p3": "test", "p4": "test", "p5": "test"}
COUNTS = {("brand", "b0"): (20, 0), ("brand", "b1"): (12, 8), ("brand", "b2"): (3, 30), ("season", "fw2016"): (40, 2)}
COUNTED = ("tagged_count", "untagged_mentions")
"""Training products tagged with an entity, and those that only mention it."""


def small_home(root: Path, shop, variants=("eiclip", "clip_description"), *, views=True, dataset=DATASET) -> Paths:
    """Write all that search reads."""
    home = Paths(root)
    samples = list(shop.samples())
    for variant in variants:
        save_checkpoint(shop.model(variant), home.checkpoint(dataset, variant), {})
    write_shards(((SPLITS[sample.product_id], sample) for sample in samples), home.shards(dataset), photo_size=64)
    for name, rows in tables(samples, shop.vocabulary).items():
        home.lake.write(pa.Table.from_pylist([{"dataset": dataset} | row for row in rows]), name, dataset)
    for variant in variants if views else ():
        home.lake.write(views_of(home, variant, dataset), "product_views", dataset, variant)
    return home


def views_of(home, variant, dataset):
    """`product_views` as the job makes it."""
    by_split = {split: shard_paths(home.shards(dataset), split) for split in ("train", "validation", "test")}
    return product_views_table(load_checkpoint(home.checkpoint(dataset, variant)), dataset, by_split)


def tables(samples, vocabulary):
    """Rows of the lake's tables."""
    firsts = list({sample.product_id: sample for sample in reversed(samples)}.values())[::-1]
    products = [
        dict.fromkeys(TEXT, "")
        | {"product_id": own.product_id, "split": SPLITS[own.product_id], "title": f"Item {own.product_id}"}
        | {"description": own.description, "category": "Coats" if number % 2 else "Shoes", "price": 10.0 * number}
        for number, own in enumerate(firsts)
    ]
    tags = [(own, group, entity) for own in firsts for group, [entity] in own.entities.items()]
    return {
        "products": products,
        "product_entities": [
            {"product_id": own.product_id, "split": SPLITS[own.product_id], "entity_group": group, "entity": entity}
            | {"entity_id": vocabulary.entity_id(group, entity), "ordinal": 1}
            for own, group, entity in tags
        ],
        "images": [
            {"image_id": sample.image_id, "product_id": sample.product_id, "source": "shop", "place": place}
            for place, sample in enumerate(samples)
        ],
        "entity_vocabulary": [
            {"entity_group": group, "entity_id": number, "entity": entity, "product_count": 3}
            for group, names in vocabulary.names.items()
            for number, entity in enumerate(names)
        ],
        "entity_spellings": [
            {"entity_group": group, "entity": name, "spelling": spelling, "rows": 1}
            for group, names in vocabulary.names.items()
            for name in names[1:]
            for spelling in (name, f"the {name}")
        ],
        "semantic_prior": [
            {"entity": entity, "entity_group": group, "prior": 1.0} | dict(zip(COUNTED, counts, strict=True))
            for (group, entity), counts in COUNTS.items()
        ],
    }


@pytest.fixture(scope="session")
def home(tmp_path_factory, shop):
    """The home, not to be written to."""
    return small_home(tmp_path_factory.mktemp("search"), shop)


@pytest.fixture(scope="session")
def engine(home):
    """Search by row 5."""
    return SearchEngine.open(home.root, DATASET, "eiclip")


@pytest.fixture(scope="session")
def engine_of_row_6(tmp_path_factory, shop):
    """Search by row 6, whose photos a head of its own reads too; no job has made its views."""
    home = small_home(tmp_path_factory.mktemp("row_6"), shop, ("eiclip", "eiclip_plus"), views=False)
    return SearchEngine.open(home.root, DATASET, "eiclip_plus")
