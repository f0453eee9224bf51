"""Compositions as shops write them, and what is not one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.profile.compositions import (
    COMPOSITION_SCHEMA,
    LONGEST,
    NO_FIBRE,
    PARTS,
    composition_table,
    parse_composition,
)
from eiclip.synthetic.compositions import vocabulary
from eiclip.synthetic.fabrics import FIBRES


def parsed(text):
    found = parse_composition(text)
    return found and [(fibre.component, fibre.fibre, fibre.share) for fibre in found]


COTTON_LINEN = [("", "cotton", 60.0), ("", "linen", 40.0)]


@pytest.mark.parametrize(
    "text",
    [
        "60% cotton, 40% linen",
        "60% Cotton / 40% LINEN.",
        "cotton 60 % linen 40 %",
        "cotton 60%, linen 40%",
        "60 percent cotton and 40 per cent linen",
        "60％ cotton; 40％ linen",
        "60%cotton,40%linen",
        "cotton (60%), linen (40%)",
        "60% cotton (organic) + 40% linen®. Made in Italy. Dry clean only.",
    ],
)
def test_the_same_composition_in_many_hands(text):
    assert parsed(text) == COTTON_LINEN


@pytest.mark.parametrize(
    ("text", "fibres"),
    [
        ("100% leather", [("", "leather", 100.0)]),
        ("97,5% virgin wool, 2.5% elastane", [("", "virgin wool", 97.5), ("", "elastane", 2.5)]),
        ("leather, rubber", [("", "leather", None), ("", "rubber", None)]),
        ("100% cotton, cotton, leather", [("", "cotton", 100.0), ("", "leather", None)]),
        ("coton biologique 100 %", [("", "coton biologique", 100.0)]),
    ],
)
def test_shares_are_numbers_where_given(text, fibres):
    assert parsed(text) == fibres


BODY_AND_LINING = [("body", "silk", 100.0), ("lining", "cupro", 60.0), ("lining", "viscose", 40.0)]


@pytest.mark.parametrize(
    "text",
    [
        "Body: 100% silk. Lining: 60% cupro, 40% viscose",
        "body: 100% silk; lining: 60% cupro; 40% viscose",
        "body:100% silk.lining:cupro 60%,viscose 40%",
        "Body: 100% silk, lining: 60% cupro, 40% viscose.",
        "body: 100% silk lining: 60% cupro 40% viscose",
        "body 100% silk, lining 60% cupro, 40% viscose",
        "100% silk body, 60% cupro, 40% viscose lining",
    ],
)
def test_components_are_told_apart(text):
    assert parsed(text) == BODY_AND_LINING


@pytest.mark.parametrize(
    ("text", "fibres"),
    [
        ("upper: calfskin; sole: rubber", [("upper", "calfskin", None), ("sole", "rubber", None)]),
        ("leather upper, rubber sole", [("upper", "leather", None), ("sole", "rubber", None)]),
        ("calfskin, textile lining", [("", "calfskin", None), ("lining", "textile", None)]),
        ("100% lambskin. lining: 100% cupro", [("", "lambskin", 100.0), ("lining", "cupro", 100.0)]),
        ("Fill: 90% down, 10% feather", [("fill", "down", 90.0), ("fill", "feather", 10.0)]),
        ("body/sleeves: wool", [("body/sleeves", "wool", None)]),
    ],
)
def test_components_without_shares_or_names(text, fibres):
    assert parsed(text) == fibres


@pytest.mark.parametrize(
    "text",
    ["", " ", "imported", "hand wash", "see label", "made in Italy", "100%", "lining:", "150% cotton", "0% wool", "?!",
     "18k 750", "a:b:c:", "50-60% wool", "x" * 41, "cotton" + "," * LONGEST],
)  # fmt: skip
def test_what_is_no_composition_is_none(text):
    assert parse_composition(text) is None


NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=12).filter(lambda word: word not in PARTS | NO_FIBRE)


@given(st.lists(st.tuples(NAMES, st.integers(1, 1000)), min_size=1, max_size=8), st.sampled_from([", ", " / ", "; "]))
def test_what_is_written_is_read_back(fibres, between):
    text = between.join(f"{share / 10:g}% {name}" for name, share in fibres)
    assert [(name, share) for _, name, share in parsed(text)] == [(name, share / 10) for name, share in fibres]


@given(st.text(st.sampled_from("ab %.,:;/()0159%é\n") | st.characters(), max_size=200))
def test_any_text_gives_plain_fibres_or_none(text):
    for fibre in parse_composition(text) or []:
        assert fibre.fibre == " ".join(fibre.fibre.split())
        assert 0 < len(fibre.fibre) <= 40
        assert len(fibre.component) <= 60
        assert fibre.share is None or 0 < fibre.share <= 100


def test_the_synthetic_catalogues_compositions_are_all_understood():
    texts = {text.lower() for fibre in FIBRES for text in vocabulary(fibre)}
    rows = composition_table(texts, "d").to_pylist()
    assert {row["composition"] for row in rows} == texts
    assert all(row["parsed"] for row in rows)
    with_shares = [row for row in rows if row["share"] is not None]
    assert len(with_shares) > 2000
    assert all(row["complete"] for row in with_shares if "denim" not in row["fibre"])


def test_table_has_a_row_per_string_and_fibre():
    texts = ["60% cotton, 30% linen", "imported", "99% silk. lining: cupro", "imported"]
    table = composition_table(iter(texts), "shop")
    assert table.schema == COMPOSITION_SCHEMA
    rows = [(r["composition"], r["component"], r["fibre"], r["share"], r["complete"], r["parsed"])
            for r in table.to_pylist()]  # fmt: skip
    assert rows == [
        ("60% cotton, 30% linen", "", "cotton", 60.0, False, True),
        ("60% cotton, 30% linen", "", "linen", 30.0, False, True),
        ("99% silk. lining: cupro", "", "silk", 99.0, True, True),
        ("99% silk. lining: cupro", "lining", "cupro", None, False, True),
        ("imported", None, None, None, None, False),
    ]
    assert composition_table([], "shop").num_rows == 0
