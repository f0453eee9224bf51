"""Constraints in typed words: what is read, what is left alone, and that offsets stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.search.constraints import read_constraints
from eiclip.search.linking import Known, Linker


def known(entity, group="brand", tagged=90):
    return Known(entity, (group,), tagged, 100 - tagged)


MAKERS = ("under armour", "no fear", "free people", "no name", "not your daughter's jeans", "gucci", "hood by air")
LINKER = Linker(
    [*map(known, MAKERS), known("gap", tagged=40)]
    + [known(name, "colour") for name in ("red", "blue", "light blue")] + [known("white", "colour", tagged=10)]
    + [known("dresses", "kind"), known("m", "size"), known("40", "size")],
    ["dress", "boots", "jeans", "hood"],
    makers="brand",
)  # fmt: skip
COLUMNS = {"shoe_size": ["38", "39"], "gender": {"women", "men"}}


def read(text, removed=()):
    """The constraints' names, and the words that are left."""
    found, left = read_constraints(text, LINKER, COLUMNS, removed)
    assert len(left) == len(text)
    for own in found:
        assert own.words == text[own.start : own.end]
        assert left[own.start : own.end].isspace()
    return [own.name for own in found], " ".join(left.split())


@pytest.mark.parametrize(
    ("text", "names", "left"),
    [
        ("dress not red", ["not colour=red"], "dress"),
        ("Not RED or light blue dress", ["not colour=red", "not colour=light blue"], "dress"),
        ("not red or stripes or gucci", ["not colour=red", "not stripes", "not brand=gucci"], ""),
        ("not red and blue", ["not colour=red"], "and blue"),
        ("not white boots", ["not colour=white"], "boots"),
        ("not guci", ["not brand=gucci"], ""),
        ("not gap", ["not gap"], ""),
        ("not by gucci", ["not brand=gucci"], ""),
        ("boots that are not red", ["not colour=red"], "boots that are"),
        ("boots without laces", ["not laces"], "boots"),
        ("boots w/o any laces, red", ["not laces"], "boots , red"),
        ("no hood", ["not hood"], ""),
        ("without a hood by air coat", ["not brand=hood by air"], "coat"),
        ("no press-stud", ["not press-stud"], ""),
        ("cut-out at front, no pockets", ["not pockets"], "cut-out at front,"),
        ("no fear tee not red", ["not colour=red"], "no fear tee"),
        ("not size 38", ["not shoe_size=38"], ""),
    ],
)
def test_negations(text, names, left):
    assert read(text) == (names, left)


@pytest.mark.parametrize(
    ("text", "names", "left"),
    [
        ("dress under 40", ["price<40"], "dress"),
        ("below 40 eur", ["price<40"], ""),
        ("UNDER 40€, red", ["price<40"], ", red"),
        ("over $20", ["price>20"], ""),
        ("over 20 under 40", ["price>20", "price<40"], ""),
        ("over 20 and under 40", ["price>20", "price<40"], "and"),
        ("between 20 and 40", ["price=20-40"], ""),
        ("between $40 and $20", ["price=20-40"], ""),
        ("20-40 eur", ["price=20-40"], ""),
        ("€20 – €40 dress", ["price=20-40"], "dress"),
        ("20 to 40 dollars", ["price=20-40"], ""),
        ("no more than $1,299.50", ["price<1299.5"], ""),
        ("less than 39,99 eur", ["price<39.99"], ""),
        ("not less than 40", ["price>40"], ""),
        ("$40 or less", ["price<40"], ""),
        ("40 eur and up", ["price>40"], ""),
        ("under armour under 40", ["price<40"], "under armour"),
        ("over the knee boots under 60", ["price<60"], "over the knee boots"),
        ("price under 60 boots", ["price<60"], "boots"),
        ("under 40 in red", ["price<40"], "in red"),
        ("under 40 without laces", ["price<40", "not laces"], ""),
    ],
)
def test_prices(text, names, left):
    assert read(text) == (names, left)


@pytest.mark.parametrize(
    ("text", "names", "left"),
    [
        ("boots size 38", ["shoe_size=38"], "boots"),
        ("shoe size: 39", ["shoe_size=39"], ""),
        ("dress Size M", ["size=m"], "dress"),
        ("gender women dress", ["gender=women"], "dress"),
        ("size 44", [], "size 44"),
        ("size zero", [], "size zero"),
        ("size. 38", [], "size. 38"),
    ],
)
def test_attributes(text, names, left):
    assert read(text) == (names, left)
    assert read_constraints(text, Linker([], []), {})[0] == []


@pytest.mark.parametrize(("text", "left"), [("boots in stock", "boots"), ("In Stock: dress", ": dress")])
def test_what_is_in_stock(text, left):
    assert read(text) == (["availability=in stock"], left)
    assert read(text, ["availability=in stock"]) == ([], text)
    assert read("in stockings") == ([], "in stockings")


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "not", "no", "without", "w/o", "under", "between 20 and", "not 5", "no. 5", "or red",
        "under armour", "under armour 40", "not your daughter's jeans", "free people", "no fear", "no name jeans",
        "1460 boots", "501 jeans", "20-40", "40 eur", "over shirt", "over the knee", "over-the-knee", "air max 90",
        "not only red", "no-show socks", "no iron shirt", "not just for summer", "without compromising comfort",
        "do not wash", "I'm not sorry", "that's not formal", "knot red", "nothing", "is it red or not?",
        "under 40 mm", "under 40 denier", "over 100% cotton", 'under 40"', "up to 40 in waist", "under 40cm",
        "under 1/2", "sizes under 40", "less than 2 inches", "from 20 to 40", "under 2xl", "neck-to-hem 20-40",
        "over 50 years old",
    ],
)  # fmt: skip
def test_other_words_are_left_alone(text):
    assert read(text) == ([], " ".join(text.split()))


def test_what_was_removed_is_not_read():
    assert read("boots under 40 without laces", ["price<40"]) == (["not laces"], "boots under 40")
    assert read("boots under 40 without laces", ["Not Laces"]) == (["price<40"], "boots without laces")
    assert read("size 38", ["shoe_size=38"]) == ([], "size 38")
    assert read("not red or blue dress", ["not colour=red"]) == (["not colour=blue"], "dress"), (
        "red is not wanted either"
    )


pieces = st.sampled_from(
    ["not", "no", "without", "w/o", "or", "red", "light blue", "gucci", "under", "under armour", "between", "and", "40",
     "$20", "20-40", "eur", "size", "38", "m", ",", "laces", "İ", "'s", "the", "max", "or less"]
)  # fmt: skip


@given(st.lists(pieces, max_size=12).map(" ".join) | st.text(max_size=60))
def test_constraints_are_apart_and_nothing_else_changes(text):
    found, left = read_constraints(text, LINKER, COLUMNS)
    places = [place for own in found for place in range(own.start, own.end)]
    assert len(places) == len(set(places))
    assert [own.start for own in found] == sorted(own.start for own in found)
    kept = [place for place in range(len(text)) if place not in set(places)]
    assert len(left) == len(text)
    assert [left[place] for place in kept] == [text[place] for place in kept]
    assert read_constraints(left, LINKER, COLUMNS)[0] == [] or "  " in left, "blanks may join what was apart"
    for own in found:
        assert (own.kind == "price") == (own.low is not None or own.high is not None)
        assert own.low is None or own.high is None or own.low <= own.high
