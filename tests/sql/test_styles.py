"""Products of one true style stay in one split, with known duplicates of theirs; styles are told by product."""

import pyarrow as pa

from eiclip.readers.product_groups import product_groups

from .conftest import photo


def pairs(found):
    return {tuple(sorted((row["product_id"], row["other_id"]))) for row in found}


def duplicates(made, *rows):
    columns = {"dataset": pa.string(), "product_id": pa.string(), "other_id": pa.string()}
    table = [{"dataset": "d", "product_id": one, "other_id": other} for one, other in rows]
    made.lake.write(pa.Table.from_pylist(table, schema=pa.schema(columns)), "duplicate_photos", "d")


def test_pairs_join_styles_and_duplicates_and_their_groups_are_whole(relations):
    made = relations([photo("a", style="s1"), photo("b", style="s1"), photo("c", style="s2"), photo("d"), photo("e")])
    duplicates(made, ("b", "d"))
    found = made.run("split_pairs", "records", "duplicate_photos", dataset="d")
    assert pairs(found) == {("a", "b"), ("b", "d")}
    groups = product_groups(pa.Table.from_pylist(found), "d").to_pylist()
    assert {row["product_id"]: row["group_id"] for row in groups} == {"a": "a", "b": "a", "d": "a"}


def test_a_style_is_never_drawn_into_two_splits(relations):
    rows = [photo(f"p{n}", source_split=None, style=f"s{n // 3}") for n in range(300)]
    groups = [{"product_id": f"p{n}", "group_id": f"p{n // 3 * 3}"} for n in range(300)]
    made = relations(rows, split_groups=groups)
    split = {row["product_id"]: row["split"] for row in made.products(test_share=0.4)}
    assert len(set(split.values())) == 3
    assert all(len({split[f"p{n + k}"] for k in range(3)}) == 1 for n in range(0, 300, 3))


def test_the_first_row_that_names_a_style_speaks_for_the_product(relations):
    of_a = [photo("a"), photo("a", 1, style="s1"), photo("a", 2, style="s2")]
    made = relations([*of_a, photo("b"), photo("c", style="s3")])
    made.products()
    found = made.run("styles", "records", "products")
    assert {row["product_id"]: row["style_id"] for row in found} == {"a": "s1", "c": "s3"}
