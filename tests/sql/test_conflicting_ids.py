"""Product ids that several products may share: rows of one id that differ in title, tags or price."""

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import photo


def found(made):
    made.spellings()
    return {row["product_id"]: row for row in made.run("conflicting_ids", "records", "entity_spellings")}


def test_photos_of_one_product_are_no_conflict(relations):
    same = {"title": "Coat", "price": 9.5, "entities": {"brand": "diesel", "season": ["fall", "winter"]}}
    further = {"title": "", "description": "x", "price": None, "entities": {"brand": ""}}
    rows = [
        photo("p", 0, **same),
        photo("p", 1, **same),
        photo("p", 2, **further),
        photo("p", 3, **same | {"title": ""}),
    ]
    assert found(relations([*rows, photo("other", title="Hat", price=3.0, entities={"brand": "acne"})])) == {}


def test_spellings_order_and_placeholders_of_tags_are_no_difference(relations):
    tags = [{"brand": "nike™", "season": ["b", "a"]}, {"brand": "NIKE".lower(), "season": ["a", "b"]}, {"brand": "n/a"}]
    assert found(relations([photo("p", n, title="Shoe", entities=own) for n, own in enumerate(tags)])) == {}


def test_every_difference_is_named_with_its_rows(relations):
    rows = [
        photo("title", title="Coat"), photo("title", title="Hat"), photo("title", title=""),
        photo("price", price=1.0), photo("price", price=2.0),
        photo("tags", entities={"brand": "diesel", "season": "fall"}),
        photo("tags", entities={"brand": ["diesel", "acne"], "season": "fall"}),
        photo("all", title="A", price=1.0, entities={"brand": "a"}),
        photo("all", title="B", price=2.0, entities={"brand": "b"}),
        photo("rejected", title="A"), photo("rejected", title="B", reason="no photo"),
    ]  # fmt: skip
    made = relations(rows)
    conflicts = found(made)
    assert {name: row["differs"] for name, row in conflicts.items()} == {
        "title": ["title"], "price": ["price"], "tags": ["brand"], "all": ["title", "price", "brand"],
    }  # fmt: skip
    assert conflicts["title"] == {
        "dataset": "d", "product_id": "title", "rows": 3, "differs": ["title"], "first_title": "Coat",
        "last_title": "Hat", "first_place": "train.h5 0", "last_place": "train.h5 2",
    }  # fmt: skip
    offenders = made.offenders_of("rows_of_an_id_agree", "conflicting_ids")
    assert offenders[0] == ("title", "3 rows", "title differ", "train.h5 0", "train.h5 2")
    assert [row[0] for row in offenders] == ["title", "all", "price", "tags"]


def test_without_conflicts_nobody_is_warned(relations):
    made = relations([photo("p"), photo("q")])
    assert found(made) == {}
    assert made.offenders_of("rows_of_an_id_agree", "conflicting_ids") == []


ROWS = st.tuples(
    st.sampled_from(["p", "q"]), st.sampled_from(["", "Coat", "Hat"]), st.sampled_from([None, 1.0, 2.0]),
    st.sampled_from([[], ["a"], ["b"], ["a", "b"]]),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, min_size=1, max_size=6))
def test_an_id_conflicts_where_two_of_its_rows_say_different_things(relations, rows):
    made = relations([photo(p, title=t, price=n, entities={"brand": tags} if tags else {}) for p, t, n, tags in rows])
    expected = {}
    for product in {row[0] for row in rows}:
        pairs = list(itertools.combinations([row[1:] for row in rows if row[0] == product], 2))
        names = [
            name for at, name in ((0, "title"), (1, "price"), (2, "brand"))
            if any(one[at] and other[at] and one[at] != other[at] for one, other in pairs)
        ]  # fmt: skip
        expected |= {product: names} if names else {}
    assert {name: row["differs"] for name, row in found(made).items()} == expected
