"""What is asked and what is answered: plain values, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from eiclip.errors import SettingsError

if TYPE_CHECKING:
    from eiclip.inference import Photo

View = Literal["image", "text", "joint"]
VIEWS: tuple[View, ...] = get_args(View)
Ranking = Literal["hybrid", "words", "vectors"]
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)
PriceRange = tuple[float | None, float | None]
Sort = Literal["match", "price", "-price"]
SORTS: tuple[Sort, ...] = get_args(Sort)
AVAILABILITY = "availability"  # the facet that says what is in stock
IN_STOCK, OUT_OF_STOCK = "in stock", "out of stock"  # and its values
MAX_QUERY = 2000  # characters of a text that are read: some thirty times what a tower's context holds
MOST_HITS = 1000


@dataclass(frozen=True)
class Query:
    """One question. It needs words, a photo, a product or entities; everything else changes what they find.

    Raises:
        SettingsError: a value is out of range, or nothing is asked.
    """

    text: str = ""
    image: Photo | None = None
    product_id: str | None = None  # find others like this product of the catalogue; it is never its own answer
    entities: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """One entity or several by group, as a product's tags would be: they steer the query's text."""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values by group, of which a product must have one in every group: of an entity group, an attribute, or a fact
    such as `category`."""
    price: PriceRange = (None, None)  # the lowest and the highest price, both included; None: no such limit
    available: bool = False  # only products that are in stock
    negative: str = ""  # words for what is not wanted
    remove: Mapping[str, str] = field(default_factory=dict)
    """Entity by group whose direction is taken out of the query (style transfer)."""
    add: Mapping[str, str] = field(default_factory=dict)  # and those whose direction is put in
    image_weight: float = 0.5  # share of the photo (or product): 0 is the words alone, 1 the photo alone
    view: View = "joint"  # of the candidates, where vectors alone rank
    by: Ranking = "hybrid"
    """What ranks the products: their vectors, their words (BM25), or both with the entities found (`hybrid`)."""
    sort: Sort = "match"
    """`price`, or `-price` for the highest first: of the matches alone, where these are not known or there are none of
    the best 200 or `top`."""
    top: int = 20
    offset: int = 0  # products to leave out before the first that is shown: a page is `top` of them
    facets: bool = False  # count the values of the products that the filters leave
    link: bool = True  # look for entities in the words
    unlink: tuple[str, ...] = ()  # entities not to be linked, as `group=entity` or the entity alone
    rerank: bool = False
    """Whether the first answers of row 5 are scored again, by row 14 (`rerank`)."""

    def __post_init__(self) -> None:
        if not 0 <= self.image_weight <= 1:
            raise SettingsError(f"image_weight {self.image_weight}: give a share between 0 and 1")
        if self.view not in VIEWS:
            raise SettingsError(f"view {self.view!r}: choose one of {', '.join(VIEWS)}")
        if self.by not in RANKINGS:
            raise SettingsError(f"by {self.by!r}: choose one of {', '.join(RANKINGS)}")
        if not 1 <= self.top <= MOST_HITS:
            raise SettingsError(f"top {self.top}: ask for 1 to {MOST_HITS} products")
        if self.offset < 0:
            raise SettingsError(f"offset {self.offset}: give the number of products to leave out, from 0")
        if self.sort not in SORTS:
            raise SettingsError(f"sort {self.sort!r}: choose one of {', '.join(SORTS)}")
        _check_price(self.price)
        if odd := [group for group, values in self.filters.items() if isinstance(values, str)]:
            raise SettingsError(f"filters: {odd[0]} is {self.filters[odd[0]]!r}; give a tuple of values")
        if not (self.text.strip() or self.image is not None or self.product_id or any(self.entities.values())):
            changes = "filters, negative words and style transfer change what those find"
            raise SettingsError(f"nothing to search by: give words, a photo, a product or entities ({changes})")


def _check_price(price: PriceRange) -> None:
    """Raise SettingsError for what is no range of prices."""
    ends = [end for end in price if end is not None]
    if len(price) != 2 or not all(math.isfinite(end) and end >= 0 for end in ends):
        raise SettingsError(f"price {price}: give the lowest and the highest price, from 0; None is no limit")
    if ends != sorted(ends):
        raise SettingsError(f"price {price}: no price is at least {ends[0]:g} and at most {ends[1]:g}; swap the two")


@dataclass(frozen=True)
class Link:
    """An entity found in a query's words."""

    group: str
    entity: str
    words: str  # as they were typed
    start: int  # where in the query's text, in characters
    end: int
    score: float  # 1: as the vocabulary has it; below: misspelt, and how alike the two are
    ambiguous: bool  # the words mean several things: entities of several groups, or a general word
    kept: bool  # whether it counts as a tag of this query; else it is a suggestion
    why: str
    alternative: bool = False  # "or" or the like joins it to another of its group: a product needs one of them


@dataclass(frozen=True)
class Constraint:
    """What a product must be, or must not be, to be an answer: read in a query's words."""

    kind: Literal["price", "not", "attribute"]
    group: str  # not: the entity's group, "" for a plain word; attribute: the column or entity group
    value: str  # the entity or word that is not wanted, or the attribute's value; "" for a price
    low: float | None  # of a price
    high: float | None
    words: str  # as they were typed
    start: int  # where in the query's text, in characters
    end: int
    name: str = ""  # made of the others, whatever is given: a field without `init` would be left out of /search
    """By what `unlink` removes it, as `price<40`, `price=20-40`, `not colour=red`, `not laces`, `size=38`."""

    def __post_init__(self) -> None:
        value = f"{self.group}={self.value}" if self.group else self.value
        if self.kind == "price":
            low, high = ("" if limit is None else f"{limit:.12g}" for limit in (self.low, self.high))
            value = f"price={low}-{high}" if low and high else f"price<{high}" if high else f"price>{low}"
        object.__setattr__(self, "name", f"not {value}" if self.kind == "not" else value)


@dataclass(frozen=True)
class Hit:
    """A product found."""

    rank: int
    product_id: str
    score: float
    """Under `hybrid`, of a query with words or entities alone: how probable it is that the product is what is meant.
    Else the similarity that ranks: the cosine with the product's asked view, or BM25."""
    by_view: Mapping[View, float]  # cosine of the query and each view: -1 to 1
    title: str
    description: str
    category: str
    entities: Mapping[str, list[str]]
    price: float | None
    image_id: str
    currency: str | None = None  # ISO 4217 code of the price, or the sign that names it
    available: bool | None = None  # whether it is in stock, None where that is not known
    link: str | None = None  # address of its page in the shop
    attributes: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What was found, and how the query was read."""

    hits: list[Hit]
    links: list[Link]
    unknown: dict[str, list[str]]  # entities given by hand, and filters, that are not known: by group
    entities: dict[str, list[str]]  # those that the query's text was read with: given, and the links that were kept
    gates: dict[str, float]  # what those of each group weigh, where the variant has gates
    notes: list[str]  # what was cut, left out or has no effect, a sentence each
    not_understood: list[str]  # words, as typed, that no product has and no entity is named by
    constraints: list[Constraint]
    """Limits and negations read in the words; `unlink` their names to read them as words."""
    matches: int | None
    """Products, of those that the filters leave, that probably are what is meant: the first ones; None where scores are
    no probabilities. What follows them is near in looks alone."""
    seconds: float  # wall time of the search (of the whole batch, in `search_many`)
    total: int  # products that the filters leave
    facets: dict[str, list[tuple[str, int]]]
    """Values by group with the matches that have them (with the products left, where none match or that is not known),
    where `Query.facets`: see `filters.Filters.counts`."""

    @property
    def outcome(self) -> list[str]:
        """What `total`, `matches` and `not_understood` say of the products found, for who reads no fields."""
        lost = ", ".join(map(repr, self.not_understood))
        if not self.total:
            return ["the filters leave no product"]
        if not self.hits:
            return [f"there are {self.total:,} products, none of them on this page"]
        if self.matches == 0:
            of = f"no products of {lost}" if lost else "nothing here is surely what is meant"
            return [f"{of}; these are the nearest by look"]
        return [f"no product mentions {lost}"] if lost else []
