"""The synthetic click log: the biases it is there to have, measured on the clean log, and every dirt on top of it."""

import datetime
from collections import Counter, defaultdict
from itertools import combinations, pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest

from eiclip.synthetic import clicks
from eiclip.synthetic.draws import generator
from eiclip.synthetic.listings import draw_listings

SEED = 3
STYLES = 250
SESSIONS = round(STYLES * clicks.SESSIONS_OF_A_STYLE)


@pytest.fixture(scope="module")
def listings():
    return draw_listings(SEED, STYLES)


@pytest.fixture(scope="module")
def by_sku(listings):
    return {listing.sku: listing for listing in listings}


@pytest.fixture(scope="module")
def clean(listings):
    return clicks.clean_clicks(SEED, listings, SESSIONS)


@pytest.fixture(scope="module")
def log(listings, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "clicks.parquet"
    clicks.write_clicks(path, SEED, listings, sessions=SESSIONS)
    return pq.read_table(path)


@pytest.fixture(scope="module")
def pairs(clean):
    """Unordered pairs of items -> sessions that clicked both."""
    items = defaultdict(set)
    for click in clean:
        items[click.session].add(click.item)
    return Counter(pair for own in items.values() for pair in combinations(sorted(own), 2))


def share(pairs, by_sku, fact):
    """Share of distinct pairs of which both have the same `fact`."""
    return np.mean([fact(by_sku[one]) == fact(by_sku[other]) for one, other in pairs])


def test_equal_seeds_give_equal_clicks():
    listings = draw_listings(1, 12)
    assert clicks.draw_clicks(1, listings, 60) == clicks.draw_clicks(1, listings, 60)
    assert clicks.draw_clicks(1, listings, 60) != clicks.draw_clicks(2, listings, 60)


def test_a_visit_is_the_same_however_many_there_are():
    listings = draw_listings(1, 12)
    first = [click for click in clicks.clean_clicks(1, listings, 60) if click.session <= 1_000_010]
    assert clicks.clean_clicks(1, listings, 10) == first


def test_the_log_has_the_size_asked_for(clean):
    assert SESSIONS * 0.9 < len({click.session for click in clean}) <= SESSIONS, "a few visitors click nothing"
    assert 3.3 < len(clean) / SESSIONS < 5
    assert [click.time for click in clean] == sorted(click.time for click in clean)


def test_few_pairs_are_of_one_style_and_most_cross_categories(pairs, by_sku):
    assert 0.05 < share(pairs, by_sku, lambda listing: listing.style) < 0.08
    assert 0.25 < share(pairs, by_sku, lambda listing: listing.product.subcategory) < 0.35
    assert share(pairs, by_sku, lambda listing: listing.product.category) < 0.36


def test_most_of_the_true_pairs_were_clicked_together(pairs, by_sku, listings):
    true = sum(n * (n - 1) // 2 for n in Counter(listing.style for listing in listings).values())
    found = sum(by_sku[one].style == by_sku[other].style for one, other in pairs)
    assert 0.7 * true < found < true


def test_support_tells_styles_but_outfits_as_well(pairs, by_sku):
    often = [pair for pair, support in pairs.items() if support >= 3]
    styles = share(often, by_sku, lambda listing: listing.style)
    assert 0.35 < styles < 0.65
    crossing = [pair for pair in often if by_sku[pair[0]].product.category != by_sku[pair[1]].product.category]
    assert len(crossing) > 0.3 * len(often), "things that go together are clicked together as often"


def test_what_is_shown_first_is_clicked_more(clean, listings):
    at = Counter(click.position for click in clean)
    assert at[0] > 1.5 * at[4] > 2 * at[12] > 0
    assert max(at) < 20
    # Not only since the first answer best: where nothing does, the first places still win.
    shop = clicks.Shop(SEED, listings)
    wish = clicks.Wish("SHIRTS", None, None)
    found = [place for k in range(1500) for _, place in shop.search(generator(SEED, "test", k), wish)]
    assert np.mean(np.array(found) < 5) > 1.4 * np.mean((np.array(found) >= 10) & (np.array(found) < 15))


def test_popularity_has_a_long_tail(clean, listings):
    counts = np.sort([count for _, count in Counter(click.item for click in clean).most_common()])[::-1]
    assert counts[: len(listings) // 10].sum() > 0.25 * counts.sum()
    assert len(counts) > 0.9 * len(listings)


def test_a_colour_wished_for_is_clicked_more(listings):
    shop = clicks.Shop(SEED, listings)
    own = next(k for k, listing in enumerate(listings) if listing.product.subcategory == "DRESSES")
    wish = shop.wish_for(generator(1, "test"), own, "style and colour")
    assert wish.colour == listings[own].product.colour
    appeals = {listings[k].sku: shop.appeal(wish, k) for k in shop.members["DRESSES"].tolist()}
    assert appeals[listings[own].sku] == max(appeals.values())


def test_every_dirt_is_there_as_often_as_said(log, clean, by_sku):
    rows = log.to_pylist()
    counts = clicks.dirt_counts(len(clean))
    assert set(counts) == set(clicks.DIRT_SHARES)
    assert sum(row["session"] is None for row in rows) == counts["no session"]
    assert sum(row["item"] is None for row in rows) == counts["no item"]
    assert sum(row["item"] is not None and row["item"] not in by_sku for row in rows) == counts["unknown item"]
    assert sum(row["time"] >= datetime.datetime(2038, 1, 19) for row in rows) == counts["future"]
    assert sum(row["time"].year == 1970 for row in rows) == counts["1970"]
    assert len(rows) - len({tuple(row.values()) for row in rows}) == counts["duplicate"]
    items = Counter(row["session"] for row in rows if row["session"] is not None)
    assert [count for _, count in items.most_common(clicks.BOTS)] == [min(clicks.BOT_ITEMS, len(by_sku))] * clicks.BOTS
    assert items.most_common(clicks.BOTS + 1)[-1][1] < 60
    added = sum(counts.values()) - counts["late"] + clicks.BOTS * min(clicks.BOT_ITEMS, len(by_sku))
    assert len(rows) == len(clean) + added


def test_late_rows_are_out_of_order(log, clean):
    sane = [row["time"] for row in log.to_pylist() if 1970 < row["time"].year < 2038]
    latest = np.maximum.accumulate(np.array(sane, dtype="datetime64[us]"))
    behind = latest - np.array(sane, dtype="datetime64[us]")
    late = clicks.dirt_counts(len(clean))["late"]
    assert 0.9 * late <= int((behind > np.timedelta64(45, "m")).sum()) <= late
    assert any(one > other for one, other in pairwise(sane))


def test_the_clean_log_is_all_in_the_dirty_one(log, clean):
    rows = {tuple(row.values()) for row in log.to_pylist()}
    zero = datetime.datetime(1970, 1, 1)
    for session, time, item, position in clean:
        assert (session, zero + datetime.timedelta(microseconds=time), item, position) in rows


def test_the_columns_are_those_of_a_click_log(log):
    assert log.schema.equals(clicks.SCHEMA)
    assert [str(kind) for kind in log.schema.types] == ["int64", "timestamp[us]", "string", "int32"]


def test_a_shop_of_one_category_has_no_outfits():
    shirts = [listing for listing in draw_listings(1, 60) if listing.product.category == "SHIRTS"]
    assert shirts
    log = clicks.draw_clicks(1, shirts, 40)
    assert {click.item for click in log if click.item} >= {listing.sku for listing in shirts}
