import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.readers.amazon.metadata import normalise_brand


@pytest.mark.parametrize(
    ("written", "brand"),
    [
        ("Calvin Klein", "calvin klein"),
        ("CALVIN-KLEIN", "calvin klein"),
        ("  calvin   klein ", "calvin klein"),
        ("Visit the Calvin Klein Store", "calvin klein"),
        ("visit the calvin klein shop", "calvin klein"),
        ("Brand: Calvin Klein", "calvin klein"),
        ("by Calvin Klein", "calvin klein"),
        ("Levi's", "levis"),
        ("Levi’s", "levis"),
        ("J.Crew", "jcrew"),
        ("Chloé", "chloe"),
        ("Chloe\u0301", "chloe"),
        ("Dolce & Gabbana", "dolce & gabbana"),
        ("Dolce &amp; Gabbana", "dolce & gabbana"),
        ("H&M", "h&m"),
        ("Juicy_Couture", "juicy couture"),
        ("7 For All Mankind", "7 for all mankind"),
        ("优衣库", "优衣库"),
        ("By Malene Birger", "malene birger"),
    ],
)
def test_ways_of_writing_come_to_one_name(written, brand):
    assert normalise_brand(written) == brand


@pytest.mark.parametrize("written", ["", "N/A", "-", "None", "unknown", "Brand: N/A", "visit the unknown store", "---"])
def test_a_placeholder_is_no_brand(written):
    assert normalise_brand(written) == ""


@pytest.mark.parametrize(
    ("one", "other"), [("Gap", "Gap Kids"), ("Boss", "Hugo Boss"), ("A+", "A"), ("Visit", "Store")]
)
def test_other_names_stay_other_brands(one, other):
    assert normalise_brand(one) != normalise_brand(other)


@given(st.text(st.characters(max_codepoint=126, exclude_characters="&<"), max_size=30))
def test_case_and_white_space_do_not_count(text):
    brand = normalise_brand(text)
    assert brand == " ".join(brand.split())
    assert normalise_brand(text.upper()) == normalise_brand(f"  {text.lower()} ") == brand
