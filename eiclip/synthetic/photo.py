"""Photos of garments, drawn from their looks.

Layers from back to front: background, shadow, cloth through the outline's mask, details, brand signature, light.
"""

from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

from eiclip.synthetic.brands import Signature
from eiclip.synthetic.fabrics import PATTERNS, PHOTO_SIZE, lit, weave
from eiclip.synthetic.garments import Outline, outline
from eiclip.synthetic.marks import draw_mark, draw_trims
from eiclip.synthetic.palette import Colour, contrasting, darker, mix
from eiclip.synthetic.sketch import Frame, Sketch, random_frame

_STEEL: Colour = (196, 198, 204)
_WALLS: tuple[Colour, ...] = (
    (246, 246, 246), (236, 236, 238), (228, 232, 236), (240, 234, 226), (224, 224, 222), (214, 220, 222),
)  # fmt: skip


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


def _background(rng: np.random.Generator) -> Image.Image:
    wall = _WALLS[int(rng.integers(len(_WALLS)))]
    image = Image.new("RGB", (PHOTO_SIZE, PHOTO_SIZE), wall)
    if rng.random() < 0.4:  # a floor
        height = int(rng.integers(PHOTO_SIZE * 3 // 4, PHOTO_SIZE * 9 // 10))
        image.paste(darker(wall, float(rng.uniform(0.04, 0.14))), (0, height, PHOTO_SIZE, PHOTO_SIZE))
    return image


def _drop_shadow(image: Image.Image, shape: Outline, frame: Frame, rng: np.random.Generator) -> None:
    tone = mix(image.getpixel((0, 0)), (120, 120, 128), 0.3)  # type: ignore[arg-type]
    sketch = Sketch(image, frame.moved(*rng.uniform(2, 8, 2).tolist()))
    for part in shape.parts:
        sketch.polygon(part, tone)


def _mask(shape: Outline, frame: Frame) -> Image.Image:
    sketch = Sketch(Image.new("L", (PHOTO_SIZE, PHOTO_SIZE), 0), frame)
    for part in shape.parts:
        sketch.polygon(part, 255)
    return sketch.image


def _cloth(look: Look, shape: Outline, frame: Frame, rng: np.random.Generator) -> Image.Image:
    sketch = Sketch(Image.new("RGB", (PHOTO_SIZE, PHOTO_SIZE), look.colour), frame)
    pattern = PATTERNS[look.pattern]
    if pattern is not None:
        pattern(sketch, look.pattern_colour, look.pattern_step)
    for panel in shape.panels.get(look.panel, ()):
        sketch.polygon(panel, look.panel_colour)
    return weave(sketch.image, look.fibre, rng)


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


_POCKET_PLACES = {"chest": "chest", "flap": "hips", "hips": "hips", "cargo": "thighs", "middle": "middle"}


def _pockets(sketch: Sketch, look: Look, shape: Outline) -> None:
    fill, edge = contrasting(look.colour, 0.16), contrasting(look.colour, 0.55)
    wide, high = {"chest": (0.1, 0.11), "middle": (0.26, 0.15)}.get(look.pocket, (0.12, 0.13))
    for x, y in shape.pockets.get(_POCKET_PLACES.get(look.pocket, ""), ()):
        sketch.box(x - wide, y - high, x + wide, y + high, fill, edge)
        if look.pocket in ("flap", "cargo"):
            sketch.box(x - wide * 1.1, y - high, x + wide * 1.1, y - high * 0.3, edge)


def _draw_details(sketch: Sketch, look: Look, shape: Outline) -> None:
    for strap in shape.straps:
        sketch.line(strap, look.panel_colour if look.panel == "handle" else darker(look.colour, 0.25), 0.09)
    edge = darker(look.colour, 0.45)
    for part in shape.parts:
        sketch.line((*part, part[0]), edge, 0.014)
    _collar(sketch, look, shape)
    _closure(sketch, look, shape)
    _pockets(sketch, look, shape)
    if look.signature is not None:
        draw_trims(sketch, look.signature, shape, look.colour)
        draw_mark(sketch, look.signature, shape.spots[look.signature.spot], look.colour)


def draw_photo(look: Look, rng: np.random.Generator, *, close_up: bool = False) -> Image.Image:
    """Draw one photo (256 px, RGB) of a garment, with viewpoint, background and light from `rng`."""
    shape = outline(look.kind, look.sleeve)
    frame = random_frame(rng, PHOTO_SIZE, zoom=float(rng.uniform(1.1, 1.3)) if close_up else 1.0)
    image = _background(rng)
    mask = _mask(shape, frame)
    _drop_shadow(image, shape, frame, rng)
    image.paste(_cloth(look, shape, frame, rng), (0, 0), mask)
    _draw_details(Sketch(image, frame), look, shape)
    return lit(image, rng)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encode a picture (RGB) as JPEG."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(np.asarray(image)), quality=quality, colorsubsampling="444")
