"""Parsing of compositions as shops write them ("60% cotton, 40% linen") into components, fibres and shares."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

LONGEST = 1000
"""Most characters of a composition (Fashion-Gen's cells hold 200 bytes)."""
LONGEST_NAME = 40
WHOLE = 100.0
TOLERANCE = 2.0
"""Percentage points by which a component's shares may differ from the whole: shops round."""

COMPOSITION_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "composition", "component", "fibre")]
    + [("share", pa.float64()), ("complete", pa.bool_()), ("parsed", pa.bool_())]
)

_PART_WORDS = """
back band body bottom collar combo contrast cuff cuffs detail embroidery exterior face fill filling front hem hood inner
inside insole interior lace lining main midsole outer outersole outside outsole overlay padding panel panels pocket
pockets rib ribbing secondary shell sleeve sleeves sole strap straps top trim upper waistband yoke
"""
_CARE_WORDS = """
and at bleach by care clean cold do dry from hand imported in iron label machine made not of only see tag tumble unknown
various wash with
"""
PARTS = frozenset(_PART_WORDS.split())
"""Words that name a component where no colon says so."""
NO_FIBRE = frozenset(_CARE_WORDS.split())
"""Words of care and origin, which follow a composition but are no fibres."""

_SHARE = re.compile(r"(?<![\d.,])(\d{1,3}(?:[.,]\d{1,3})?)\s?%")
_PERCENT = re.compile(r"(?<=\d)\s?(?:％|per\s?cent\b|pct\b)")
_ASIDE = re.compile(r"\([^()%]{0,80}\)|[()\[\]®™*]")
"""Brackets are removed with their text, but for shares: "nylon (polyamide)", "cotton (60%)"."""
_LABEL_WITHOUT_STOP = re.compile(rf"(%[^:,.;%\d]{{1,{LONGEST_NAME}}}) ({'|'.join(sorted(PARTS))})\s?:")
_SENTENCE_END = re.compile(r"(?<!\d)\.|\.(?!\d)|[;|]")
_LABEL = re.compile(rf"(?:^|,)\s?([^\W\d_][^:,%\d]{{0,{LONGEST_NAME}}}):")
_BETWEEN_FIBRES = re.compile(r"(?<!\d),|,(?!\d)|[/+&]|\band\b")
_NAME = re.compile(r"[^\W\d_](?:[^\W_]|[ '’\-])*")


@dataclass(frozen=True)
class Fibre:
    """One fibre of a component ("" where none is named) and its share of it in percent (None where none is given)."""

    component: str
    fibre: str
    share: float | None


def parse_composition(text: str) -> list[Fibre] | None:
    """Parse a composition, in the order in which it is written; None where nothing of it is understood.

    Text that is no fibre (care, origin) is skipped. Names are lower case. A text of more than `LONGEST` characters is
    not parsed.

    >>> parse_composition("Body: 97.5% silk, 2,5% elastane. Lining: cupro")[1:]
    [Fibre(component='body', fibre='elastane', share=2.5), Fibre(component='lining', fibre='cupro', share=None)]
    >>> parse_composition("see label") is None
    True
    """
    if len(text) > LONGEST:
        return None
    plain = _LABEL_WITHOUT_STOP.sub(r"\1. \2:", _PERCENT.sub("%", " ".join(_ASIDE.sub(" ", text.lower()).split())))
    found: list[Fibre] = []
    for sentence in _SENTENCE_END.split(plain):
        component = ""
        if found:  # "60% cotton; 40% linen" is one component
            same = [fibre.share or 0.0 for fibre in found if fibre.component == found[-1].component]
            component = found[-1].component if 0 < sum(same) < WHOLE - TOLERANCE else ""
        before, *labelled = _LABEL.split(sentence)  # then labels ("lining:") and the text after each, in turn
        found += _component(before, component, bare_allowed=not found)
        for label, items in zip(labelled[0::2], labelled[1::2], strict=True):
            found += _component(items, label.strip(), bare_allowed=True)
    kept: list[Fibre] = []
    for fibre in found:  # "100% cotton, cotton" names it twice
        names = {(other.component, other.fibre) for other in kept}
        if fibre.share is not None or (fibre.component, fibre.fibre) not in names:
            kept.append(fibre)
    return kept or None


def _component(items: str, component: str, *, bare_allowed: bool) -> list[Fibre]:
    """Find the fibres of one component; a word such as "lining" before or after a fibre names another."""
    found: list[Fibre] = []
    for item in _BETWEEN_FIBRES.split(items):
        for share, words in _shares(item):
            while words and words[0] in PARTS and len(words) > 1:  # "lining 60% cupro, 40% viscose"
                component, words = words[0], words[1:]
            part = words.pop() if len(words) > 1 and words[-1] in PARTS else None  # "leather upper, rubber sole"
            name = " ".join(words)
            # A share of 60 % is not alone in its component, so that "40% linen lining" names those before it too.
            if part and share is not None and share < WHOLE - TOLERANCE:
                found = [replace(fibre, component=part) if fibre.component == "" else fibre for fibre in found]
            if _is_fibre(words, name) and (share is not None or bare_allowed or found):
                found.append(Fibre(part or component, name, share))
    return found


def _shares(item: str) -> Iterator[tuple[float | None, list[str]]]:
    """Yield shares and their words: those after each share, or before it where the item ends in a share."""
    pieces = _SHARE.split(item)
    numbers, texts = pieces[1::2], [piece.split() for piece in pieces[0::2]]
    if not numbers:
        yield None, texts[0]
        return
    before, after = texts[0], texts[-1]
    if before and after and before[0] in PARTS:
        texts, before = [[], before + texts[1], *texts[2:]], []
    words = texts[:-1] if before and not after else texts[1:] if not before else []
    for number, name in zip(numbers, words, strict=False):
        share = float(number.replace(",", "."))
        if 0 < share <= WHOLE:
            yield share, name


def _is_fibre(words: list[str], name: str) -> bool:
    fits = len(name) <= LONGEST_NAME and _NAME.fullmatch(name)
    return bool(fits) and not NO_FIBRE.intersection(words) and not PARTS.issuperset(words)


def composition_table(texts: Iterable[str], dataset: str) -> pa.Table:
    """Make one row per distinct composition string and fibre (`COMPOSITION_SCHEMA`), in the strings' order.

    `complete`: every fibre of the component has a share and they sum to 100 ± 2. A string of which nothing is
    understood has one row: `parsed` false, `fibre` NULL.
    """
    rows: list[dict[str, object]] = []
    for text in sorted(set(texts)):
        named, fibres = {"dataset": dataset, "composition": text}, parse_composition(text)
        shares: dict[str, list[float | None]] = {}
        for fibre in fibres or ():
            shares.setdefault(fibre.component, []).append(fibre.share)
        for fibre in fibres or ():
            known = [share for share in shares[fibre.component] if share is not None]
            complete = len(known) == len(shares[fibre.component]) and abs(sum(known) - WHOLE) <= TOLERANCE
            rows.append(named | {"parsed": True, "complete": complete} | vars(fibre))
        if fibres is None:
            rows.append(named | {"parsed": False})
    return pa.Table.from_pylist(rows, schema=COMPOSITION_SCHEMA)
