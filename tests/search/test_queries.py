"""Queries generated of a catalogue, against sets counted by hand: all products with the tags, of one split alone."""

from collections import defaultdict

import pyarrow as pa
import pyarrow.csv
import pytest

from eiclip.errors import EiclipError
from eiclip.readers.queries import QUERIES, read_queries
from eiclip.search.queries import drawn, generated_queries, name_queries
from eiclip.storage.home import Paths

SPLITS = ("train", "validation", "test")
KINDS = ("shirts", "coats", "boots")


def products():
    """Sixty products: brand, kind, colours and split from their numbers."""
    return [
        {"product_id": f"p{n:02}", "split": SPLITS[n % 3],
         "title": ("Linen shirt", "", f"Item {n}")[n % 3 if n % 4 else 0],
         "subcategory": KINDS[n % 3].upper() + " ", "category": "Clothes", "description": f"Text {n}",
         "brand": f"b{n % 4}", "colours": ["red", "blue"][: 1 + n % 2]}
        for n in range(60)
    ]  # fmt: skip


def catalogue(folder, *, groups=("brand", "subcategory", "colour")):
    """The lake of the products, whose tags are those of some groups."""
    lake, rows = Paths(folder).lake, products()
    values = {own["product_id"]: {"brand": [own["brand"]], "subcategory": [own["subcategory"].strip().lower()],
                                  "colour": own["colours"]} for own in rows}  # fmt: skip
    tags = [
        {name: own[name] for name in ("product_id", "split")}
        | {"entity_group": group, "entity": entity, "ordinal": place}
        for own in rows for group in groups
        for place, entity in enumerate(values[own["product_id"]][group], start=1)
    ]  # fmt: skip
    text = ("product_id", "split", "title", "subcategory", "category", "description")
    lake.write(
        pa.Table.from_pylist([{"dataset": "d"} | {name: own[name] for name in text} for own in rows]), "products", "d"
    )
    lake.write(pa.Table.from_pylist([{"dataset": "d"} | tag for tag in tags]), "product_entities", "d")
    return lake


def by_query(rows, kind):
    found = defaultdict(set)
    for row in rows.to_pylist():
        if row["kind"] == kind:
            found[row["query"]].add(row["product_id"])
    return dict(found)


def expected(words_of, minimum, split):
    found = defaultdict(set)
    for own in products():
        for words in words_of(own) if split in ("all", own["split"]) else ():
            found[words].add(own["product_id"])
    return {words: ids for words, ids in found.items() if len(ids) >= minimum}


@pytest.mark.parametrize(("split", "minimum"), [("all", 6), ("validation", 3), ("all", 5)])
@pytest.mark.parametrize("tagged", [True, False])
def test_common_kinds_have_all_their_products_tagged_or_in_the_column(tmp_path, split, minimum, tagged):
    lake = catalogue(tmp_path, groups=("brand", "subcategory", "colour") if tagged else ("brand", "colour"))
    rows = generated_queries(lake, "d", split, brand_group="brand", minimum=minimum)
    kind = lambda own: own["subcategory"].strip().lower()  # noqa: E731
    assert by_query(rows, "subcategory") == expected(lambda own: [kind(own)], minimum, split)
    brands = expected(lambda own: [f"{own['brand']} {kind(own)}"], minimum, split)
    assert by_query(rows, "brand and subcategory") == brands
    colours = expected(lambda own: [f"{colour} {kind(own)}" for colour in own["colours"]], minimum, split)
    assert by_query(rows, "colour and subcategory") == colours
    assert (rows.schema, rows["grade"].unique().to_pylist()) == (QUERIES, [1])
    assert bool(brands) == (minimum <= 5), "five products of each brand and kind"


def test_names_and_descriptions_are_of_test_products_or_of_the_split(tmp_path):
    lake = catalogue(tmp_path)
    rows = generated_queries(lake, "d", brand_group="brand", most_products=1000)
    named = {own["title"] for own in products() if own["split"] == "test"} - {""}
    assert by_query(rows, "names") == {
        name: {own["product_id"] for own in products() if own["title"] == name} for name in named
    }
    asked = by_query(rows, "descriptions")
    assert set().union(*asked.values()) == {own["product_id"] for own in products() if own["split"] == "test"}
    for text, [own] in asked.items():
        number = int(own[1:])
        assert text in (f"b{number % 4} Text {number}", f"Text {number} b{number % 4}")
    of_validation = generated_queries(lake, "d", "validation", brand_group="brand", minimum=1)
    splits = {own["product_id"]: own["split"] for own in products()}
    assert {splits[own] for own in of_validation["product_id"].to_pylist()} == {"validation"}


def test_so_many_are_drawn_as_are_wanted_the_same_each_time(tmp_path):
    lake = catalogue(tmp_path)
    few = generated_queries(lake, "d", brand_group="brand", minimum=1, most=4, most_products=3)
    many = generated_queries(lake, "d", brand_group="brand", minimum=1)
    for kind, most in (("brand and subcategory", 4), ("subcategory", 3), ("names", 3), ("descriptions", 3)):
        assert len(by_query(few, kind)) == most
        assert by_query(few, kind).items() <= by_query(many, kind).items(), "whole queries"
    assert (
        drawn(many, 5)["query"].unique().to_pylist()
        == drawn(many.sort_by("product_id"), 5)
        .sort_by([("kind", "ascending"), ("query", "ascending")])["query"]
        .unique()
        .to_pylist()
    )


def test_where_the_first_group_is_the_kind_itself_there_are_no_brands(tmp_path):
    rows = generated_queries(catalogue(tmp_path), "d", brand_group="subcategory", minimum=1)
    assert by_query(rows, "brand and subcategory") == {}
    with pytest.raises(EiclipError, match="no table products of 'other'"):
        generated_queries(catalogue(tmp_path), "other", brand_group="brand")


def test_names_written_to_a_file_are_read_back(tmp_path):
    rows = name_queries(catalogue(tmp_path), "d", "test")
    pa.csv.write_csv(rows.drop_columns("kind"), tmp_path / "names.csv")
    assert read_queries(tmp_path / "names.csv").rows.drop_columns("kind") == rows.drop_columns("kind")
