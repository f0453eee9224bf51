"""How plots look, what they share, and how they are given away: as SVG that is light or dark as its reader, or as PNG.

Figures are 4.2 inches wide and no text is below 9.5 points: 10 pixels on a phone, which shows them 320 pixels wide.
"""

import base64
import contextlib
import functools
import io
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any, Literal, TypeVar

import duckdb
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

WIDTH = 4.2
DPI = 150
FACE, TEXT, GRID = "#ffffff", "#24292f", "#d5dae1"
ROWS = ("#8b929c", "#e69f00", "#d55e00", "#56b4e9", "#0068a8", "#00795a")
"""Colours of the rows: warm for plain CLIP, cool for EI-CLIP, green for our own; told apart by all eyes."""
DARK = dict(zip((FACE, TEXT, GRID, *ROWS), ("#1c2027", "#e3e7ec", "#3d444f", "#9aa2ad", "#f0b840", "#f07d35", "#2b7bba",
                                            "#8fd0ff", "#3ccf9e"), strict=True))  # fmt: skip
"""What each colour becomes in the dark; the background is that of the page's cards in both."""
DOTS = "#3f8fc4"
"""Of dots by the thousand: they become pixels, whose colour is fixed, and is seen on both backgrounds."""
FEW, MANY = 50, 400
"""Dots below which none lies on another, and from which an image of them is smaller than they are."""
CHANCE_STYLE: dict[str, Any] = {"linestyle": (0, (4, 3)), "linewidth": 1, "color": TEXT, "zorder": 1}
"""Of lines at what chance gives."""
SETTINGS: Any = {
    "figure.facecolor": FACE, "axes.facecolor": "none", "text.color": TEXT, "axes.labelcolor": TEXT,
    "axes.edgecolor": GRID, "axes.titlecolor": TEXT, "xtick.color": TEXT, "ytick.color": TEXT, "xtick.major.size": 0,
    "ytick.major.size": 0, "xtick.minor.size": 0, "grid.color": GRID, "grid.linewidth": 0.8, "font.size": 9.5,
    "axes.titlesize": 11, "figure.titlesize": 11, "figure.labelsize": 9.5, "axes.titlelocation": "left",
    "axes.labelsize": 10, "xaxis.labellocation": "right", "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5, "legend.fontsize": 9.5, "legend.frameon": False, "legend.columnspacing": 1.2,
    "legend.handlelength": 1.6, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "lines.linewidth": 2, "lines.solid_capstyle": "butt", "svg.fonttype": "none", "svg.hashsalt": "eiclip",
    # Names from data may hold dollar signs, which are no formulas.
    "text.parse_math": False,
}  # fmt: skip
T = TypeVar("T", bound=Sized)
Plot = Callable[[duckdb.DuckDBPyConnection, str], Figure | None]
"""Draws a dataset of a catalogue."""
Location = Literal["outside upper left", "outside lower left"]


class NothingToDraw(Exception):
    """A plot's table is not there, or has no row for it."""


def some(rows: T) -> T:
    """The rows; without any, the plot that asks for them is None."""
    if not rows:
        raise NothingToDraw
    return rows


def plot(make: Callable[[duckdb.DuckDBPyConnection, str], Figure]) -> Plot:
    """Makes a plot of what draws one: it looks as all do, and is None where there is nothing to draw."""

    @functools.wraps(make)
    def drawn(connection: duckdb.DuckDBPyConnection, dataset: str) -> Figure | None:
        with mpl.rc_context(SETTINGS), contextlib.suppress(NothingToDraw):
            return make(connection, dataset)
        return None

    return drawn


class Panel(Axes):
    """Axes with what the plots share."""

    def named_rows(self, names: Sequence[str], **properties: Any) -> None:
        """Names to the left, from below upwards, and lines to read values by; properties are those of `set`."""
        self.set(yticks=range(len(names)), yticklabels=names, ylim=(-0.6, len(names) - 0.4), **properties)
        self.grid(axis="x")

    def bars(self, places: Iterable[float], values: Sequence[Any], height: float, colour: str, label: str | None = None,
             shown: str | Callable[[Any], str] = "{:,.0f}") -> None:  # fmt: skip
        """Bars to the right with their values as numbers."""
        self.bar_label(self.barh(list(places), values, height, color=colour, label=label), fmt=shown, padding=3)

    def forest(
        self, places: Iterable[float], rows: Sequence[Mapping[str, Any] | None], columns: Sequence[str], colour: str, *,
        label: str | None = None, marker: str = "o", numbers: Callable[[float], str] | None = None,
        hollow: Callable[[Any], bool] = lambda row: False,
    ) -> None:  # fmt: skip
        """A dot for each row and a line for its interval, where there is one; rows that are None are left out.

        Args:
            columns: value, low and high end.
            numbers: how values are written above their dots; not at all without.
        """
        for place, row in zip(places, rows, strict=True):
            if row is None:
                continue
            value, low, high = (row[name] for name in columns)
            if low is not None:
                self.plot([low, high], [place, place], color=colour)
            face = FACE if hollow(row) else colour
            self.plot([value], [place], marker, color=colour, markersize=6.5, markerfacecolor=face, label=label)
            if numbers is not None:
                self.number(numbers(value), (value, place))
            label = None

    def number(self, text: str, place: tuple[float, float]) -> None:
        """A number above its dot."""
        box = {"facecolor": FACE, "linewidth": 0, "pad": 0.6, "alpha": 0.75}
        self.annotate(text, place, (0, 6), textcoords="offset points", ha="center", bbox=box)

    def cloud(self, x: Any, y: Any, size: float) -> None:
        """Dots, paler where they are more, and pixels where they are many."""
        self.scatter(
            x, y, s=size, color=DOTS, alpha=0.9 if len(x) < FEW else 0.45, linewidths=0, rasterized=len(x) > MANY
        )

    def zero_line(self, *, upright: bool = True) -> None:
        """Where nothing differs."""
        (self.axvline if upright else self.axhline)(0, color=TEXT, linewidth=0.8, zorder=1)

    def chance_line(self, value: float, shown: float, *, upright: bool = False, label: str = "chance") -> None:
        """A dashed line at what chance gives, across or, where the axis of values lies, upright."""
        (self.axvline if upright else self.axhline)(value, **CHANCE_STYLE, label=f"{label} {shown:.1f}")

    def whole_numbers(self, most: int, way: Literal["x", "y"] = "x") -> None:
        """Few ticks at whole numbers with commas, and lines to read values by."""
        axis = self.xaxis if way == "x" else self.yaxis
        axis.set_major_locator(MaxNLocator(most, integer=True))
        axis.set_major_formatter("{x:,.0f}")
        self.grid(axis=way)


def figure(height: float, panels: int = 1, across: int = 1, **options: Any) -> tuple[Figure, list[Panel]]:
    """An empty figure with panels one above the other, or side by side."""
    made = Figure(figsize=(WIDTH, height), layout="constrained")
    return made, list(made.subplots(panels, across, squeeze=False, subplot_kw={"axes_class": Panel}, **options).flat)


def legend(made: Figure, ncols: int = 2, loc: Location = "outside upper left") -> Figure:
    """The figure with one legend for all panels, each label once."""
    entries: dict[Any, Any] = {}
    for axes in made.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    made.legend(list(entries.values()), list(entries), loc=loc, ncols=ncols)
    return made


def svg(made: Figure) -> bytes:
    """The figure as SVG that depends on nothing but its content; its reader's scheme decides on the colours."""
    names = {light: f"--c{place}" for place, light in enumerate(DARK)}
    light, dark = (";".join(f"{names[key]}:{shown}" for key, shown in pairs)
                   for pairs in (zip(DARK, DARK, strict=True), DARK.items()))  # fmt: skip
    style = f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    style += "text{font-family:system-ui,sans-serif}</style>"

    def shorter(tag: re.Match[str]) -> str:
        """A tag with colours by name and hundredths of a point, its font left to the style."""
        text = re.sub(r" font-family: [^;\"]*;?| transform=\"rotate\(-0 [^\"]*\"", "", tag[0])
        return re.sub(r"(\.\d\d)\d+", r"\1", re.sub("|".join(names), lambda key: f"var({names[key[0]]})", text))

    opening, body = _saved(made, "svg").decode().split("<svg", 1)[1].split(">", 1)
    return f"<svg{opening}>{style}{re.sub('<[^>]*>', shorter, body)}".encode()


def svg_size(image: bytes) -> tuple[int, int]:
    """Width and height of such an SVG in CSS pixels: the page keeps the place free before it is drawn."""
    width, height = (float(image.split(b' %s="' % name, 1)[1].split(b"pt", 1)[0]) for name in (b"width", b"height"))
    return round(width * 4 / 3), round(height * 4 / 3)


def png(made: Figure) -> bytes:
    """The figure as PNG in light colours, of a palette: flat drawings lose nothing by it, and take a third as much."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(_saved(made, "png"))) as drawn:
        drawn.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, "png")
    return buffer.getvalue()


def _saved(made: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing")  # names of any script: browsers have fonts for them
        if (engine := made.get_layout_engine()) is not None:
            engine.execute(made)  # by hand: else all is drawn twice, once for its layout alone
            made.set_layout_engine(None)
        made.savefig(buffer, format=kind, dpi=DPI, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """The content as a data URI, so that a page needs no other file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def as_markdown_image(png: bytes, alt: str) -> str:
    """A PNG as Markdown with everything inside, for Dagster's metadata.

    >>> as_markdown_image(b"x", "a [b]")
    '![a b](data:image/png;base64,eA==)'
    """
    plain = " ".join(alt.translate(str.maketrans("", "", "[]\\")).split())
    return f"![{plain}]({data_uri(png, 'image/png')})"
