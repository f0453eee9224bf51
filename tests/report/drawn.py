"""What a plot shows, read from its figure: dots, lines, bars and words."""

import re
import warnings
from xml.etree import ElementTree

from eiclip.report.theme import svg

PHONE = 320
"""Width of a figure on a phone of 390 CSS pixels."""
SMALLEST = 10


def words(figure):
    """All that is written into a figure."""
    root = ElementTree.fromstring(svg(figure))
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def dots(axes, *, hollow=False):
    """Where the dots lie, filled ones or hollow ones."""
    found = [line for line in axes.lines if len(line.get_xdata()) == 1 and line.get_marker() not in ("None", "|")]
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in found
        if (line.get_markerfacecolor() != line.get_color()) == hollow
    ]


def intervals(axes):
    """Ends of the lines that lie flat, by their height; not those all across."""
    flat = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]]
    return {float(line.get_ydata()[0]): tuple(map(float, line.get_xdata())) for line in flat
            if line.get_transform() == axes.transData}  # fmt: skip


def lengths(axes):
    """Lengths of the bars to the right, from below upwards."""
    return [bar.get_width() for bar in sorted(_bars(axes), key=lambda bar: bar.get_y())]


def heights(axes):
    """Heights of the bars upwards, from the left."""
    return [bar.get_height() for bar in sorted(_bars(axes), key=lambda bar: bar.get_x())]


def _bars(axes):
    return [bar for container in axes.containers for bar in container]


def assert_legible(plot, connection, dataset="d"):
    """The same bytes every time; on a phone no word is smaller than ten pixels, none is cut off."""
    figure = plot(connection, dataset)
    image = svg(figure)
    assert image == svg(plot(connection, dataset)), "equal numbers, equal bytes"
    width, height = map(float, re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', image).groups())
    sizes = [float(size) for size in re.findall(rb"font-size: ([\d.]+)px", image)]
    assert min(sizes) * PHONE / width >= SMALLEST
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        box = figure.get_tightbbox()
    assert min(box.x0, box.y0) >= -0.01
    assert 72 * box.x1 < width + 0.7
    assert 72 * box.y1 < height + 0.7
