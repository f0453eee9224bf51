"""Drawing in garment coordinates: x and y run over [-1, 1], y downwards, whatever the photo's viewpoint.

Viewpoint, scale, rotation and mirror are one affine map applied to the outlines before they are filled. Warping pixels
afterwards would look the same and cost ten times as much.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

Point = tuple[float, float]
Polygon = tuple[Point, ...]
Ink = int | tuple[int, int, int]

_CIRCLE: Polygon = tuple((math.cos(2 * math.pi * k / 16), math.sin(2 * math.pi * k / 16)) for k in range(16))


class Frame(NamedTuple):
    """The affine map from garment coordinates to pixels: (x, y) -> (a x + b y + c, d x + e y + f)."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def points(self, polygon: Sequence[Point]) -> list[Point]:
        """Return the polygon's corners in pixels."""
        a, b, c, d, e, f = self
        return [(a * x + b * y + c, d * x + e * y + f) for x, y in polygon]


def random_frame(rng: np.random.Generator, size: int, *, zoom: float = 1.0) -> Frame:
    """Draw a viewpoint: shift, scale, a small rotation and shear, foreshortening, and sometimes a mirror image."""
    scale = size / 2 * rng.uniform(0.84, 0.95) * zoom
    angle = math.radians(rng.normal(0.0, 2.5))
    width = scale * rng.uniform(0.92, 1.03) * (-1.0 if rng.random() < 0.15 else 1.0)
    shift_x, shift_y = rng.uniform(-0.045, 0.045, 2) * size
    lean = rng.normal(0.0, 0.03)
    cos, sin = math.cos(angle), math.sin(angle)
    return Frame(
        width * cos, scale * (lean * cos - sin), size / 2 + shift_x,
        width * sin, scale * (lean * sin + cos), size / 2 + shift_y,
    )  # fmt: skip


class Sketch:
    """An image drawn on through a frame."""

    def __init__(self, image: Image.Image, frame: Frame) -> None:
        self.image = image
        self.frame = frame
        self._draw = ImageDraw.Draw(image)

    def polygon(self, polygon: Sequence[Point], fill: Ink, outline: Ink | None = None) -> None:
        """Fill a polygon; with `outline`, edge it by a thin line."""
        self._draw.polygon(self.frame.points(polygon), fill=fill, outline=outline, width=self._pixels(0.02))

    def box(self, left: float, top: float, right: float, bottom: float, fill: Ink, outline: Ink | None = None) -> None:
        """Fill the rectangle between two corners."""
        self.polygon(((left, top), (right, top), (right, bottom), (left, bottom)), fill, outline)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Ink) -> None:
        """Fill an ellipse by its centre and radii."""
        self.polygon([(x + rx * u, y + ry * v) for u, v in _CIRCLE], fill)

    def line(self, points: Sequence[Point], fill: Ink, width: float = 0.02) -> None:
        """Draw a line through the points."""
        self._draw.line(self.frame.points(points), fill=fill, width=self._pixels(width), joint="curve")

    def _pixels(self, width: float) -> int:
        pixels = math.hypot(self.frame.b, self.frame.e)  # per unit of y
        return max(1, round(width * pixels))
