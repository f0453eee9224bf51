"""The profile's queries over small tables whose answers can be counted by hand, and over empty ones."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.profile.compositions import composition_table
from eiclip.storage.lake import Lake

SCHEMAS = {
    "products": {"dataset": "string", "product_id": "string", "split": "string", "description": "string"},
    "images": {"dataset": "string", "image_id": "string", "product_id": "string", "split": "string",
               "photo_width": "int32", "photo_height": "int32"},
    "product_entities": {"dataset": "string", "product_id": "string", "split": "string", "entity_group": "string",
                         "entity": "string", "entity_id": "int64"},
    "entity_vocabulary": {"dataset": "string", "entity_group": "string", "entity_id": "int64", "entity": "string",
                          "product_count": "int64"},
    "semantic_prior": {"dataset": "string", "entity": "string", "entity_group": "string", "tagged_count": "int64",
                       "untagged_mentions": "int64", "prior": "double"},
    "quarantine": {"dataset": "string", "source": "string", "locator": "string", "product_id": "string",
                   "reason": "string"},
    "listings": {"dataset": "string", "description_raw": "string"},
    "entity_spellings": {"dataset": "string", "entity_group": "string", "spelling": "string", "entity": "string",
                         "rows": "int64"},
    "records": {"dataset": "string", "source": "string", "place": "int64", "price": "double", "price_unread": "string",
                "reason": "string"},
    "profile_tokens": {"dataset": "string", "product_id": "string", "tokens": "int32"},
}  # fmt: skip
SOURCES = {
    "profile_splits": ("products", "images"),
    "profile_entities": ("products", "product_entities", "entity_vocabulary"),
    "profile_confounded": ("semantic_prior",),
    "profile_descriptions": ("products", "profile_tokens"),
    "profile_token_histogram": ("profile_tokens",),
    "profile_photos": ("images",),
    "profile_prices": ("records",),
    "profile_quarantine": ("quarantine",),
    "profile_placeholders": ("listings", "entity_spellings"),
    "profile_compositions": ("compositions", "product_entities"),
}
PARAMETERS = {
    "profile_entities": {"paper_groups": ["brand"], "paper_entities": [570]},
    "profile_confounded": {"most": 200},
    "profile_descriptions": {"context_length": 77},
    "profile_token_histogram": {"width": 4},
    "profile_photos": {"step": 64, "most": 200},
    "profile_placeholders": {"placeholders": ["null", "n/a"], "template": r"\{\{.*\}\}"},
    "profile_compositions": {"dataset": "d", "shown": 30},
    "profile_prices": {"dataset": "d", "shown": 2},
}


@pytest.fixture
def profile(tmp_path):
    """Write the given tables (the others empty) and run one query: rows."""

    def run(query, parameters=None, **tables):
        lake = Lake(tmp_path)
        for name, columns in SCHEMAS.items():
            schema = pa.schema([(column, pa.type_for_alias(kind)) for column, kind in columns.items()])
            rows = [{"dataset": "d"} | row for row in tables.get(name, [])]
            lake.write(pa.Table.from_pylist(rows, schema=schema), name, "d")
        lake.write(composition_table(tables.get("compositions", []), "d"), "compositions", "d")
        inputs = {source: [lake.path(source, "d")] for source in SOURCES[query]}
        lake.query(f"profile/{query}", lake.path(query, "d"), inputs, PARAMETERS.get(query, {}) | (parameters or {}))
        return pq.read_table(lake.path(query, "d")).to_pylist()

    return run


def product(number, split="train", description=None):
    return {"product_id": f"p{number}", "split": split, "description": description or f"Coat number {number}."}


def photo(number, shot=0, width=256, height=256):
    return {"image_id": f"p{number}_{shot}", "product_id": f"p{number}", "photo_width": width, "photo_height": height}


@pytest.mark.parametrize("query", [name for name in SOURCES if "dataset" not in PARAMETERS.get(name, {})])
def test_empty_tables_give_an_empty_profile(profile, query):
    assert profile(query) == []


def test_splits_count_products_and_photos(profile):
    products = [product(0), product(1), product(2, "excluded"), product(3, "validation")]
    images = [photo(0), photo(0, 1), photo(3)]
    rows = profile("profile_splits", products=products, images=images)
    assert [(r["split"], r["products"], r["images"], r["share"]) for r in rows] == [
        ("train", 2, 2, 0.5), ("validation", 1, 1, 0.25), ("excluded", 1, 0, 0.25),
    ]  # fmt: skip


def test_entities_beside_the_papers(profile):
    def tag(number, entity, entity_id, split="train", group="brand"):
        return {"product_id": f"p{number}", "split": split, "entity_group": group} | {
            "entity": entity,
            "entity_id": entity_id,
        }

    vocabulary = [{"entity_group": group, "entity_id": place, "entity": name, "product_count": 1}
                  for group, names in (("brand", ["<unk>", "diesel"]), ("season", ["<unk>"]))
                  for place, name in enumerate(names)]  # fmt: skip
    tags = [tag(0, "diesel", 1), tag(1, "rare", 0), tag(2, "new", 0, "test"), tag(3, "diesel", 1, "test")]
    tables = {"products": [product(n) for n in range(5)], "entity_vocabulary": vocabulary, "product_entities": tags}
    brand, season = profile("profile_entities", **tables)
    assert brand == {
        "dataset": "d", "entity_group": "brand", "tagged_products": 4, "coverage": 0.8, "entities": 1,
        "distinct_entities": 3, "unseen_in_test": 1, "paper_entities": 570,
    }  # fmt: skip
    assert season == {
        "dataset": "d", "entity_group": "season", "tagged_products": 0, "coverage": 0.0, "entities": 0,
        "distinct_entities": 0, "unseen_in_test": 0, "paper_entities": None,
    }  # fmt: skip
    none = {"paper_groups": [], "paper_entities": []}
    assert [row["paper_entities"] for row in profile("profile_entities", none, **tables)] == [None, None]
    without_products = tables | {"products": [], "product_entities": []}
    assert [row["coverage"] for row in profile("profile_entities", **without_products)] == [0.0, 0.0]


def test_the_most_confounded_of_each_group_come_first(profile):
    prior = [{"entity": f"e{n}", "entity_group": group, "tagged_count": 4, "untagged_mentions": n, "prior": 1.0}
             for group in ("brand", "season") for n in range(6)]  # fmt: skip
    rows = profile("profile_confounded", {"most": 3}, semantic_prior=prior)
    assert [(r["entity_group"], r["entity"], r["ratio"]) for r in rows] == [
        (group, f"e{n}", n / 4) for group in ("brand", "season") for n in (5, 4, 3)
    ]
    assert len(profile("profile_confounded", semantic_prior=prior)) == 10, "those never mentioned are left out"


def test_descriptions_lengths_cuts_and_duplicates(profile):
    lengths = [*range(1, 101), 78, 78]
    products = [product(n) for n in range(100)] + [product(n, "test", "Coat number 3.") for n in (100, 101)]
    tokens = [{"product_id": f"p{n}", "tokens": length} for n, length in enumerate(lengths)]
    train, test = profile("profile_descriptions", products=products, profile_tokens=tokens)
    assert train == {
        "dataset": "d", "split": "train", "descriptions": 100, "tokens_min": 1, "tokens_median": 50, "tokens_p95": 95,
        "tokens_max": 100, "cut": 23, "cut_share": 0.23, "context_length": 77, "duplicates": 1,
    }  # fmt: skip
    assert (test["descriptions"], test["cut_share"], test["duplicates"]) == (2, 1.0, 2)


def test_token_histogram_is_in_buckets(profile):
    tokens = [{"product_id": f"p{n}", "tokens": length} for n, length in enumerate([2, 3, 4, 7, 77])]
    rows = profile("profile_token_histogram", profile_tokens=tokens)
    assert [(row["tokens"], row["products"]) for row in rows] == [(0, 2), (4, 2), (76, 1)]


def test_rare_photo_sizes_stand_together(profile):
    images = [photo(n) for n in range(5)] + [photo(9, n, 300 + n, 100) for n in range(4)] + [photo(8, 0, 640, 480)] * 3
    rows = profile("profile_photos", {"most": 2}, images=images)
    assert [(r["smaller_side"], r["photo_width"], r["photo_height"], r["images"]) for r in rows] == [
        (64, None, None, 4), (256, 256, 256, 5), (448, 640, 480, 3),
    ]  # fmt: skip


def test_quarantine_by_file_and_kind(profile):
    reasons = [("a.h5", "photo broken: row 1"), ("a.h5", "photo broken: row 2"), ("b.h5", "photo broken: row 1"),
               ("b.h5", "no id")]  # fmt: skip
    rows = [{"source": source, "product_id": None, "reason": reason} for source, reason in reasons]
    assert [
        (r["source"], r["kind"], r["rows"], r["example"]) for r in profile("profile_quarantine", quarantine=rows)
    ] == [
        ("a.h5", "photo broken", 2, "photo broken: row 1"),
        ("b.h5", "no id", 1, "no id"),
        ("b.h5", "photo broken", 1, "photo broken: row 1"),
    ]


def test_placeholders_of_texts_and_entities_are_counted(profile):
    raw = ["NULL\nA coat.\nn/a", "Null coat\n N/A ", "{{title}}\nA coat.", "A coat."]
    spellings = [("brand", "n/a", "", 7), ("season", "none", "", 2), ("brand", "nike", "nike", 9)]
    names = ("entity_group", "spelling", "entity", "rows")
    rows = profile(
        "profile_placeholders",
        listings=[{"description_raw": text} for text in raw],
        entity_spellings=[dict(zip(names, row, strict=True)) for row in spellings],
    )
    assert [(row["field"], row["text"], row["rows"]) for row in rows] == [
        ("brand", "n/a", 7), ("season", "none", 2), ("text", "n/a", 2), ("text", "null", 1), ("text", "{{title}}", 1),
    ]  # fmt: skip


def test_compositions_parsed_and_not(profile):
    used = ["60% cotton, 40% linen", "cotton", "cotton", "imported", "imported", "imported"]
    tags = [{"product_id": f"p{n}", "entity_group": "composition", "entity": text} for n, text in enumerate(used)]
    tags += [{"product_id": "p0", "entity_group": group, "entity": "cotton"} for group in ("brand", "composition")]
    [row] = profile("profile_compositions", compositions=used, product_entities=tags)
    assert row == {
        "dataset": "d", "compositions": 3, "parsed": 2, "unparsed": 1, "products_unparsed": 3, "incomplete": 1,
        "fibres": [{"fibre": "cotton", "products": 3}, {"fibre": "linen", "products": 1}],
    }  # fmt: skip


def test_no_compositions_are_counted_as_none(profile):
    [row] = profile("profile_compositions")
    assert (row["compositions"], row["products_unparsed"], row["fibres"]) == (0, 0, [])


def test_prices_and_the_commonest_texts_that_are_none(profile):
    unread = ["Call us", "£5", "Call us", "0", "£5", "Call us"]
    rows = [{"price": price} for price in (1.0, 2.0, 30.0, None)] + [{"price_unread": text} for text in unread]
    rows += [{"price_unread": "of a row in quarantine", "reason": "no photo"}]
    records = [{"source": "shop.csv", "place": place} | row for place, row in enumerate(rows)]
    [row] = profile("profile_prices", records=records)
    assert row == {
        "dataset": "d", "rows": 10, "priced": 3, "unread": 6, "lowest": 1.0, "median": 2.0, "highest": 30.0,
        "unread_texts": [{"text": "Call us", "rows": 3}, {"text": "£5", "rows": 2}],
    }  # fmt: skip


def test_no_prices_are_counted_as_none(profile):
    [row] = profile("profile_prices")
    assert (row["rows"], row["priced"], row["unread"], row["unread_texts"]) == (0, 0, 0, [])
