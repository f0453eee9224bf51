"""Named colours of garments and of brand marks, and the few sums done on them."""

import numpy as np

Colour = tuple[int, int, int]

GARMENT_COLOURS: dict[str, Colour] = {
    "black": (36, 36, 40), "white": (238, 238, 234), "grey": (140, 142, 146), "navy": (34, 44, 88),
    "blue": (62, 116, 198), "red": (196, 42, 46), "burgundy": (104, 28, 48), "green": (46, 112, 70),
    "beige": (210, 188, 152), "brown": (112, 74, 46), "pink": (232, 154, 178), "yellow": (232, 196, 62),
}  # fmt: skip
# Scarlet, cyan, gold, violet, lime, magenta, cobalt, orange: vivid tones that garments do not have, so that a mark is
# told from its ground by hue.
MARK_COLOURS: tuple[Colour, ...] = (
    (255, 32, 24), (0, 214, 230), (255, 206, 0), (138, 30, 228), (120, 236, 20), (250, 24, 190), (14, 58, 255),
    (255, 128, 0),
)  # fmt: skip


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` moved towards `other` by `share`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float) -> Colour:
    """`colour` moved towards black."""
    return mix(colour, (0, 0, 0), share)


def brightness(colour: Colour) -> float:
    """Perceived brightness, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def contrasting(colour: Colour, share: float) -> Colour:
    """A tone of `colour` that shows on it: lighter on dark, darker on light."""
    return mix(colour, (255, 255, 255), share) if brightness(colour) < 110 else darker(colour, share)


def jitter(colour: Colour, rng: np.random.Generator, spread: float = 9.0) -> Colour:
    """`colour` moved a little at random: no two dye lots are the same."""
    red, green, blue = np.clip(np.asarray(colour) + rng.normal(0.0, spread, 3), 0, 255).astype(int).tolist()
    return red, green, blue
