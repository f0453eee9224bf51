"""Listings of one style by several sellers: the content of the synthetic catalogue of styles.

A style is a design: kind, pattern, details, fibre and brand. Sellers list it, about half of them in a colourway of
their own, each with a photo and words of their own. Photos and words hide different things, so that both together say
more than either: a photo from behind shows no collar, closure, pocket or brand mark, and a text names a detail or not.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from eiclip.synthetic.brands import FASHION_BRANDS
from eiclip.synthetic.compositions import draw_composition
from eiclip.synthetic.draws import chance, generator, pick
from eiclip.synthetic.products import SEASONS, House, Product, draw_product, drop_tags, dye, recolour, take_photo
from eiclip.synthetic.texts import amazon_title, describe

STYLE_HOUSE = House("styles", FASHION_BRANDS[:20], 0.8)
LISTINGS_OF_A_STYLE = {1: 0.08, 2: 0.27, 3: 0.31, 4: 0.2, 5: 0.09, 6: 0.05}
RECOLOURED = 0.5
"""Share of listings in a colourway of their own; the others are in the style's."""
TWO_PHOTOS = 0.05
_BRAND_UNTAGGED = 0.15  # beyond what any seller forgets: marketplaces have more rows without a brand than shops
_PLACES = ("North", "Harbour", "Market", "Bridge", "Station", "Garden", "Mill", "Chapel")
_TRADES = ("Lane", "Outfitters", "Wardrobe", "Traders", "Closet")


class Seller(NamedTuple):
    """A seller: how much of a design the texts name, and how often the photo is from behind."""

    name: str
    named: float
    behind: float


class StyleListing(NamedTuple):
    """One seller's listing of a style.

    `product` is the garment as it is, with every tag; `tagged` the same as the seller tagged it; `behind` says of each
    photo whether it is taken from behind.
    """

    sku: str
    style: int
    seller: Seller
    product: Product
    tagged: Product
    behind: tuple[bool, ...]


def _draw_listing(seed: int, design: Product, index: int, seller: Seller, sku: str) -> StyleListing:
    rng = generator(seed, "listing", index)
    product = recolour(design, rng) if chance(rng, RECOLOURED) else design
    product = replace(
        dye(product, rng),
        index=index,
        season=pick(rng, SEASONS),
        composition=draw_composition(design.look.fibre, rng),
        price=round(design.price * float(np.exp(rng.normal(0.0, 0.2)))),
    )
    tagged = drop_tags(product, rng)
    if chance(rng, _BRAND_UNTAGGED):
        tagged = replace(tagged, brand="")
    first = chance(rng, seller.behind)
    behind = (first, not first) if chance(rng, TWO_PHOTOS) else (first,)
    return StyleListing(sku, design.index, seller, product, tagged, behind)


def draw_listings(seed: int, styles: int) -> list[StyleListing]:
    """Draw every listing of `styles` styles, in the order of the table: shuffled, as are the skus."""
    rng = generator(seed, "sellers")
    names = [f"{place} {trade}" for place in _PLACES for trade in _TRADES]
    sellers = [Seller(name, float(rng.uniform(0.25, 0.65)), float(rng.uniform(0.1, 0.45))) for name in names]
    rng = generator(seed, "listings")
    sizes = rng.choice(tuple(LISTINGS_OF_A_STYLE), size=styles, p=tuple(LISTINGS_OF_A_STYLE.values()))
    skus = rng.choice(90_000_000, size=int(sizes.sum()), replace=False) + 10_000_000
    listings: list[StyleListing] = []
    for style, size in enumerate(sizes):
        brand = STYLE_HOUSE.draw_brand(generator(seed, "design", style))
        design = draw_product(seed, STYLE_HOUSE, style, brand)  # with every tag
        for seller in rng.permutation(len(sellers))[:size]:
            index = len(listings)
            listings.append(_draw_listing(seed, design, index, sellers[seller], f"SK{skus[index]}"))
    return [listings[place] for place in rng.permutation(len(listings))]


def listing_photo(seed: int, listing: StyleListing, photo: int) -> Image.Image:
    """Draw one of the listing's photos, with a pose, light and wall of its own."""
    product = listing.product
    if listing.behind[photo]:
        product = replace(product, look=replace(product.look, collar="", closure="", pocket="", signature=None))
    return take_photo(seed, STYLE_HOUSE, product, photo)


def listing_texts(seed: int, listing: StyleListing) -> tuple[str, str]:
    """Write the listing's name and description in the seller's words."""
    rng = generator(seed, "words of a listing", listing.product.index)
    return amazon_title(listing.product, rng), describe(listing.product, rng, listing.seller.named)
