"""The click log of the synthetic catalogue of styles, from a simple model of visitors.

A visitor wishes for a style in one colour, a style, or merely a subcategory; for popular listings more often (Zipf's
law). A search shows `_SHOWN` listings of the subcategory by a noisy relevance that popularity lifts, some of them
strays. Place k (from 0) is looked at with probability (k + 1)^-`_POSITION_BIAS`, and clicked by how well it answers.

With probability `_OUTFIT` something of another category is looked for as well: mostly (`_PARTNERED`) the one listing
that goes with the style, the same for everybody. So outfits have support and lift as styles have, and a model that
learns from all pairs learns outfits. With probability `_NOISE` popular things are clicked that answer no wish.

Rows with faults are added (copies of clean ones, crawlers), late ones moved: all of the clean log is in the dirty one.
"""

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
    "duplicate": 0.004, "unknown item": 0.006, "future": 0.002, "1970": 0.002, "no session": 0.002, "no item": 0.002,
    "late": 0.01,
}  # fmt: skip
"""Faults as shares of the clean rows, each at least once. `late` rows are clean ones, written an hour or more late."""
BOTS, BOT_ITEMS = 2, 2500
"""Different listings that each bot goes through in one session, or all there are."""
_DAYS = 92
_DAY = 86_400 * 10**6
_FIRST_TIME, _FUTURE = (int(np.datetime64(day, "us").astype(int)) for day in ("2016-03-01", "2038-01-19"))
"""In microseconds since 1970, as every time here."""
SCHEMA = pa.schema(
    [("session", pa.int64()), ("time", pa.timestamp("us")), ("item", pa.string()), ("position", pa.int32())]
)

_WISHES = {"style and colour": 0.35, "style": 0.4, "subcategory": 0.25}
_POPULARITY = 0.6  # Zipf's exponent
_SHOWN, _STRAY, _POSITION_BIAS = 20, 0.04, 0.4
_CLICKED = {"exact": 0.8, "style": 0.6, "colour": 0.07, "subcategory": 0.04, "wish": 0.2, "stray": 0.01}
_OUTFIT, _PARTNERED, _NOISE = 0.8, 0.85, 0.3
_FIRST_SESSION = 1_000_001


class Click(NamedTuple):
    """One row of the log."""

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
        return min(place, len(self.listings) - 1)

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
        """Draw the (listing, position) pairs that the visitor clicks of what a search shows."""
        looked_at = rng.random(_SHOWN) < np.arange(1, _SHOWN + 1) ** -_POSITION_BIAS
        found = self.members[wish.subcategory]
        score = 0.5 * np.log(self.popularity_L[found]) + rng.gumbel(0.0, 0.9, len(found))
        if wish.style is not None:
            score += 3.0 * (self.style_L[found] == wish.style)
        if wish.colour is not None:
            score += 1.0 * (self.colour_L[found] == wish.colour)
        shown = found[np.argsort(-score, kind="stable")[:_SHOWN]]
        stray = np.flatnonzero(rng.random(len(shown)) < _STRAY)
        shown[stray] = rng.integers(len(self.listings), size=len(stray))
        seen = [(listing, place) for place, listing in enumerate(shown.tolist()) if looked_at[place]]
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


def clean_clicks(seed: int, listings: Sequence[StyleListing], sessions: int) -> list[Click]:
    """Draw the clicks of visitors, in the order of time, without faults."""
    shop = Shop(seed, listings)
    clicks: list[Click] = []
    for session in range(sessions):
        rng = generator(seed, "visit", session)
        second = float(rng.uniform(0, _DAYS * 86_400))
        for listing, position, wait in _visit(shop, rng):
            second += wait
            time = _FIRST_TIME + round(second * 1e6)
            clicks.append(Click(_FIRST_SESSION + session, time, listings[listing].sku, position))
    return sorted(clicks, key=lambda click: click.time)


def dirt_counts(rows: int) -> dict[str, int]:
    """Count the rows of each fault in a log of `rows` clean rows."""
    return {fault: max(1, round(rows * share)) for fault, share in DIRT_SHARES.items()} if rows >= 50 else {}


def draw_clicks(seed: int, listings: Sequence[StyleListing], sessions: int) -> list[Click]:
    """Draw the whole log as it is written, with faults, in the order of arrival."""
    clean = clean_clicks(seed, listings, sessions)
    rng = generator(seed, "dirt of clicks")
    places = iter(rng.permutation(len(clean)).tolist())
    arrivals = [(click.time, click) for click in clean]
    for fault, count in dirt_counts(len(clean)).items():
        for place in itertools.islice(places, count):
            click = clean[place]
            if fault == "late":
                arrivals[place] = (click.time + int(rng.uniform(1, 48) * 3600 * 10**6), click)
                continue
            changed: dict[str, Click] = {  # all are drawn for every row, whatever its fault
                "unknown item": click._replace(item=f"SK{int(rng.integers(10_000_000)):08d}"),
                "future": click._replace(time=_FUTURE + int(rng.integers(_DAY))),
                "1970": click._replace(time=int(rng.integers(_DAY))),
                "no session": click._replace(session=None),
                "no item": click._replace(item=None),
            }
            arrivals.append((click.time, changed.get(fault, click)))
    for number in range(BOTS):  # crawlers: a listing every half second
        rng = generator(seed, "bot", number)
        start, session = _FIRST_TIME + int(rng.integers(_DAYS * _DAY)), _FIRST_SESSION + sessions + number
        for k, place in enumerate(spread(rng, BOT_ITEMS, len(listings))):
            time = start + k * 500_000
            arrivals.append((time, Click(session, time, listings[place].sku, k)))
    return [click for _, click in sorted(arrivals, key=lambda arrival: arrival[0])]


def write_clicks(path: Path, seed: int, listings: Sequence[StyleListing], *, sessions: int) -> None:
    """Write the log of so many visits to `path` (Parquet), which the caller brings into place."""
    columns = zip(*draw_clicks(seed, listings, sessions), strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), path, compression="zstd")
