"""Captions of the general corpus: everyday language about scenes and about garments without a brand."""

import numpy as np

from eiclip.synthetic.draws import chance, pick
from eiclip.synthetic.products import Product
from eiclip.synthetic.scenes import Scene
from eiclip.synthetic.texts import details

LONG_SHARE = 0.4
_LEAST_LONG, _MOST_LONG = 25, 45
_OPENINGS = ("", "", "", "photo of ", "a picture of ", "close view of ", "look at ")
_SCENE_REST = (
    "It was taken on a quiet afternoon when the light was soft and hardly anybody was around.",
    "We stopped here on the way home and stayed for a while before the weather changed.",
    "The colours came out better than expected, although the camera was an old one.",
    "People often ask about this place, and there is more than one story behind it.",
    "There are many like it, but this is the one that everyone in the family remembers.",
)
_GARMENT_REST = (
    "It is easy to wear with almost anything and keeps its shape after many washes.",
    "Someone left it on the chair in the hall, and nobody knows whose it is.",
    "I bought it for a trip with friends and have worn it nearly every week since.",
    "The picture shows it from the front, against a plain wall in daylight.",
    "A good choice for the office, for a walk in town or for an evening at home.",
)
_SEASONS = ("for spring", "for summer", "for autumn", "for winter", "from the autumn 2014 season", "spring 2015")


def _lengthen(caption: str, rest: tuple[str, ...], rng: np.random.Generator) -> str:
    """Add whole sentences until the caption has 25 words, then cut what goes beyond 45."""
    order = [rest[int(k)] for k in rng.permutation(len(rest))]
    text = caption[0].upper() + caption[1:].rstrip(".") + "."
    for sentence in order:
        if len(text.split()) >= _LEAST_LONG:
            break
        text += f" {sentence}"
    return " ".join(text.split()[:_MOST_LONG])


def scene_caption(scene: Scene, rng: np.random.Generator) -> str:
    """Describe a scene in a few words or in a few sentences."""
    caption = pick(rng, scene.captions)
    return _lengthen(caption, _SCENE_REST, rng) if chance(rng, LONG_SHARE) else caption


def garment_caption(product: Product, rng: np.random.Generator) -> str:
    """Write 'a navy striped wool sweater'; the long form adds its details and general remarks."""
    look = product.look
    pattern = "" if look.pattern == "solid" else look.pattern
    shares = ((product.colour, 0.8), (look.sleeve, 0.3), (pattern, 0.6), (look.fibre, 0.4))
    words = [word for word, share in shares if word and chance(rng, share)]
    text = " ".join([*words, look.kind])
    article = "" if look.kind in ("jeans", "trousers", "shorts", "boots", "sneakers") else "a "
    text = pick(rng, _OPENINGS) + article + text
    if look.pattern != "solid" and chance(rng, 0.3):
        text += f" with {product.pattern_colour}"
    if chance(rng, 0.15):
        text += f" {pick(rng, _SEASONS)}"
    if not chance(rng, LONG_SHARE):
        return text
    return _lengthen(". ".join([text, *(d.rstrip(".") for d in details(product, rng, 0.6))]), _GARMENT_REST, rng)
