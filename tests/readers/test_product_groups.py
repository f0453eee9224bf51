"""Groups of known duplicates are the connected components of the pairs, whatever the pairs' order."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from eiclip.readers.product_groups import SCHEMA, product_groups

PRODUCTS = [*"abcdefgh", "Ä", "10", "9", "a b"]
PAIRS = st.lists(st.tuples(st.sampled_from(PRODUCTS), st.sampled_from(PRODUCTS)).filter(lambda p: p[0] != p[1]))


def grouped(pairs):
    columns = {
        "product_id": [one for one, _ in pairs],
        "other_id": [other for _, other in pairs],
        "distance": [0] * len(pairs),
    }
    schema = pa.schema([("product_id", pa.string()), ("other_id", pa.string()), ("distance", pa.int32())])
    return product_groups(pa.table(columns, schema=schema), "shop")


def components(pairs):
    """The definition: sets grow together until no pair joins two of them."""
    sets = {product: {product} for pair in pairs for product in pair}
    for one, other in pairs:
        if sets[one] is not sets[other]:
            sets[one] |= sets[other]
            sets |= dict.fromkeys(sets[other], sets[one])
    return {frozenset(members) for members in sets.values()}


@settings(max_examples=300, deadline=None)
@given(PAIRS, st.randoms(use_true_random=False))
def test_groups_are_the_connected_components_whatever_the_order(pairs, random):
    table = grouped(pairs)
    rows = table.to_pylist()
    products = [row["product_id"] for row in rows]
    assert products == sorted({product for pair in pairs for product in pair})
    members = {}
    for row in rows:
        members.setdefault(row["group_id"], []).append(row["product_id"])
    assert {frozenset(group) for group in members.values()} == components(pairs)
    assert all(group == min(names) and len(names) > 1 for group, names in members.items())
    other_way = [random.choice([pair, pair[::-1]]) for pair in random.sample(pairs, len(pairs))]
    assert grouped(other_way + pairs[:2]).equals(table)


def test_a_chain_of_pairs_is_one_group():
    chain = [(f"p{n:05}", f"p{n + 1:05}") for n in range(20_000)]
    assert set(grouped(chain)["group_id"].to_pylist()) == {"p00000"}


def test_no_pairs_are_no_groups_of_the_same_columns():
    assert grouped([]).num_rows == 0
    assert grouped([]).schema == grouped([("a", "b")]).schema == SCHEMA
    assert grouped([("b", "a")])["dataset"].to_pylist() == ["shop"] * 2
