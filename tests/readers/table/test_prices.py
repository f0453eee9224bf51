"""Prices as shops write them: what each text comes to, alone and in a column that says how it writes prices."""

import decimal
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.readers.table.prices import LOOKED_AT, PriceForm, price_form, read_price

NOTHING_KNOWN = PriceForm()


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("149,90", 149.9), ("1.299,00 €", 1299), ("1.299,00", 1299), ("1 299,00", 1299), ("€ 49.90", 49.9),
        ("15.00 USD", 15), ("USD 15.00", 15), ("USD15", 15), ("£35", 35), ("Rs. 1,499", 1499), ("Rs.999/-", 999),
        ("₹1,499.00", 1499), ("₹1,49,999", 149_999), ("1299.-", 1299), ("$1,020.00", 1020), ("0,99", 0.99),
        ("1'299.00", 1299), ("CHF 1'299.-", 1299), ("CHF 1’299.–", 1299), ("19.99 GBP", 19.99),
        ("1\u202f299,00\xa0€", 1299), ("1 299,00 kr", 1299), ("kr. 129,-", 129), ("EUR 12,--", 12), ("12€50", 12.5),
        ("from 19,99", 19.99), ("ab 20", 20), ("à partir de 12,50 EUR", 12.5), ("Preis: 12,50", 12.5), ("12 Euro", 12),
        ("10 - 20", 10), ("9,99–14,99 €", 9.99), ("$9.99 - $14.99", 9.99), ("€10 to €20", 10), ("10 bis 20 EUR", 10),
        ("ab 10,00 bis 20,00", 10), ("Was $30.00 Now $20.00", 20), ("99 € 79 €", 79), ("20% off £12.99", 12.99),
        ("2 x 9,99 €", 9.99), ("129 € / 100 ml", 129), ("£12.99 (inc VAT)", 12.99), ("&euro;12,50", 12.5),
        ("١٢٣٫٥٠ ر.س", 123.5), ("١٬٢٩٩ ر.س", 1299), ("１２．５０".replace("．", "."), 12.5), ("1200円", 1200),
        ("R$ 1.299,90", 1299.9), ("1.299.000 Rp", 1_299_000), ("12.50zł", 12.5), ("12 usd", 12), ("$.75", 0.75),
        ("0.999", 0.999), ("1234.567", 1234.567), (30, 30), (9.5, 9.5), (decimal.Decimal("9.90"), 9.9), (["5", "6"], 5),
    ],
)  # fmt: skip
def test_prices_that_can_only_mean_one_thing(text, price):
    assert read_price(text, NOTHING_KNOWN) == (pytest.approx(price), None)


@pytest.mark.parametrize(
    "text",
    ["Call us", "call 555-1234", "Size 42", "0", "0,00 €", "$0 - $20", "-5.00", "€-5", "- 5", "(5.00)", "free", "50%",
     "01.02.2024", "2024-01-02", "1.2.3", "12,50 14,00", "5-10 Werktage", "$1.2k", "12⁹⁹", "99:95 kr", "1e5", "inf",
     "21.50 USD (19,99 €)", "1 29", ".a-box{color:red}", "x" * 200, "1" * 90_000, {"amount": 5}, True, -1, 0, 1e400],
)  # fmt: skip
def test_what_is_no_price_is_none_and_kept_to_be_counted(text):
    price, unread = read_price(text, NOTHING_KNOWN)
    assert price is None
    assert unread
    assert str(text).startswith(unread)


@pytest.mark.parametrize("cell", [None, "", "  ", "n/a", "-", "NaN", float("nan"), []])
def test_an_empty_cell_is_not_counted(cell):
    assert read_price(cell, NOTHING_KNOWN) == (None, None)


@pytest.mark.parametrize(
    ("column", "prices"),
    [
        (["1.299", "12,50"], [1299, 12.5]),
        (["1.299", "12.50"], [1.299, 12.5]),
        (["1,299", "12.50"], [1299, 12.5]),
        (["1.299", "2.499"], [1299, 2499]),
        (["1.299", "12,50", "12.50"], [1299, 12.5, 12.5]),
        (["1.250 KWD", "3.750 KWD"], [1.25, 3.75]),
        (["1.299 €", "$12", "€ 5"], [1299, None, 5]),
        (["12 kr", "13 SEK", "14 EUR"], [12, 13, None]),
        (["$5", "CAD 6", "7", "$8"], [5, None, 7, 8]),
        (["$5", "CAD 6", "C$7"], [5, 6, 7]),
        (["5", "6"], [5, 6]),
        ([5, "6,50", None], [5, 6.5, None]),
    ],
)
def test_the_form_of_a_column_is_that_of_its_prices(column, prices):
    form = price_form(column, "shop.csv")
    assert [read_price(cell, form)[0] for cell in column] == prices


def test_settings_decide_what_the_column_leaves_open():
    column = ["1.299", "12.50", "12 USD", "13 €", "14"]
    form = price_form(column, "shop.csv", currency="EUR", decimal=",")
    assert [read_price(cell, form) for cell in column] == [
        (1299.0, None), (12.5, None), (None, "12 USD"), (13.0, None), (14.0, None),
    ]  # fmt: skip


def test_the_log_says_what_was_found_and_what_is_left_out(caplog):
    caplog.set_level(logging.INFO)
    price_form(["12,50 €", "3,99 €", "1.299", "8 USD"], "shop.csv, column 'price'")
    price_form(["1.299", "5"], "other.csv")
    price_form([5, None, "n/a"], "numbers.csv")
    told, left_out, one_currency, unclear = [record.getMessage() for record in caplog.records]
    assert told == "shop.csv, column 'price': prices are read as EUR, with the decimal mark ','"
    assert left_out.startswith("shop.csv, column 'price': prices not in EUR are left out (USD 1 in the first rows)")
    assert one_currency.startswith("other.csv: prices are read as of one currency, with thousands")
    assert unclear.startswith("other.csv: '1.299' is read as thousands, though no other price tells which; set")
    assert LOOKED_AT >= 1000


FORMS = {
    "1,234.50": lambda whole, cents: f"{whole:,}.{cents:02}",
    "1.234,50": lambda whole, cents: f"{whole:,}".replace(",", ".") + f",{cents:02}",
    "1 234,50": lambda whole, cents: f"{whole:,}".replace(",", " ") + f",{cents:02}",
    "1'234.50": lambda whole, cents: f"{whole:,}".replace(",", "'") + f".{cents:02}",
    "1234.50": lambda whole, cents: f"{whole}.{cents:02}",
    "1234,50": lambda whole, cents: f"{whole},{cents:02}",
}
AROUND = ["{}", "{} €", "€{}", "EUR {}", "from {} EUR", "{}-9.999.999 €"]


@given(st.sampled_from(sorted(FORMS)), st.integers(0, 999_999), st.integers(0, 99), st.sampled_from(AROUND))
def test_every_form_of_a_number_with_cents_is_read(form, whole, cents, around):
    if whole + cents:
        price, unread = read_price(around.format(FORMS[form](whole, cents)), NOTHING_KNOWN)
        assert (price, unread) == (pytest.approx(whole + cents / 100), None)


@given(st.lists(st.tuples(st.integers(1, 99_999), st.integers(0, 99)), min_size=3), st.booleans())
def test_a_column_of_one_form_is_read_whole(values, commas):
    """Also those without cents, which alone could mean two things."""
    form = FORMS["1.234,50" if commas else "1,234.50"]
    texts = [form(whole, cents).removesuffix(",00" if commas else ".00") for whole, cents in values]
    column = [*texts, form(0, 5)]
    found = price_form(column, "shop.csv")
    assert [read_price(text, found)[0] for text in texts] == [
        pytest.approx(whole + cents / 100) for whole, cents in values
    ]


@given(st.text(max_size=120) | st.from_regex(r"[0-9.,'’ €$A-Z%()-]{1,30}", fullmatch=True))
def test_no_text_breaks_it_and_a_price_is_one(text):
    form = price_form([text, "12,50 €"], "shop.csv")
    price, unread = read_price(text, form)
    assert price is None or (price > 0 and unread is None)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("24,95 € (2,50 €/100 ml)", 24.95), ("1.299,00 € (Sie sparen 300,00 €)", 1299), ("$39.99 ($3.33/oz)", 39.99),
        ("249,00 € (soit 62,25 € x 4)", 249), ("99,00 129,00 €", 99), ("UVP 129,00 € jetzt 99,00 €", 99),
        ("$20.00 was $30.00", 20), ("49,95 € inkl. MwSt. zzgl. 4,90 € Versandkosten", None),
        ("$80.00 or 4 payments of $20.00", None), ("10,00-", None), ("1,50 kg", None), ("250,00 ml", None),
        ("99¢", None),
    ],
)  # fmt: skip
def test_of_several_amounts_only_prices_of_the_product_count(text, price):
    assert read_price(text, NOTHING_KNOWN) == (price, None if price else text)
