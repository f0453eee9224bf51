"""Cloth: patterns drawn in two colours, and textures of fibres as tiles of light and shade.

Textures are coarse (8 pixels and more of 256), since the models see the photo at a quarter of its size.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops

from eiclip.synthetic.draws import generator
from eiclip.synthetic.palette import Colour
from eiclip.synthetic.sketch import Point, Sketch

PHOTO_SIZE = 256
_TILE = PHOTO_SIZE + 64


def _stripes(sketch: Sketch, colour: Colour, step: float) -> None:
    for k in range(int(2.2 / step)):
        sketch.box(-1.4, -1.1 + k * step, 1.4, -1.1 + (k + 0.45) * step, colour)


def _pinstripes(sketch: Sketch, colour: Colour, step: float) -> None:
    for k in range(int(2.6 / step)):
        sketch.box(-1.3 + k * step, -1.2, -1.3 + (k + 0.3) * step, 1.2, colour)


def _checks(sketch: Sketch, colour: Colour, step: float) -> None:
    wide = step * 1.3
    for k in range(int(2.6 / wide)):
        sketch.box(-1.3 + k * wide, -1.2, -1.3 + (k + 0.3) * wide, 1.2, colour)
        sketch.box(-1.4, -1.2 + k * wide, 1.4, -1.2 + (k + 0.3) * wide, colour)


def _lattice(step: float) -> list[Point]:
    """Points `step` apart, every other row shifted by half a step."""
    places = range(-int(1.1 / step) - 1, int(1.1 / step) + 2)
    return [((column + 0.5 * (row % 2)) * step, row * step) for row in places for column in places]


def _dots(sketch: Sketch, colour: Colour, step: float) -> None:
    for x, y in _lattice(step):
        sketch.ellipse(x, y, step * 0.27, step * 0.27, colour)


def _floral(sketch: Sketch, colour: Colour, step: float) -> None:
    wide = step * 1.7
    for x, y in _lattice(wide):
        sketch.ellipse(x, y, wide * 0.4, wide * 0.13, colour)
        sketch.ellipse(x, y, wide * 0.13, wide * 0.4, colour)


def _camouflage(sketch: Sketch, colour: Colour, step: float) -> None:
    # A fixed scatter: the pattern belongs to the product and must not change between its photos.
    for x, y, wide, high in generator(0, "camouflage").uniform(-1.0, 1.0, (26, 4)).tolist():
        sketch.ellipse(x, y, step * (0.6 + 0.4 * wide), step * (0.5 + 0.3 * high), colour)


def _zigzag(sketch: Sketch, colour: Colour, step: float) -> None:
    for row in range(int(2.2 / (step * 1.4))):
        y = -1.1 + row * step * 1.4
        points = [(-1.3 + k * step, y + (k % 2) * step * 0.7) for k in range(int(2.6 / step) + 1)]
        sketch.line(points, colour, step * 0.4)


PATTERNS: dict[str, Callable[[Sketch, Colour, float], None] | None] = {
    "solid": None, "striped": _stripes, "pinstriped": _pinstripes, "checked": _checks, "dotted": _dots,
    "floral": _floral, "camouflage": _camouflage, "zigzag": _zigzag,
}  # fmt: skip


def _blotches(cell: int, stream: int) -> np.ndarray:
    """Make smooth noise whose grains are `cell` pixels wide, about -1 to 1."""
    count = _TILE // cell + 2
    coarse = generator(0, "blotches", stream).uniform(0, 255, (count, count)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((count * cell, count * cell), Image.Resampling.BICUBIC)
    return np.asarray(image)[:_TILE, :_TILE] / 127.5 - 1.0


_TURN = 2 * math.pi
_TEXTURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "polyester": lambda _, x: 10 * np.sin(_TURN * x / 64),
    "viscose": lambda y, x: 16 * np.sin(_TURN * (x + y / 3) / 80),
    "linen": lambda y, _: 14 * np.sign(np.sin(_TURN * y / 9)) * (np.abs(_blotches(32, 1)) > 0.35),
    "wool": lambda *_: 26 * np.sign(_blotches(12, 2)),
    "cashmere": lambda _, x: 14 * np.sign(np.sin(_TURN * x / 12)),
    "mohair": lambda *_: 34 * _blotches(7, 3),
    "silk": lambda y, x: 34 * np.sin(_TURN * (y + x) / 110),
    "nylon": lambda y, _: 34 * np.abs(np.sin(math.pi * y / 34)) - 20,
    "denim": lambda y, x: 16 * np.sign(np.sin(_TURN * (y + 2 * x) / 18)) + 8 * _blotches(48, 4),
    "leather": lambda *_: 44 * np.maximum(_blotches(40, 5), 0) - 14,
    "suede": lambda *_: 24 * _blotches(28, 6),
    "shearling": lambda *_: 34 * np.sign(_blotches(20, 7)),
    "canvas": lambda y, x: 13 * np.sign(np.sin(_TURN * y / 12)) * np.sign(np.sin(_TURN * x / 12)),
}
"""Light and shade of each fibre by rows and columns of pixels, about -30 to 30. Cotton is smooth."""
FIBRES = ("cotton", *_TEXTURES)


def _tile(shade: np.ndarray) -> Image.Image:
    """Return light and shade as a picture, 128 for none.

    In steps of 4 levels: the eye does not see them and the HDF5 file is a third smaller.
    """
    levels = np.clip(np.round(shade / 4) * 4 + 128, 0, 255).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(levels)] * 3)


@functools.cache
def _texture_tile(fibre: str) -> Image.Image:
    rows, columns = np.mgrid[0:_TILE, 0:_TILE].astype(np.float64)
    return _tile(_TEXTURES[fibre](rows, columns))


def weave(image: Image.Image, fibre: str, rng: np.random.Generator) -> Image.Image:
    """Lay the fibre's texture over the cloth, at a random place."""
    if fibre == "cotton":  # what is left out here is a tenth of the time
        return image
    left, top = (int(v) for v in rng.integers(0, _TILE - PHOTO_SIZE, 2))
    tile = _texture_tile(fibre).crop((left, top, left + PHOTO_SIZE, top + PHOTO_SIZE))
    return ImageChops.add(image, tile, 1, -128)


@functools.cache
def _light_tile(direction: int) -> Image.Image:
    rows, columns = np.mgrid[0:PHOTO_SIZE, 0:PHOTO_SIZE] / (PHOTO_SIZE / 2) - 1
    angle = 2 * math.pi * direction / 8
    return _tile(14 * (math.cos(angle) * columns + math.sin(angle) * rows))


def lit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Light the photo from one side, and make it a little brighter or darker as a whole."""
    exposure = int(rng.integers(-3, 4)) * 4
    return ImageChops.add(image, _light_tile(int(rng.integers(8))), 1, exposure - 128)
