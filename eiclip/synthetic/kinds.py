"""What each kind of garment is called, made of and may have on it: the catalogue's world in one table."""

from typing import NamedTuple

_LONG, _SHORT = "long sleeve", "short sleeve"
_UPPER_PANELS = ("", "yoke", "hem", "band", "side", "sleeves")
_LOWER_PANELS = ("", "waistband", "knees", "side stripe", "side")


class Kind(NamedTuple):
    """A kind of garment: its words, its fibres and the details it can have (the first is the plain choice)."""

    noun: str
    subcategory: str
    category: str
    weight: float
    fibres: tuple[str, ...]
    options: dict[str, tuple[str, ...]]


KINDS: dict[str, Kind] = {
    kind.noun: kind
    for kind in (
        Kind("t-shirt", "T-SHIRTS", "TOPS", 10, ("cotton", "linen", "viscose", "polyester"), {
            "sleeve": (_SHORT, _LONG), "collar": ("crewneck", "v-neck"), "pocket": ("", "chest"),
            "panel": _UPPER_PANELS}),
        Kind("shirt", "SHIRTS", "SHIRTS", 9, ("cotton", "linen", "silk", "denim", "viscose"), {
            "sleeve": (_LONG, _SHORT), "collar": ("spread collar",), "closure": ("buttons",),
            "pocket": ("", "chest", "flap"), "panel": _UPPER_PANELS}),
        Kind("sweater", "SWEATERS", "SWEATERS", 9, ("wool", "cashmere", "mohair", "cotton"), {
            "sleeve": (_LONG,), "collar": ("crewneck", "v-neck", "turtleneck"), "closure": ("", "buttons"),
            "pocket": ("", "chest"), "panel": _UPPER_PANELS}),
        Kind("jacket", "JACKETS", "JACKETS & COATS", 8, ("leather", "nylon", "denim", "wool", "suede", "polyester"), {
            "sleeve": (_LONG,), "collar": ("spread collar", "stand collar"), "closure": ("zip", "buttons"),
            "pocket": ("", "flap", "chest", "hips"), "panel": _UPPER_PANELS}),
        Kind("trousers", "TROUSERS", "PANTS", 8, ("wool", "cotton", "linen", "polyester", "leather"), {
            "pocket": ("", "hips", "cargo"), "panel": _LOWER_PANELS}),
        Kind("sneakers", "SNEAKERS", "SNEAKERS", 7, ("leather", "canvas", "suede", "nylon"), {
            "closure": ("laces", "strap", "zip"), "panel": ("sole", "", "toe cap", "heel")}),
        Kind("dress", "DRESSES", "DRESSES", 7, ("silk", "viscose", "cotton", "polyester", "wool"), {
            "sleeve": (_LONG, _SHORT, "sleeveless"), "collar": ("crewneck", "v-neck", "turtleneck", "spread collar"),
            "closure": ("", "buttons", "zip"), "pocket": ("", "hips"), "panel": ("", "yoke", "hem", "band", "side")}),
        Kind("jeans", "DENIM", "JEANS", 6, ("denim",), {"pocket": ("hips", "cargo", ""), "panel": _LOWER_PANELS}),
        Kind("bag", "BAGS", "BAGS", 6, ("leather", "canvas", "suede", "nylon"), {
            "closure": ("clasp", "zip", ""), "pocket": ("", "middle"), "panel": ("", "flap", "base", "band")}),
        Kind("coat", "COATS", "JACKETS & COATS", 5, ("wool", "nylon", "shearling", "cashmere", "leather"), {
            "sleeve": (_LONG,), "collar": ("spread collar", "stand collar"), "closure": ("buttons", "zip"),
            "pocket": ("", "flap", "hips"), "panel": _UPPER_PANELS}),
        Kind("top", "TOP", "TOPS", 5, ("silk", "cotton", "viscose", "polyester"), {
            "sleeve": ("sleeveless", _SHORT), "collar": ("crewneck", "v-neck"), "closure": ("", "buttons"),
            "panel": ("", "yoke", "hem", "band", "side")}),
        Kind("hoodie", "HOODIES & ZIPUPS", "SWEATERS", 5, ("cotton", "polyester", "cashmere"), {
            "sleeve": (_LONG,), "closure": ("", "zip"), "pocket": ("middle", "", "hips"), "panel": _UPPER_PANELS}),
        Kind("skirt", "SKIRTS", "SKIRTS", 4, ("leather", "denim", "wool", "silk", "cotton"), {
            "closure": ("", "buttons", "zip"), "pocket": ("", "hips"),
            "panel": ("", "waistband", "hem", "band", "side")}),
        Kind("boots", "BOOTS", "BOOTS", 4, ("leather", "suede", "canvas"), {
            "closure": ("laces", "zip", "strap", ""), "panel": ("sole", "", "toe cap", "heel")}),
        Kind("shorts", "SHORTS", "SHORTS", 4, ("cotton", "linen", "nylon", "denim"), {
            "pocket": ("", "hips"), "panel": ("", "waistband", "side stripe", "side")}),
        Kind("cap", "CAPS", "HATS", 3, ("cotton", "wool", "suede", "canvas"), {"panel": ("", "brim", "front")}),
    )
}  # fmt: skip
