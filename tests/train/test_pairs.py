"""Positives of an epoch: by weight, reproducible, never the sample itself where its product has another photo."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.errors import RawDataError
from eiclip.train.pairs import PairDraws, read_pairs

PRODUCTS = pa.chunked_array([["a", "a", "b", "c"], ["c", "c", "d"]])


def pairs(*rows):
    names = ("trigger_id", "positive_id", "weight")
    return pa.table({name: pa.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})


def draws_of(*rows, seed=0, self_pair=0.0):
    return PairDraws(pairs(*rows), PRODUCTS, seed, self_pair)


def drawn(draws, epochs=400):
    """Of each sample's product, how often each product was its positive."""
    names = PRODUCTS.to_pylist()
    found = Counter()
    for epoch in range(epochs):
        for sample, positive in enumerate(draws.of(epoch)):
            found[names[sample], names[positive]] += 1
    return found


def test_positives_come_by_weight_and_triggers_without_any_are_their_own():
    found = drawn(draws_of(("a", "b", 3.0), ("a", "c", 1.0), ("b", "a", 2.0)))
    assert set(found) == {("a", "b"), ("a", "c"), ("b", "a"), ("c", "c"), ("d", "d")}
    assert found["a", "b"] / (found["a", "b"] + found["a", "c"]) == pytest.approx(0.75, abs=0.05)


def test_own_share_is_the_share_of_draws_with_itself():
    found = drawn(draws_of(("a", "b", 1.0), self_pair=0.25))
    assert found["a", "a"] / (found["a", "a"] + found["a", "b"]) == pytest.approx(0.25, abs=0.05)


def test_a_product_with_several_photos_is_never_paired_with_the_same_one_and_each_other_one_is_met():
    draws = draws_of(("a", "b", 1.0), self_pair=1.0)
    met = {(sample, int(found)) for epoch in range(60) for sample, found in enumerate(draws.of(epoch))}
    assert met == {(0, 1), (1, 0), (2, 2), (6, 6)} | {(x, y) for x in (3, 4, 5) for y in (3, 4, 5) if x != y}


def test_every_photo_of_a_positive_is_drawn():
    draws = draws_of(("b", "c", 1.0))
    assert {int(draws.of(epoch)[2]) for epoch in range(60)} == {3, 4, 5}


def test_draws_are_a_function_of_seed_and_epoch():
    rows = [("a", "b", 1.0), ("a", "c", 1.0), ("b", "c", 1.0), ("c", "a", 1.0)]
    one, same, other = (draws_of(*rows, seed=seed, self_pair=0.3) for seed in (0, 0, 1))
    assert all((one.of(epoch) == same.of(epoch)).all() for epoch in (3, 0, 7))
    assert any((one.of(epoch) != other.of(epoch)).any() for epoch in range(8))
    assert any((one.of(0) != one.of(epoch)).any() for epoch in range(1, 8))


def test_pairs_of_products_without_a_sample_are_counted_and_pairs_with_itself_are_none():
    draws = draws_of(("a", "z", 1.0), ("z", "a", 1.0), ("a", "a", 9.0), ("a", "b", 1.0))
    assert (draws.pairs, draws.unknown, draws.triggers) == (1, 2, 1)
    assert set(drawn(draws, 50)) == {("a", "b"), ("b", "b"), ("c", "c"), ("d", "d")}


def test_weights_of_one_trigger_do_not_reach_into_anothers():
    found = drawn(draws_of(("a", "b", 1e-9), ("c", "d", 1e9), ("d", "a", 1e-9)), 20)
    assert set(found) == {("a", "b"), ("b", "b"), ("c", "d"), ("d", "a")}


def test_no_pairs_at_all_leave_every_sample_to_itself():
    none = pairs(("a", "b", 1.0)).slice(0, 0)
    assert set(drawn(PairDraws(none, PRODUCTS, 0, 0.0), 10)) == {(p, p) for p in "abcd"}


@pytest.mark.parametrize(("weight", "said"), [(0.0, "weight is 0"), (-1.0, "weight is -1"), (np.nan, "weight is nan")])
def test_a_weight_that_is_none_is_refused(tmp_path, weight, said):
    pq.write_table(pairs(("a", "b", 1.0), ("a", "c", weight)), tmp_path / "pairs.parquet")
    with pytest.raises(RawDataError, match=said):
        read_pairs(tmp_path / "pairs.parquet")


def test_a_table_that_is_no_pairs_is_refused_by_the_column_it_lacks(tmp_path):
    pq.write_table(pa.table({"trigger_id": ["a"]}), tmp_path / "pairs.parquet")
    with pytest.raises(RawDataError, match="'positive_id'"):
        read_pairs(tmp_path / "pairs.parquet")
