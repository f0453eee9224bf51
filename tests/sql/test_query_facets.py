"""`query_facets` over small tables whose answers can be counted by hand."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.storage.lake import Lake

SCHEMAS = {
    "products": {"dataset": "string", "product_id": "string", "split": "string"},
    "product_entities": {"dataset": "string", "product_id": "string", "split": "string", "entity_group": "string",
                         "entity": "string", "entity_id": "int64"},
    "semantic_prior": {"dataset": "string", "entity": "string", "entity_group": "string", "tagged_count": "int64",
                       "untagged_mentions": "int64", "prior": "double"},
    "entity_vocabulary": {"dataset": "string", "entity_group": "string", "entity_id": "int64", "entity": "string",
                          "product_count": "int64"},
}  # fmt: skip
GROUPS = ("brand", "season", "subcategory")


@pytest.fixture
def facets(tmp_path):
    """Write the given tables (the others empty) and run the query: facet and value by product."""

    def run(groups=GROUPS, **tables):
        lake = Lake(tmp_path)
        unknown = {"entity_id": 0, "entity": "<unk>", "product_count": 0}
        tables["entity_vocabulary"] = [unknown | {"entity_group": group} for group in groups]
        for name, columns in SCHEMAS.items():
            schema = pa.schema([(column, pa.type_for_alias(kind)) for column, kind in columns.items()])
            rows = [{"dataset": "d"} | row for row in tables.get(name, [])]
            lake.write(pa.Table.from_pylist(rows, schema=schema), name, "d")
        output = lake.path("query_facets", "d")
        lake.query(
            "evaluation/query_facets",
            output,
            {source: [lake.path(source, "d")] for source in SCHEMAS},
            {"group": "brand", "negatives_group": "subcategory"},
        )
        return [(row["product_id"], row["facet"], row["value"]) for row in pq.read_table(output).to_pylist()]

    return run


def product(name, split="test"):
    return {"product_id": name, "split": split}


def tag(name, entity, group="brand", entity_id=1, split="test"):
    return {"product_id": name, "split": split, "entity_group": group, "entity": entity, "entity_id": entity_id}


def prior(entity, tagged=1, untagged=0, group="brand", share=1.0):
    return {"entity": entity, "entity_group": group} | {
        "tagged_count": tagged,
        "untagged_mentions": untagged,
        "prior": share,
    }


def of(rows, facet):
    return {product: value for product, found, value in rows if found == facet}


def test_every_test_product_has_its_facets_and_no_other_product_has_any(facets):
    rows = facets(
        products=[product("p"), product("bare"), product("q", "train"), product("r", "validation")],
        product_entities=[tag("p", "diesel"), tag("p", "coats", "subcategory"), tag("q", "gap", split="train")],
        semantic_prior=[prior("diesel"), prior("coats", group="subcategory"), prior("gap")],
    )
    assert rows == [
        ("bare", "brand confounded", "no brand"), ("bare", "brand state", "missing"),
        ("bare", "season state", "missing"), ("bare", "subcategory state", "missing"),
        ("p", "brand", "diesel"), ("p", "brand confounded", "0 %"), ("p", "brand state", "known"),
        ("p", "meanings", "one"), ("p", "season state", "missing"), ("p", "subcategory", "coats"),
        ("p", "subcategory state", "known"),
    ]  # fmt: skip


def test_several_entities_of_a_group(facets):
    """Every brand is a value; a state and how confounded the words are is one of the product."""
    rows = facets(
        products=[product("p"), product("q")],
        product_entities=[tag("p", "new", entity_id=0), tag("p", "diesel"), tag("p", "gap"),
                          tag("q", "new", entity_id=0), tag("q", "newer", entity_id=0)],
        semantic_prior=[prior("diesel", 9, 1), prior("gap", 1, 9), prior("gap", group="season", share=0.5)],
    )  # fmt: skip
    assert [row for row in rows if "brand" in row[1] or row[1] == "meanings"] == [
        ("p", "brand", "diesel"), ("p", "brand", "gap"), ("p", "brand", "new"),
        ("p", "brand confounded", "50 to 100 %"), ("p", "brand state", "known"), ("p", "meanings", "one"),
        ("q", "brand", "new"), ("q", "brand", "newer"), ("q", "brand confounded", "unseen brand"),
        ("q", "brand state", "unseen"), ("q", "meanings", "one"),
    ]  # fmt: skip


def test_states_of_a_group(facets):
    rows = facets(
        products=[product(name) for name in ("known", "rare", "new", "none")],
        product_entities=[tag("known", "fw2015", "season"), tag("rare", "fw1999", "season", 0),
                          tag("new", "fw2030", "season", 0)],
        semantic_prior=[prior("fw2015", group="season"), prior("fw1999", group="season")],
    )  # fmt: skip
    assert of(rows, "season state") == {"known": "known", "rare": "unseen", "new": "unseen", "none": "missing"}
    assert "season" not in {facet for _, facet, _ in rows}


@pytest.mark.parametrize(
    ("tagged", "untagged", "bucket"),
    [
        (9, 0, "0 %"),
        (99, 1, "0 to 10 %"),
        (9, 1, "0 to 10 %"),
        (8, 1, "10 to 50 %"),
        (7, 7, "10 to 50 %"),
        (7, 8, "50 to 100 %"),
        (1, 500, "50 to 100 %"),
    ],
)
def test_how_confounded_a_brand_is(facets, tagged, untagged, bucket):
    rows = facets(
        products=[product("p")],
        product_entities=[tag("p", "diesel")],
        semantic_prior=[prior("diesel", tagged, untagged)],
    )
    assert of(rows, "brand confounded") == {"p": bucket}


def test_buckets_sort_as_they_grow():
    buckets = ["0 %", "0 to 10 %", "10 to 50 %", "50 to 100 %", "no brand", "unseen brand"]
    assert sorted(buckets) == buckets


def test_a_brand_that_training_never_tags_as_a_brand(facets):
    rows = facets(
        products=[product("p"), product("q"), product("once")],
        product_entities=[
            tag("p", "new", entity_id=0),
            tag("q", "denim", entity_id=0),
            tag("once", "rare", entity_id=0),
        ],
        semantic_prior=[prior("denim", 5, 5, group="composition"), prior("rare", 1, 1)],
    )
    assert of(rows, "brand confounded") == {"p": "unseen brand", "q": "unseen brand", "once": "10 to 50 %"}


def test_several_meanings(facets):
    shares = [prior("top", group="brand", share=0.7), prior("top", group="subcategory", share=0.3), prior("coats")]
    rows = facets(
        products=[product("brand"), product("kind"), product("plain"), product("new")],
        product_entities=[tag("brand", "top"), tag("brand", "coats", "subcategory"), tag("kind", "top", "subcategory"),
                          tag("plain", "coats", "subcategory"), tag("new", "never", entity_id=0)],
        semantic_prior=shares,
    )  # fmt: skip
    assert of(rows, "meanings") == {"brand": "several", "kind": "several", "plain": "one", "new": "one"}


def test_a_dataset_without_brands(facets):
    rows = facets(("colour",), products=[product("p")], product_entities=[tag("p", "red", "colour")])
    assert rows == [("p", "colour state", "known"), ("p", "meanings", "one")]


def test_nothing_to_break_down(facets):
    assert facets() == []
