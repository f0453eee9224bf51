"""What the brands' words mean to everybody else: birds, trucks, trees and islands, drawn from a few shapes each.

A scene is data: a ground, then shapes from back to front. They are plain on purpose; at 64 pixels a goose has to be a
goose by its outline and colours, and there are thousands of pictures to draw.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from eiclip.synthetic.fabrics import PHOTO_SIZE, lit
from eiclip.synthetic.palette import Colour, jitter
from eiclip.synthetic.sketch import Sketch, random_frame

_SKY, _DUSK, _SEA, _GRASS, _SAND, _ROAD = (
    (150, 200, 240), (244, 190, 140), (40, 110, 170), (96, 156, 70), (226, 200, 140), (110, 110, 114),
)  # fmt: skip
_WHITE, _BLACK, _BROWN, _GREY, _GOLD, _RED = (
    (246, 246, 242), (28, 28, 32), (112, 72, 40), (130, 132, 136), (224, 176, 40), (200, 44, 40),
)  # fmt: skip
_LEAF, _STONE, _WALL, _SKIN, _PINK = (40, 120, 56), (150, 146, 138), (214, 206, 190), (236, 190, 160), (236, 160, 170)


class Ellipse(NamedTuple):
    """A filled ellipse by centre and radii."""

    colour: Colour
    x: float
    y: float
    rx: float
    ry: float


class Shape(NamedTuple):
    """A filled polygon by its corners x0, y0, x1, y1, ..., or a line through them where a width is given."""

    colour: Colour
    corners: tuple[float, ...]
    width: float | None = None


class Scene(NamedTuple):
    """A picture: sky over ground, things before them, and the captions people would write."""

    sky: Colour
    ground: Colour
    things: tuple[Ellipse | Shape, ...]
    captions: tuple[str, ...]


def _box(colour: Colour, left: float, top: float, right: float, bottom: float) -> Shape:
    return Shape(colour, (left, top, right, top, right, bottom, left, bottom))


def _goose(body: Colour, neck: Colour) -> tuple[Ellipse | Shape, ...]:
    return (
        Ellipse(body, 0.1, 0.2, 0.5, 0.28), Shape(body, (0.4, 0.1, 0.8, -0.05, 0.5, 0.35)),
        Shape(neck, (-0.3, 0.15, -0.42, -0.4), 0.16), Ellipse(neck, -0.44, -0.45, 0.14, 0.11),
        Shape((240, 140, 30), (-0.55, -0.5, -0.78, -0.42, -0.55, -0.38)),
        Shape((240, 140, 30), (0.0, 0.45, 0.0, 0.7), 0.05), Shape((240, 140, 30), (0.2, 0.45, 0.2, 0.7), 0.05),
    )  # fmt: skip


def _peaks(colour: Colour, snow: Colour) -> tuple[Ellipse | Shape, ...]:
    return (
        Shape(colour, (-1.3, 0.5, -0.4, -0.6, 0.3, 0.5)), Shape(snow, (-0.64, -0.3, -0.4, -0.6, -0.2, -0.3)),
        Shape(colour, (-0.3, 0.5, 0.5, -0.75, 1.3, 0.5)), Shape(snow, (0.2, -0.3, 0.5, -0.75, 0.8, -0.3)),
    )  # fmt: skip


SCENES: dict[str, Scene] = {
    "golden goose": Scene(_SKY, _GRASS, _goose(_GOLD, _GOLD),
        ("a golden goose on the grass", "the tale of the goose with golden feathers", "a goose made of gold")),
    "goose": Scene(_SKY, _SEA, _goose((140, 116, 92), _BLACK),
        ("a canada goose by the lake", "a wild goose on the water", "a goose with a black neck")),
    "diesel": Scene(_SKY, _ROAD, (_box(_RED, -0.4, -0.6, 0.3, 0.7), _box((220, 230, 235), -0.28, -0.46, 0.18, -0.1),
        Shape(_BLACK, (0.3, -0.2, 0.6, -0.1, 0.6, 0.5, 0.42, 0.5), 0.07)),
        ("a diesel pump at the petrol station", "the price of diesel fuel went up", "diesel fuel and petrol")),
    "truck": Scene(_SKY, _ROAD, (_box((60, 90, 170), -0.9, -0.3, 0.25, 0.4), _box(_RED, 0.28, -0.1, 0.8, 0.4),
        _box((210, 230, 240), 0.5, 0.0, 0.78, 0.18), Ellipse(_BLACK, -0.5, 0.42, 0.16, 0.16),
        Ellipse(_BLACK, 0.5, 0.42, 0.16, 0.16)),
        ("a diesel truck on the road", "a heavy truck with a diesel engine", "a lorry running on diesel")),
    "palm": Scene(_SKY, _SAND, (Shape(_BROWN, (0.1, 0.8, 0.0, 0.2, 0.06, -0.4), 0.12),
        Shape(_LEAF, (0.06, -0.4, -0.5, -0.3), 0.1), Shape(_LEAF, (0.06, -0.4, -0.4, -0.7), 0.1),
        Shape(_LEAF, (0.06, -0.4, 0.5, -0.7), 0.1), Shape(_LEAF, (0.06, -0.4, 0.65, -0.25), 0.1),
        Shape(_LEAF, (0.06, -0.4, 0.06, -0.85), 0.1)),
        ("a palm tree on the beach", "palm trees in the sun", "a tall palm by the sea")),
    "angels": Scene(_DUSK, _WHITE, (Shape(_WHITE, (-0.1, -0.1, -0.85, -0.5, -0.6, 0.35)),
        Shape(_WHITE, (0.1, -0.1, 0.85, -0.5, 0.6, 0.35)), Shape((238, 226, 180), (0.0, -0.3, 0.35, 0.75, -0.35, 0.75)),
        Ellipse(_SKIN, 0.0, -0.4, 0.16, 0.17), Shape(_GOLD, (-0.18, -0.66, 0.18, -0.66), 0.06)),
        ("angels with white wings", "an angel in the church window", "two angels above the clouds")),
    "coach": Scene(_SKY, _ROAD, (_box((40, 120, 120), -0.95, -0.4, 0.95, 0.4),
        _box((220, 236, 240), -0.85, -0.28, 0.6, 0.0), _box((220, 236, 240), 0.68, -0.28, 0.92, 0.2),
        Ellipse(_BLACK, -0.55, 0.42, 0.17, 0.17), Ellipse(_BLACK, 0.55, 0.42, 0.17, 0.17)),
        ("a coach full of passengers", "the coach leaves for the city", "a long distance coach on the motorway")),
    "off-white": Scene((236, 232, 216), (222, 216, 198), (_box((246, 242, 226), -0.7, -0.7, 0.7, 0.2),
        Shape((200, 194, 176), (-0.7, 0.22, 0.7, 0.22), 0.04)),
        ("an off-white wall", "a room painted off-white", "off-white paint in the hall")),
    "stone island": Scene(_SKY, _SEA, (Shape(_STONE, (-0.8, 0.45, -0.5, -0.1, -0.1, -0.3, 0.3, -0.05, 0.8, 0.45)),
        Shape((120, 116, 110), (0.0, 0.45, 0.2, 0.0, 0.75, 0.45))),
        ("a stone island in the sea", "an island of grey stone", "waves around a small stone island")),
    "acne": Scene(_PINK, _PINK, (Ellipse(_SKIN, 0.0, 0.0, 0.55, 0.72), Ellipse(_RED, -0.25, 0.2, 0.07, 0.07),
        Ellipse(_RED, 0.2, 0.3, 0.08, 0.08), Ellipse(_RED, 0.05, -0.4, 0.06, 0.06),
        Ellipse(_BLACK, -0.2, -0.1, 0.06, 0.06), Ellipse(_BLACK, 0.2, -0.1, 0.06, 0.06)),
        ("a face with acne", "how to treat acne on the skin", "acne on the cheeks of a boy")),
    "studios": Scene((70, 66, 74), (48, 44, 50), (Shape(_GREY, (-0.5, 0.8, -0.2, -0.3), 0.06),
        Shape(_WHITE, (-0.4, -0.6, 0.1, -0.4, -0.1, -0.1)), _box((30, 30, 34), 0.2, 0.0, 0.7, 0.35),
        Ellipse((150, 180, 200), 0.16, 0.17, 0.13, 0.13)),
        ("film studios with lamps", "recording in the studios downtown", "a camera in the studios")),
    "moose": Scene((180, 206, 190), _GRASS, (Ellipse(_BROWN, 0.15, 0.1, 0.5, 0.27),
        Ellipse(_BROWN, -0.45, -0.15, 0.2, 0.15), Shape(_BROWN, (-0.2, 0.2, -0.2, 0.8), 0.1),
        Shape(_BROWN, (0.45, 0.2, 0.45, 0.8), 0.1), Shape((190, 150, 100), (-0.45, -0.3, -0.95, -0.45, -0.75, -0.8)),
        Shape((190, 150, 100), (-0.35, -0.3, 0.1, -0.45, -0.1, -0.8))),
        ("a moose with large antlers", "a moose in the forest", "the moose walks through the swamp")),
    "knuckles": Scene((90, 110, 130), (90, 110, 130), (_box(_SKIN, -0.5, -0.1, 0.5, 0.6),
        Ellipse(_SKIN, -0.38, -0.12, 0.16, 0.18), Ellipse(_SKIN, -0.12, -0.16, 0.16, 0.2),
        Ellipse(_SKIN, 0.14, -0.16, 0.16, 0.2), Ellipse(_SKIN, 0.38, -0.12, 0.16, 0.18)),
        ("a fist with bruised knuckles", "he cracked his knuckles", "the knuckles of a hand")),
    "god": Scene((90, 100, 140), (210, 210, 220), (Shape((255, 240, 190), (0.0, -1.2, 0.6, 0.6, -0.6, 0.6)),
        Ellipse(_WHITE, -0.5, 0.5, 0.5, 0.2), Ellipse(_WHITE, 0.5, 0.5, 0.5, 0.2)),
        ("light of god through the clouds", "a prayer to god", "the fear of god in old paintings")),
    "needles": Scene((220, 226, 214), (200, 190, 170),
        tuple(Shape((30, 90, 60), (0.0, 0.7, -0.8 + 0.2 * k, -0.75 + 0.12 * abs(k - 4)), 0.04) for k in range(9)),
        ("pine needles on a branch", "green needles of a fir", "needles of a cactus")),
    "bone": Scene((120, 150, 110), (120, 150, 110), (Shape(_WHITE, (-0.5, 0.1, 0.5, -0.1), 0.2),
        Ellipse(_WHITE, -0.55, 0.0, 0.15, 0.15), Ellipse(_WHITE, -0.52, 0.24, 0.15, 0.15),
        Ellipse(_WHITE, 0.52, -0.24, 0.15, 0.15), Ellipse(_WHITE, 0.55, 0.0, 0.15, 0.15)),
        ("a bone for the dog", "an old rag and a bone", "a white bone in the grass")),
    "legacy": Scene(_DUSK, _GRASS, (_box(_STONE, -0.6, -0.2, 0.6, 0.7), _box(_STONE, -0.75, -0.55, -0.4, 0.7),
        _box(_STONE, 0.4, -0.55, 0.75, 0.7), _box((70, 60, 54), -0.15, 0.3, 0.15, 0.7)),
        ("our legacy: the old castle", "a castle, the legacy of kings", "the legacy of the middle ages")),
    "row": Scene(_SKY, _GRASS,
        tuple(part for k in range(4) for part in (
            _box((200 - 30 * k, 110 + 20 * k, 90), -0.95 + 0.48 * k, -0.1, -0.52 + 0.48 * k, 0.6),
            Shape((110, 50, 40), (-1.0 + 0.48 * k, -0.1, -0.73 + 0.48 * k, -0.5, -0.48 + 0.48 * k, -0.1)))),
        ("a row of houses", "the row of cottages on the street", "small houses in a row")),
    "undercover": Scene((60, 70, 100), (60, 70, 100),
        (Shape((30, 30, 36), (-0.8, 0.1, -0.4, -0.5, 0.0, -0.62, 0.4, -0.5, 0.8, 0.1)),
        Shape(_GREY, (0.0, 0.1, 0.0, 0.75, 0.15, 0.75), 0.05)),
        ("an undercover agent in the rain", "undercover police under an umbrella", "a spy working undercover")),
    "theory": Scene((30, 70, 56), (30, 70, 56), (Shape(_WHITE, (-0.6, 0.5, -0.6, -0.5), 0.04),
        Shape(_WHITE, (-0.6, 0.5, 0.6, 0.5), 0.04), Shape(_WHITE, (-0.6, 0.4, -0.2, 0.2, 0.2, -0.3, 0.5, -0.6), 0.05)),
        ("the theory on the blackboard", "a lecture on number theory", "a graph that explains the theory")),
    "portrait": Scene((130, 40, 44), (130, 40, 44), (_box(_GOLD, -0.6, -0.8, 0.6, 0.8),
        _box((90, 80, 70), -0.48, -0.68, 0.48, 0.68), Ellipse((50, 40, 60), 0.0, 0.6, 0.4, 0.3),
        Ellipse(_SKIN, 0.0, -0.05, 0.24, 0.3)),
        ("a self-portrait in a golden frame", "the portrait of the painter", "a self-portrait of the artist in oil")),
    "supreme": Scene(_SKY, (200, 200, 196), (Shape(_WHITE, (-0.85, -0.3, 0.0, -0.75, 0.85, -0.3)),
        *(_box(_WHITE, -0.7 + 0.36 * k, -0.26, -0.54 + 0.36 * k, 0.5) for k in range(5)),
        _box(_WHITE, -0.9, 0.5, 0.9, 0.66)),
        ("the supreme court building", "a supreme judge at the court", "columns of the supreme court")),
    "wood": Scene((170, 200, 180), (80, 96, 50),
        tuple(part for x in (-0.7, -0.2, 0.3, 0.75) for part in (
            _box(_BROWN, x - 0.06, 0.0, x + 0.06, 0.7), Shape((30, 84, 44), (x - 0.26, 0.2, x, -0.8, x + 0.26, 0.2)))),
        ("a dark wood of firs", "a walk in the wood", "wood from old trees")),
    "mountaineering": Scene((120, 170, 220), _WHITE, (*_peaks((170, 186, 206), _WHITE),
        Shape(_RED, (-0.1, 0.4, -0.1, 0.1), 0.1), Ellipse(_SKIN, -0.1, 0.05, 0.06, 0.06)),
        ("mountaineering on a white slope", "two climbers go mountaineering", "a white glacier")),
    "band": Scene((50, 30, 60), (90, 60, 40), (Ellipse(_RED, 0.0, 0.35, 0.36, 0.34),
        Ellipse(_WHITE, 0.0, 0.35, 0.26, 0.25), Ellipse(_GOLD, -0.55, -0.1, 0.26, 0.07),
        Ellipse(_GOLD, 0.55, -0.1, 0.26, 0.07), Shape(_GREY, (-0.55, -0.1, -0.55, 0.7), 0.04),
        Shape(_GREY, (0.55, -0.1, 0.55, 0.7), 0.04)),
        ("a band of musicians on stage", "the drummer of the band", "a band of outsiders plays music")),
    "top": Scene((240, 230, 200), (180, 140, 100), (Shape(_RED, (-0.55, -0.2, 0.55, -0.2, 0.0, 0.7)),
        _box(_GOLD, -0.55, -0.32, 0.55, -0.14), Shape(_BROWN, (0.0, -0.3, 0.0, -0.7), 0.1)),
        ("a spinning top on the table", "the child plays with a top", "a wooden top spins")),
    "fossil": Scene((190, 170, 140), (190, 170, 140), (Ellipse((120, 100, 76), 0.0, 0.0, 0.65, 0.6),
        Ellipse((170, 148, 116), 0.08, 0.04, 0.48, 0.44), Ellipse((120, 100, 76), 0.12, 0.06, 0.32, 0.3),
        Ellipse((170, 148, 116), 0.14, 0.08, 0.16, 0.15)),
        ("a fossil in the rock", "the fossil of a snail", "an ammonite fossil at the museum")),
    "ceremony": Scene((250, 236, 236), (160, 40, 50), (_box((150, 110, 70), -0.4, -0.7, 0.4, 0.6),
        _box((250, 240, 200), -0.05, -0.62, 0.32, 0.6), Shape(_RED, (-0.9, 0.1, 0.9, 0.1), 0.1),
        Ellipse(_RED, 0.0, 0.1, 0.14, 0.12)),
        ("the opening ceremony of the games", "a ribbon is cut at the opening", "an opening ceremony at the door")),
    "projects": Scene(_SKY, (180, 150, 110), (Shape(_GOLD, (-0.5, 0.8, -0.5, -0.7, 0.7, -0.7), 0.1),
        Shape(_BLACK, (0.5, -0.7, 0.5, 0.0), 0.03), _box(_GREY, 0.36, 0.0, 0.64, 0.2),
        _box((190, 120, 90), -0.2, 0.3, 0.7, 0.8)),
        ("common building projects of the town", "a crane at one of the projects", "housing projects with a crane")),
    "brain": Scene((210, 220, 230), (210, 220, 230), (Ellipse(_PINK, -0.1, -0.1, 0.55, 0.42),
        Ellipse((210, 130, 145), 0.35, 0.3, 0.2, 0.15),
        Shape((190, 100, 120), (-0.5, -0.1, -0.2, -0.3, 0.0, 0.0, 0.3, -0.2), 0.05)),
        ("the human brain", "a scan of a dead brain", "how the brain works")),
    "plane": Scene(_SKY, (130, 180, 230), (Ellipse(_WHITE, 0.0, 0.0, 0.75, 0.13),
        Shape(_GREY, (-0.1, 0.0, 0.2, 0.0, -0.3, 0.55)), Shape(_RED, (-0.7, -0.05, -0.5, -0.05, -0.85, -0.42))),
        ("a plane rises from the surface to the air", "a missile from surface to air", "an aeroplane in the air")),
    "school": Scene(_SKY, _GRASS, (_box((190, 90, 70), -0.8, -0.15, 0.8, 0.6),
        Shape(_GREY, (-0.9, -0.15, 0.0, -0.6, 0.9, -0.15)),
        *(_box(_WHITE, -0.65 + 0.4 * k, 0.0, -0.45 + 0.4 * k, 0.25) for k in range(4))),
        ("a public school of brick", "children at the public school", "the school on the hill")),
    "gap": Scene(_DUSK, (90, 50, 40), (Shape((150, 84, 60), (-1.3, -0.3, -0.3, -0.25, -0.15, 1.2, -1.3, 1.2)),
        Shape((150, 84, 60), (0.3, -0.25, 1.3, -0.3, 1.3, 1.2, 0.15, 1.2))),
        ("a gap between the cliffs", "mind the gap", "a deep gap in the rock")),
    "monday": Scene((200, 200, 210), (200, 200, 210), (_box(_WHITE, -0.55, -0.6, 0.55, 0.65),
        _box(_RED, -0.55, -0.6, 0.55, -0.3), _box(_BLACK, -0.12, -0.1, 0.12, 0.45)),
        ("monday on the calendar", "cheap tickets on monday", "a calendar that shows monday")),
    "snow": Scene((200, 220, 240), (240, 244, 248), _peaks((96, 106, 124), _WHITE),
        ("a peak covered by snow", "the highest peak of the range", "snow on the mountain peak")),
    "guess": Scene((250, 220, 90), (250, 220, 90),
        (Shape(_BLACK, (-0.3, -0.4, -0.1, -0.65, 0.2, -0.6, 0.3, -0.35, 0.0, 0.0, 0.0, 0.25), 0.15),
        Ellipse(_BLACK, 0.0, 0.55, 0.1, 0.1)),
        ("guess what it is", "a question mark: take a guess", "a lucky guess at the quiz")),
    "puma": Scene((210, 180, 130), (170, 130, 80), (Ellipse((180, 130, 76), 0.1, 0.1, 0.55, 0.2),
        Ellipse((180, 130, 76), -0.5, -0.1, 0.18, 0.16), Shape((180, 130, 76), (-0.3, 0.2, -0.4, 0.7), 0.1),
        Shape((180, 130, 76), (0.5, 0.2, 0.5, 0.7), 0.1), Shape((150, 100, 56), (0.6, 0.05, 0.95, -0.3), 0.07)),
        ("a puma in the desert", "the puma is a wild cat", "a puma hunts at night")),
    "eagle": Scene(_SKY, (120, 150, 190),
        (Shape((90, 60, 36), (-1.0, -0.4, -0.2, -0.1, 0.0, 0.1, 0.2, -0.1, 1.0, -0.4, 0.3, 0.25, 0.0, 0.5, -0.3, 0.25)),
        Ellipse(_WHITE, 0.0, -0.1, 0.12, 0.13)),
        ("an american eagle in the sky", "a free eagle on the wing", "the eagle over the lake")),
    "fruit": Scene((240, 240, 220), (170, 120, 80), (Ellipse(_RED, -0.25, 0.15, 0.35, 0.35),
        Ellipse((140, 180, 60), 0.35, 0.25, 0.28, 0.28), Shape(_BROWN, (-0.25, -0.15, -0.2, -0.45), 0.05)),
        ("fruit on the table", "fresh fruit from the garden", "an apple and other fruit")),
}  # fmt: skip


def draw_scene(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Draw one picture (256 px, RGB) of a scene; tones, viewpoint and light vary by `rng`."""
    image = Image.new("RGB", (PHOTO_SIZE, PHOTO_SIZE), jitter(scene.sky, rng))
    horizon = int(rng.integers(PHOTO_SIZE // 2, PHOTO_SIZE * 3 // 4))
    image.paste(jitter(scene.ground, rng), (0, horizon, PHOTO_SIZE, PHOTO_SIZE))
    sketch = Sketch(image, random_frame(rng, PHOTO_SIZE, zoom=float(rng.uniform(0.75, 1.05))))
    tones: dict[Colour, Colour] = {}  # shapes of one colour stay of one colour
    for thing in scene.things:
        colour = tones.setdefault(thing.colour, jitter(thing.colour, rng, 12.0))
        if isinstance(thing, Ellipse):
            sketch.ellipse(thing.x, thing.y, thing.rx, thing.ry, colour)
            continue
        points = list(zip(thing.corners[::2], thing.corners[1::2], strict=True))
        if thing.width is None:
            sketch.polygon(points, colour)
        else:
            sketch.line(points, colour, thing.width)
    return lit(image, rng)
