"""What each kind of garment is called, made of and may have on it: the catalogue's world in one table."""

from eiclip.synthetic.garments import Kind

_COLLARS = ("crewneck", "v-neck", "turtleneck")
_SLEEVES = ("long sleeve", "short sleeve", "sleeveless")
_UPPER_PANELS = ("", "yoke", "hem", "band", "side", "sleeves")
_LOWER_PANELS = ("", "waistband", "knees", "side stripe", "side")


def _options(
    sleeve: tuple[str, ...] = (),
    collar: tuple[str, ...] = (),
    closure: tuple[str, ...] = (),
    pocket: tuple[str, ...] = (),
    panel: tuple[str, ...] = ("",),
) -> dict[str, tuple[str, ...]]:
    named = {"sleeve": sleeve, "collar": collar, "closure": closure, "pocket": pocket, "panel": panel}
    return {slot: values for slot, values in named.items() if values}


KINDS: dict[str, Kind] = {
    kind.noun: kind
    for kind in (
        Kind("t-shirt", "T-SHIRTS", "TOPS", 10, ("cotton", "linen", "viscose", "polyester"),
             _options(("short sleeve", "long sleeve"), ("crewneck", "v-neck"), (), ("", "chest"), _UPPER_PANELS)),
        Kind("shirt", "SHIRTS", "SHIRTS", 9, ("cotton", "linen", "silk", "denim", "viscose"),
             _options(("long sleeve", "short sleeve"), ("spread collar",), ("buttons",), ("", "chest", "flap"),
                      _UPPER_PANELS)),
        Kind("sweater", "SWEATERS", "SWEATERS", 9, ("wool", "cashmere", "mohair", "cotton"),
             _options(("long sleeve",), _COLLARS, ("", "buttons"), ("", "chest"), _UPPER_PANELS)),
        Kind("jacket", "JACKETS", "JACKETS & COATS", 8, ("leather", "nylon", "denim", "wool", "suede", "polyester"),
             _options(("long sleeve",), ("spread collar", "stand collar"), ("zip", "buttons"),
                      ("", "flap", "chest", "hips"), _UPPER_PANELS)),
        Kind("trousers", "TROUSERS", "PANTS", 8, ("wool", "cotton", "linen", "polyester", "leather"),
             _options((), (), (), ("", "hips", "cargo"), _LOWER_PANELS)),
        Kind("sneakers", "SNEAKERS", "SNEAKERS", 7, ("leather", "canvas", "suede", "nylon"),
             _options((), (), ("laces", "strap", "zip"), (), ("sole", "", "toe cap", "heel"))),
        Kind("dress", "DRESSES", "DRESSES", 7, ("silk", "viscose", "cotton", "polyester", "wool"),
             _options(_SLEEVES, ("crewneck", "v-neck", "turtleneck", "spread collar"), ("", "buttons", "zip"),
                      ("", "hips"), ("", "yoke", "hem", "band", "side"))),
        Kind("jeans", "DENIM", "JEANS", 6, ("denim",),
             _options((), (), (), ("hips", "cargo", ""), _LOWER_PANELS)),
        Kind("bag", "BAGS", "BAGS", 6, ("leather", "canvas", "suede", "nylon"),
             _options((), (), ("clasp", "zip", ""), ("", "middle"), ("", "flap", "base", "band"))),
        Kind("coat", "COATS", "JACKETS & COATS", 5, ("wool", "nylon", "shearling", "cashmere", "leather"),
             _options(("long sleeve",), ("spread collar", "stand collar"), ("buttons", "zip"),
                      ("", "flap", "hips"), _UPPER_PANELS)),
        Kind("top", "TOP", "TOPS", 5, ("silk", "cotton", "viscose", "polyester"),
             _options(("sleeveless", "short sleeve"), ("crewneck", "v-neck"), ("", "buttons"), (),
                      ("", "yoke", "hem", "band", "side"))),
        Kind("hoodie", "HOODIES & ZIPUPS", "SWEATERS", 5, ("cotton", "polyester", "cashmere"),
             _options(("long sleeve",), (), ("", "zip"), ("middle", "", "hips"), _UPPER_PANELS)),
        Kind("skirt", "SKIRTS", "SKIRTS", 4, ("leather", "denim", "wool", "silk", "cotton"),
             _options((), (), ("", "buttons", "zip"), ("", "hips"), ("", "waistband", "hem", "band", "side"))),
        Kind("boots", "BOOTS", "BOOTS", 4, ("leather", "suede", "canvas"),
             _options((), (), ("laces", "zip", "strap", ""), (), ("sole", "", "toe cap", "heel"))),
        Kind("shorts", "SHORTS", "SHORTS", 4, ("cotton", "linen", "nylon", "denim"),
             _options((), (), (), ("", "hips"), ("", "waistband", "side stripe", "side"))),
        Kind("cap", "CAPS", "HATS", 3, ("cotton", "wool", "suede", "canvas"),
             _options((), (), (), (), ("", "brim", "front"))),
    )
}  # fmt: skip
