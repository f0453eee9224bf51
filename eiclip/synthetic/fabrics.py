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
from eiclip.synthetic.sketch import Sketch

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


def _dots(sketch: Sketch, colour: Colour, step: float) -> None:
    count = int(1.1 / step) + 1
    for row in range(-count, count + 1):
        for column in range(-count, count + 1):
            sketch.ellipse((column + 0.5 * (row % 2)) * step, row * step, step * 0.27, step * 0.27, colour)


def _floral(sketch: Sketch, colour: Colour, step: float) -> None:
    wide = step * 1.7
    count = int(1.1 / wide) + 1
    for row in range(-count, count + 1):
        for column in range(-count, count + 1):
            x, y = (column + 0.5 * (row % 2)) * wide, row * wide
            sketch.ellipse(x, y, wide * 0.4, wide * 0.13, colour)
            sketch.ellipse(x, y, wide * 0.13, wide * 0.4, colour)


def _camouflage(sketch: Sketch, colour: Colour, step: float) -> None:
    # A fixed scatter: the pattern belongs to the product and must not change between its photos.
    scatter = generator(0, "camouflage").uniform(-1.0, 1.0, (26, 4))
    for x, y, wide, high in scatter.tolist():
        sketch.ellipse(x, y, step * (0.6 + 0.4 * wide), step * (0.5 + 0.3 * high), colour)


def _zigzag(sketch: Sketch, colour: Colour, step: float) -> None:
    for row in range(int(2.2 / (step * 1.4))):
        y = -1.1 + row * step * 1.4
        points = [(-1.3 + k * step, y + (k % 2) * step * 0.7) for k in range(int(2.6 / step) + 1)]
        sketch.line(points, colour, step * 0.4)


PATTERNS: dict[str, Callable[[Sketch, Colour, float], None] | None] = {
    "solid": None,
    "striped": _stripes,
    "pinstriped": _pinstripes,
    "checked": _checks,
    "dotted": _dots,
    "floral": _floral,
    "camouflage": _camouflage,
    "zigzag": _zigzag,
}


def _blotches(cell: int, stream: int) -> np.ndarray:
    """Make smooth noise whose grains are `cell` pixels wide, about -1 to 1."""
    count = _TILE // cell + 2
    coarse = generator(0, "blotches", stream).uniform(0, 255, (count, count)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((count * cell, count * cell), Image.Resampling.BICUBIC)
    return np.asarray(image)[:_TILE, :_TILE] / 127.5 - 1.0


def _texture(fibre: str) -> np.ndarray:
    """Compute the light and shade of one fibre, about -30 to 30."""
    rows, columns = np.mgrid[0:_TILE, 0:_TILE].astype(np.float64)
    turn = 2 * math.pi
    textures: dict[str, Callable[[], np.ndarray]] = {
        "polyester": lambda: 10 * np.sin(turn * columns / 64),
        "viscose": lambda: 16 * np.sin(turn * (columns + rows / 3) / 80),
        "linen": lambda: 14 * np.sign(np.sin(turn * rows / 9)) * (np.abs(_blotches(32, 1)) > 0.35),
        "wool": lambda: 26 * np.sign(_blotches(12, 2)),
        "cashmere": lambda: 14 * np.sign(np.sin(turn * columns / 12)),
        "mohair": lambda: 34 * _blotches(7, 3),
        "silk": lambda: 34 * np.sin(turn * (rows + columns) / 110),
        "nylon": lambda: 34 * np.abs(np.sin(math.pi * rows / 34)) - 20,
        "denim": lambda: 16 * np.sign(np.sin(turn * (rows + 2 * columns) / 18)) + 8 * _blotches(48, 4),
        "leather": lambda: 44 * np.maximum(_blotches(40, 5), 0) - 14,
        "suede": lambda: 24 * _blotches(28, 6),
        "shearling": lambda: 34 * np.sign(_blotches(20, 7)),
        "canvas": lambda: 13 * np.sign(np.sin(turn * rows / 12)) * np.sign(np.sin(turn * columns / 12)),
    }
    return textures[fibre]()


FIBRES = (
    "cotton", "polyester", "viscose", "linen", "wool", "cashmere", "mohair",
    "silk", "nylon", "denim", "leather", "suede", "shearling", "canvas",
)  # fmt: skip


@functools.cache
def _texture_tile(fibre: str) -> Image.Image:
    # Steps of 4 levels: the eye does not see them and the HDF5 file is a third smaller.
    levels = np.clip(np.round(_texture(fibre) / 4) * 4 + 128, 0, 255).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(levels)] * 3)


def weave(image: Image.Image, fibre: str, rng: np.random.Generator) -> Image.Image:
    """Lay the fibre's texture over the cloth, at a random place."""
    if fibre == "cotton":  # smooth: what is left out here is a tenth of the time
        return image
    left, top = (int(v) for v in rng.integers(0, _TILE - PHOTO_SIZE, 2))
    tile = _texture_tile(fibre).crop((left, top, left + PHOTO_SIZE, top + PHOTO_SIZE))
    return ImageChops.add(image, tile, 1, -128)


@functools.cache
def _light_tile(direction: int) -> Image.Image:
    rows, columns = np.mgrid[0:PHOTO_SIZE, 0:PHOTO_SIZE] / (PHOTO_SIZE / 2) - 1
    angle = 2 * math.pi * direction / 8
    slope = math.cos(angle) * columns + math.sin(angle) * rows
    levels = (np.round(14 * slope / 4) * 4 + 128).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(levels)] * 3)


def lit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Light the photo from one side, and make it a little brighter or darker as a whole."""
    exposure = int(rng.integers(-3, 4)) * 4
    return ImageChops.add(image, _light_tile(int(rng.integers(8))), 1, exposure - 128)
