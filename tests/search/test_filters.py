"""Filters, counts beside values, sorting and pages against loops over the products' own facts."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.errors import SettingsError
from eiclip.search import Query, SearchEngine
from eiclip.search.filters import MOST_VALUES, SORTED_AMONG, Filters, page, rows_needed
from eiclip.search.index import SearchIndex
from eiclip.search.query import VIEWS
from tests.search.conftest import small_home

MAP = pa.map_(pa.string(), pa.list_(pa.string()))
STOCK = {True: ["in stock"], False: ["out of stock"], None: []}


def index_of(rows):
    """An index over products (dicts of brand, size, available, price); their vectors are one another's."""
    ids = [f"p{number}" for number in range(len(rows))]
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(2 * len(rows), np.float32)), 2)
    texts = ("split", "title", "description", "image_id", "category", "subcategory", "department", "gender")
    facts = {
        "product_id": ids, **{name: [""] * len(rows) for name in texts},
        "entities": pa.array([[("brand", row["brand"])] if row["brand"] else [] for row in rows], MAP),
        "attributes": pa.array([[("size", row["size"])] if row["size"] else None for row in rows], MAP),
        "available": pa.array([row["available"] for row in rows], pa.bool_()),
        "price": pa.array([row["price"] for row in rows], pa.float64()),
        "currency": pa.array([None if row["price"] is None else "EUR" for row in rows], pa.string()),
        "link": pa.nulls(len(rows), pa.string()),
    }  # fmt: skip
    views = pa.table({"product_id": ids, **dict.fromkeys(VIEWS, column)})
    return SearchIndex.of_tables("drawn", "eiclip", views, pa.table(facts))


def values(*names):
    return st.lists(st.sampled_from(names), unique=True, max_size=3)


ROW = st.fixed_dictionaries({
    "brand": values("acne", "diesel", "gucci"), "size": values("36", "38", "xl"),
    "available": st.sampled_from([True, False, None]), "price": st.sampled_from([None, 5.0, 10.0, 10.5, 20.0]),
})  # fmt: skip
ROWS = st.lists(ROW, min_size=1, max_size=12)
ENDS = st.sampled_from([None, 0.0, 10.0, 15.0])


@given(ROWS, values("acne", "gucci"), values("36", "xl"), ENDS, ENDS, st.booleans())
def test_what_is_left_and_counted_is_what_a_loop_finds(rows, brands, sizes, low, high, available):
    index = index_of(rows)
    filters = Filters(index, {}, [])
    known = {name for name, facet in index.facets.items() if facet.codes}
    wanted = {"brand": brands, "size": sizes}
    filters.keep_values({group: own for group, own in wanted.items() if group in known})
    filters.keep_price((low, high))
    if available:
        filters.keep_in_stock()

    def meets(row, but=""):
        """Whether a product meets every condition but that of one facet; one that nothing is known of has no effect."""
        yield from (not own or group not in known or group == but or set(own) & set(row[group])
                    for group, own in wanted.items())  # fmt: skip
        if (low, high) != (None, None) and any(other["price"] is not None for other in rows):
            price = math.nan if row["price"] is None else row["price"]
            yield (low is None or price >= low) and (high is None or price <= high) and not math.isnan(price)
        if available and "availability" in known and but != "availability":
            yield row["available"] is True

    left = [number for number, row in enumerate(rows) if all(meets(row))]
    assert filters.total == len(left)
    assert np.flatnonzero(np.ones(len(rows), bool) if filters.left_N is None else filters.left_N).tolist() == left
    expected = {}
    for group in known:
        own = [row[group] if group != "availability" else STOCK[row["available"]]
               for row in rows if all(meets(row, group))]  # fmt: skip
        expected[group] = {value: sum(value in has for has in own) for has in own for value in has}
    counts = filters.counts()
    assert {group: dict(found) for group, found in counts.items()} == expected
    assert all([n for _, n in found] == sorted((n for _, n in found), reverse=True) for found in counts.values())


def test_the_most_frequent_values_are_counted():
    rows = [{"brand": [f"b{n % 60}"], "size": ["s"], "available": None, "price": None} for n in range(119)]
    found = Filters(index_of(rows), {}, []).counts()["brand"]
    assert (len(found), found[0], found[-1]) == (MOST_VALUES, ("b0", 2), (f"b{MOST_VALUES - 1}", 2))


PLAIN = {"brand": ["acne"], "size": [], "available": None, "price": None}


def test_what_conditions_leave_out_unasked_is_told():
    rows = [PLAIN, PLAIN | {"available": True, "price": 5.0}, PLAIN | {"available": False}]
    filters = Filters(index_of(rows), {}, [])
    filters.keep_price((None, 9.0))
    filters.keep_in_stock()
    assert filters.notes == [
        "the price range leaves out 2 products without a price",
        "the stock filter leaves out 1 products of which nothing is known",
    ]
    nothing = Filters(index_of([PLAIN]), {}, [])
    nothing.keep_price((5.0, None))
    nothing.keep_in_stock()
    assert nothing.notes == [
        "no product of drawn has a price: the price range has no effect",
        "drawn does not say what is in stock: the stock filter has no effect",
    ]
    assert (nothing.left_N, nothing.total) == (None, 1)


@given(
    st.lists(st.sampled_from([None, 1.0, 2.0, 3.0]), min_size=1, max_size=300), st.sampled_from(["price", "-price"]),
    st.integers(1, 250), st.sampled_from([None, 0, 1, 7]), st.data(),
)  # fmt: skip
def test_pages_are_those_of_one_order_whose_matches_are_sorted(prices, sort, top, matches, data):
    index = index_of([PLAIN | {"price": price} for price in prices])
    best = data.draw(st.permutations(range(len(prices))))
    sign = -1 if sort == "-price" else 1

    def key(row):
        return (prices[row] is None, sign * (prices[row] or 0))

    among = matches or max(SORTED_AMONG, top)
    expected = sorted(best[:among], key=key) + best[among:]  # stable: equal prices keep their order
    found = []
    for offset in range(0, len(prices), top):
        query = Query(text="x", sort=sort, top=top, offset=offset)
        notes: list[str] = []
        rows = page(np.array(best[: rows_needed(query, matches)]), query, index, len(prices), matches, notes)
        found += rows.tolist()
        without = sum(prices[row] is None for row in best[:among])
        which = "the products that match, before the others" if matches else f"the best {among:,} of {len(prices):,}"
        without_price = f"{without} of the products sorted by price have none, and come last"
        assert notes == [f"sorted by price: {which}"] * (len(prices) > among) + [without_price] * (without > 0)
    assert found == expected


@pytest.fixture(scope="module")
def shop_engine(tmp_path_factory, shop):
    """Search in a home whose shop says what is in stock, where its pages are, and sizes."""
    home = small_home(tmp_path_factory.mktemp("offers"), shop, ("eiclip",))
    sizes = {"p0": ["36", "38"], "p1": ["38"], "p4": ["xl"]}
    stock = {"p0": True, "p1": False, "p2": True, "p4": True}
    offers = pa.table({
        "dataset": ["shop"] * 5, "product_id": [f"p{n}" for n in range(5)], "currency": ["EUR"] * 5,
        "available": [stock.get(f"p{n}") for n in range(5)], "link": [f"https://shop.example/p{n}" for n in range(5)],
        "attributes": pa.array([[("size", own)] if (own := sizes.get(f"p{n}")) else [] for n in range(5)], MAP),
    })  # fmt: skip
    home.lake.write(offers, "offers", "shop")
    return SearchEngine.open(home.root, "shop", "eiclip")


def test_a_query_is_filtered_counted_sorted_and_paged(shop_engine):
    assert shop_engine.index.currency == "EUR"
    ask = {"text": "item", "facets": True, "by": "vectors"}
    every = shop_engine.search(Query(**ask))
    assert every.total == 6
    assert every.facets["size"] == [("38", 2), ("36", 1), ("xl", 1)]
    assert every.facets["availability"] == [("in stock", 3), ("out of stock", 1)]
    assert dict(every.facets["category"]) == {"coats": 3, "shoes": 3}
    answer = shop_engine.search(Query(**ask, price=(0, 20), available=True, sort="-price", filters={"size": ("38",)}))
    assert [hit.product_id for hit in answer.hits] == ["p0"]
    [hit] = answer.hits
    assert (hit.currency, hit.available, hit.link) == ("EUR", True, "https://shop.example/p0")
    assert hit.attributes == {"size": ["36", "38"]}
    assert answer.facets["size"] == [("36", 1), ("38", 1)], "other sizes of what is in stock at that price"
    assert answer.facets["availability"] == [("in stock", 1), ("out of stock", 1)]
    assert answer.notes == ["the stock filter leaves out 2 products of which nothing is known"]
    dear = shop_engine.search(Query(text="item", by="vectors", sort="-price", top=2, offset=2))
    assert [(hit.rank, hit.price) for hit in dear.hits] == [(3, 30.0), (4, 20.0)]
    assert (dear.total, dear.facets) == (6, {})
    by_match = [hit.product_id for hit in shop_engine.search(Query(text="item")).hits]
    pages = [shop_engine.search(Query(text="item", top=4, offset=offset)).hits for offset in (0, 4)]
    assert [hit.product_id for own in pages for hit in own] == by_match
    past = shop_engine.search(Query(text="item", offset=6))
    assert (past.hits, past.outcome) == ([], ["there are 6 products, none of them on this page"])
    assert shop_engine.search(Query(product_id="p0", facets=True)).total == 5
    assert shop_engine.search(Query(text="x", filters={"size": ("39",)})).unknown == {"size": ["39"]}


def test_a_home_of_before_offers_is_searched_without_them(engine):
    answer = engine.search(Query(text="item", by="vectors", available=True, facets=True, sort="price"))
    assert answer.notes == ["shop does not say what is in stock: the stock filter has no effect"]
    assert [hit.price for hit in answer.hits] == [10.0 * n for n in range(6)]
    hit = answer.hits[0]
    assert (hit.currency, hit.available, hit.link, hit.attributes) == (None, None, None, {})
    assert "availability" not in answer.facets
    assert engine.index.currency is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"price": (40, 20)}, "no price is at least 40 and at most 20; swap the two"),
        ({"price": (-1, None)}, r"price \(-1, None\): give the lowest and the highest price, from 0"),
        ({"price": (None, math.nan)}, "None is no limit"),
        ({"price": (1.0,)}, r"price \(1.0,\): give the lowest and the highest"),
        ({"sort": "cheap"}, "sort 'cheap': choose one of match, price, -price"),
        ({"offset": -1}, "offset -1: give the number of products to leave out, from 0"),
    ],
)
def test_bad_ranges_orders_and_pages_are_refused(asked, said):
    with pytest.raises(SettingsError, match=said):
        Query(text="x", **asked)
