"""Duplicates by photo: against every pair compared by hand, and how they keep splits and groups together."""

import functools
import itertools
import math
import re
import statistics

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eiclip.readers import photos, records
from eiclip.readers.amazon.reviews import SCHEMA as REVIEWS
from eiclip.readers.product_groups import product_groups
from eiclip.readers.spellings import SCHEMA as SPELLINGS
from eiclip.storage.lake import Lake, open_views
from eiclip.storage.sql import read_sql

from .conftest import place_of

BLOCK = 50
"""Photos of one bucket that are compared with one another: `sql/ingest/duplicate_photos.sql`."""


def raw(rows):
    """The tables of records and photos of some rows: each its own photo, all of hash 0, unless they say otherwise."""
    given = [
        {
            "dataset": "d",
            "source": "a",
            "place": n,
            "description": "",
            "brand": "",
            "photo_sha256": f"own {n}",
            "phash": 0,
        }
        | row
        for n, row in enumerate(rows)
    ]
    listed = [row | {"entities": [("brand", [row["brand"]])] if row["brand"] else []} for row in given]
    brands = sorted({row["brand"] for row in given} - {""})
    spellings = {"dataset": "d", "entity_group": "brand", "rows": 1}
    spelled = [spellings | {"spelling": brand, "entity": brand} for brand in brands]
    return {"entity_spellings": pa.Table.from_pylist(spelled, SPELLINGS)} | {
        name: pa.Table.from_pylist([{column: row.get(column) for column in schema.names} for row in table], schema)
        for name, table, schema in (("records", listed, records.SCHEMA), ("photos", given, photos.SCHEMA))
    }


class Shop:
    """Runs queries over raw rows and their photos in a lake of its own."""

    def __init__(self, home, rows):
        self.lake = Lake(home)
        for name, table in raw(rows).items():
            self.lake.write(table, name, "d")
        for name in ("review_stats", "helpful_reviews"):
            self.run(
                name, {"count": 0, "characters": 0} if name == "helpful_reviews" else None, reviews=no_reviews(home)
            )

    def run(self, query, parameters=None, *sources, **files):
        files |= {source: self.lake.path(source, "d") for source in sources}
        output = self.lake.path(query, "d")
        self.lake.query(place_of(query), output, {name: [file] for name, file in files.items()}, parameters or {})
        return pq.read_table(output).to_pylist()

    def pairs(self, distance=0, similarity=0.0):
        parameters = {"group": "brand", "distance": distance, "similarity": similarity}
        return self.run("duplicate_photos", parameters, "records", "photos", "entity_spellings")

    def groups(self, **parameters):
        self.pairs(**parameters)
        found = product_groups(pq.read_table(self.lake.path("duplicate_photos", "d")), "d")
        self.lake.write(found, "product_groups", "d")
        self.lake.write(found, "split_groups", "d")
        return {row["product_id"]: row["group_id"] for row in found.to_pylist()}

    def splits(self, test_share=0.5, validation_share=0.5, seed="0"):
        draws = {"seed": seed, "test_share": test_share, "validation_share": validation_share}
        sources = ("records", "photos", "split_groups", "review_stats", "helpful_reviews")
        return {row["product_id"]: row["split"] for row in self.run("products", draws, *sources)}

    def offenders(self):
        with duckdb.connect() as connection:
            tables = ("records", "products", "split_groups")
            open_views(connection, {table: [self.lake.path(table, "d")] for table in tables})
            return connection.sql(read_sql("checks/no_product_in_two_splits")).fetchall()


def no_reviews(home):
    pq.write_table(REVIEWS.empty_table(), home / "reviews.parquet")
    return home / "reviews.parquet"


@pytest.fixture
def shop(tmp_path):
    return functools.partial(Shop, tmp_path)


def signed(bits):
    """The 64 bits as Parquet holds them."""
    return bits - 2**64 if bits >= 2**63 else bits


def bits_apart(one, other):
    return bin((one ^ other) % 2**64).count("1")


def words(row):
    brand = set(re.findall(r"\w+", row["brand"].lower()))
    return set(re.findall(r"\w+", row["title"].lower())) - brand


def oracle(rows, distance, similarity):
    """The definition, every two rows compared: pairs to (same photo, near photo)."""
    titles = [words(row) for row in {row["product_id"]: row for row in reversed(rows)}.values()]
    weight = {word: math.log(1 + len(titles) / sum(word in title for title in titles)) for word in set().union(*titles)}
    shown: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        shown.setdefault(row["photo_sha256"], {})[row["product_id"]] = words(row)

    def share(one, other):
        return sum(weight[w] for w in one & other) / sum(weight[w] for w in one | other) if one | other else None

    def is_placeholder(photo):
        first, *others = [shown[photo][product] for product in sorted(shown[photo])]
        shares = [own for own in (share(first, other) for other in others) if own is not None]
        return len(others) >= 5 and (statistics.median(shares) if shares else 0) < 0.2

    found = {}
    for one, other in itertools.combinations(rows, 2):
        pair = tuple(sorted((one["product_id"], other["product_id"])))
        if pair[0] == pair[1]:
            continue
        alike = (own := share(words(one), words(other))) is not None and own >= similarity - 1e-6
        near = bits_apart(one["phash"], other["phash"]) <= distance and one["brand"] == other["brand"] and alike
        same = one["photo_sha256"] == other["photo_sha256"]
        if near or (same and not is_placeholder(one["photo_sha256"])):
            found[pair] = tuple(a or b for a, b in zip(found.get(pair, (False, False)), (same, near), strict=True))
    return found


def found_in(rows, distance, similarity):
    """The query's pairs without a lake: tables in memory, many cases a second."""
    with duckdb.connect(config={"threads": 1}) as connection:
        tables = raw(rows)
        connection.register("photos", tables["photos"])
        connection.register("listings", tables["records"])
        connection.register("entity_spellings", tables["entity_spellings"])
        parameters = {"group": "brand", "distance": distance, "similarity": similarity}
        return connection.sql(read_sql("ingest/duplicate_photos"), params=parameters).to_arrow_table().to_pylist()


def components(pairs):
    table = pa.Table.from_pylist([{"product_id": one, "other_id": other} for one, other in pairs] or [],
                                 pa.schema([("product_id", pa.string()), ("other_id", pa.string())]))  # fmt: skip
    return {row["product_id"]: row["group_id"] for row in product_groups(table, "d").to_pylist()}


@st.composite
def catalogues(draw):
    """Rows whose hashes lie a few bits around few centres, the sign bit among them; several photos a product."""
    centres = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3))
    flips = st.lists(st.sampled_from([0, 15, 16, 31, 33, 47, 48, 62, 63]), max_size=3, unique=True)
    names = draw(st.lists(st.integers(0, 14), min_size=2, max_size=20))
    facts = {}
    for name in set(names):
        title = " ".join(draw(st.lists(st.sampled_from(["acme", "red", "silk", "dress", "3", "Ärmel"]), max_size=4)))
        facts[name] = {"title": title, "brand": draw(st.sampled_from(["", "acme", "acme red"]))}
    rows = []
    for place, name in enumerate(names):
        bits = draw(st.sampled_from(centres))
        for flip in draw(flips):
            bits ^= 1 << flip
        photo = draw(st.sampled_from(["x", "y", f"own {place}"]))
        rows.append({"product_id": f"p{name:02}", "phash": signed(bits), "photo_sha256": photo} | facts[name])
    return rows


@settings(max_examples=60, deadline=None)
@given(catalogues(), st.sampled_from([(3, 0.0), (0, 0.0), (0, 0.6), (2, 0.5)]))
def test_pairs_and_groups_are_the_definition_over_all_pairs(rows, limits):
    distance, similarity = limits
    found = found_in(rows, distance, similarity)
    expected = oracle(rows, distance, similarity)
    pairs = {(row["product_id"], row["other_id"]): row for row in found}
    assert len(pairs) == len(found)
    # Pairs of equal photos lead to the first product alone; what hangs together is the same.
    assert {pair for pair, (_, near) in expected.items() if near} <= set(pairs) <= set(expected)
    assert components(pairs) == components(expected)
    for (one, other), row in pairs.items():
        assert one < other
        assert row["kind"] == "near_photo" or expected[one, other][0]
        assert row["kind"] == "same_photo" or (row["distance"] <= distance and row["similarity"] >= similarity - 1e-6)


def test_negative_hashes_are_bits_and_not_numbers(shop):
    hashes = [-1, -2, 2**63 - 1, -(2**63), 0]  # all ones, one bit off, the sign bit off, the sign bit alone, none
    rows = [{"product_id": f"p{n}", "title": "silk dress", "phash": phash} for n, phash in enumerate(hashes)]
    found = {(row["product_id"], row["other_id"]): row["distance"] for row in shop(rows).pairs(distance=2)}
    assert found == {("p0", "p1"): 1, ("p0", "p2"): 1, ("p1", "p2"): 2, ("p3", "p4"): 1}


def test_alike_photos_need_one_brand_and_the_words_that_others_do_not_share(shop):
    shirts = [("a", "acme", "acme t-shirt moon landing xl"), ("b", "acme", "acme t-shirt moon landing s"),
              ("c", "acme", "acme t-shirt zebra xl"), ("d", "other", "acme t-shirt moon landing xl")]  # fmt: skip
    others = [(f"z{n}", "acme", f"t-shirt xl print {n}") for n in range(40)]
    rows = [{"product_id": p, "brand": b, "title": t, "phash": 7 if p < "z" else signed(0x1234567 * int(p[1:]) ** 5)}
            for p, b, t in shirts + others]  # fmt: skip
    assert shop(rows).groups(similarity=0.6) == {"a": "a", "b": "a"}


@pytest.mark.parametrize("brand", ["", "acme", None], ids=["no brand", "one brand", "many brands"])
def test_a_photo_of_products_of_unlike_titles_is_a_placeholder_and_connects_nothing(shop, brand):
    def rows(count, title):
        own = {"photo_sha256": "x"}
        named = [{"product_id": f"p{n}", "brand": f"b{n}" if brand is None else brand} | own for n in range(count)]
        return [row | {"phash": n, "title": title.format(n)} for n, row in enumerate(named)]

    assert set(shop(rows(5, "thing{}")).groups(similarity=0.6).values()) == {"p0"}
    assert shop(rows(6, "thing{}")).groups(similarity=0.6) == {}
    assert set(shop(rows(30, "moon landing shirt, size {}")).groups(similarity=0.9).values()) == {"p0"}
    beside = [
        {"product_id": f"q{n}", "brand": "b0", "title": t, "photo_sha256": "x", "phash": 99}
        for n, t in enumerate(["a b", "c d", "b a"])
    ]
    assert shop(rows(6, "thing{}") + beside).groups(similarity=0.6) == {"q0": "q0", "q2": "q0"}


def test_unusable_rows_and_photos_are_in_no_pair(shop):
    rows = [{"product_id": product, "title": "silk dress", "photo_sha256": "x"} for product in "ab"]
    assert len(shop(rows).pairs()) == 1
    assert shop([rows[0], rows[1] | {"reason": "photo missing"}]).pairs() == []


def test_one_hash_of_very_many_products_makes_pairs_in_proportion_to_them(shop):
    """Every product of a shop before one backdrop: not all pairs, but what lies side by side by title."""
    count = 20_000
    rows = [{"product_id": f"p{n:05}", "title": f"shirt {n % (count // 4):05}", "phash": -5} for n in range(count)]
    made = shop(rows)
    groups = made.groups(similarity=0.9)
    assert len(groups) == count
    assert len(set(groups.values())) == count // 4
    assert len(pq.read_table(made.lake.path("duplicate_photos", "d"))) == 6 * (count // 4)


def test_a_large_bucket_is_paired_from_block_to_block(shop):
    rows = [{"product_id": f"p{n:03}", "title": "silk dress"} for n in range(3 * BLOCK)]
    pairs = {(int(r["product_id"][1:]), int(r["other_id"][1:])) for r in shop(rows).pairs()}
    assert pairs == {(a, b) for a, b in itertools.combinations(range(3 * BLOCK), 2) if b - a <= BLOCK}


def group_of(number, split=None, **given):
    """Two rows of different products with one photo."""
    shared = {
        "title": "silk dress",
        "photo_sha256": f"photo {number}",
        "phash": signed(number * 0x9E3779B97F4A7C15 % 2**64),
    }
    return [shared | {"product_id": f"g{number}-{n}", "source_split": split} | given for n in range(2)]


def test_a_group_never_straddles_two_splits(shop):
    made = shop([row for number in range(200) for row in group_of(number)])
    groups = made.groups(similarity=0.9)
    splits = made.splits()
    assert len(set(groups.values())) == 200
    assert all(splits[product] == splits[group] for product, group in groups.items())
    assert set(splits.values()) == {"train", "validation", "test"}
    assert made.offenders() == []


def test_what_duplicates_a_test_product_of_the_raw_files_is_not_trained_on(shop):
    one, other = group_of(1, "train")
    lone = {"product_id": "lone", "source_split": "train", "phash": 99}
    made = shop([one, other | {"source_split": "test"}, lone])
    made.groups()
    assert made.splits(validation_share=0.0) == {"g1-0": "excluded", "g1-1": "test", "lone": "train"}
    assert made.offenders() == []
