"""The text of a photo's cell: a path or a URL as shops' programs write it, or several of them."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from eiclip.readers.cells import UnusableRowError, parse_value
from eiclip.readers.photo_files import EXTENSIONS
from eiclip.readers.texts import storable

URL_PREFIX = "url:"
"""How a photo's reference begins that is nothing but a download; the rest names the file."""
MAX_CELL = 32_767  # characters, as many as a spreadsheet's cell has
MAX_PATH = 1024
MAX_URL = 2048
NO_BYTES = "text cannot hold a photo's bytes (base64): write photos to files, or use Parquet"
_IMAGES = (*EXTENSIONS, ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic")
_BETWEEN = re.compile(r"[\s,;|]+")
_WEB = ("http://", "https://", "//", "www.")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_HOST = re.compile(r"(?://)?(?:[a-z0-9][a-z0-9-]{0,62}\.)+([a-z]{2,24})(?::[0-9]{1,5})?/.", re.IGNORECASE)
_PLAIN = re.compile(r"[a-z0-9_-][a-z0-9_/-]*\.(?:jpe?g|png|webp)", re.IGNORECASE | re.ASCII)
"""Nearly every path: it names nothing else."""
_TEMPLATE = re.compile(r"\{([^{}]+)\}")


def template_columns(photo: str) -> tuple[str, ...]:
    """Return the columns in the braces of a photo's template; none where it is a column's name.

    >>> template_columns("{folder}/{sku}.jpg"), template_columns("picture")
    (('folder', 'sku'), ())
    """
    return tuple(_TEMPLATE.findall(photo))


def fill_template(photo: str, texts: Sequence[str]) -> str:
    """Return a template with the text of each of its columns in place; '' where one is empty.

    >>> fill_template("{folder}/{sku}.jpg", ["women", "DR-1"]), fill_template("{sku}.jpg", [""])
    ('women/DR-1.jpg', '')
    """
    remaining = iter(texts)
    return _TEMPLATE.sub(lambda _: next(remaining), photo) if all(texts) else ""


def names_in(text: str) -> list[str]:
    """Return the photos that a text names, in their order: parted by , ; | or white space, or a list as text.

    Names are parted only where all are URLs or end like files of images, so that most commas in names stay.

    >>> names_in("a, b.jpg; c.png"), names_in("https://shop.example/w_1,h_1/a.jpg | www.shop.example/b")
    (['a, b.jpg', 'c.png'], ['https://shop.example/w_1,h_1/a.jpg', 'www.shop.example/b'])
    >>> names_in("['a.jpg', 'b.jpg']"), names_in("blue, long dress")
    (['a.jpg', 'b.jpg'], ['blue, long dress'])
    """
    if text.startswith("[") and text.endswith("]") and isinstance(listed := parse_value(text), list):
        return [name.strip() for name in listed if isinstance(name, str) and name.strip()]
    lowered, begin, names = text.lower(), 0, []
    if len(lowered) != len(text):  # letters that become two: places would not agree
        lowered = text
    for between in _BETWEEN.finditer(text):
        if lowered.endswith(_IMAGES, begin, between.start()) or lowered.startswith(_WEB, between.end()):
            names.append(text[begin : between.start()])
            begin = between.end()
    names = [name for name in [*names, text[begin:]] if name]
    return names if all(name.lower().endswith(_IMAGES) or url_of(name) for name in names) else [text]


def url_of(name: str) -> str | None:
    """Return the URL that a name is or can be read as, without spaces; None for nothing but a path.

    >>> url_of("//cdn.shop.example/blue dress.jpg?a=1&amp;b=2"), url_of("women/dress.jpg")
    ('https://cdn.shop.example/blue%20dress.jpg?a=1&b=2', None)
    """
    if not is_url(name):
        host = _HOST.match(name)
        if host is None or f".{host.group(1).lower()}" in _IMAGES:
            return None
        name = f"https://{name.removeprefix('//')}"
    return name.replace("&amp;", "&").replace(" ", "%20")


def urls_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the URLs among names that are sound."""
    return tuple(url for name in names if not _fault(name) and (url := url_of(name)))


def is_url(name: str) -> bool:
    """Whether a name can be nothing but a URL."""
    return name.lower().startswith(("http://", "https://"))


def stem_of(urls: Sequence[str]) -> str:
    """Return the stem of the file that a download from the first of these URLs that gives a photo is kept in."""
    return hashlib.sha256("\n".join(urls).encode()).hexdigest()[:32]


def reference_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the reference of what a cell's text names, and the URLs to have it from.

    Raises UnusableRowError where it names nothing that can be a photo.
    """
    if len(text) <= MAX_PATH and _PLAIN.fullmatch(text):
        return text, ()
    if not text:
        raise UnusableRowError("no photo")
    if text.startswith("data:") or len(text) > MAX_CELL:
        raise UnusableRowError(f"bad photo: {NO_BYTES}")
    names = names_in(text)
    if not names:
        raise UnusableRowError("no photo")
    if len(names) == 1:
        text = names[0]
    faults = [_fault(name) for name in names]
    if all(faults):
        raise UnusableRowError(f"bad photo: {faults[0]}")
    urls = tuple(url for name, fault in zip(names, faults, strict=True) if not fault and (url := url_of(name)))
    if len(names) == 1 and is_url(names[0]):
        return f"{URL_PREFIX}{stem_of(urls)}", urls
    return storable(text), urls


def _fault(name: str) -> str | None:
    """What is wrong with a single name."""
    if _SCHEME.match(name) and not is_url(name):
        return f"{name[:60]!a} is neither http nor https"
    url = url_of(name)
    if len(url or "") > MAX_URL or (is_url(name) and any(c.isspace() or not c.isprintable() for c in str(url))):
        return f"{name[:60]!a} has control characters, or is too long"
    if len(name) > MAX_PATH and not url:
        return NO_BYTES
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name):
        return f"{name[:60]!a} has control characters"
    return None
