"""What a random order reaches, against every placement of the relevant candidates, protocol by protocol."""

import itertools
import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from eiclip.storage.sql import read_sql

PHOTOS = {"p0": 1, "p1": 2, "p2": 3, "p3": 1, "p4": 2, "p5": 1, "p6": 4, "p7": 1}
"""Test products and their photos; of train there are as many again."""
GROUPS = {"p0": "p0", "p1": "p0", "p2": "p0", "p3": "p3", "t0": "p3"}
LISTS = {("sample100", "i2t", 0): [6, 6, 4], ("sample100", "t2i", 0): [100], ("sample100_5x1000", "t2i", 1): [3],
         ("sample100_5x1000", "t2i", 2): [5, 5]}  # fmt: skip
"""Negatives of each list, by protocol, direction and draw."""


def measures(candidates, relevant):
    """Means over all placements of the relevant candidates, which a random order makes equally likely."""
    ideal, found = sum(1 / math.log2(n + 2) for n in range(min(10, relevant))), []
    for places in itertools.combinations(range(candidates), relevant):
        first, gain = min(places) + 1, sum(1 / math.log2(place + 2) for place in places if place < 10)
        found.append([first <= 1, first <= 5, first <= 10, 1 / first, gain / ideal])
    return 100 * np.mean(found, axis=0)


def wanted(queries):
    return dict(
        zip(("r1", "r5", "r10", "mrr", "ndcg10"), np.mean([measures(*q) for q in queries], axis=0), strict=True)
    )


@pytest.fixture(scope="module")
def rows():
    products = [(name, "test") for name in PHOTOS] + [(f"t{n}", "train") for n in range(8)]
    images = [(name, split) for name, split in products for _ in range(PHOTOS.get(name, 2))]
    listed = [(*key, [f"n{n}" for n in range(many)]) for key, lists in LISTS.items() for many in lists]
    tables = {
        "products": (products, ("product_id", "split")),
        "images": (images, ("product_id", "split")),
        "product_groups": (list(GROUPS.items()), ("product_id", "group_id")),
        "candidate_lists": (listed, ("protocol", "direction", "draw", "negative_ids")),
    }
    with duckdb.connect() as connection:
        for name, (given, columns) in tables.items():
            connection.register(name, pa.table(list(map(list, zip(*given, strict=True))), names=columns))
        query = connection.sql(read_sql("evaluation/chance_recalls"), params={"dataset": "d"})
        return {row["protocol"]: row for row in query.to_arrow_table().to_pylist()}


def others(product, count):
    """How many known duplicates in test a product has, counted by `count`."""
    group = GROUPS.get(product, product)
    return sum(count(one) for one in PHOTOS if one != product and GROUPS.get(one, one) == group)


ALL_PRODUCTS, ALL_PHOTOS = len(PHOTOS), sum(PHOTOS.values())
QUERIES = {
    ("full", "i2t"): [(ALL_PRODUCTS, 1)] * ALL_PHOTOS,
    ("full", "t2i"): [(ALL_PHOTOS, many) for many in PHOTOS.values()],
    ("full_distinct", "i2t"): [
        (ALL_PRODUCTS - others(product, lambda one: 1), 1) for product, many in PHOTOS.items() for _ in range(many)
    ],
    ("full_distinct", "t2i"): [(ALL_PHOTOS - others(p, PHOTOS.get), many) for p, many in PHOTOS.items()],
    ("full_product", "i2t"): [(ALL_PRODUCTS, 1)],
    ("full_product", "t2i"): [(ALL_PRODUCTS, 1)],
    ("sample100", "i2t"): [(7, 1), (7, 1), (5, 1)],
    ("sample100", "t2i"): [(101, 1)],
    ("sample100_5x1000", "t2i"): [(4, 1), (6, 1), (6, 1)],
}  # fmt: skip


@pytest.mark.parametrize(("protocol", "way"), QUERIES)
def test_every_protocol_and_direction(rows, protocol, way):
    found = {name: rows[protocol][f"{way}_{name}"] for name in ("r1", "r5", "r10", "mrr", "ndcg10")}
    assert found == pytest.approx(wanted(QUERIES[protocol, way]))


def test_rows_are_those_of_the_leaderboard(rows):
    assert {row["variant"] for row in rows.values()} == {"chance"}
    full = rows["full"]
    recalls = [full[f"{way}_{name}"] for way in ("i2t", "t2i") for name in ("r1", "r5", "r10")]
    assert full["sum_r"] == pytest.approx(sum(recalls))
