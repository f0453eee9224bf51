"""Products of the catalogue: their looks, brands and tags.

The photo depends on the look alone; the season is independent of everything else, so that a model that gives it weight
is detected. A missing tag does not change the look: the brand's signature stays on the garment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from eiclip.synthetic.brands import FASHION_BRANDS, preferred_colours, signature
from eiclip.synthetic.compositions import draw_composition
from eiclip.synthetic.draws import chance, generator, pick, pick_weighted, zipf_weights
from eiclip.synthetic.fabrics import PATTERNS
from eiclip.synthetic.garments import KINDS
from eiclip.synthetic.palette import GARMENT_COLOURS, jitter
from eiclip.synthetic.photo import Look, draw_photo

SEASONS = tuple(f"{half}{year}" for year in range(2012, 2017) for half in ("SS", "FW"))
_COLOUR_WEIGHTS = {"black": 3.0, "white": 1.8, "grey": 1.6, "navy": 1.5, "blue": 1.4}
_PATTERN_WEIGHTS = {"solid": 10.0, "striped": 1.6, "checked": 1.4}
# Share of products on which a tag is missing; a further share has none at all.
_MISSING, _ALL_MISSING = {"brand": 0.03, "subcategory": 0.02, "season": 0.02, "composition": 0.06}, 0.01


@dataclass(frozen=True)
class Product:
    """One product: its look, the words for what is seen, and its tags ("" where missing)."""

    index: int
    look: Look
    colour: str
    pattern_colour: str
    panel_colour: str
    brand: str
    subcategory: str
    category: str
    season: str
    composition: str
    gender: str
    price: float


@dataclass(frozen=True)
class House:
    """The brands of one dataset, and the Zipf exponent of their shares."""

    purpose: str
    brands: tuple[str, ...] = FASHION_BRANDS
    exponent: float = 0.8

    def draw_brand(self, rng: np.random.Generator) -> str:
        """Draw one of the brands."""
        return pick_weighted(rng, self.brands, zipf_weights(len(self.brands), self.exponent))


def _colour_weights(brand: str) -> dict[str, float]:
    liked = preferred_colours(brand)
    return {name: _COLOUR_WEIGHTS.get(name, 1.0) * (2.0 if name in liked else 1.0) for name in GARMENT_COLOURS}


def _other(rng: np.random.Generator, taken: str) -> str:
    return pick(rng, [name for name in GARMENT_COLOURS if name != taken])


def drop_tags(product: Product, rng: np.random.Generator) -> Product:
    """Drop the tags that the seller forgot."""
    none_at_all = chance(rng, _ALL_MISSING)
    dropped = {tag: "" for tag, share in _MISSING.items() if chance(rng, share) or none_at_all}
    return replace(product, **dropped)  # type: ignore[arg-type]


def draw_product(seed: int, house: House, index: int, brand: str | None = None) -> Product:
    """Draw the product of one index; `brand` sets the brand, keeps every tag and leaves every other draw as it is."""
    rng = generator(seed, f"product of {house.purpose}", index)
    drawn = house.draw_brand(rng)
    maker = brand or drawn
    kind = pick_weighted(rng, tuple(KINDS.values()), [kind.weight for kind in KINDS.values()])
    colour = pick_weighted(rng, tuple(GARMENT_COLOURS), tuple(_colour_weights(maker).values()))
    pattern = pick_weighted(rng, tuple(PATTERNS), [_PATTERN_WEIGHTS.get(name, 1.0) for name in PATTERNS])
    pattern_colour, panel_colour = _other(rng, colour), _other(rng, colour)
    fibre = pick(rng, kind.fibres)
    look = Look(
        kind=kind.noun, pattern=pattern, fibre=fibre, signature=signature(maker),
        colour=jitter(GARMENT_COLOURS[colour], rng),
        pattern_colour=jitter(GARMENT_COLOURS[pattern_colour], rng),
        pattern_step=float(rng.uniform(0.15, 0.28)),
        panel_colour=jitter(GARMENT_COLOURS[panel_colour], rng),
    )  # fmt: skip
    options = {slot: pick(rng, values) for slot, values in kind.options.items()}
    if chance(rng, 0.4):  # most garments are of one colour
        options["panel"] = kind.options["panel"][0]
    if options["panel"] == "sleeves" and options.get("sleeve") != "long sleeve":
        options["panel"] = ""
    product = Product(
        index=index, look=replace(look, **options),  # type: ignore[arg-type]
        colour=colour, pattern_colour=pattern_colour, panel_colour=panel_colour, brand=maker,
        # Shearling coats have a subcategory of their own, with the name of their composition.
        subcategory="SHEARLING" if kind.noun == "coat" and fibre == "shearling" else kind.subcategory,
        category=kind.category,
        season=pick(generator(seed, f"season of {house.purpose}", index), SEASONS),
        composition=draw_composition(fibre, rng),
        gender=pick(rng, ("Women", "Men")),
        price=round(float(np.exp(rng.normal(5.6, 0.6)))),
    )  # fmt: skip
    return drop_tags(product, rng) if brand is None else product


def recolour(product: Product, rng: np.random.Generator) -> Product:
    """Draw another colourway of the same design: other colours, nothing else."""
    weights = _colour_weights(product.brand) | {product.colour: 0.0}
    colour = pick_weighted(rng, tuple(GARMENT_COLOURS), tuple(weights.values()))
    return replace(product, colour=colour, pattern_colour=_other(rng, colour), panel_colour=_other(rng, colour))


def dye(product: Product, rng: np.random.Generator) -> Product:
    """Dye the product's look in the colours that it names, as one dye lot."""
    named = ("colour", "pattern_colour", "panel_colour")
    tones = {field: jitter(GARMENT_COLOURS[getattr(product, field)], rng) for field in named}
    return replace(product, look=replace(product.look, **tones))  # type: ignore[arg-type]


def draw_products(seed: int, house: House, count: int, brands: Mapping[int, str] | None = None) -> list[Product]:
    """Draw the first `count` products, those in `brands` with the brand given there."""
    return [draw_product(seed, house, index, (brands or {}).get(index)) for index in range(count)]


def take_photo(seed: int, house: House, product: Product, pose: int) -> Image.Image:
    """Draw the product's photo number `pose` (from 0); the third is a close-up."""
    rng = generator(seed, f"photo of {house.purpose}", product.index, pose)
    return draw_photo(product.look, rng, close_up=pose == 2)


def spread(rng: np.random.Generator, count: int, among: int) -> Sequence[int]:
    """Draw `count` different places among the first `among`, fewer where there are not so many."""
    return rng.permutation(among)[:count].tolist()


def dirty_places(
    rng: np.random.Generator, faults: Sequence[str], share: float, rows: int, least: int
) -> dict[int, str]:
    """Draw which rows have which fault: a share of them, each fault at least once; none of fewer than `least` rows."""
    count = max(len(faults), round(rows * share)) if rows >= least else 0
    return {place: faults[k % len(faults)] for k, place in enumerate(spread(rng, count, rows))}
