"""How plots look: two themes, light and dark, whose background is that of the page's cards.

Figures are narrow (5.2 inches), so that their text is still readable when a phone shrinks them to its width.
"""

import base64
import io
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

WIDTH = 5.2
DPI = 180
COLOURS = 256
"""Colours of a plot's palette: flat drawings lose nothing by it, and take a third of the bytes."""

CHANCE_STYLE: dict[str, Any] = {"linestyle": (0, (4, 3)), "linewidth": 1, "zorder": 1}
"""Of lines at what chance gives."""


@dataclass(frozen=True)
class Theme:
    """Colours of a plot; `rows`: warm for plain CLIP, cool for EI-CLIP, green for our own; told apart by all eyes."""

    face: str
    text: str
    grid: str
    rows: tuple[str, str, str, str, str, str]

    def settings(self) -> Any:
        """Matplotlib's settings for this theme."""
        return {
            "figure.facecolor": self.face, "savefig.facecolor": self.face, "axes.facecolor": self.face,
            "text.color": self.text, "axes.labelcolor": self.text, "axes.edgecolor": self.grid,
            "axes.titlecolor": self.text, "xtick.color": self.text, "ytick.color": self.text,
            "xtick.major.size": 0, "ytick.major.size": 0, "grid.color": self.grid, "grid.linewidth": 0.8,
            "font.size": 11, "axes.titlesize": 11, "axes.titlelocation": "left", "axes.labelsize": 10,
            "xtick.labelsize": 10, "ytick.labelsize": 10, "legend.fontsize": 9, "legend.frameon": False,
            "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
            # Names from data may hold dollar signs, which are no formulas.
            "text.parse_math": False,
        }  # fmt: skip


LIGHT = Theme("#ffffff", "#24292f", "#d5dae1", ("#8b929c", "#e69f00", "#d55e00", "#56b4e9", "#0068a8", "#00795a"))
DARK = Theme("#1c2027", "#e3e7ec", "#3d444f", ("#9aa2ad", "#f0b840", "#f07d35", "#2b7bba", "#8fd0ff", "#3ccf9e"))


def figure(height: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure with panels one above the other."""
    made = Figure(figsize=(WIDTH, height), layout="constrained")
    return made, list(made.subplots(panels, 1, squeeze=False)[:, 0])


def chance_line(axes: Axes, value: float, theme: Theme, *, upright: bool = False, label: str = "chance") -> None:
    """A dashed line at what chance gives, across or, where the axis of values lies, upright."""
    draw = axes.axvline if upright else axes.axhline
    draw(value, **CHANCE_STYLE, color=theme.text, label=f"{label} {value:.1f}")


def png(made: Figure) -> bytes:
    """The figure as PNG bytes (with a palette) that depend on nothing but its content."""
    made.set_dpi(DPI)
    canvas = FigureCanvasAgg(made)
    canvas.draw()
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")
    few = drawn.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.putpalette(_with_exact_corner(few.getpalette() or [], few, drawn))
    buffer = io.BytesIO()
    few.save(buffer, format="png")
    return buffer.getvalue()


def _with_exact_corner(palette: list[int], few: Image.Image, drawn: Image.Image) -> list[int]:
    """The palette with the background as it was: it is to be the page's own, not a mean a shade off."""
    place: Any = few.getpixel((0, 0))
    background: Any = drawn.getpixel((0, 0))
    return [*palette[: 3 * place], *background, *palette[3 * place + 3 :]]


def themed(theme: Theme) -> Any:
    """A context in which figures are made and saved in this theme."""
    return mpl.rc_context(theme.settings())


def data_uri(content: bytes, kind: str) -> str:
    """The content as a data URI, so that a page needs no other file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def as_markdown_image(png: bytes, alt: str) -> str:
    """A PNG as markdown with everything inside, for Dagster's metadata.

    >>> as_markdown_image(b"x", "a [b]")
    '![a b](data:image/png;base64,eA==)'
    """
    plain = " ".join(alt.translate(str.maketrans("", "", "[]\\")).split())
    return f"![{plain}]({data_uri(png, 'image/png')})"
