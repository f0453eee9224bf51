"""What each kind of garment is called, made of and may have on it, and its outline: the catalogue's world in one table.

Each outline keeps to [-1, 1] in both directions. `spots` are the places a brand's mark can have, in the order of SPOTS
on every kind, so that a brand's habit ("low on the left") carries over from a coat to a bag.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from eiclip.synthetic.sketch import Point, Polygon

SPOTS = ("high", "left", "right", "low", "centre")
_LONG, _SHORT = "long sleeve", "short sleeve"
_UPPER_PANELS = ("", "yoke", "hem", "band", "side", "sleeves")
_LOWER_PANELS = ("", "waistband", "knees", "side stripe", "side")


@dataclass(frozen=True)
class Outline:
    """Polygons of one garment: filled parts, trims, panels of a second colour, and places for details."""

    parts: tuple[Polygon, ...]
    trims: tuple[Polygon, ...]
    panels: dict[str, tuple[Polygon, ...]]
    spots: tuple[Point, ...]
    front: Polygon
    pockets: dict[str, tuple[Point, ...]] = field(default_factory=dict)
    neck: Point | None = None
    straps: tuple[Polygon, ...] = ()


class Kind(NamedTuple):
    """A kind of garment: its words, its fibres and the details it can have (the first is the plain choice)."""

    noun: str
    subcategory: str
    category: str
    weight: float
    fibres: tuple[str, ...]
    options: dict[str, tuple[str, ...]]
    outline: Callable[[str], Outline]  # with the given sleeves ("" where it has none)


def _both(polygon: Polygon) -> tuple[Polygon, Polygon]:
    return polygon, tuple((-x, y) for x, y in polygon)


def _box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _symmetric(half: Polygon) -> Polygon:
    """Close a half outline (its points from top to bottom, x > 0) by its mirror image."""
    return half + tuple((-x, y) for x, y in reversed(half))


def _upper(
    sleeve: str, top: float, bottom: float, chest: float, waist: float, hem: float, hood: bool = False
) -> Outline:
    shoulder, middle = chest - 0.02, (top + bottom) / 2
    body = _symmetric(((0.15, top), (shoulder, top + 0.1), (chest, top + 0.4), (waist, middle + 0.1), (hem, bottom)))
    sleeves: tuple[Polygon, ...] = ()
    cuffs: tuple[Polygon, ...] = ()
    if sleeve != "sleeveless":
        reach, end = (0.30, top + 0.46) if sleeve == "short sleeve" else (0.34, min(bottom - 0.08, top + 1.05))
        outer, inner = (shoulder + reach, end), (shoulder + reach - 0.20, end + 0.07)
        sleeves = _both(((shoulder - 0.02, top + 0.06), outer, inner, (chest - 0.02, top + 0.42)))
        cuffs = _both((outer, inner, (inner[0] - 0.02, inner[1] - 0.12), (outer[0] - 0.03, outer[1] - 0.12)))
    parts = (*sleeves, body)
    if hood:
        parts += (((-0.24, top + 0.06), (-0.2, top - 0.24), (0.0, top - 0.34), (0.2, top - 0.24), (0.24, top + 0.06)),)
    return Outline(
        parts=parts,
        trims=(*cuffs, _symmetric(((hem - 0.01, bottom - 0.1), (hem, bottom)))),
        panels={"yoke": (_symmetric(((0.15, top), (shoulder, top + 0.1), (chest, top + 0.36))),),
                "hem": (_symmetric(((hem - 0.01, bottom - 0.2), (hem, bottom))),),
                "band": (_box(-chest, middle - 0.12, chest, middle + 0.1),),
                "side": (_box(0.0, top + 0.02, chest + 0.02, bottom),), "sleeves": sleeves},
        spots=((0.0, top + 0.32), (-chest + 0.16, top + 0.46), (chest - 0.16, top + 0.46),
               (chest - 0.16, bottom - 0.16), (0.0, middle + 0.06)),
        front=((0.0, top + 0.14), (0.0, bottom - 0.03)),
        pockets={"chest": ((chest - 0.2, top + 0.5),), "middle": ((0.0, bottom - 0.32),),
                 "hips": ((-chest + 0.2, bottom - 0.34), (chest - 0.2, bottom - 0.34))},
        neck=(0.0, top),
    )  # fmt: skip


def _lower(bottom: float, leg: float, flare: float) -> Outline:
    right, left = 0.30 + flare, 0.30 + flare - leg
    shin = min(0.35, (bottom - 0.2) / 2)
    hem = ((0.31 + flare, bottom - 0.13), (right, bottom), (left, bottom), (0.285 + flare - leg, bottom - 0.13))
    return Outline(
        parts=(_symmetric(((0.36, -0.82), (0.44, -0.4), (right, bottom), (left, bottom), (0.02, -0.2))),),
        trims=_both(hem),
        panels={
            "waistband": (_symmetric(((0.36, -0.82), (0.38, -0.66))),),
            "knees": _both(_box(0.12, shin - 0.14, 0.4, shin + 0.1)),
            "side stripe": _both(((0.37, -0.66), (0.44, -0.4), (right, bottom), (0.20 + flare, bottom),
                                  (0.32, -0.4), (0.28, -0.66))),
            "side": (_box(0.0, -0.85, 0.6, 1.0),),
        },
        spots=((0.0, -0.56), (-0.26, -0.4), (0.26, -0.4), (0.26, bottom - 0.24), (-0.24, min(0.1, bottom - 0.3))),
        front=((0.0, -0.8), (0.0, -0.3)),
        pockets={"hips": ((-0.27, -0.36), (0.27, -0.36)), "thighs": ((-0.3, -0.02), (0.3, -0.02))},
    )  # fmt: skip


def _skirt(_: str) -> Outline:
    body = _symmetric(((0.3, -0.6), (0.4, -0.3), (0.62, 0.62)))
    return Outline(
        parts=(body,),
        trims=(_symmetric(((0.60, 0.52), (0.62, 0.62))),),
        panels={"waistband": (_symmetric(((0.3, -0.6), (0.37, -0.42))),), "hem": (_box(-0.7, 0.36, 0.7, 0.63),),
                "band": (_box(-0.7, -0.06, 0.7, 0.16),), "side": (_box(0.0, -0.6, 0.7, 0.65),)},
        spots=((0.0, -0.32), (-0.24, -0.14), (0.24, -0.14), (0.38, 0.42), (0.0, 0.16)),
        front=((0.0, -0.56), (0.0, 0.58)),
        pockets={"hips": ((-0.24, 0.05), (0.24, 0.05))},
    )  # fmt: skip


def _dress(sleeve: str) -> Outline:
    upper = _upper(sleeve, -0.85, 0.85, 0.33, 0.26, 0.34)
    return replace(
        upper,
        parts=(*upper.parts, _symmetric(((0.25, -0.1), (0.4, 0.3), (0.56, 0.85)))),
        trims=(*upper.trims[:-1], _symmetric(((0.53, 0.75), (0.56, 0.85)))),
        panels=upper.panels | {"hem": (_box(-0.7, 0.6, 0.7, 0.86),), "band": (_box(-0.5, -0.16, 0.5, 0.02),)},
        spots=(*upper.spots[:3], (0.34, 0.64), (0.0, 0.22)),
    )


def _shoe(top: float) -> Outline:
    low = top > -0.3
    shaft: Polygon = ((-0.62, top), (-0.12, top), (-0.08, 0.0), (0.2, 0.08), (0.62, 0.2), (0.76, 0.4), (-0.66, 0.4))
    sole = _box(-0.68, 0.38, 0.8, 0.54)
    return Outline(
        parts=(shaft, sole),
        trims=(((-0.62, top), (-0.12, top), (-0.11, top + 0.12), (-0.62, top + 0.12)),),
        panels={"sole": (sole,), "toe cap": (((0.4, 0.14), (0.62, 0.2), (0.78, 0.4), (0.34, 0.4)),),
                "heel": (((-0.63, -0.05), (-0.4, -0.02), (-0.34, 0.4), (-0.67, 0.4)),)},
        spots=((-0.36, top + 0.2), (-0.44, 0.2), (0.5, 0.27), (-0.1, 0.45), (0.02, 0.22)),
        front=((-0.08, 0.0), (0.34, 0.12)) if low else ((-0.12, top + 0.16), (-0.08, 0.02), (0.2, 0.08)),
    )  # fmt: skip


def _bag(_: str) -> Outline:
    body = _symmetric(((0.58, -0.2), (0.66, 0.62)))
    handle: Polygon = ((-0.36, -0.2), (-0.3, -0.62), (-0.14, -0.78), (0.14, -0.78), (0.3, -0.62), (0.36, -0.2))
    return Outline(
        parts=(body,),
        trims=(_symmetric(((0.58, -0.2), (0.59, -0.1))),),
        panels={"flap": (_symmetric(((0.58, -0.2), (0.6, 0.08), (0.2, 0.24))),),
                "base": (_box(-0.68, 0.42, 0.68, 0.63),), "band": (_box(-0.12, -0.2, 0.12, 0.63),)},
        spots=((0.0, -0.02), (-0.38, 0.12), (0.38, 0.12), (0.42, 0.46), (0.0, 0.26)),
        front=((0.0, 0.1), (0.0, 0.3)),
        pockets={"middle": ((0.0, 0.36),)},
        straps=(handle,),
    )  # fmt: skip


def _cap(_: str) -> Outline:
    dome: Polygon = ((-0.56, 0.16), (-0.54, -0.16), (-0.36, -0.42), (-0.06, -0.52), (0.22, -0.44), (0.42, -0.18),
                     (0.46, 0.16))  # fmt: skip
    brim: Polygon = ((0.1, 0.12), (0.44, 0.08), (0.78, 0.18), (0.88, 0.32), (0.5, 0.28), (0.1, 0.26))
    return Outline(
        parts=(dome, brim),
        trims=(((-0.56, 0.06), (0.45, 0.06), (0.46, 0.16), (-0.56, 0.16)),),
        panels={"brim": (brim,), "front": (((0.0, -0.52), (0.22, -0.44), (0.42, -0.18), (0.46, 0.14), (-0.06, 0.14)),)},
        spots=((-0.06, -0.34), (-0.38, -0.08), (0.24, -0.1), (0.5, 0.2), (-0.06, -0.1)),
        front=((-0.06, -0.5), (-0.06, 0.1)),
    )  # fmt: skip


KINDS: dict[str, Kind] = {
    kind.noun: kind
    for kind in (
        Kind("t-shirt", "T-SHIRTS", "TOPS", 10, ("cotton", "linen", "viscose", "polyester"), {
            "sleeve": (_SHORT, _LONG), "collar": ("crewneck", "v-neck"), "pocket": ("", "chest"),
            "panel": _UPPER_PANELS}, lambda sleeve: _upper(sleeve, -0.62, 0.56, 0.42, 0.4, 0.42)),
        Kind("shirt", "SHIRTS", "SHIRTS", 9, ("cotton", "linen", "silk", "denim", "viscose"), {
            "sleeve": (_LONG, _SHORT), "collar": ("spread collar",), "closure": ("buttons",),
            "pocket": ("", "chest", "flap"), "panel": _UPPER_PANELS},
            lambda sleeve: _upper(sleeve, -0.66, 0.7, 0.42, 0.38, 0.44)),
        Kind("sweater", "SWEATERS", "SWEATERS", 9, ("wool", "cashmere", "mohair", "cotton"), {
            "sleeve": (_LONG,), "collar": ("crewneck", "v-neck", "turtleneck"), "closure": ("", "buttons"),
            "pocket": ("", "chest"), "panel": _UPPER_PANELS},
            lambda sleeve: _upper(sleeve, -0.6, 0.56, 0.46, 0.46, 0.4)),
        Kind("jacket", "JACKETS", "JACKETS & COATS", 8, ("leather", "nylon", "denim", "wool", "suede", "polyester"), {
            "sleeve": (_LONG,), "collar": ("spread collar", "stand collar"), "closure": ("zip", "buttons"),
            "pocket": ("", "flap", "chest", "hips"), "panel": _UPPER_PANELS},
            lambda sleeve: _upper(sleeve, -0.66, 0.5, 0.5, 0.48, 0.5)),
        Kind("trousers", "TROUSERS", "PANTS", 8, ("wool", "cotton", "linen", "polyester", "leather"), {
            "pocket": ("", "hips", "cargo"), "panel": _LOWER_PANELS}, lambda _: _lower(0.9, 0.28, 0.02)),
        Kind("sneakers", "SNEAKERS", "SNEAKERS", 7, ("leather", "canvas", "suede", "nylon"), {
            "closure": ("laces", "strap", "zip"), "panel": ("sole", "", "toe cap", "heel")}, lambda _: _shoe(-0.16)),
        Kind("dress", "DRESSES", "DRESSES", 7, ("silk", "viscose", "cotton", "polyester", "wool"), {
            "sleeve": (_LONG, _SHORT, "sleeveless"), "collar": ("crewneck", "v-neck", "turtleneck", "spread collar"),
            "closure": ("", "buttons", "zip"), "pocket": ("", "hips"), "panel": ("", "yoke", "hem", "band", "side")},
            _dress),
        Kind("jeans", "DENIM", "JEANS", 6, ("denim",), {"pocket": ("hips", "cargo", ""), "panel": _LOWER_PANELS},
            lambda _: _lower(0.86, 0.22, -0.04)),
        Kind("bag", "BAGS", "BAGS", 6, ("leather", "canvas", "suede", "nylon"), {
            "closure": ("clasp", "zip", ""), "pocket": ("", "middle"), "panel": ("", "flap", "base", "band")}, _bag),
        Kind("coat", "COATS", "JACKETS & COATS", 5, ("wool", "nylon", "shearling", "cashmere", "leather"), {
            "sleeve": (_LONG,), "collar": ("spread collar", "stand collar"), "closure": ("buttons", "zip"),
            "pocket": ("", "flap", "hips"), "panel": _UPPER_PANELS},
            lambda sleeve: _upper(sleeve, -0.86, 0.88, 0.42, 0.4, 0.52)),
        Kind("top", "TOP", "TOPS", 5, ("silk", "cotton", "viscose", "polyester"), {
            "sleeve": ("sleeveless", _SHORT), "collar": ("crewneck", "v-neck"), "closure": ("", "buttons"),
            "panel": ("", "yoke", "hem", "band", "side")}, lambda sleeve: _upper(sleeve, -0.6, 0.4, 0.36, 0.3, 0.36)),
        Kind("hoodie", "HOODIES & ZIPUPS", "SWEATERS", 5, ("cotton", "polyester", "cashmere"), {
            "sleeve": (_LONG,), "closure": ("", "zip"), "pocket": ("middle", "", "hips"), "panel": _UPPER_PANELS},
            lambda sleeve: _upper(sleeve, -0.48, 0.66, 0.46, 0.46, 0.42, hood=True)),
        Kind("skirt", "SKIRTS", "SKIRTS", 4, ("leather", "denim", "wool", "silk", "cotton"), {
            "closure": ("", "buttons", "zip"), "pocket": ("", "hips"),
            "panel": ("", "waistband", "hem", "band", "side")}, _skirt),
        Kind("boots", "BOOTS", "BOOTS", 4, ("leather", "suede", "canvas"), {
            "closure": ("laces", "zip", "strap", ""), "panel": ("sole", "", "toe cap", "heel")},
            lambda _: _shoe(-0.72)),
        Kind("shorts", "SHORTS", "SHORTS", 4, ("cotton", "linen", "nylon", "denim"), {
            "pocket": ("", "hips"), "panel": ("", "waistband", "side stripe", "side")},
            lambda _: _lower(0.14, 0.36, 0.16)),
        Kind("cap", "CAPS", "HATS", 3, ("cotton", "wool", "suede", "canvas"), {"panel": ("", "brim", "front")}, _cap),
    )
}  # fmt: skip


@functools.cache
def outline(kind: str, sleeve: str) -> Outline:
    """The outline of a kind of garment with the given sleeves ("" where it has none)."""
    return KINDS[kind].outline(sleeve)
