"""A vocabulary of about 1,200 composition strings with a long tail, grouped by the main fibre that the photo shows.

The vocabulary is the same for every seed, as spelling habits are; which product has which string is drawn by the seed.
"""

import functools

import numpy as np

from eiclip.synthetic.draws import chance, generator, pick, pick_weighted, zipf_weights
from eiclip.synthetic.fabrics import FIBRES

# Fibres that occur as a share beside others; hides and denim are named alone or by their parts.
_BLENDS = ("cotton", "polyester", "viscose", "linen", "wool", "cashmere", "mohair", "silk", "nylon", "elastane",
           "acrylic", "polyamide", "modal", "lyocell")  # fmt: skip
_HIDES: dict[str, tuple[str, ...]] = {
    "leather": ("leather", "calfskin", "lambskin", "buffed leather", "grained leather", "leather upper, rubber sole",
                "calfskin, textile lining", "100% lambskin. Lining: 100% cupro", "leather, cotton", "leather, metal"),
    "suede": ("suede", "calf suede", "goat suede", "suede upper, rubber sole", "suede, leather", "suede, textile",
              "kid suede. Lining: 100% cotton"),
    "shearling": ("shearling", "lamb shearling", "shearling, leather", "sheepskin shearling. Trim: leather"),
    "denim": ("denim", "cotton denim", "98% cotton, 2% elastane", "100% cotton denim", "denim, leather",
              "selvedge denim", "99% cotton, 1% elastane denim"),
    "canvas": ("canvas", "cotton canvas", "canvas upper, rubber sole", "canvas, leather", "waxed canvas",
               "canvas, suede"),
}  # fmt: skip
_PER_FIBRE = 125


def _blend(fibre: str, rng: np.random.Generator) -> str:
    others = [name for name in _BLENDS if name != fibre]
    first, second = pick(rng, others), pick(rng, others)
    main = int(rng.integers(50, 99))
    main -= main % 5 if chance(rng, 0.5) else 0  # round figures are the usual ones
    if second == first or main > 92 or chance(rng, 0.55):
        text = f"{main}% {fibre}, {100 - main}% {first}"
    else:
        share = int(rng.integers(2, 100 - main - 1)) if 100 - main > 3 else 1
        text = f"{main}% {fibre}, {100 - main - share}% {first}, {share}% {second}"
    if chance(rng, 0.18):
        text = f"Body: {text}. Lining: 100% {pick(rng, ('cotton', 'polyester', 'viscose', 'cupro', 'silk'))}"
    return text


@functools.cache
def vocabulary(fibre: str) -> tuple[str, ...]:
    """The composition strings whose main fibre is `fibre`, from the most to the least used."""
    if hides := _HIDES.get(fibre):
        fives, others = range(5, 45, 5), ("cotton", "nylon")
        return (*hides, *(f"{100 - k}% {hide}, {k}% {other}" for hide in hides[:2] for k in fives for other in others))
    rng = generator(0, "compositions", FIBRES.index(fibre))
    strings = [f"100% {fibre}", fibre]
    while len(strings) < _PER_FIBRE:
        text = _blend(fibre, rng)
        if text not in strings:
            strings.append(text)
    return tuple(strings)


def draw_composition(fibre: str, rng: np.random.Generator) -> str:
    """A composition string of the fibre: mostly a common one, often one seen nowhere else."""
    strings = vocabulary(fibre)
    return pick_weighted(rng, strings, zipf_weights(len(strings), 0.75))
