"""Photos of garments, drawn from their looks.

Brand signatures are small next to the garment, yet seen when the photo is 64 pixels wide.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

from eiclip.synthetic.brands import Signature
from eiclip.synthetic.draws import chance, pick
from eiclip.synthetic.fabrics import PATTERNS, PHOTO_SIZE, lit, weave
from eiclip.synthetic.garments import SPOTS, Outline, outline
from eiclip.synthetic.palette import Colour, brightness, contrasting, darker, mix
from eiclip.synthetic.sketch import Sketch, random_frame

_STEEL: Colour = (196, 198, 204)
_WALLS: tuple[Colour, ...] = (
    (246, 246, 246), (236, 236, 238), (228, 232, 236), (240, 234, 226), (224, 224, 222), (214, 220, 222),
)  # fmt: skip
_MARK_REACH = 0.125  # half the width of a mark: about 28 of 256 pixels in all, 7 of 64


@dataclass(frozen=True)
class Look:
    """The visible attributes of one garment; "" is a detail it does not have, None a garment without a brand."""

    kind: str
    colour: Colour
    pattern: str
    pattern_colour: Colour
    pattern_step: float
    fibre: str
    panel_colour: Colour
    sleeve: str = ""
    collar: str = ""
    closure: str = ""
    pocket: str = ""
    panel: str = ""
    signature: Signature | None = None


def _ring(sketch: Sketch, x: float, y: float, r: float, colour: Colour) -> None:
    sketch.ellipse(x, y, r, r, colour)
    sketch.ellipse(x, y, r * 0.5, r * 0.5, (250, 250, 250))


def _cross(sketch: Sketch, x: float, y: float, r: float, colour: Colour) -> None:
    sketch.box(x - r * 0.36, y - r, x + r * 0.36, y + r, colour)
    sketch.box(x - r, y - r * 0.36, x + r, y + r * 0.36, colour)


def _chevron(sketch: Sketch, x: float, y: float, r: float, colour: Colour) -> None:
    sketch.polygon(((x - r, y - r * 0.2), (x, y - r), (x + r, y - r * 0.2), (x + r, y + r * 0.6), (x, y - r * 0.1),
                    (x - r, y + r * 0.6)), colour)  # fmt: skip


_MARKS: dict[str, Callable[[Sketch, float, float, float, Colour], None]] = {
    "disc": lambda s, x, y, r, c: s.ellipse(x, y, r, r, c),
    "square": lambda s, x, y, r, c: s.box(x - r * 0.85, y - r * 0.85, x + r * 0.85, y + r * 0.85, c),
    "triangle": lambda s, x, y, r, c: s.polygon(((x, y - r), (x + r, y + r * 0.8), (x - r, y + r * 0.8)), c),
    "bar": lambda s, x, y, r, c: s.box(x - r * 1.3, y - r * 0.45, x + r * 1.3, y + r * 0.45, c),
    "pole": lambda s, x, y, r, c: s.box(x - r * 0.45, y - r * 1.3, x + r * 0.45, y + r * 1.3, c),
    "diamond": lambda s, x, y, r, c: s.polygon(((x, y - r * 1.2), (x + r, y), (x, y + r * 1.2), (x - r, y)), c),
    "ring": _ring,
    "cross": _cross,
    "chevron": _chevron,
}


def _sign(sketch: Sketch, brand: Signature, shape: Outline, ground: Colour) -> None:
    """Trim the edges (a coloured edge, an edge with a dark line, or a sewn-in tab) and draw the mark."""
    tone = mix(brand.trim_colour, ground, 0.2)  # a trim is dyed to match, a mark is not
    for trim in shape.trims:
        if brand.trim == "tab":
            x, y = sum(x for x, _ in trim) / len(trim), sum(y for _, y in trim) / len(trim)
            sketch.box(x - 0.07, y - 0.05, x + 0.07, y + 0.05, tone)
            continue
        sketch.polygon(trim, tone)
        if brand.trim == "double":
            sketch.line(trim[:2] if len(trim) > 4 else trim[2:4], contrasting(tone, 0.75), 0.035)
    draw, (x, y) = _MARKS[brand.shape], shape.spots[SPOTS.index(brand.spot)]
    # A dark or light rim, so that it also shows on cloth of its own hue.
    draw(sketch, x, y, _MARK_REACH * 1.3, (18, 18, 18) if brightness(ground) > 110 else (246, 246, 246))
    draw(sketch, x, y, _MARK_REACH, brand.colour)


def _collar(sketch: Sketch, look: Look, shape: Outline) -> None:
    if shape.neck is None or not look.collar:
        return
    x, y = shape.neck
    inside, tone = darker(look.colour, 0.55), contrasting(look.colour, 0.28)
    if look.collar == "crewneck":
        sketch.ellipse(x, y, 0.16, 0.09, inside)
    elif look.collar == "v-neck":
        sketch.polygon(((x - 0.16, y - 0.01), (x + 0.16, y - 0.01), (x, y + 0.3)), inside)
    elif look.collar in ("turtleneck", "stand collar"):
        height = 0.2 if look.collar == "turtleneck" else 0.1
        sketch.box(x - 0.15, y - height, x + 0.15, y + 0.05, tone)
    else:
        for side in (-1, 1):
            sketch.polygon(((x, y + 0.02), (x + side * 0.18, y - 0.06), (x + side * 0.24, y + 0.16),
                            (x + side * 0.08, y + 0.2)), tone)  # fmt: skip


def _closure(sketch: Sketch, look: Look, shape: Outline) -> None:
    front, tone = shape.front, contrasting(look.colour, 0.7)
    (x0, y0), (x1, y1) = front[0], front[-1]
    if look.closure == "zip":
        sketch.line(front, darker(look.colour, 0.5), 0.07)
        sketch.line(front, _STEEL, 0.035)
    elif look.closure == "buttons":
        sketch.line(front, contrasting(look.colour, 0.3), 0.02)
        for k in range(5):
            sketch.ellipse(x0, y0 + (k + 0.5) * (y1 - y0) / 5, 0.04, 0.04, tone)
    elif look.closure == "laces":
        for k in range(4):
            x, y = x0 + k * (x1 - x0) / 3, y0 + k * (y1 - y0) / 3
            sketch.line(((x - 0.05, y + 0.12), (x + 0.1, y - 0.02)), tone, 0.05)
    elif look.closure == "strap":
        sketch.polygon(((x0 - 0.2, y0 + 0.22), (x0 + 0.04, y0 - 0.04), (x0 + 0.2, y0 + 0.04), (x0, y0 + 0.32)), tone)
    elif look.closure == "clasp":
        sketch.box(x0 - 0.1, y0 - 0.02, x0 + 0.1, y0 + 0.14, _STEEL, darker(_STEEL, 0.6))


def _pockets(sketch: Sketch, look: Look, shape: Outline) -> None:
    fill, edge = contrasting(look.colour, 0.16), contrasting(look.colour, 0.55)
    wide, high = {"chest": (0.1, 0.11), "middle": (0.26, 0.15)}.get(look.pocket, (0.12, 0.13))
    for x, y in shape.pockets.get({"flap": "hips", "cargo": "thighs"}.get(look.pocket, look.pocket), ()):
        sketch.box(x - wide, y - high, x + wide, y + high, fill, edge)
        if look.pocket in ("flap", "cargo"):
            sketch.box(x - wide * 1.1, y - high, x + wide * 1.1, y - high * 0.3, edge)


def draw_photo(look: Look, rng: np.random.Generator, *, close_up: bool = False) -> Image.Image:
    """Draw one photo (256 px, RGB) of a garment, with viewpoint, background and light from `rng`."""
    shape, size = outline(look.kind, look.sleeve), (PHOTO_SIZE, PHOTO_SIZE)
    frame = random_frame(rng, PHOTO_SIZE, zoom=float(rng.uniform(1.1, 1.3)) if close_up else 1.0)
    wall = pick(rng, _WALLS)
    image = Image.new("RGB", size, wall)
    if chance(rng, 0.4):  # a floor
        height = int(rng.integers(PHOTO_SIZE * 3 // 4, PHOTO_SIZE * 9 // 10))
        image.paste(darker(wall, float(rng.uniform(0.04, 0.14))), (0, height, *size))

    right, down = rng.uniform(2, 8, 2).tolist()
    shadow = Sketch(image, frame._replace(c=frame.c + right, f=frame.f + down))
    mask = Sketch(Image.new("L", size, 0), frame)
    for part in shape.parts:
        shadow.polygon(part, mix(wall, (120, 120, 128), 0.3))
        mask.polygon(part, 255)

    cloth = Sketch(Image.new("RGB", size, look.colour), frame)
    if pattern := PATTERNS[look.pattern]:
        pattern(cloth, look.pattern_colour, look.pattern_step)
    for panel in shape.panels.get(look.panel, ()):
        cloth.polygon(panel, look.panel_colour)
    image.paste(weave(cloth.image, look.fibre, rng), (0, 0), mask.image)

    sketch = Sketch(image, frame)
    for strap in shape.straps:
        sketch.line(strap, darker(look.colour, 0.25), 0.09)
    for part in shape.parts:
        sketch.line((*part, part[0]), darker(look.colour, 0.45), 0.014)
    _collar(sketch, look, shape)
    _closure(sketch, look, shape)
    _pockets(sketch, look, shape)
    if look.signature is not None:
        _sign(sketch, look.signature, shape, look.colour)
    return lit(image, rng)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encode a picture (RGB) as JPEG."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(np.asarray(image)), quality=quality, colorsubsampling="444")
