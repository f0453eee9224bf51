"""Lists of negatives: of one subcategory where it is large enough; without duplicates; of products; in draws."""

import hashlib

import duckdb
import pyarrow as pa
import pytest

from eiclip.storage.sql import read_sql

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


DRAWS, DRAW_QUERIES = 3, 20


def draw(groups=GROUPS, negatives=8, seed="0"):
    """Rows by protocol, draw, direction and query; the draws of 5x1000 are as many as DRAWS says."""
    products, images = shop()
    tables = {"products": products, "images": images, "product_groups": [("d", *pair) for pair in groups.items()]}
    with duckdb.connect() as connection:
        for name, rows in tables.items():
            columns = list(zip(*rows, strict=True)) or [[]] * len(COLUMNS[name])
            connection.register(name, pa.table([pa.array(c, pa.string()) for c in columns], names=COLUMNS[name]))
        parameters = {"dataset": "d", "seed": seed, "negatives": negatives}
        parameters |= {"draws": DRAWS, "draw_queries": DRAW_QUERIES}
        rows = connection.sql(read_sql("evaluation/candidate_lists"), params=parameters).to_arrow_table().to_pylist()
    assert [key(row) for row in rows] == sorted(key(row) for row in rows)
    return {key(row): row for row in rows}


def key(row):
    return row["protocol"], row["draw"], row["direction"], row["query_id"]


def product(item):
    return item.split("_")[0]


def group(item):
    return GROUPS.get(product(item), product(item))


PRIME = 4294967291


def digest(text):
    """The lower half of an md5 digest."""
    return int.from_bytes(hashlib.md5(text.encode()).digest()[8:], "little")


def number(seed, query, item):
    """What items are drawn by."""
    product = (1 + digest(f"{seed}:{query}") % (PRIME - 1)) * (1 + digest(item) % (PRIME - 1))
    return product % PRIME * 2**31 + (digest(item) >> 33)


def in_order(row, distinct):
    """The definition: every possible negative, those of the query's subcategory first, each part in drawn order."""
    products, images = shop()
    kinds = {p: kind for _, p, split, kind in products if split == "test"}
    of_products = row["direction"] == "i2t" or row["protocol"] == "sample100_product"
    items = list(kinds) if of_products else [i for _, i, p, _ in images if p in kinds]
    own, seed = row["product_id"], f"0/{row['draw']}" if row["draw"] else "0"
    left = [i for i in items if (group(i) != group(own) if distinct else product(i) != own)]
    return sorted(left, key=lambda i: (kinds[product(i)] != kinds[own], number(seed, row["query_id"], i), i))


@pytest.mark.parametrize("negatives", [1, 8, 30, 100])
def test_lists_are_the_first_of_one_drawn_order_with_or_without_duplicates(negatives):
    rows = draw(negatives=negatives)
    products, images = shop()
    queries = {("i2t", i) for _, i, _, split in images if split == "test"}
    queries |= {("t2i", p) for _, p, split, _ in products if split == "test"}
    every = {(protocol, 0, *query) for protocol in ("sample100", "sample100_distinct") for query in queries}
    every |= {
        ("sample100_product", 0, way, p) for way in ("i2t", "t2i") for _, p, split, _ in products if split == "test"
    }
    assert {k for k in rows if k[0] != "sample100_5x1000"} == every
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


def test_draws_have_queries_and_lists_of_their_own():
    rows = {k: row for k, row in draw().items() if k[0] == "sample100_5x1000"}
    asked = {
        (d, way): [k[3] for k in rows if k[1:3] == (d, way)] for d in range(1, DRAWS + 1) for way in ("i2t", "t2i")
    }
    assert len(rows) == sum(map(len, asked.values()))
    for queries in asked.values():
        assert len(set(queries)) == len(queries) == DRAW_QUERIES
    for way in ("i2t", "t2i"):
        assert len({frozenset(asked[d, way]) for d in range(1, DRAWS + 1)}) == DRAWS
    shared = [k for k in rows if k[1] == 1 and ("sample100_5x1000", 2, *k[2:]) in rows]
    assert any(rows[k]["negative_ids"] != rows["sample100_5x1000", 2, *k[2:]]["negative_ids"] for k in shared)


def test_a_draw_of_more_queries_than_there_are_takes_all(monkeypatch):
    monkeypatch.setitem(globals(), "DRAW_QUERIES", 1000)
    rows = draw()
    plain = {k[2:] for k in rows if k[0] == "sample100"}
    assert all({k[2:] for k in rows if k[:2] == ("sample100_5x1000", d)} == plain for d in range(1, DRAWS + 1))


def test_protocols_say_their_rule_and_what_fell_short():
    rows = list(draw(negatives=30).values())
    products, images = shop()
    with duckdb.connect() as connection:
        connection.register("candidate_lists", pa.Table.from_pylist(rows))
        for name, given in (("products", products), ("images", images)):
            columns = zip(*given, strict=True)
            connection.register(name, pa.table([pa.array(c, pa.string()) for c in columns], names=COLUMNS[name]))
        parameters = {"dataset": "d", "seed": "0", "negatives_group": "subcategory"}
        found = connection.sql(read_sql("evaluation/protocols"), params=parameters).to_arrow_table().to_pylist()
    by_name = {row["protocol"]: row for row in found}
    of_lists = ["sample100", "sample100_5x1000", "sample100_distinct", "sample100_product"]
    assert list(by_name) == ["full", "full_distinct", "full_product", *of_lists]
    for name, row in by_name.items():
        own = [r for r in rows if r["protocol"] == name]
        assert row["with_shortfall"] == sum(r["shortfall"] > 0 for r in own)
        assert row["negatives_short"] == sum(r["shortfall"] for r in own)
        assert (row["seed"] == "0") == bool(own)
        assert ("subcategory." in row["rule"]) == bool(own)
    assert by_name["sample100"]["negatives_short"] > 0
    assert by_name["sample100_5x1000"]["draws"] == DRAWS
    tested = [p for _, p, split, _ in products if split == "test"]
    assert by_name["full_product"]["queries"] == 2 * len(tested)
    assert by_name["full"]["queries"] == len(tested) + sum(split == "test" for *_, split in images)
