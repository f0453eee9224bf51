"""Words and numbers that say whether a product is in stock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.readers.table.availability import read_availability

IN = ("true", "YES", "1", "12", "3.0", "1,200", "in stock", "In_Stock", "InStock", "in-stock", "instock", ">10", "10+",
      "5 left", "https://schema.org/InStock", "http://schema.org/LimitedAvailability", "Available", "auf Lager",
      "En stock.", "limited_availability", "12 in stock")  # fmt: skip
OUT = ("false", "no", "0", "0.0", "-3", "out of stock", "OutOfStock", "out_of_stock", "sold out!", "preorder",
       "pre-order", "PreOrder", "backorder", "onbackorder", "schema.org/SoldOut", "nicht verfügbar", "Épuisé",
       "discontinued", "0 left")  # fmt: skip


@pytest.mark.parametrize(("texts", "expected"), [(IN, True), (OUT, False)])
def test_words_and_quantities_say_it(texts, expected):
    assert {text: read_availability(text) for text in texts} == dict.fromkeys(texts, (expected, None))


@pytest.mark.parametrize("text", ["ask us", "in stock soon", "12-15 days", "1.5", "2024-01-01", "-", "+"])
def test_what_says_something_else_is_kept_to_be_counted(text):
    assert read_availability(text) == (None, None if text == "-" else text)


@pytest.mark.parametrize("text", ["", " ", "n/a", "NULL", "{{product.stock}}"])
def test_nothing_says_nothing(text):
    assert read_availability(text) == (None, None)


@given(st.integers(-(10**6), 10**12))
def test_a_quantity_above_none_is_in_stock(quantity):
    assert read_availability(str(quantity)) == (quantity > 0, None)


@given(st.text(max_size=80))
def test_any_text_is_read(text):
    available, unread = read_availability(text)
    assert available is None or unread is None
