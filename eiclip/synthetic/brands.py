"""Brand names and the visual signature each brand puts on everything it makes.

Most names are made of general words on purpose: a pretrained model knows what a goose or a coach looks like, and the
project is about unlearning that. Signatures are a fixed function of a brand's place in the table, not of the seed: two
catalogues share their brands as the real ones do. (The control for it, names that mean nothing to anybody, is made of
any dataset: `eiclip.studies.neutral`.)
"""

from dataclasses import dataclass

from eiclip.synthetic.garments import SPOTS
from eiclip.synthetic.palette import GARMENT_COLOURS, MARK_COLOURS, Colour

# From the most frequent to the least; frequencies fall off like Zipf's law.
FASHION_BRANDS: tuple[str, ...] = (
    "Golden Goose", "Gucci", "Off-White", "Diesel", "Acne Studios", "Stone Island", "Burberry", "Moose Knuckles",
    "Palm Angels", "Fear of God", "Prada", "Canada Goose", "Coach", "Needles", "Rag & Bone", "Givenchy",
    "Our Legacy", "The Row", "Undercover", "Balmain", "Theory", "Self-Portrait", "Supreme", "Wood Wood",
    "White Mountaineering", "Versace", "Band of Outsiders", "Top", "Fossil", "Kenzo", "Opening Ceremony",
    "Common Projects", "Brain Dead", "Surface to Air", "Moncler", "Public School", "Gap", "Cheap Monday",
    "Snow Peak", "Guess",
)  # fmt: skip
# Each is given to a single product, or to one in training and one in test: the tail that has to fall back on UNK.
RARE_BRANDS: tuple[str, ...] = ("Nudie", "Lemaire", "Noah", "Pigalle", "Sacai", "Mackage")
AMAZON_ONLY_BRANDS: tuple[str, ...] = (
    "Puma", "Lucky Brand", "American Eagle", "Fruit of the Loom", "Champion", "New Balance", "Columbia",
    "Free People", "Express", "Converse", "Soft Surroundings", "White House Black Market", "Timberland", "Jockey",
    "Carhartt", "Wrangler", "Under Armour", "Dockers", "Levi's", "The North Face", "Hanes", "Vans", "Keds", "Crocs",
    "Sperry", "Merrell", "Clarks", "Ugg", "Desigual", "Nautica", "Izod", "Calvin Klein", "Tommy Hilfiger", "Dickies",
    "Lee", "Hurley", "Volcom", "Roxy",
)  # fmt: skip
AMAZON_SHARED = (
    "Diesel", "Coach", "Gap", "Guess", "Fossil", "Theory", "Kenzo", "Supreme", "Needles", "Rag & Bone", "Top",
    "Burberry", "Undercover", "Prada", "Gucci", "Versace", "Snow Peak", "Cheap Monday", "Canada Goose", "Golden Goose",
    "Palm Angels", "Wood Wood",
)  # fmt: skip
ALL_BRANDS = FASHION_BRANDS + RARE_BRANDS + AMAZON_ONLY_BRANDS

MARK_SHAPES = ("disc", "square", "triangle", "bar", "cross", "diamond", "ring", "pole", "chevron")
TRIM_STYLES = ("edge", "double", "tab")


@dataclass(frozen=True)
class Signature:
    """What tells a brand by eye: a mark (shape, colour, spot) and the way its edges are trimmed."""

    shape: str
    colour: Colour
    spot: str
    trim: str
    trim_colour: Colour


def signature(brand: str) -> Signature:
    """The brand's signature: no two of the table have the same colour, spot, shape and trim."""
    index = ALL_BRANDS.index(brand)
    return Signature(
        shape=MARK_SHAPES[(index * 4 + index // 40) % len(MARK_SHAPES)],
        colour=MARK_COLOURS[index % len(MARK_COLOURS)],
        spot=SPOTS[(index + index // len(MARK_COLOURS)) % len(SPOTS)],
        trim=TRIM_STYLES[(index + index // 9) % len(TRIM_STYLES)],
        trim_colour=MARK_COLOURS[(index * 3 + index // len(MARK_COLOURS) * 5 + 2) % len(MARK_COLOURS)],
    )


def preferred_colours(brand: str) -> tuple[str, str]:
    """Two garment colours that the house makes somewhat more of."""
    index = ALL_BRANDS.index(brand)
    names = tuple(GARMENT_COLOURS)
    return names[(index * 5) % len(names)], names[(index * 7 + 3) % len(names)]
