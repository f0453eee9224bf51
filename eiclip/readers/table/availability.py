"""Whether a product is in stock, as shops write it: truth values, quantities, feeds' words and people's."""

import functools
import re

from eiclip.readers.cells import unread_text

_IN_STOCK = frozenset({
    "true", "t", "yes", "y", "in stock", "instock", "available", "available now", "limited availability", "low stock",
    "in store only", "online only", "ja", "auf lager", "lagernd", "verfügbar", "sofort lieferbar", "lieferbar", "oui",
    "en stock", "disponible", "sí", "si", "disponibile", "op voorraad", "i lager", "på lager", "sim", "tak",
})  # fmt: skip
_OUT_OF_STOCK = frozenset({
    "false", "f", "no", "n", "out of stock", "outofstock", "sold out", "soldout", "unavailable", "not available",
    "currently unavailable", "discontinued", "temporarily out of stock", "preorder", "pre order", "presale", "pre sale",
    "backorder", "back order", "on backorder", "onbackorder", "coming soon", "made to order", "reserved", "nein",
    "ausverkauft", "nicht auf lager", "nicht verfügbar", "nicht lieferbar", "vergriffen", "non", "épuisé",
    "rupture de stock", "en rupture de stock", "indisponible", "agotado", "sin stock", "esaurito", "non disponibile",
    "uitverkocht", "niet op voorraad", "não", "nie",
})  # fmt: skip
"""What can be ordered and is not there yet is not in stock either."""
_QUANTITY = re.compile(r"(?P<less>-)?(?P<more>[>+])? ?(?P<number>\d{1,3}(?:[,']\d{3})+|\d+)(?:[.,]0+)? ?\+?"
                       r"(?: (?:pcs|pieces|units?|items?|left|available|in stock))?")  # fmt: skip
_SCHEMA = re.compile(r"^(?:https?://)?schema\.org/")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@functools.lru_cache(maxsize=10_000)  # few words, and quantities repeat
def read_availability(text: str) -> tuple[bool | None, str | None]:
    """Return whether a cell's text says that a product is in stock, and where it says something else, its beginning.

    >>> [read_availability(text)[0] for text in ("in_stock", "https://schema.org/InStock", "12", "-1", "preorder", "")]
    [True, True, True, False, False, None]
    >>> read_availability("ask us"), read_availability("n/a")
    ((None, 'ask us'), (None, None))
    """
    plain = _CAPITAL.sub(" ", _SCHEMA.sub("", text.strip()[:200]))
    plain = " ".join(re.sub("[_-](?=[a-z])", " ", plain.lower()).split()).rstrip(".!")
    if plain in _IN_STOCK or plain in _OUT_OF_STOCK:
        return plain in _IN_STOCK, None
    if found := _QUANTITY.fullmatch(plain):
        return not found["less"] and bool(found["more"] or int(re.sub("[,']", "", found["number"]))), None
    return None, unread_text(text)
