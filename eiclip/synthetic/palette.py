"""Named colours of garments and of brand marks, and the few sums done on them."""

import numpy as np

Colour = tuple[int, int, int]

GARMENT_COLOURS: dict[str, Colour] = {
    "black": (36, 36, 40),
    "white": (238, 238, 234),
    "grey": (140, 142, 146),
    "navy": (34, 44, 88),
    "blue": (62, 116, 198),
    "red": (196, 42, 46),
    "burgundy": (104, 28, 48),
    "green": (46, 112, 70),
    "beige": (210, 188, 152),
    "brown": (112, 74, 46),
    "pink": (232, 154, 178),
    "yellow": (232, 196, 62),
}

# Vivid tones that garments do not have, so that a mark is told from its ground by hue.
MARK_COLOURS: dict[str, Colour] = {
    "scarlet": (255, 32, 24),
    "cyan": (0, 214, 230),
    "gold": (255, 206, 0),
    "violet": (138, 30, 228),
    "lime": (120, 236, 20),
    "magenta": (250, 24, 190),
    "cobalt": (14, 58, 255),
    "orange": (255, 128, 0),
}


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` moved towards `other` by `share`."""
    return (
        round(one[0] + (other[0] - one[0]) * share),
        round(one[1] + (other[1] - one[1]) * share),
        round(one[2] + (other[2] - one[2]) * share),
    )


def darker(colour: Colour, share: float = 0.3) -> Colour:
    """`colour` moved towards black."""
    return mix(colour, (0, 0, 0), share)


def lighter(colour: Colour, share: float = 0.3) -> Colour:
    """`colour` moved towards white."""
    return mix(colour, (255, 255, 255), share)


def brightness(colour: Colour) -> float:
    """Perceived brightness, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def contrasting(colour: Colour, share: float = 0.5) -> Colour:
    """A tone of `colour` that shows on it: lighter on dark, darker on light."""
    return lighter(colour, share) if brightness(colour) < 110 else darker(colour, share)


def jitter(colour: Colour, rng: np.random.Generator, spread: float = 9.0) -> Colour:
    """`colour` moved a little at random: no two dye lots are the same."""
    moved = np.clip(np.asarray(colour) + rng.normal(0.0, spread, 3), 0, 255)
    return int(moved[0]), int(moved[1]), int(moved[2])
