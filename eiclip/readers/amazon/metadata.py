"""One line of Amazon metadata -> one product, whichever edition (2014, 2018, 2023) the line is of.

The edition is read from the line itself, never from a file's name: a Python literal is 2014, `parent_asin` is 2023.
Every field may be missing, of another type, or written as the text of a list, so nothing here trusts a type.
"""

import contextlib
import functools
import itertools
import math
import re
from collections.abc import Collection, Sequence
from typing import Any

from eiclip.readers.base import Listing
from eiclip.readers.cells import MAX_PARTS, MAX_TEXT, UnusableRowError, joined_texts, parse_value, unread_text
from eiclip.readers.texts import (
    clean_description,
    entity_spelling,
    informative,
    says_nothing,
    storable,
)

GROUPS = ("brand", "category", "subcategory")
PRODUCT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ALT = re.compile(r"\balt\s*=\s*[\"']([^\"'<>]*)", re.IGNORECASE)
_PRICE = re.compile(r"\s*\$?\s*(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)\s*(?:-\s*\$?\s*[\d.,]+\s*)?")
_FASHION = re.compile(r"fashion|clothing|apparel", re.IGNORECASE)
_SMALL_WORDS = {"a", "an", "and", "by", "de", "for", "in", "of", "on", "or", "the", "to", "with"}
# "Visit the Nike Store", "Visit Amazon's Nike Page", "Brand: Nike", "by Nike": Amazon's own words around a brand.
_AROUND = re.compile(
    r"^(?:visit (?:the|amazon['’]?s) (?P<store>.+?) (?:store|shop|page)|brand: ?(?P<named>.+)|by (?P<by>.+))$"
)
# Single words among the bullets that look like a category.
_BULLETS = {"imported", "machine wash", "hand wash", "hand wash only", "dry clean only", "made in usa"}


def listing_of(
    record: dict[str, Any], source: str, place: int, groups: Sequence[str] = GROUPS, *,
    urls: bool = True, placeholders: Collection[str] = frozenset(),
) -> Listing:  # fmt: skip
    """Return the product of a record, with its photo's addresses where `urls`. Raises UnusableRowError.

    `placeholders` are further texts that say nothing, in lower case.
    """
    value = record.get("parent_asin")
    value = record.get("asin") if value is None else value
    product_id = product_id_of(value, _one(value))
    parts = [*_texts(record.get("features")), *_texts(record.get("feature")), *_texts(record.get("description"))]
    title, description, raw = describe(_one(record.get("title")), parts, placeholders)
    if not any(letter.isalnum() for letter in description):
        raise UnusableRowError("no title and no description", product_id)
    details = record.get("details")
    if isinstance(details, str):  # one mirror keeps it as the text of a JSON object
        details = parse_value(details)
    elif isinstance(details, list):  # Parquet's maps: pairs
        details = dict(pair for pair in details if isinstance(pair, tuple) and len(pair) == 2)
    inner = details.get("Brand") if isinstance(details, dict) else None
    brands = [clean_description(_one(value)) for value in (record.get("brand"), inner, record.get("store"))]
    brands = [brand for brand in brands if brand and len(brand) <= 100]
    brand_raw = next((brand for brand in brands if not says_nothing(brand)), next(iter(brands), ""))
    category, subcategory = category_names(record)
    price, unread = read_price(record.get("price"))
    named = {"brand": brand_spelling(brand_raw), "category": category, "subcategory": subcategory}
    return Listing(
        source=source, place=place, product_id=product_id, photo=product_id, title=title, description=description,
        description_raw=raw, category=category, subcategory=subcategory, price=price,
        price_unread=unread, currency="USD" if price else None, brand_raw=brand_raw or None,
        photo_urls=_photo_urls(record) if urls else (),
        entities={group: [entity] for group in groups if (entity := entity_spelling(named[group]))},
    )  # fmt: skip


def check_in_paper_subset(product: Listing) -> None:
    """Raise UnusableRowError where the product is not of the paper's Amazon experiment: fashion, with a brand."""
    if says_nothing(brand_spelling(product.brand_raw or "")):
        raise UnusableRowError("outside the paper's subset: no brand", product.product_id)
    if not _FASHION.search(product.category):
        reason = f"outside the paper's subset: category {product.category[:60]!r} is not fashion"
        raise UnusableRowError(reason, product.product_id)


def describe(
    title_raw: str, parts: list[str], placeholders: Collection[str] = frozenset()
) -> tuple[str, str, str]:  # fmt: skip
    """Return a product's title, its description (title first, then the parts) and both as they were written.

    What says nothing (`placeholders` in lower case among it) is left out of the first two.
    """
    # Such titles are scraped scripts ("var aPageStart = (new Date()).getTime()"), not names.
    title = "" if "getTime" in title_raw else informative(title_raw, placeholders)
    description = joined_texts([title, *(informative(part, placeholders) for part in parts)])
    return title, description, storable("\n".join([title_raw, *parts]))[:MAX_TEXT]


def category_names(record: dict[str, Any]) -> tuple[str, str]:
    """Return a record's category and subcategory; '' where there is none."""
    text = _one(record.get("main_category")) or _one(record.get("main_cat"))
    alt = _ALT.search(text) if "<" in text else None  # 2018 holds the page's logo, named in its alt text
    path = record.get("categories") or record.get("category")
    if isinstance(path, list) and path and isinstance(path[0], list):
        path = path[0]  # 2014: several paths, the first is the main one
    categories = [clean_description(part) for part in _texts(path)]
    # The last category before the specification bullets that 2018 mixes in.
    named = list(itertools.takewhile(is_category, categories))
    main = clean_description(alt.group(1) if alt else text)
    return main or next(iter(categories), ""), named[-1] if named else ""


def product_id_of(value: Any, text: str) -> str:
    """Return the id that a record's `value` holds, `text` where it is read as one. Raises UnusableRowError."""
    if value is None or value == "":
        raise UnusableRowError("no id: neither 'asin' nor 'parent_asin'")
    product_id = text.strip()
    if not PRODUCT_ID.fullmatch(product_id):
        shown = ascii(value)[:60] if isinstance(value, str) else type(value).__name__
        raise UnusableRowError(f"bad id: {shown} (letters, digits, '.', '_' and '-' only, at most 64)", shown)
    return product_id


@functools.lru_cache(maxsize=200_000)
def brand_spelling(text: str) -> str:
    """Return a brand as `entity_spelling`, without Amazon's words around it.

    >>> [brand_spelling(text) for text in ("Visit the Levi's Store", "LEVIS", "by Chloé", "Dolce & Gabbana", "N/A")]
    ["levi's", 'levis', 'chloé', 'dolce & gabbana', 'n/a']
    """
    brand = entity_spelling(text)
    around = _AROUND.match(brand)
    return entity_spelling(next(filter(None, around.groups()))) if around else brand


def is_category(text: str) -> bool:
    """Tell a category's name from a bullet such as a size, a fibre or a way of washing.

    >>> [is_category(text) for text in ("Tops & Tees", "Shoes", "Imported", "100% Cotton", "Zipper closure")]
    [True, True, False, False, False]
    """
    if not text or len(text) > 40 or text.lower() in _BULLETS or any(mark in text for mark in "<>%:;"):
        return False
    if sum(letter.isdigit() for letter in text) * 5 > len(text):
        return False
    # Categories are in title case, bullets are sentences.
    words = [word for word in text.split() if word.lower() not in _SMALL_WORDS]
    return not (text[0].isupper() and any(word[0].islower() for word in words))


def parse_price(value: Any) -> float | None:
    """Return a price in dollars, the lower end of a range; None where there is none.

    >>> parse_price("$1,012.50"), parse_price("$9.99 - $14.99"), parse_price(7), parse_price(".a-box{color:red}")
    (1012.5, 9.99, 7.0, None)
    """
    if isinstance(value, str):
        found = _PRICE.fullmatch(value[:60])
        value = found.group(1).replace(",", "") if found else None
    if value is None or isinstance(value, (bool, list, dict)):
        return None
    try:
        price = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return price if math.isfinite(price) and price > 0 else None


def read_price(value: Any) -> tuple[float | None, str | None]:
    """Return a price in dollars, and where there is a text or a number that is none, the beginning of it.

    >>> read_price("$9.99 - $14.99"), read_price("Currently unavailable"), read_price("n/a")
    ((9.99, None), (None, 'Currently unavailable'), (None, None))
    """
    price, text = parse_price(value), "" if isinstance(value, list) else _one(value)
    if price or text.startswith(("[", "{")) or text in {"true", "false"}:
        return price, None
    with contextlib.suppress(ValueError):  # a number, which prints in several ways
        return None, f"{float(text):g}" if abs(float(text)) < 1e18 else None
    return None, unread_text(text)


def _photo_urls(record: dict[str, Any]) -> tuple[str, ...]:
    """The first photo's addresses, the largest first: editions differ in where they keep them."""
    images = record.get("images")
    if isinstance(images, list):  # 2023: a photo an entry; a mirror turns it round
        images = images[0] if images else {}
    sizes = [images.get(size) for size in ("hi_res", "large", "thumb")] if isinstance(images, dict) else []
    found = [*sizes, *(record.get(name) for name in ("imageURLHighRes", "imageURL", "image", "imUrl"))]
    urls = (_one(value).strip() for value in found)
    return tuple(dict.fromkeys(url for url in urls if url.startswith(("http://", "https://"))))


def _one(value: Any) -> str:
    """Return a value as one text: a number as it prints, a list's first text, '' for anything else."""
    if isinstance(value, str):
        return storable(value[:MAX_TEXT])
    if isinstance(value, list):  # one level only: hostile nesting must not exhaust the stack
        return _one(value[0]) if value and not isinstance(value[0], list) else ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value) if abs(value) < 1e18 else ""
    return ""


def _texts(value: Any) -> list[str]:
    """Return a value as a list of texts: a text may itself be a list as JSON or as Python's repr."""
    if isinstance(value, str):
        inner = parse_value(value.strip())
        value = inner if isinstance(inner, list) else [value]
    if not isinstance(value, list):
        return []
    return [text for text in (_one(item) for item in value[:MAX_PARTS]) if text.strip()]
