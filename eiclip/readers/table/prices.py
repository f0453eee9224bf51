"""Prices as shops write them: in any currency, with either decimal mark, as ranges and among words.

How a column writes its prices is found out once, of its first rows, and told in the log. Only then is `1.299` known to
be one thousand; a price that can only mean one thing (`12,50`, `1,299.00`) is read as what it is in any column.
"""

import functools
import html
import itertools
import logging
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from price_parser import Price

from eiclip.readers.cells import unread_text

logger = logging.getLogger(__name__)

LOOKED_AT = 5_000
"""Rows of which a column's currency and decimal mark are found out."""
CLEARLY = 9
"""Times that one decimal mark is to be found as often as the other, to be the column's."""
MAX_PRICE = 100  # characters
_PLAIN = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,2})?")
_NUMBER = re.compile(
    r"(?<![\w.,:])"
    r"(?>[0-9]{1,3}(?:[ '][0-9]{3})+(?![0-9])(?:[.,][0-9]+)?|[0-9](?:[0-9.,]*[0-9])?|\.[0-9]+)"
    r"(?!\w|:\w|\s?%)"
)
_UNCLEAR = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")  # thousands, or thousandths
_JOINT = re.compile(r"[\s¤.…~-]*(?:[~…-]|\b(?:to|bis|à|al?|tot|do|till?|до)\b)[\s¤.…~-]*", re.IGNORECASE)
_FROM = re.compile(
    r"from|starting at|ab|von|desde|[àa] partir de|dès|a partire da|da|vanaf|od|från|fra|от|від|από", re.IGNORECASE
)
_DIGITS = {chr(code): str(unicodedata.decimal(chr(code))) for code in range(128, 0x20000) if chr(code).isdecimal()}
_MARKS = str.maketrans(dict.fromkeys("’‘`´′٬", "'") | dict.fromkeys("–—−‐", "-") | _DIGITS)
_ANY_DIGIT = str.maketrans(dict.fromkeys("0123456789", "1"))
_ARABIC_DECIMALS = re.compile("٫([0-9]+)")
_EURO_AS_MARK = re.compile(r"(?<=[0-9])€(?=[0-9]{2}\b)")
_DOTTED = re.compile(r"(?<!\w)[ء-ي]\.[ء-ي](?:\.\u200f?)?(?!\w)")
_SIGNS = {
    "$": "USD CAD AUD NZD HKD SGD TWD MXN ARS CLP COP", "US$": "USD", "CA$": "CAD", "C$": "CAD", "AU$": "AUD",
    "A$": "AUD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD", "NT$": "TWD", "MX$": "MXN", "AR$": "ARS", "CL$": "CLP",
    "CO$": "COP", "R$": "BRL", "€": "EUR", "euro": "EUR", "eur": "EUR", "£": "GBP", "¥": "JPY CNY", "￥": "JPY CNY",
    "円": "JPY", "元": "CNY", "CN¥": "CNY", "₹": "INR", "Rs": "INR PKR LKR NPR MUR", "₨": "PKR INR LKR NPR MUR",
    "kr": "SEK NOK DKK ISK", "Skr": "SEK", "Nkr": "NOK", "Dkr": "DKK", "Fr": "CHF", "SFr": "CHF", "zł": "PLN",
    "Zł": "PLN", "Kč": "CZK", "Ft": "HUF", "lei": "RON", "лв": "BGN", "₽": "RUB", "руб": "RUB", "р": "RUB",
    "₴": "UAH", "грн": "UAH", "₺": "TRY", "TL": "TRY", "₩": "KRW", "₫": "VND", "฿": "THB", "₱": "PHP", "₪": "ILS",
    "Rp": "IDR", "RM": "MYR", "ر.س": "SAR", "د.إ": "AED", "د.ك": "KWD", "ر.ق": "QAR", "ج.م": "EGP", "د.ت": "TND",
    "د.م": "MAD", "د.ب": "BHD", "ر.ع": "OMR",
}  # fmt: skip
"""What names a currency -> the ISO 4217 codes that it may mean, the likeliest first; any other is a code itself."""
_CODES = {code for codes in _SIGNS.values() for code in codes.split()} - {"TRY", "COP"}  # English words
_SMALL = re.compile(rf"\b(?:{'|'.join(sorted(_CODES)).lower()}|(?i:euros?))\b")
_IN_BRACKETS = re.compile(r"(?<=\S) *\([^()]*\)$")  # a basic price, a saving
_PRICES_APART = re.compile(
    r"[\s¤.,:;/|–-]*(?:(?:instead of|was|now|sale|rrp|msrp|list|reg(?:ular)?|before|price|statt|war|jetzt|nur|uvp|"
    r"vorher|au lieu de|avant|prix)[\s¤.,:;/|–-]*)*",
    re.IGNORECASE,
)
"""What may stand between the usual price and that of a sale."""
_MEASURE = re.compile(r" ?(?:(?:k?g|m?l|[cm]?m|oz|lbs?)\b|[%¢]|-$)", re.IGNORECASE)  # or a minus
_THOUSANDTHS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
"""Currencies that are parted in thousandths, so that their prices have three decimals."""


@dataclass(frozen=True)
class PriceForm:
    """How a column writes its prices."""

    currency: str | None = None
    """ISO 4217 code, or a sign of no known code; None: no price names one."""
    decimal: str | None = None
    """'.' or ','; None: nothing tells, and three digits after either are thousands."""


@dataclass(frozen=True)
class WrittenPrice:
    """What a cell says before the column's form is known."""

    numbers: tuple[str, ...]
    """Of them the lowest is the price: the ends of a range, or the usual price and that of a sale."""
    currencies: tuple[str, ...]
    """Codes that its currency may mean; none where it names none."""
    is_range: bool = False


def price_form(cells: Iterable[Any], where: str, currency: str | None = None, decimal: str | None = None) -> PriceForm:
    """Return the form of a column's cells, and tell it in the log, where texts among them need one.

    Args:
        cells: those of the column's first rows.
        where: the column, as the log names it.
        currency: ISO 4217 code that the settings give; None: the one that most prices name.
        decimal: mark that the settings give; None: that of the prices that can only mean one thing.
    """
    named, marks, unclear = Counter[tuple[str, ...]](), Counter[str](), ""
    for cell in cells:
        if not isinstance(cell, str) or (written := written_price(cell.strip())) is None:
            continue
        named[written.currencies] += 1
        marks.update(mark for number in written.numbers if (mark := decimal_mark(number)))
        unclear = unclear or next(filter(_UNCLEAR.fullmatch, written.numbers), "")
    codes = Counter[str]()
    for found, count in named.items():
        codes.update({found[0]: count} if found else {})  # of a sign of several currencies the usual one
    currency = currency or next((code for code, _ in codes.most_common(1)), None)
    dots, commas = marks["."], marks[","]
    told = "." if dots > CLEARLY * commas else "," if commas > CLEARLY * dots else None
    form = PriceForm(currency, decimal or told or ("." if currency in _THOUSANDTHS else None))
    if named:
        mark = f"the decimal mark {form.decimal!r}" if form.decimal else "thousands wherever three digits follow a mark"
        logger.info("%s: prices are read as %s, with %s", where, currency or "of one currency", mark)
    others = Counter[str]()
    for found, count in named.items():
        others.update({found[0]: count} if found and currency not in found else {})
    if others:
        listed = ", ".join(f"{code} {count:,}" for code, count in others.most_common(5))
        way_out = "set the dataset's columns.currency if it is another"
        logger.warning("%s: prices not in %s are left out (%s in the first rows); %s", where, currency, listed, way_out)
    if unclear and form.decimal is None:
        why = "both '.' and ',' mark decimals in others" if marks else "no other price tells which"
        way_out = "set the dataset's columns.decimal to '.' or ','"
        logger.warning("%s: %r is read as thousands, though %s; %s", where, unclear, why, way_out)
    return form


def decimal_mark(number: str) -> str | None:
    """Return the mark that can only be the decimal one; None where there is none, or it may part thousands.

    >>> [decimal_mark(text) for text in ("12,50", "1,299.00", "0.999", "1.299", "1.299.000", "1299")]
    [',', '.', '.', None, None, None]
    """
    found = [letter for letter in number if letter in ".,"]
    if not found or _UNCLEAR.fullmatch(number):
        return None
    return found[-1] if found.count(found[-1]) == 1 else None


def read_price(cell: Any, form: PriceForm) -> tuple[float | None, str | None]:
    """Return the price in a cell, and where it holds something that is none, the beginning of that text.

    A range's price is its lower end. None are 0, what is negative, and what is of another currency than the column.

    >>> euros = PriceForm("EUR", ",")
    >>> [read_price(text, euros)[0] for text in ("1.299", "ab 19,99 €", "10 - 20 EUR", "CHF 12", "Call us", "n/a")]
    [1299.0, 19.99, 10.0, None, None, None]
    >>> read_price("Call us", euros), read_price("n/a", euros)
    ((None, 'Call us'), (None, None))
    """
    if isinstance(cell, list):
        cell = cell[0] if cell else None
    if isinstance(cell, str):
        text = cell.strip()
        if _PLAIN.fullmatch(text) and (amount := float(text)) > 0:
            return amount, None  # nearly all
        return _of_text(text[: MAX_PRICE + 1], form)
    if cell is None:
        return None, None
    try:
        amount = math.nan if isinstance(cell, (bool, dict, list)) else float(cell)
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if amount > 0 and math.isfinite(amount):
        return amount, None
    return None, None if isinstance(cell, float) and math.isnan(cell) else unread_text(str(cell))


@functools.lru_cache(maxsize=10_000)  # prices repeat
def _of_text(text: str, form: PriceForm) -> tuple[float | None, str | None]:
    written = written_price(text)
    if written is None or (written.currencies and form.currency and form.currency not in written.currencies):
        return None, unread_text(text)
    amounts = [_amount(number, form.decimal) for number in written.numbers]
    good = [amount for amount in amounts if amount and math.isfinite(amount)]
    if len(good) < len(amounts) or (written.is_range and not written.currencies and good != sorted(good)):
        return None, unread_text(text)
    return min(good), None


def _amount(number: str, decimal: str | None) -> float | None:
    mark = decimal if _UNCLEAR.fullmatch(number) else decimal_mark(number)
    if mark and number.count(".") + number.count(",") == number.count(mark) == 1:
        return float(number.replace(",", "."))
    return Price.fromstring(number, decimal_separator=mark).amount_float


def written_price(text: str) -> WrittenPrice | None:
    """Return the numbers and the currency of a text that is a price; None where it is none.

    Of several numbers, the ends of a range or what a currency stands beside count ("2 x 9,99 €"). Without a currency,
    a number among words is a price where it has two decimals, or the word is 'from': "Size 42" is none.
    """
    if len(text) > MAX_PRICE:
        return None
    whole = _plain(text)
    plain = _IN_BRACKETS.sub("", whole)
    one, other = _currency(plain), _currency(whole[len(plain) :])
    if one and other and set(_codes(one)).isdisjoint(_codes(other)):
        return None
    layout = _layout(plain.translate(_ANY_DIGIT))
    if layout is None:
        return None
    numbers = (plain[begin:end].replace(" ", "").replace("'", "") for begin, end in layout.places)
    return WrittenPrice(tuple(numbers), layout.currencies, layout.is_range)


@dataclass(frozen=True)
class _Layout:
    """Where the numbers of a text are, and what stands around them."""

    places: tuple[tuple[int, int], ...]
    currencies: tuple[str, ...]
    is_range: bool


@functools.lru_cache(maxsize=10_000)  # a column has few, whatever its prices
def _layout(text: str) -> _Layout | None:
    """The layout of a text whose digits are all 1; None where it is no price."""
    # In brackets are negative amounts of accounts; raised digits are decimals, or a footnote.
    if text.startswith("(") or any(letter.isdigit() and not letter.isdecimal() for letter in text):
        return None
    symbol = _currency(text)
    if symbol is not None:
        for sign in (f"{symbol}.", symbol) if symbol[-1].isalpha() else (symbol,):
            text = text.replace(sign, "¤" * len(sign))
        if (other := _currency(text)) and not set(_codes(other)) & set(_codes(symbol)):
            return None
    found = list(_NUMBER.finditer(text))
    if not found or text[: found[0].start()].rstrip(" ¤").endswith("-"):
        return None
    between = [text[one.end() : two.start()] for one, two in itertools.pairwise(found)]
    is_range = len(found) == 2 and _JOINT.fullmatch(between[0]) is not None
    if len(found) > 1 and not is_range:
        pairs = zip(found, [*between, "x"], strict=True)
        found = [number for number, gap in pairs if _is_beside(text, number) or (symbol and not gap.strip(" ¤"))]
        gaps = [text[one.end() : two.start()] for one, two in itertools.pairwise(found)]
        if not all(_PRICES_APART.fullmatch(gap) for gap in gaps):  # a shipping, a saving, an instalment
            return None
    if not found or _MEASURE.match(text[found[-1].end() :]):
        return None
    words = f"{text[: found[0].start()]} {text[found[-1].end() :]}".strip(" -.,:;/…")
    if symbol is None and any(map(str.isalpha, words)) and not _FROM.fullmatch(words):
        mark = decimal_mark(found[0][0])
        if is_range or not mark or len(found[0][0].rpartition(mark)[2]) != 2:
            return None
    return _Layout(tuple(number.span() for number in found), _codes(symbol) if symbol else (), is_range)


def _plain(text: str) -> str:
    """The text with ASCII digits, spaces, dashes and apostrophes, and codes in capitals."""
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        # The Arabic decimal mark is one even before three digits.
        text = _ARABIC_DECIMALS.sub(lambda found: f".{found[1]}{'0' * (len(found[1]) == 3)}", text.translate(_MARKS))
        if _EURO_AS_MARK.search(text):
            text = f"{_EURO_AS_MARK.sub('.', text)} €"
    return _SMALL.sub(lambda found: found[0].upper()[:3], " ".join(text.split()))


def _currency(text: str) -> str | None:
    """What names the currency in a text; a word that only holds its letters does not."""
    symbol = Price.fromstring(text).currency
    if symbol is None:
        return found[0] if (found := _DOTTED.search(text)) else None
    is_word = symbol[0].isalpha() and symbol[-1].isalpha()
    return symbol if not is_word or re.search(rf"(?<![^\W\d_]){symbol}(?![^\W\d_])", text) else None


def _codes(symbol: str) -> tuple[str, ...]:
    symbol = symbol.rstrip(".\u200f")
    return tuple(_SIGNS.get(symbol, symbol).split())


def _is_beside(text: str, number: re.Match[str]) -> bool:
    """Whether the currency's sign stands before or after a number."""
    return text[: number.start()].rstrip(" .").endswith("¤") or text[number.end() :].lstrip(" .,-").startswith("¤")
