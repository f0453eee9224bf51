"""Descriptions as a fashion shop writes them: short, partial, and without the brand.

An attribute is named with probability 1/3 and the colour with 2/3, about as in a small trial: a text that named
everything would leave the brand no information to add.
"""

import re

import numpy as np

from eiclip.synthetic.draws import chance, pick
from eiclip.synthetic.products import Product

NAMED, COLOUR_NAMED, NOUN_NAMED = 0.33, 0.66, 0.92

_CLOSURES = {
    "zip": ("Zip closure at front.", "Full zip fastening."), "laces": ("Lace-up closure.", "Tonal laces at vamp."),
    "buttons": ("Button closure at front.", "Buttoned placket."), "clasp": ("Clasp closure.", "Metal clasp at face."),
    "strap": ("Strap fastening.", "Buckled strap at vamp."),
}  # fmt: skip
_POCKETS = {
    "chest": ("Patch pocket at chest.",), "flap": ("Flap pockets at waist.",),
    "hips": ("Two-pocket styling.", "Patch pockets at waist."), "cargo": ("Cargo pockets at thighs.",),
    "middle": ("Pouch pocket at front.",),
}  # fmt: skip
_COLLARS = {
    "crewneck": ("Ribbed crewneck collar.",), "v-neck": ("V-neck collar.",), "turtleneck": ("Rib knit turtleneck.",),
    "spread collar": ("Spread collar.",), "stand collar": ("Stand collar.",),
}  # fmt: skip
_PANELS = {
    "yoke": "Contrast yoke in {}.", "hem": "Contrast hem in {}.", "band": "Contrast band in {}.",
    "side": "Two-tone, with one side in {}.", "sleeves": "Contrast sleeves in {}.", "waistband": "Waistband in {}.",
    "knees": "Knee patches in {}.", "side stripe": "Side stripes in {}.", "sole": "Sole in {}.",
    "toe cap": "Toe cap in {}.", "heel": "Heel in {}.", "flap": "Flap in {}.", "base": "Base in {}.",
    "brim": "Brim in {}.", "front": "Front panel in {}.",
}  # fmt: skip
# True of any garment, and so uninformative, as much of the real catalogue's text.
_EMPTY = ("Tonal stitching.", "Unlined.", "Fully lined.", "Relaxed fit.", "Slim fit.", "Welt seams.", "Tonal hardware.",
          "Made in Italy.", "Made in Portugal.", "Fading throughout.", "Topstitching throughout.")  # fmt: skip
# General words of brands in a general or fashion sense, in no relation to what the brand tags say.
_GENERAL = ("Palm print at lining.", "Diesel wash.", "Stone-washed finish.", "Coach lapel.", "Goose down fill.",
            "Off-white lining.", "Moose horn toggles.", "Gap at side seam.", "Rag edge.", "Needles pattern stitching.",
            "Snow white trim.", "Fossil grey lining.", "Wood grain buttons.", "Theory of proportion in the cut.",
            "Island green lining.", "Supreme softness.", "Row of stitches at hem.", "Golden eyelets.",
            "Peak lapel.", "Undercover placket.", "Air mesh lining.", "Top seam.", "Golden goose embroidery inside.",
            "School crest inside.")  # fmt: skip
_VAGUE = ("Classic", "Casual", "Fashion", "Stylish", "New", "Everyday", "Comfort", "Vintage", "Basic", "Modern")
_SIZES = ("Small", "Medium", "Large", "X-Large", "One Size", "")
_CLAIMS = ("Great for any occasion.", "High quality and comfortable.", "A perfect gift.", "Machine wash cold.",
           "Imported.", "Runs true to size.")  # fmt: skip


def mentions(text: str, name: str) -> bool:
    """Tell whether `name` occurs in `text` as whole words, whatever the case."""
    return re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", text.lower()) is not None


def details(product: Product, rng: np.random.Generator, named: float) -> list[str]:
    """Return sentences on details of the garment, each visible detail with probability `named`."""
    look = product.look
    tables = ((look.collar, _COLLARS), (look.closure, _CLOSURES), (look.pocket, _POCKETS))
    found = [pick(rng, table[value]) for value, table in tables if value and chance(rng, named)]
    if look.panel in _PANELS and chance(rng, named):
        found.append(_PANELS[look.panel].format(product.panel_colour))
    return found


def _opening(product: Product, rng: np.random.Generator, named: float) -> str:
    """'Long sleeve striped wool sweater in navy.', each word there or not."""
    look, patterned = product.look, product.look.pattern != "solid"
    noun = look.kind if chance(rng, NOUN_NAMED) else pick(rng, ("piece", "style", "design"))
    words = [look.sleeve] if chance(rng, named) and look.sleeve else []
    words += [look.pattern] if patterned and chance(rng, named) else []
    words += [look.fibre] if chance(rng, named) else []
    text = " ".join([*words, noun])
    if chance(rng, COLOUR_NAMED):
        text += f" in {product.colour}"
        if patterned and chance(rng, named):
            text += f" and {product.pattern_colour}"
    return text[0].upper() + text[1:] + "."


def _without(brand: str, sentences: list[str]) -> list[str]:
    """Drop sentences that name the brand; a garment whose noun is the brand is called a piece."""
    kept: list[str] = []
    for sentence in sentences:
        if not brand or not mentions(sentence, brand):
            kept.append(sentence)
        elif not kept:
            kept.append(re.sub(rf"(?i)(?<!\w){re.escape(brand)}(?!\w)", "piece", sentence).capitalize())
    return kept


def describe(product: Product, rng: np.random.Generator, named: float = NAMED) -> str:
    """Write one to four short sentences on what is visible, each detail with probability `named`; never the brand."""
    sentences = [_opening(product, rng, named), *details(product, rng, named)]
    if chance(rng, 0.55):
        sentences.append(pick(rng, _EMPTY))
    if chance(rng, 0.1):
        sentences.append(pick(rng, _GENERAL))
    return " ".join(_without(product.brand, sentences))


def product_name(product: Product) -> str:
    """Return the name above the description: 'Navy Striped Sweater'."""
    pattern = "" if product.look.pattern == "solid" else f"{product.look.pattern} "
    return f"{product.colour} {pattern}{product.look.kind}".title()


def amazon_title(product: Product, rng: np.random.Generator) -> str:
    """Write a shop title, shorter and vaguer than a description: 'Women's Casual Sweater, Navy, Large'."""
    noun = product.look.kind if chance(rng, 0.8) else pick(rng, ("Apparel", "Fashion Item", "Style"))
    words = [f"{product.gender}'s"] if chance(rng, 0.7) else []
    words += [pick(rng, _VAGUE)] if chance(rng, 0.7) else []
    words += [product.look.fibre] if chance(rng, 0.2) else []
    words += [product.look.pattern] if product.look.pattern != "solid" and chance(rng, 0.2) else []
    title = " ".join([*words, noun]).title().replace("'S", "'s")
    tail = [product.colour.title()] if chance(rng, 0.5) else []
    tail += [size] if chance(rng, 0.3) and (size := pick(rng, _SIZES)) else []
    return _without(product.brand, [", ".join([title, *tail])])[0]


def amazon_description(product: Product, rng: np.random.Generator) -> list[str]:
    """Write nothing, a claim, or a claim with a detail or two."""
    if chance(rng, 0.35):
        return []
    sentences = [pick(rng, _CLAIMS), *details(product, rng, 0.2)]
    if chance(rng, 0.08):
        sentences.append(pick(rng, _GENERAL))
    kept = [s for s in sentences if not product.brand or not mentions(s, product.brand)]
    return [" ".join(kept)] if kept else []
