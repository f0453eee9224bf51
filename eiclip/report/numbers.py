"""Numbers and names as readers see them: one way each, for the page, Dagster's UI, the terminal and model cards."""

import re
from collections.abc import Iterable, Sequence

from eiclip.model.variants import CROSS_VARIANTS, SAME_STYLE_ROWS, VARIANTS

CHANCE = 0.05
"""A difference that chance gives more often than this is not called one."""
NO_BREAK = "\u00a0"
NUMBERED = VARIANTS | CROSS_VARIANTS
"""Rows that are named by their number."""
SHORT_TITLES = {
    "clip_pretrained": "pretrained", "clip_description": "description", "clip_entities_text": "entities as text",
    "eiclip_equal": "equal gates", "eiclip": "EI-CLIP", "eiclip_plus": "EI-CLIP+",
    "fashionbert": "FashionBERT", "fashionbert_entities": "FashionBERT*", "kaleidobert": "Kaleido-BERT",
    "kaleidobert_entities": "Kaleido-BERT*", "eiclip_rerank": "EI-CLIP re-ranked",
}  # fmt: skip
WITHOUT_MODEL = {
    "phash": "Perceptual hash of the photo", "pixels": "Photo as 16 × 16 pixels", "words": "Words of the text",
}  # fmt: skip
"""What products of one style are looked for with beside models."""
TITLES = WITHOUT_MODEL | {name: row.title for name, row in (SAME_STYLE_ROWS | NUMBERED).items()}
TITLES["hybrid"] = "Hybrid search: vectors, words and entities"
VIEWS = {"i": "photo", "t": "text", "m": "product"}
"""What of a product looks or is found, by the letter in tables; `product`: its photos and text together."""


def number(value: float | None, digits: int = 1) -> str:
    """A number with that many digits after the point and commas between thousands; a dash for none.

    >>> number(1234.56), number(-3, 0), number(-0.04), number(None)
    ('1,234.6', '−3', '0.0', '–')
    """
    return "–" if value is None else f"{value:z,.{digits}f}".replace("-", "−")


def signed(value: float | None, unit: str = "") -> str:
    """A change with its sign; a dash for none.

    >>> signed(1.25), signed(-0.04), signed(-3, " %"), signed(None)
    ('+1.2', '±0.0', '−3.0 %', '–')
    """
    if value is None:
        return "–"
    text = f"{abs(value):.1f}"
    sign = "±" if text == "0.0" else "−" if value < 0 else "+"
    return f"{sign}{text}{unit}"


def gain(value: float, low: float, high: float) -> str:
    """A difference and its 95 % interval.

    >>> gain(5, -1, 11)
    '+5.0 [−1.0, +11.0]'
    """
    return f"{signed(value)} [{signed(low)}, {signed(high)}]"


def probability(p: float) -> str:
    """A p-value in words.

    >>> probability(0.00009), probability(0.0123), probability(0.6)
    ('p < 0.001', 'p = 0.012', 'p = 0.60')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < CHANCE else f"p = {p:.2f}"


def p_value(p: float | None) -> str:
    """A p-value in a column headed p.

    >>> p_value(0.0001), p_value(0.012), p_value(None)
    ('< 0.001', '0.012', '–')
    """
    return "–" if p is None else probability(p).removeprefix("p ").removeprefix("= ")


def percent(share: float | None, digits: int = 1) -> str:
    """A share in percent; a dash for none."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def times(change: float | None) -> str:
    """A mean log2 change as a factor; a dash for none."""
    return "–" if change is None else f"×{number(2**change, 2)}"


def short(text: str, length: int = 16) -> str:
    """The text on one line, cut to a length.

    >>> short("one\\ntwo"), short("one two three", 8)
    ('one two', 'one two…')
    """
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def listed(names: Sequence[str]) -> str:
    """Names as they stand in a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def variant_title(name: str) -> str:
    """The title of a variant or of what is compared with them; its name where it is none of those."""
    return TITLES.get(name, name)


def ordered(variants: Iterable[str]) -> list[str]:
    """Variants of same-style retrieval, each once: without a model, the models, any others.

    >>> ordered(["mine", "eiclip", "pixels", "eiclip"])
    ['pixels', 'eiclip', 'mine']
    """
    order = list(TITLES)
    return sorted(set(variants), key=lambda name: (order.index(name) if name in order else len(order), name))


def views(text: str) -> str:
    """Pairs of views in words: what looks, and what is found.

    >>> views("t-m"), views("without i-t")
    ('text → product', 'without photo → text')
    """
    return re.sub(r"\b([itm])-([itm])\b", lambda found: f"{VIEWS[found[1]]} → {VIEWS[found[2]]}", text)


def short_title(variant: str) -> str:
    """A row's number and a word or two, where rows are named in full nearby; the name of what is no row.

    >>> short_title("eiclip"), short_title("mine")
    ('5 EI-CLIP', 'mine')
    """
    return f"{NUMBERED[variant].row} {SHORT_TITLES[variant]}" if variant in NUMBERED else variant


def unbroken(text: str) -> str:
    """Text with no line break between a number and its unit, or what it numbers.

    >>> unbroken("+5 % (row 5), p < 0.1").split(" ")
    ['+5\\xa0%', '(row\\xa05),', 'p\\xa0<\\xa00.1']
    """
    return re.sub(
        r"(?<=\d) (?=%)|(?<=\b[Rr]ow) (?=\d)|(?<=\b[Rr]ows) (?=\d)|(?<=\bp) (?=[<=])|(?<=\bp.[<=]) ", NO_BREAK, text
    )
