"""Brand signatures drawn on a garment: small next to it, yet seen when the photo is 64 pixels wide."""

from collections.abc import Callable

from eiclip.synthetic.brands import Signature
from eiclip.synthetic.garments import Outline
from eiclip.synthetic.palette import Colour, brightness, contrasting, mix
from eiclip.synthetic.sketch import Point, Polygon, Sketch

# Half the width of a mark: about 28 of 256 pixels in all, 7 of 64.
_REACH = 0.125


def _ring(sketch: Sketch, x: float, y: float, r: float, colour: Colour) -> None:
    sketch.ellipse(x, y, r, r, colour)
    sketch.ellipse(x, y, r * 0.5, r * 0.5, (250, 250, 250))


def _cross(sketch: Sketch, x: float, y: float, r: float, colour: Colour) -> None:
    sketch.box(x - r * 0.36, y - r, x + r * 0.36, y + r, colour)
    sketch.box(x - r, y - r * 0.36, x + r, y + r * 0.36, colour)


def _chevron(sketch: Sketch, x: float, y: float, r: float, colour: Colour) -> None:
    sketch.polygon(((x - r, y - r * 0.2), (x, y - r), (x + r, y - r * 0.2), (x + r, y + r * 0.6), (x, y - r * 0.1),
                    (x - r, y + r * 0.6)), colour)  # fmt: skip


_SHAPES: dict[str, Callable[[Sketch, float, float, float, Colour], None]] = {
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


def draw_mark(sketch: Sketch, mark: Signature, at: Point, ground: Colour) -> None:
    """Draw the mark with a dark or light rim, so that it also shows on cloth of its own hue."""
    shape = _SHAPES[mark.shape]
    rim = (18, 18, 18) if brightness(ground) > 110 else (246, 246, 246)
    shape(sketch, at[0], at[1], _REACH * 1.3, rim)
    shape(sketch, at[0], at[1], _REACH, mark.colour)


def _middle(polygon: Polygon) -> Point:
    return sum(x for x, _ in polygon) / len(polygon), sum(y for _, y in polygon) / len(polygon)


def draw_trims(sketch: Sketch, mark: Signature, outline: Outline, ground: Colour) -> None:
    """Trim the garment's edges in the brand's manner: a coloured edge, an edge with a dark line, or a sewn-in tab."""
    tone = mix(mark.trim_colour, ground, 0.2)  # a trim is dyed to match, a mark is not
    for trim in outline.trims:
        if mark.trim == "tab":
            x, y = _middle(trim)
            sketch.box(x - 0.07, y - 0.05, x + 0.07, y + 0.05, tone)
            continue
        sketch.polygon(trim, tone)
        if mark.trim == "double":
            sketch.line(trim[:2] if len(trim) > 4 else (trim[2], trim[3]), contrasting(tone, 0.75), 0.035)
