"""One try at one URL: its bytes, or why there are none and whether trying again could help.

The servers are anybody's, so nothing they say is relied on: the bytes are counted as they come, one clock runs over
the whole try with its redirects, and each hop is checked like the first.
"""

import asyncio
import email.utils
import re
import time
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Literal

import httpx

from eiclip.readers.download.public_network import CheckedTransport, PrivateAddressError
from eiclip.settings.load import DownloadSettings

MAX_REDIRECTS = 5
SHOWN_LENGTH = 200
HEADERS = {
    "User-Agent": "eiclip",
    "Accept": "image/jpeg,image/png,image/webp",
    "Accept-Encoding": "identity",  # photos are compressed already, and a compressed body could be a bomb
}


Retry = Literal["soon", "next run", "never"]
"""When a URL that failed may give its photo."""


class FetchError(Exception):
    """A URL gave no photo. Its text is the reason, ready for the quarantine."""

    def __init__(self, what: str, retry: Retry, wait: float = 0.0) -> None:
        super().__init__(f"photo not downloaded: {what}")
        self.retry = retry
        self.wait = wait  # seconds that the server asked to be left alone


@dataclass(frozen=True)
class Body:
    """What a URL gave."""

    content: bytes
    url: str  # after redirects, as `shown`
    length_known: bool  # the server framed the body, so that it is known to have come whole


def open_client(settings: DownloadSettings) -> httpx.AsyncClient:
    """Return a client that keeps no cookies, uses no proxy and reaches only the addresses that are allowed."""
    return httpx.AsyncClient(
        transport=CheckedTransport(settings.allow_private, keep_open=settings.concurrency),
        headers=HEADERS,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=None,  # noqa: S113  # `fetch` holds the clock
        trust_env=False,
    )


async def fetch(client: httpx.AsyncClient, url: str, max_bytes: int, seconds: float) -> Body:
    """Get the body of a URL, of `max_bytes` at most, within `seconds`. Raises FetchError."""
    try:
        async with asyncio.timeout(seconds):
            return await _follow(client, url, max_bytes)
    except TimeoutError as error:
        raise FetchError(f"not done within {seconds:g} s: {shown(url)}", "soon") from error
    except PrivateAddressError as error:
        # A name may resolve elsewhere tomorrow, and asking again costs no request.
        raise FetchError(f"private address: {error}, {shown(url)}", "next run") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        sent = isinstance(error, httpx.TransportError) and not isinstance(error, httpx.LocalProtocolError)
        if isinstance(error, OSError) or (sent and error.__cause__ is not None):
            what = _cut(str(error) or type(error).__name__)
            raise FetchError(f"connection failed: {shown(url)} ({what})", "soon") from error
        # What does not come from the transport is about the URL. Its text quotes that, secrets and all.
        raise FetchError(f"bad URL or redirect: {shown(url)}", "never") from error


async def _follow(client: httpx.AsyncClient, url: str, max_bytes: int) -> Body:
    request = client.build_request("GET", url)
    visited: set[str] = set()
    for _ in range(MAX_REDIRECTS + 1):
        place = str(request.url)
        if place in visited:
            raise FetchError(f"redirect loop: {shown(place)}", "never")
        if request.url.scheme not in {"http", "https"} or not request.url.host:
            raise FetchError(f"not an http(s) URL: {shown(place)}", "never")
        if request.url.port is not None and not 0 < request.url.port < 65536:
            raise FetchError(f"no such port: {shown(place)}", "never")
        visited.add(place)
        response = await client.send(request, stream=True, follow_redirects=False)
        try:
            if response.next_request is None:
                return await _body(response, max_bytes)
        finally:
            await response.aclose()
        request = response.next_request
    raise FetchError(f"over {MAX_REDIRECTS} redirects: {shown(url)}", "never")


async def _body(response: httpx.Response, max_bytes: int) -> Body:
    url, status = shown(str(response.url)), response.status_code
    if status != 200:
        retry: Retry = "soon" if status in {408, 425, 429} or status >= 500 else "never"
        asked = response.headers.get("retry-after", "").strip()  # a number of seconds, or a date
        try:
            number = re.fullmatch("[0-9]{1,9}", asked)
            wait = float(asked) if number else email.utils.parsedate_to_datetime(asked).timestamp() - time.time()
        except (ValueError, OverflowError):
            wait = 0.0
        raise FetchError(f"HTTP {status} from {url}", retry, max(0.0, wait))
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise FetchError(f"content encoding {encoding[:20]!r}, not asked for: {url}", "never")
    declared, content = response.headers.get("content-length"), bytearray()
    if declared is None or int(declared) <= max_bytes:
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > max_bytes:
                break
        else:
            framed = declared is not None or "transfer-encoding" in response.headers
            return Body(bytes(content), url, framed)
    raise FetchError(f"over {max_bytes:,} bytes: {url}", "never")


def shown(url: str) -> str:
    """Return a URL for people to read, of 200 characters at most, without what may be secret: user and query.

    >>> shown("https://me:secret@shop.example/a.jpg?token=1")
    'https://shop.example/a.jpg?...'
    """
    try:
        parsed = httpx.URL(url)
        text = str(parsed.copy_with(username=None, password=None, query=None, fragment=None))
        text += "?..." if parsed.query else ""
        odd = parsed.scheme not in {"http", "https"}
    except httpx.InvalidURL:
        text, odd = url, True
    if odd and "@" in text:  # where a user ends cannot be told, so all before goes
        text = f"...@{text.rpartition('@')[2]}"
    if odd:
        text = text.partition("?")[0]
    return _cut(text)


def _cut(text: str) -> str:
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text[: SHOWN_LENGTH + 1])
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 3]}..."
