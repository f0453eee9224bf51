"""Figures as SVG: light or dark as their reader, words as words, small however many dots; as PNG: light."""

import io
import re
from xml.etree import ElementTree

import duckdb
import numpy as np
import pytest
from PIL import Image

from eiclip.report.theme import MANY, ROWS, figure, plot, png, some, svg, svg_size

NAMED = "a$b$c <b> 無印 1.23456 #0068a8"


def drawing(dots):
    @plot
    def made(connection, dataset):
        drawn, (axes,) = figure(2.0)
        axes.cloud(np.linspace(0, 1, some(range(dots)).stop), np.zeros(dots), 9)
        axes.forest([0.5], [{"value": 0.123456, "low": 0.1, "high": 0.2}], ("value", "low", "high"), ROWS[4])
        axes.zero_line()
        axes.named_rows([NAMED])
        return drawn

    with duckdb.connect() as connection:
        return made(connection, "d")


def schemes(image):
    """The colours that each scheme gives to names."""
    style = re.search(rb"<style>(.*?)</style>", image)[1].decode()
    light, dark = re.fullmatch(
        r":root\{(.*?)\}@media \(prefers-color-scheme:dark\)\{:root\{(.*?)\}\}.*", style
    ).groups()
    return [dict(entry.split(":") for entry in scheme.split(";")) for scheme in (light, dark)]


def test_every_colour_has_a_name_that_both_schemes_know():
    image = svg(drawing(3))
    light, dark = schemes(image)
    used = set(re.findall(r"var\((--\w+)\)", image.decode()))
    assert {light[name] for name in used} >= {"#ffffff", "#24292f", "#d5dae1", ROWS[4]}
    assert set(light) == set(dark)
    assert not set(light.values()) & set(dark.values())
    fixed = set(re.findall(r"(?:fill|stroke): (#\w+)", image.decode()))
    assert fixed == {"#3f8fc4"}, "of dots alone"


@pytest.mark.parametrize("back", [0, 1])
def test_colours_can_be_told_from_both_backgrounds(back):
    """By the contrast of WCAG: 3 for what is drawn in the colour of a row, or of dots; 7 for words."""

    def light(colour):
        parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(one, other):
        dark, bright = sorted((light(one), light(other)))
        return (bright + 0.05) / (dark + 0.05)

    face, text, _, *rows = schemes(svg(drawing(3)))[back].values()
    assert contrast(face, text) > 7
    assert contrast(face, "#3f8fc4") > 3
    assert min(contrast(face, colour) for colour in rows) > 2  # light ones are drawn broad, or beside a number


def test_words_stay_words():
    root = ElementTree.fromstring(svg(drawing(3)))
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert NAMED in texts
    assert not [text for text in root.iter("{http://www.w3.org/2000/svg}text") if "family" in text.get("style")]


def test_numbers_of_places_are_short():
    image = svg(drawing(3)).decode()
    assert not re.search(r"\d\.\d{3}", re.sub(r">[^<]*<", "><", image))


def test_dots_by_the_thousand_are_pixels():
    few, many = svg(drawing(MANY)), svg(drawing(30 * MANY))
    assert b"data:image/png" not in few
    assert b"data:image/png" in many
    assert len(many) < len(few)


def test_equal_figures_are_equal_bytes_of_the_size_they_say():
    assert svg(drawing(2 * MANY)) == svg(drawing(2 * MANY))
    assert svg_size(svg(drawing(3))) == (403, 192)
    assert drawing(0) is None


def test_png_is_light_and_small():
    image = png(drawing(3))
    assert image == png(drawing(3))
    with Image.open(io.BytesIO(image)) as drawn:
        assert drawn.size == (630, 300)
        assert min(drawn.convert("RGB").getpixel((0, 0))) > 250
    assert len(image) < 20_000
