"""The click log of the synthetic catalogue of styles, from a simple model of visitors.

A visit goes like this:

1. The visitor has a wish: a style in one colour, a style in any colour, or merely a subcategory (`_WISHES`). Popular
   listings are wished for more: popularity falls off like Zipf's law.
2. A search shows `_SHOWN` listings of the subcategory, ranked by a noisy relevance that popularity lifts, now and then
   something else altogether (`_STRAY`).
3. Place k (from 0) is looked at with probability (k + 1)^-`_POSITION_BIAS`; what is looked at is clicked by how well it
   answers the wish (`_CLICKED`), the wish for a mere subcategory being answered by anything in it.
4. With probability `_OUTFIT` the visitor looks for something of another category to go with it, soon after: mostly the
   one listing that goes with the style (`_PARTNERED`), the same for everybody, so that outfits have support and lift as
   styles have, and a model that learns from all pairs learns outfits.
5. With probability `_NOISE` the visitor clicks one or two popular things that have nothing to do with any wish.

The clean log is in the order of time. Rows with faults are added to it (copies of clean ones, `DIRT_SHARES`, and of
`BOTS`); late rows are clean ones moved. So the clean log is whole.
"""

import datetime
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.synthetic.draws import chance, generator, pick_weighted, zipf_weights
from eiclip.synthetic.listings import StyleListing
from eiclip.synthetic.products import spread

SESSIONS_OF_A_STYLE = 13.4
DIRT_SHARES = {
    "duplicate": 0.004,
    "unknown item": 0.006,
    "future": 0.002,
    "1970": 0.002,
    "no session": 0.002,
    "no item": 0.002,
    "late": 0.01,
}
"""Faults as shares of the clean rows, each at least once. `late` rows are clean ones, written an hour or more late."""
BOTS = 2
BOT_ITEMS = 2500
"""Different listings that each bot goes through in one session, or all there are."""
FIRST_DAY = datetime.datetime(2016, 3, 1)
DAYS = 92
FUTURE = datetime.datetime(2038, 1, 19)
SCHEMA = pa.schema(
    [("session", pa.int64()), ("time", pa.timestamp("us")), ("item", pa.string()), ("position", pa.int32())]
)

_WISHES = {"style and colour": 0.35, "style": 0.4, "subcategory": 0.25}
_POPULARITY = 0.6  # Zipf's exponent
_SHOWN = 20
_STRAY = 0.04
_POSITION_BIAS = 0.4
_CLICKED = {"exact": 0.8, "style": 0.6, "colour": 0.07, "subcategory": 0.04, "wish": 0.2, "stray": 0.01}
_OUTFIT = 0.8
_PARTNERED = 0.85
_NOISE = 0.3
_FIRST_SESSION = 1_000_001


class Click(NamedTuple):
    """One row: time in microseconds since 1970."""

    session: int | None
    time: int
    item: str | None
    position: int


class Wish(NamedTuple):
    """What a visitor looks for; None: any style, any colour."""

    subcategory: str
    style: int | None
    colour: str | None


class Shop:
    """The listings as arrays (L of them), and what there is to find in each subcategory."""

    def __init__(self, seed: int, listings: Sequence[StyleListing]) -> None:
        self.listings = listings
        self.skus = [listing.sku for listing in listings]
        self.style_L = np.array([listing.style for listing in listings])
        self.colour_L = np.array([listing.product.colour for listing in listings])
        self.subcategory_L = np.array([listing.product.subcategory for listing in listings])
        order = generator(seed, "popularity").permutation(len(listings))
        self.popularity_L = np.array(zipf_weights(len(listings), _POPULARITY))[order]
        self._cumulative = np.cumsum(self.popularity_L)
        self.members = {name: np.flatnonzero(self.subcategory_L == name) for name in np.unique(self.subcategory_L)}
        # The listing of another category that goes with each style.
        self.partners = {
            style: self.other_category(generator(seed, "partner", style), int(np.argmax(self.style_L == style)))
            for style in np.unique(self.style_L).tolist()
        }

    def popular(self, rng: np.random.Generator) -> int:
        """Draw a listing, in proportion to its popularity."""
        place = int(np.searchsorted(self._cumulative, rng.random() * self._cumulative[-1], side="right"))
        return min(place, len(self.skus) - 1)

    def other_category(self, rng: np.random.Generator, listing: int) -> int | None:
        """Draw a popular listing of another category than that listing's; None where ten draws find none."""
        category = self.listings[listing].product.category
        drawn = (self.popular(rng) for _ in range(10))
        return next((other for other in drawn if self.listings[other].product.category != category), None)

    def wish_for(self, rng: np.random.Generator, listing: int, kind: str | None = None) -> Wish:
        """Draw a wish that the listing would answer, by default of a drawn kind."""
        kind = kind or pick_weighted(rng, tuple(_WISHES), tuple(_WISHES.values()))
        style = None if kind == "subcategory" else int(self.style_L[listing])
        colour = str(self.colour_L[listing]) if kind == "style and colour" else None
        return Wish(str(self.subcategory_L[listing]), style, colour)

    def results(self, rng: np.random.Generator, wish: Wish) -> np.ndarray:
        """Rank the listings that a search shows."""
        found = self.members[wish.subcategory]
        score = 0.5 * np.log(self.popularity_L[found]) + rng.gumbel(0.0, 0.9, len(found))
        if wish.style is not None:
            score += 3.0 * (self.style_L[found] == wish.style)
        if wish.colour is not None:
            score += 1.0 * (self.colour_L[found] == wish.colour)
        shown = found[np.argsort(-score, kind="stable")[:_SHOWN]]
        stray = np.flatnonzero(rng.random(len(shown)) < _STRAY)
        shown[stray] = rng.integers(len(self.skus), size=len(stray))
        return shown

    def appeal(self, wish: Wish, listing: int) -> float:
        """Return the probability that the listing, once looked at, is clicked."""
        coloured = wish.colour is None or self.colour_L[listing] == wish.colour
        if self.subcategory_L[listing] != wish.subcategory:
            return _CLICKED["stray"]
        if wish.style is None:
            return _CLICKED["wish"]
        if self.style_L[listing] == wish.style:
            return _CLICKED["exact" if coloured else "style"]
        return _CLICKED["colour" if coloured and wish.colour else "subcategory"]

    def search(self, rng: np.random.Generator, wish: Wish) -> list[tuple[int, int]]:
        """Draw the (listing, position) pairs that the visitor clicks."""
        looked_at = rng.random(_SHOWN) < np.arange(1, _SHOWN + 1) ** -_POSITION_BIAS
        shown = self.results(rng, wish).tolist()
        seen = ((listing, place) for place, listing in enumerate(shown) if looked_at[place])
        return [(listing, place) for listing, place in seen if chance(rng, self.appeal(wish, listing))]


def _visit(shop: Shop, rng: np.random.Generator) -> list[tuple[int, int, float]]:
    """Draw one visit: (listing, position, seconds since the previous click)."""
    wanted = shop.popular(rng)
    clicked = [(*click, float(rng.exponential(25.0)) + 2.0) for click in shop.search(rng, shop.wish_for(rng, wanted))]
    if chance(rng, _OUTFIT):
        partner, known = shop.partners[int(shop.style_L[wanted])], chance(rng, _PARTNERED)
        other = partner if known else shop.other_category(rng, wanted)
        if other is not None:
            found = shop.search(rng, shop.wish_for(rng, other, "style and colour" if known else None))
            clicked += [(*click, float(rng.exponential(60.0)) + 20.0) for click in found]
    if chance(rng, _NOISE):
        rail = [shop.popular(rng) for _ in range(int(rng.integers(1, 3)))]
        clicked += [(listing, place, float(rng.exponential(40.0)) + 5.0) for place, listing in enumerate(rail)]
    return clicked


def _micros(moment: datetime.datetime) -> int:
    return round((moment - datetime.datetime(1970, 1, 1)).total_seconds() * 1e6)


def clean_clicks(seed: int, listings: Sequence[StyleListing], sessions: int) -> list[Click]:
    """Draw the clicks of visitors, in the order of time, without faults."""
    shop = Shop(seed, listings)
    clicks: list[Click] = []
    for session in range(sessions):
        rng = generator(seed, "visit", session)
        start = float(rng.uniform(0, DAYS * 86_400))
        visit = _visit(shop, rng)
        seconds = itertools.accumulate((wait for _, _, wait in visit), initial=start)
        for (listing, position, _), second in zip(visit, itertools.islice(seconds, 1, None), strict=True):
            time = _micros(FIRST_DAY) + round(second * 1e6)
            clicks.append(Click(_FIRST_SESSION + session, time, shop.skus[listing], position))
    return sorted(clicks, key=lambda click: click.time)


def dirt_counts(rows: int) -> dict[str, int]:
    """Count the rows of each fault in a log of `rows` clean rows."""
    return {fault: max(1, round(rows * share)) for fault, share in DIRT_SHARES.items()} if rows >= 50 else {}


def _soiled(click: Click, fault: str, rng: np.random.Generator) -> Click:
    changed: dict[str, Click] = {
        "unknown item": click._replace(item=f"SK{int(rng.integers(10_000_000)):08d}"),
        "future": click._replace(time=_micros(FUTURE) + int(rng.integers(86_400 * 10**6))),
        "1970": click._replace(time=int(rng.integers(86_400 * 10**6))),
        "no session": click._replace(session=None),
        "no item": click._replace(item=None),
    }
    return changed.get(fault, click)


def _bot(seed: int, number: int, items: Sequence[str], session: int) -> list[Click]:
    """Draw one session of a crawler: a listing every half second."""
    rng = generator(seed, "bot", number)
    start = _micros(FIRST_DAY) + int(rng.integers(DAYS * 86_400 * 10**6))
    places = spread(rng, BOT_ITEMS, len(items))
    return [Click(session, start + k * 500_000, items[place], k) for k, place in enumerate(places)]


def draw_clicks(seed: int, listings: Sequence[StyleListing], sessions: int) -> list[Click]:
    """Draw the whole log as it is written, with faults, in the order of arrival."""
    clean = clean_clicks(seed, listings, sessions)
    rng = generator(seed, "dirt of clicks")
    places = iter(rng.permutation(len(clean)).tolist())
    arrivals = [(click.time, click) for click in clean]
    for fault, count in dirt_counts(len(clean)).items():
        for place in itertools.islice(places, count):
            arrival = clean[place].time
            if fault == "late":
                arrivals[place] = (arrival + int(rng.uniform(1, 48) * 3600 * 10**6), clean[place])
            else:
                arrivals.append((arrival, _soiled(clean[place], fault, rng)))
    for number in range(BOTS):
        bot = _bot(seed, number, [listing.sku for listing in listings], _FIRST_SESSION + sessions + number)
        arrivals += [(click.time, click) for click in bot]
    arrivals.sort(key=lambda arrived: arrived[0])
    return [click for _, click in arrivals]


def write_clicks(path: Path, seed: int, listings: Sequence[StyleListing], *, sessions: int) -> None:
    """Write the log of so many visits to `path` (Parquet), which the caller brings into place."""
    columns = zip(*draw_clicks(seed, listings, sessions), strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), path, compression="zstd")
