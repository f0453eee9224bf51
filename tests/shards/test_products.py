"""What tells one state of a product from another, from the indexes of the shards alone."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from eiclip.shards import Sample, write_shards
from eiclip.shards.products import product_contents

JPEGS = [b"\xff\xd8" + bytes([n]) * 100 for n in range(3)]


def contents(folder, samples):
    write_shards(samples, folder, photo_size=64)
    return {row["product_id"]: row for row in product_contents(folder).to_pylist()}


def sample(product, place=0, **given):
    usual = Sample(f"{product}_{place}", product, "a coat", {"brand": ["diesel", "gap"]}, JPEGS[0])
    return replace(usual, **given)


def test_a_change_of_a_photo_a_text_or_an_entity_is_another_content_and_the_others_keep_theirs(tmp_path):
    before = contents(tmp_path / "a", [("train", sample(p)) for p in "abcde"])
    changes = [
        sample("a", jpeg=JPEGS[1]),
        sample("b", description="a boat"),
        sample("c", entities={"brand": ["gap", "diesel"]}),
        sample("d"),
    ]
    after = contents(tmp_path / "b", [("train", own) for own in changes] + [("train", sample("d", 1))])
    assert after.keys() == set("abcd")
    assert all(after[product]["content"] != before[product]["content"] for product in "abcd")
    same = contents(tmp_path / "c", [("train", sample(p)) for p in "xedcba"])
    assert {product: same[product]["content"] for product in before} == {p: r["content"] for p, r in before.items()}


def test_products_are_in_the_order_of_splits_and_have_the_entities_of_their_first_photo(tmp_path):
    rows = contents(
        tmp_path / "a",
        [("test", sample("z", entities={})), ("train", sample("b")), ("train", sample("b", 1, entities={}))],
    )
    assert [(product, row["split"]) for product, row in rows.items()] == [("b", "train"), ("z", "test")]
    assert (dict(rows["b"]["entities"]), rows["z"]["entities"]) == ({"brand": ["diesel", "gap"]}, [])


@given(st.permutations(range(6)))
def test_a_products_content_does_not_depend_on_its_neighbours(tmp_path_factory, order):
    own = [sample(f"p{n}", description=f"text {n}", jpeg=JPEGS[n % 3]) for n in range(6)]
    folder = tmp_path_factory.mktemp("shards")
    plain = contents(folder / "a", [("train", one) for one in own])
    assert contents(folder / "b", [("train", own[n]) for n in order]) == plain
