"""Lists of negatives: of the same subcategory where there are enough, and once more without known duplicates."""

import hashlib

import duckdb
import pyarrow as pa
import pytest

from eiclip.lake import read_sql

SIZES = {"coats": 24, "shoes": 9, "": 3}
GROUPS = {"p00": "p00", "p01": "p00", "p02": "p00", "p30": "p03", "p03": "p03", "p33": "p33", "p34": "p33"}
"""Three coats; a coat and a shoe; two without a subcategory."""
COLUMNS = {
    "products": ("dataset", "product_id", "split", "subcategory"),
    "images": ("dataset", "image_id", "product_id", "split"),
    "product_groups": ("dataset", "product_id", "group_id"),
}


def shop():
    """36 test products of one or two photos, and as many of train in the same subcategories."""
    kinds = [kind for kind, size in SIZES.items() for _ in range(size)]
    products = [("d", f"p{n:02}", "test", kind) for n, kind in enumerate(kinds)]
    products += [("d", f"t{n:02}", "train", kind) for n, kind in enumerate(kinds)]
    images = [("d", f"{p}_{m}", p, split) for _, p, split, _ in products for m in range(1 + int(p[1:]) % 2)]
    return products, images


def draw(groups=GROUPS, negatives=8, seed="0"):
    """Rows by protocol, direction and query."""
    products, images = shop()
    tables = {"products": products, "images": images, "product_groups": [("d", *pair) for pair in groups.items()]}
    with duckdb.connect() as connection:
        for name, rows in tables.items():
            columns = list(zip(*rows, strict=True)) or [[]] * len(COLUMNS[name])
            connection.register(name, pa.table([pa.array(c, pa.string()) for c in columns], names=COLUMNS[name]))
        parameters = {"dataset": "d", "seed": seed, "negatives": negatives}
        rows = connection.sql(read_sql("candidate_lists"), params=parameters).to_arrow_table().to_pylist()
    assert [key(row) for row in rows] == sorted(key(row) for row in rows)
    return {key(row): row for row in rows}


def key(row):
    return row["protocol"], row["direction"], row["query_id"]


def product(item):
    return item.split("_")[0]


def group(item):
    return GROUPS.get(product(item), product(item))


def number(seed, query, item):
    """What items are drawn by: the lower half of a digest."""
    return int.from_bytes(hashlib.md5(f"{seed}:{query}:{item}".encode()).digest()[8:], "little")


def in_order(row, distinct):
    """The definition: every possible negative, those of the query's subcategory first, each part in drawn order."""
    products, images = shop()
    kinds = {p: kind for _, p, split, kind in products if split == "test"}
    items = list(kinds) if row["direction"] == "i2t" else [i for _, i, p, _ in images if p in kinds]
    own = row["product_id"]
    left = [i for i in items if (group(i) != group(own) if distinct else product(i) != own)]
    return sorted(left, key=lambda i: (kinds[product(i)] != kinds[own], number("0", row["query_id"], i), i))


@pytest.mark.parametrize("negatives", [1, 8, 30, 100])
def test_lists_are_the_first_of_one_drawn_order_with_or_without_duplicates(negatives):
    rows = draw(negatives=negatives)
    products, images = shop()
    queries = {("i2t", i) for _, i, _, split in images if split == "test"}
    queries |= {("t2i", p) for _, p, split, _ in products if split == "test"}
    protocols = ("sample100", "sample100_distinct")
    assert set(rows) == {(protocol, *query) for protocol in protocols for query in queries}
    kinds = {p: kind for _, p, _, kind in products}
    for row in rows.values():
        order = in_order(row, row["protocol"] == "sample100_distinct")
        assert row["negative_ids"] == order[:negatives]
        outside = [i for i in row["negative_ids"] if kinds[product(i)] != kinds[row["product_id"]]]
        assert row["shortfall"] == len(outside)
        assert product(row["positive_id"]) == row["product_id"] == product(row["query_id"])


def test_distinct_lists_leave_out_mates_and_take_the_next_in_their_place():
    rows = draw()
    for (protocol, *query), row in rows.items():
        if protocol != "sample100":
            continue
        other = rows["sample100_distinct", *query]
        kept = [i for i in row["negative_ids"] if group(i) != group(row["product_id"])]
        assert other["positive_id"] == row["positive_id"]
        assert all(group(i) != group(row["product_id"]) for i in other["negative_ids"])
        if not row["shortfall"] and not other["shortfall"]:
            assert other["negative_ids"][: len(kept)] == kept
        if product(row["query_id"]) not in GROUPS:
            assert other["negative_ids"] == row["negative_ids"]


def test_without_duplicates_both_protocols_are_one():
    rows = draw(groups={})
    plain = {k[1:]: row | {"protocol": ""} for k, row in rows.items() if k[0] == "sample100"}
    assert plain == {k[1:]: row | {"protocol": ""} for k, row in rows.items() if k[0] == "sample100_distinct"}


def test_duplicates_change_nothing_of_the_plain_lists_and_the_seed_everything():
    plain = {k: row for k, row in draw().items() if k[0] == "sample100"}
    assert plain == {k: row for k, row in draw(groups={}).items() if k[0] == "sample100"}
    other = draw(seed="1")
    assert sum(plain[k]["negative_ids"] != other[k]["negative_ids"] for k in plain) > 0.9 * len(plain)
