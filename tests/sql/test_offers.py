"""What a shop says of a product beside its texts: stock, page and attributes, over all its rows."""

from .conftest import photo

URL = "https://shop.example/p/{product_id}"


def offers(made, shop_url=""):
    made.products()
    found = made.run("offers", "records", "products", shop_url=shop_url)
    return {row["product_id"]: row | {"attributes": dict(row["attributes"])} for row in found}


def test_all_rows_of_a_product_count_variants_too(relations):
    rows = [
        photo("b", available=False, attributes=[("size", ["36", "38"]), ("fit", ["slim"])], currency=None),
        photo("a", available=False, link="https://shop.example/a", currency="EUR"),
        photo("b", 1, available=None, attributes=[("size", ["38", "34"])], currency="USD", link="https://x.example/2"),
        photo("b", reason="no photo of its own: x", available=True, attributes=[("size", ["40"])]),
        photo("gone", unusable="photo missing", available=True),
    ]
    made = offers(relations(rows))
    assert made == {
        "a": {"dataset": "d", "product_id": "a", "currency": "EUR", "available": False,
              "link": "https://shop.example/a", "attributes": {}},
        "b": {"dataset": "d", "product_id": "b", "currency": "USD", "available": True, "link": "https://x.example/2",
              "attributes": {"fit": ["slim"], "size": ["36", "38", "34", "40"]}},
    }  # fmt: skip


def test_what_no_row_says_is_empty(relations):
    [row] = offers(relations([photo("a"), photo("a", 1)])).values()
    empty = dict.fromkeys(("currency", "available", "link")) | {"attributes": {}}
    assert row == {"dataset": "d", "product_id": "a"} | empty


def test_a_page_is_the_rows_own_else_by_the_template(relations):
    rows = [photo("a/b c&d?é"), photo("own", link="http://shop.example/own")]
    found = {product: row["link"] for product, row in offers(relations(rows), URL).items()}
    assert found == {"a/b c&d?é": "https://shop.example/p/a%2Fb%20c%26d%3F%C3%A9", "own": "http://shop.example/own"}
