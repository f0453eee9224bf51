"""What has changed since a training: counts, unknown entities, recall of new products against those held out."""

import numpy as np
import pyarrow as pa
import pytest

from eiclip.evaluation.drift import LEAST_PRODUCTS, SCHEMA, drift_table
from eiclip.model.vocabulary import Vocabulary
from eiclip.shards.products import CONTENTS_SCHEMA

VOCABULARY = Vocabulary({"brand": ["<unk>", "diesel"], "season": ["<unk>"]}, {})
OLD, NEW = 80, 40


def contents(rows):
    return pa.Table.from_pylist(
        [
            {
                "product_id": product,
                "split": split,
                "content": content,
                "entities": [("brand", [brand])] if brand else [],
            }
            for product, split, content, brand in rows
        ],
        schema=CONTENTS_SCHEMA,
    )


def views(ids, lost=()):
    """Products whose texts are their photos, but for those that are lost: theirs are of another product."""
    unit = np.eye(len(ids), dtype=np.float32)
    text = unit.copy()
    for row, product in enumerate(ids):
        if product in lost:
            text[row] = -unit[row]
    return pa.table({"product_id": ids, "text": list(text), "image": list(unit)})


def shop(old_brand="diesel", new_brand="diesel", new=NEW):
    then = [(f"p{n}", ("train", "validation", "test")[n % 3], "a", old_brand) for n in range(OLD)]
    return then, then + [(f"n{n}", "train", "a", new_brand) for n in range(new)]


def told(now, then, lost=()):
    found = drift_table(
        views([row[0] for row in now], lost), contents(now), then and contents(then), VOCABULARY, "d", "v"
    )
    assert found.schema == SCHEMA
    return {(row["measure"], row["entity_group"]): row for row in found.to_pylist()}


def test_new_changed_removed_and_moved_products_are_counted():
    then, now = shop()
    now = [("p0", "train", "b", "diesel"), ("p1", "test", "a", "diesel"), *now[3:]]
    rows = told(now, then)
    counts = {measure: row["newest"] for (measure, _), row in rows.items() if row["products"] == len(now)}
    assert counts == {"products": OLD + NEW - 1, "new": NEW, "changed": 1, "removed": 1, "moved": 1}
    assert rows["products", None]["trained"] == OLD
    assert rows["r10", None]["products"] == NEW + 1
    assert not any(row["warns"] for row in rows.values())


@pytest.mark.parametrize(("new", "warns"), [(NEW, True), (LEAST_PRODUCTS - 1, False)])
def test_a_brand_that_the_model_does_not_know_is_told_and_warns_where_it_is_often(new, warns):
    then, now = shop(new_brand="zorax", new=new)
    rows = told(now, then)
    row = rows["unknown_entities", "brand"]
    assert (row["trained"], row["newest"], row["warns"]) == (0, 100, warns)
    assert rows["unknown_entities", "season"]["newest"] is None, "no product has one"


def test_new_products_that_are_not_found_warn_and_old_ones_that_never_were_do_not():
    then, now = shop()
    new = {row[0] for row in now[OLD:]}
    rows = told(now, then, lost=set(sorted(new)[: NEW // 2]))
    assert (rows["r10", None]["trained"], rows["r10", None]["newest"], rows["r10", None]["warns"]) == (100, 50, True)
    assert rows["mrr", None]["newest"] == pytest.approx(50 + 50 / len(now))
    held_out = {row[0] for row in then if row[1] != "train"}
    worse_before = told(now, then, lost=held_out)
    assert (worse_before["r10", None]["trained"], worse_before["r10", None]["warns"]) == (0, False)


def test_a_difference_that_chance_makes_does_not_warn():
    then, now = shop()
    ids = [row[0] for row in now]
    found_before = next(row[0] for row in then if row[1] == "test")
    rows = told(now, then, lost=set(ids) - {found_before})
    assert rows["r10", None]["trained"] > rows["r10", None]["newest"] == 0
    assert not rows["r10", None]["warns"], "one of the products held out is found, and of the newest none"


def test_without_the_products_of_the_training_it_says_what_is_there_now():
    _, now = shop(new_brand="zorax")
    rows = told(now, None)
    assert {measure for measure, _ in rows} == {"products", "unknown_entities", "r10", "mrr"}
    assert rows["unknown_entities", "brand"]["newest"] == pytest.approx(100 * NEW / (OLD + NEW))
    assert rows["unknown_entities", "brand"]["trained"] is rows["r10", None]["newest"] is None
    assert not any(row["warns"] for row in rows.values())
