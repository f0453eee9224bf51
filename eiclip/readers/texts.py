"""Cleaning of shop texts: markup, entities, broken characters and white space.

Patterns are linear in the text's length, and callers cap that length, so hostile text costs no more than other text.
"""

import html
import re
import unicodedata
from collections.abc import Collection, Iterable

REPLACEMENT = "\ufffd"
_SURROGATE = re.compile("[\ud800-\udfff]")
# U+FFFD once written as UTF-8 and read as latin-1 shows as three letters, or two where the column's width cut it.
_OBJECT = re.compile(r"<(?:\w+\.)*(\w+)(?: object)? at 0x[0-9a-f]+>")
_BROKEN = re.compile("(?:ï¿½?|\ufffd)+")
# What is never closed runs to the end, as in browsers, which also keeps these patterns linear.
_BLOCK = re.compile(r"<(script|style)\b[^<>]*>(?:.*?</\1\s*>|.*)", re.IGNORECASE | re.DOTALL)
# A letter must follow: "waist < 30 and > 20" is no tag.
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--(?:.*?-->|.*)", re.DOTALL)
_ENDLESS_REFERENCE = re.compile(r"&#\d{8,};?")  # html.unescape raises at 4,300 digits; characters have 7 at most
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
PLACEHOLDERS = frozenset({
    "-", "--", "---", "–", "—", ".", "...", "…", "?", "n/a", "n / a", "n.a.", "n.a", "na", "nan", "none", "(none)",
    "<none>", "nil", "null", "(null)", "<null>", "[null]", r"\n", "undefined", "unknown", "unbranded", "no brand",
    "no-brand", "not applicable", "not available", "not specified", "k.a", "k. a", "keine angabe", "n.c",
    "non renseigné",
    "#n/a", "#na", "#nv", "#null!", "#ref!", "#value!", "#name?", "#bezug!", "#wert!", "#nom?", "#valeur!",
})  # fmt: skip
"""What stands where nothing is known, as programs and people write it, in lower case."""
_LONGEST = max(map(len, PLACEHOLDERS))
TEMPLATE = re.compile(r"\{\{[^{}]*\}\}|\$\{[^{}]*\}|\{%[^{}]*%\}")  # a variable that was never filled in
_APOSTROPHES = re.compile(r"['’‘ʼ´`]|(?<!\d)\.|\.(?!\d)")  # "Levi's" and "Levis", "J.Crew" and "JCrew", but not "1.5"
_IN_KEYS = frozenset("&+%<>=.")
_TRADEMARKS = re.compile(r"[™℠®©]|\((?:tm|r|c)\)", re.IGNORECASE)  # before NFKD, which spells ™ as "TM"
_ACCENTS = re.compile("[\u0300-\u036f]")  # marks of other scripts make another letter


def storable(text: str) -> str:
    r"""Replace what UTF-8 cannot hold (lone surrogates) or what databases choke on (NUL).

    >>> storable("a\ud800b\x00c")
    'a\ufffdb\ufffdc'
    """
    if not text.isascii():
        text = _SURROGATE.sub(REPLACEMENT, text)
    return text.replace("\x00", REPLACEMENT)


def without_addresses(text: str) -> str:
    """Return an error's text with its objects' kinds alone: where in memory they lie differs from run to run.

    >>> without_addresses("malformed node on line 1: <ast.Call object at 0x7f12ab>")
    'malformed node on line 1: Call'
    """
    return _OBJECT.sub(r"\1", text)


def clean_description(text: str) -> str:
    r"""Return `text` as one line of plain words: no markup, entities, broken or control characters.

    >>> clean_description("Skinny-fit jeans in black.<br>Logo appliqu\ufffd\ufffd at back &amp; cuffs. ")
    'Skinny-fit jeans in black. Logo appliqu at back & cuffs.'
    >>> clean_description("tonal stitching\u00ef\u00bf\u00bd\u00ef\u00bf\u00bdapprox. 2\" heel")
    'tonal stitching approx. 2" heel'
    >>> clean_description("&lt;b&gt;Waist&lt;/b&gt;&amp;nbsp;&lt; 30")
    'Waist < 30'
    """
    if text.isascii() and text.isprintable() and not any(mark in text for mark in ("&", "<", "  ")):
        return text.strip()  # nearly all text; what follows would find nothing
    for _ in range(2):  # shops escape what is already escaped
        text = html.unescape(_ENDLESS_REFERENCE.sub(REPLACEMENT, text))
    text = _TAG.sub(" ", _BLOCK.sub(" ", text))
    text = _INVISIBLE.sub("", _BROKEN.sub(" ", storable(text)))
    return unicodedata.normalize("NFC", " ".join(_CONTROL.sub(" ", text).split()))


def says_nothing(text: str, more: Collection[str] = frozenset()) -> bool:
    """Whether a text stands where nothing is known: blank, of `PLACEHOLDERS` or of `more`, or a template's variable.

    >>> [says_nothing(text) for text in ("#N/A", " NULL ", "{{product.vendor}}", "Nana")]
    [True, True, True, False]
    """
    if len(text) > _LONGEST and not more and text[0] not in "{$ \t\n\r":  # nearly all text
        return False
    name = text.strip().lower()
    if not name or name in PLACEHOLDERS or name in more:
        return True
    return name[0] in "{$" and TEMPLATE.fullmatch(name) is not None


def names_nothing(entity: str, more: Collection[str] = frozenset()) -> bool:
    """Whether an entity's spelling is a placeholder, also within brackets or between dashes and full stops.

    >>> [names_nothing(name) for name in ("(no brand)", "none.", "n/a", "!!!", "no name")]
    [True, True, True, False, False]
    """
    return says_nothing(entity, more) or says_nothing(entity.strip(" .…-–—()[]<>"), more)


def informative(text: str, more: Collection[str] = frozenset()) -> str:
    """Return a text as `clean_description` does; '' where it says nothing."""
    cleaned = clean_description(text)
    return "" if says_nothing(cleaned, more) else cleaned


def entity_spelling(text: str) -> str:
    """Return an entity's name in lower case, as one line of plain words: how records keep it.

    >>> entity_spelling("  Golden  Goose ")
    'golden goose'
    """
    # NFC again: lower-casing can take a character apart.
    return " ".join(unicodedata.normalize("NFC", clean_description(text).lower()).split())


def spellings_of(texts: Iterable[str]) -> list[str]:
    """Return the entities that texts name, each once, in their order; placeholders too.

    >>> spellings_of(["White", "", "black", " white"])
    ['white', 'black']
    """
    return list(dict.fromkeys(filter(None, map(entity_spelling, texts))))


def normalise_entity(text: str) -> str:
    """Return an entity's spelling; '' for a placeholder.

    >>> normalise_entity("  Golden  Goose "), normalise_entity("N/A")
    ('golden goose', '')
    """
    entity = entity_spelling(text)
    return "" if names_nothing(entity) else entity


def normalise_entities(texts: Iterable[str]) -> list[str]:
    """Return the entities that texts name, each once, in their order, without placeholders.

    >>> normalise_entities(["White", "n/a", "black", " white"])
    ['white', 'black']
    """
    return list(dict.fromkeys(filter(None, map(normalise_entity, texts))))


def match_key(text: str) -> str:
    """Return the form in which two ways to write one name are equal.

    Case, accents, apostrophes, trademark signs, "and" for "&", and punctuation do not count, apart from '&', '+', '%',
    '<', '>', '=' and a point between digits.

    >>> [match_key(text) for text in ("Levi’s®", "LEVIS", "J.Crew", "Chloé", "Rag and Bone", "H&M", "A+", "1.5", "!!!")]
    ['levis', 'levis', 'jcrew', 'chloe', 'rag & bone', 'h & m', 'a+', '1.5', '']
    """
    plain = unicodedata.normalize("NFKD", _TRADEMARKS.sub(" ", text))
    plain = _ACCENTS.sub("", plain).lower().replace("&", " & ")
    # Vowels of some scripts are marks.
    letters = (
        letter if letter.isalnum() or letter in _IN_KEYS or unicodedata.category(letter).startswith("M") else " "
        for letter in _APOSTROPHES.sub("", plain)
    )
    words = "".join(letters).split()
    return unicodedata.normalize("NFC", " ".join("&" if word == "and" else word for word in words))
