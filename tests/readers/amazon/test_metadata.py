import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.readers.amazon.metadata import brand_spelling, listing_of, parse_price
from eiclip.readers.cells import UnusableRowError, parse_line
from eiclip.readers.texts import match_key, says_nothing


def product(**record):
    return product_of({"asin": "B1", "title": "Dress", **record})


def product_of(record):
    return listing_of(record, "meta", 1)


def reason(line):
    with pytest.raises(UnusableRowError) as caught:
        product_of(parse_line(line))
    return str(caught.value)


def test_the_2014_edition():
    line = b"""{'asin': 'B1', 'title': "Women's Dress", 'brand': 'Diesel', 'price': 9.5, 'imUrl': 'http://x/y.jpg',
     'categories': [['Clothing', 'Women', 'Dresses'], ['Sale']], 'description': 'Red &amp; long'}""".replace(b"\n", b"")
    found = product_of(parse_line(line))
    assert (found.title, found.description) == ("Women's Dress", "Women's Dress. Red & long")
    assert (found.brand_raw, found.entities["brand"]) == ("Diesel", ["diesel"])
    assert (found.category, found.subcategory, found.price) == ("Clothing", "Dresses", 9.5)
    assert found.photo_urls == ("http://x/y.jpg",)


def test_the_2018_edition():
    found = product(
        brand="\n  Calvin Klein ", description=["Fits<br>well.", ""], feature=["100% Cotton", "dress", "Imported"],
        category=["Clothing, Shoes &amp; Jewelry", "Women", "Tops & Tees", "100% Cotton", "Imported", "Shirts"],
        main_cat='<img src="x.png" class="nav" alt="AMAZON FASHION"/>', price="$9.99 - $14.99",
    )  # fmt: skip
    assert found.description == "Dress. 100% Cotton. Imported. Fits well."
    assert found.description_raw == "Dress\n100% Cotton\ndress\nImported\nFits<br>well."
    assert (found.category, found.subcategory) == ("AMAZON FASHION", "Tops & Tees")
    assert (found.brand_raw, found.entities["brand"], found.price) == ("Calvin Klein", ["calvin klein"], 9.99)


@pytest.mark.parametrize("details", [{"Brand": "Nike"}, json.dumps({"Brand": "Nike"}), "{'Brand': 'Nike'}"])
def test_the_2023_edition(details):
    record = {
        "parent_asin": "B2", "asin": "B3", "title": "Shoe", "details": details, "store": "Shop", "price": None,
        "features": ["Light"], "main_category": "AMAZON FASHION", "categories": [], "images": {"hi_res": [None]},
    }  # fmt: skip
    found = product_of(record)
    assert (found.product_id, found.brand_raw, found.category, found.price) == ("B2", "Nike", "AMAZON FASHION", None)
    assert found.description == "Shoe. Light"
    assert product_of(record | {"details": "no JSON"}).brand_raw == "Shop"


@pytest.mark.parametrize("value", ["['a', 'b']", '["a", "b"]', ["a", "b"], "a. b"])
def test_lists_may_be_texts_of_lists(value):
    assert product(description=value).description == "Dress. a. b"


@pytest.mark.parametrize("odd", [None, 7, True, {"a": 1}, [[["x"]]], float("nan"), [None, {}], "", [], 10**400])
def test_no_field_is_trusted_to_have_its_type(odd):
    names = ("title", "description", "feature", "features", "brand", "store", "details", "category", "categories")
    fields = dict.fromkeys((*names, "main_cat", "main_category", "price", "images", "imUrl"), odd)
    for name in fields:
        assert product_of({"asin": "B1", "title": "T", "description": "D", name: odd}).product_id == "B1"


def test_a_title_that_is_a_script_is_dropped():
    assert product(title="var aPageStart = (new Date()).getTime();", description="Blue coat").description == "Blue coat"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", "blank line"),
        (b" \t ", "blank line"),
        (b'{"asin": }', "broken JSON: Expecting value at column 10"),
        (b"<html>", "broken JSON: Expecting value at column 1"),
        (b"[" * 100_000, "broken JSON: nested too deeply"),
        (b'{"asin": ' + b"1" * 5000 + b"}", "broken JSON: Exceeds the limit (4300 digits)"),
        (b"{'asin': __import__('os')}", "broken Python literal: malformed node or string on line 1: Call"),
        (b"{'asin': 'B1'", "broken Python literal: "),
        (b"{'a': " + b"[" * 5000, "broken Python literal: too many nested"),
        (b"{'a': " + b"-" * 50_000 + b"1}", "broken Python literal: "),
        (b"{'a': '" + b"x" * 300_000 + b"'}", "Python literal too long: 300,009 characters"),
        (b"{'a\x00': 1}", "broken Python literal: "),
        (b"[1]", "not an object: list"),
        (b"null", "not an object: NoneType"),
        (b"{}", "no id: neither"),
        (b'{"asin": ""}', "no id: neither"),
        (b'{"asin": "../../etc/passwd"}', "bad id: '../../etc/passwd'"),
        (b'{"asin": "a\\u0000b"}', "bad id: 'a\\x00b'"),
        (b'{"asin": "a/b"}', "bad id: 'a/b'"),
        (b'{"asin": ".."}', "bad id: '..'"),
        (b'{"asin": "\\ud800"}', "bad id: '\\ud800'"),
        (b'{"asin": ["x y"]}', "bad id: list"),
        (b'{"asin": "B1"}', "no title and no description"),
        (b'{"asin": "B1", "title": "<br>-", "description": ["!"]}', "no title and no description"),
    ],
)
def test_an_unusable_line_says_why(line, expected):
    assert reason(line).startswith(expected)


def test_what_json_lets_through_is_made_harmless():
    line = b'{"asin": "B1", "asin": "B2", "price": NaN, "title": "a\\ud800b", "brand": "\\udc00X"}'
    found = product_of(parse_line(line))
    assert (found.product_id, found.price, found.title, found.brand_raw) == ("B2", None, "a b", "X")
    found.description_raw.encode()


def test_a_missing_number_of_a_literal_is_missing():
    found = product_of(
        parse_line(b"{'asin': 'B1', 'title': 'A banana of nan', 'price': nan, 'salesRank': {'x': [nan]}}")
    )
    assert (found.title, found.price) == ("A banana of nan", None)


def test_deep_nesting_inside_a_record_is_harmless():
    nested = b"[" * 900 + b"]" * 900
    line = b'{"asin": "B1", "title": "T", "brand": %s, "category": %s, "description": %s}' % (nested, nested, nested)
    assert product_of(parse_line(line)).description == "T"
    assert reason(b'{"asin": %s}' % nested) == "bad id: list (letters, digits, '.', '_' and '-' only, at most 64)"


@pytest.mark.parametrize(
    ("value", "price"),
    [
        ("$12", 12.0),
        ("12.50", 12.5),
        ("$1,299.00", 1299.0),
        ("", None),
        (0, None),
        (True, None),
        ("$", None),
        ("-5", None),
    ],
)
def test_prices(value, price):
    assert parse_price(value) == price


@pytest.mark.parametrize(
    ("fields", "urls"),
    [
        ({"imUrl": " https://x/a.jpg\n"}, ["https://x/a.jpg"]),
        ({"imageURL": ["http://x/s"], "imageURLHighRes": ["http://x/l", "http://x/2"]}, ["http://x/l", "http://x/s"]),
        ({"images": [{"thumb": "http://x/t", "large": "http://x/l", "hi_res": None}]}, ["http://x/l", "http://x/t"]),
        ({"images": {"hi_res": ["http://x/h"], "large": [None]}, "imUrl": "http://x/h"}, ["http://x/h"]),
        ({"imUrl": "file:///etc/passwd", "image": "//x/y.jpg", "images": [], "imageURL": 7}, []),
    ],
)
def test_the_first_photos_addresses_the_largest_first(fields, urls):
    assert product(**fields).photo_urls == tuple(urls)


def test_an_empty_parent_id_leaves_the_product_its_own():
    assert product_of({"parent_asin": None, "asin": "B1", "title": "T"}).product_id == "B1"


WRITTEN = {
    "calvin klein": [
        "Calvin Klein", "CALVIN-KLEIN", "  calvin   klein ", "Visit the Calvin Klein Store",
        "visit the calvin klein shop", "Visit Amazon's Calvin Klein Page", "Brand: Calvin Klein", "by Calvin Klein",
    ],
    "levis": ["Levi's", "Levi’s"], "jcrew": ["J.Crew"], "chloe": ["Chloé", "Chloe\u0301"],
    "h & m": ["H&M", "H & M", "H&amp;M", "h and m"], "nike": ["NIKE™", "Nike®", "Nike (TM)", "Visit the NIKE™ Store"],
    "dolce & gabbana": ["Dolce & Gabbana", "Dolce &amp; Gabbana", "Dolce and Gabbana"],
    "juicy couture": ["Juicy_Couture"],
    "7 for all mankind": ["7 For All Mankind"], "优衣库": ["优衣库"], "malene birger": ["By Malene Birger"],
}  # fmt: skip


@pytest.mark.parametrize(("written", "brand"), [(text, brand) for brand, texts in WRITTEN.items() for text in texts])
def test_ways_of_writing_come_to_one_name(written, brand):
    assert match_key(brand_spelling(written)) == brand


@pytest.mark.parametrize("written", ["", "N/A", "-", "None", "unknown", "Brand: N/A", "visit the unknown store", "---"])
def test_a_placeholder_is_no_brand(written):
    assert says_nothing(brand_spelling(written))


@pytest.mark.parametrize(
    ("one", "other"), [("Gap", "Gap Kids"), ("Boss", "Hugo Boss"), ("A+", "A"), ("Visit", "Store")]
)
def test_other_names_stay_other_brands(one, other):
    assert match_key(brand_spelling(one)) != match_key(brand_spelling(other))


@given(st.text(st.characters(max_codepoint=126, exclude_characters="&<"), max_size=30))
def test_case_and_white_space_do_not_count(text):
    brand = brand_spelling(text)
    assert brand == " ".join(brand.split())
    assert brand_spelling(text.upper()) == brand_spelling(f"  {text.lower()} ") == brand


def test_what_says_nothing_is_neither_title_nor_text():
    for nothing in ("NULL", "#N/A", "{{product.title}}", " n/a "):
        found = product_of({"asin": "B1", "title": nothing, "description": ["Soft.", nothing], "feature": [nothing]})
        assert (found.title, found.description) == ("", "Soft.")
        with pytest.raises(UnusableRowError, match="no title and no description"):
            product_of({"asin": "B1", "title": nothing, "description": nothing})
    own = listing_of(
        {"asin": "B1", "title": "Shop item", "description": "Soft."}, "meta", 1, placeholders={"shop item"}
    )
    assert (own.title, own.description) == ("", "Soft.")


def test_a_placeholder_goes_before_no_other_brand():
    assert product(brand="N/A", details={"Brand": "unknown"}, store="Nike").brand_raw == "Nike"
    assert product(brand="N/A", store="").brand_raw == "N/A"
