"""Photos from URLs into a folder, as many as there are, and a note of those that cannot be had.

The folder is the state: what it holds is not fetched again, so a run that was killed is taken up by the next one.
Failures that no second try will mend are kept in a file beside the photos; delete it to have them asked for again.
"""

import asyncio
import json
import random
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from eiclip.readers.base import UnusablePhotoError
from eiclip.readers.download.fetch import Body, FetchError, Outlook, fetch, open_client
from eiclip.readers.photo_files import MAX_FILE_BYTES, PhotoFolder, decode_rgb
from eiclip.settings.load import DownloadSettings
from eiclip.storage.files import digest, whole_file

BACKOFF_SECONDS = 0.5
"""Wait before the second try; it doubles with each further one."""
MAX_BACKOFF_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 60.0
"""The longest wait that a server may ask for."""
FAILURES_NAME = "failed_downloads.jsonl"
SAVE_EVERY = 200
"""Failures between two writings of the file, at least; a quarter of those it holds where that is more."""

_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_HTML = re.compile(rb"\s*<(!doctype|html|head|body|!--|\?xml)", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """One photo to have."""

    stem: str  # file name without extension, such as the product's id
    urls: tuple[str, ...]  # best first; the next is tried when one has failed


def download_photos(wanted: Iterable[Wanted], folder: Path, settings: DownloadSettings) -> dict[str, str]:
    """Fetch what `folder` does not hold yet; return stem -> reason of what could not be had.

    `wanted` is read as it is needed. Memory holds `concurrency` bodies of `max_bytes` at most, one decoded photo, the
    stems and the failures. Of a stem that comes twice the first counts. Raises RawDataError where the folder cannot
    be listed, OSError where it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    downloads = _Downloads(folder, settings)
    try:
        asyncio.run(downloads.run(iter(wanted)))
    except BaseExceptionGroup as group:  # what one worker raised ended all
        raise group.exceptions[0] from group
    return downloads.reasons


class _Downloads:
    def __init__(self, folder: Path, settings: DownloadSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._max_bytes = min(settings.max_bytes, MAX_FILE_BYTES)  # no larger file would be read
        self._claimed = set(PhotoFolder(folder).names)  # held, or in a worker's hands
        self._past = _PastFailures(folder / FAILURES_NAME)
        # One photo is decoded at a time: pixels take much more memory than files.
        self._decoding = asyncio.Lock()
        self.reasons: dict[str, str] = {}

    async def run(self, wanted: Iterator[Wanted]) -> None:
        # Names are looked up in threads, and a look-up that hangs must not keep photos from being decoded.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(self._settings.concurrency + 4))
        try:
            async with open_client(self._settings) as client, asyncio.TaskGroup() as group:
                for _ in range(self._settings.concurrency):
                    group.create_task(self._work(wanted, client))
        finally:
            self._past.save()

    async def _work(self, wanted: Iterator[Wanted], client: httpx.AsyncClient) -> None:
        for item in wanted:  # shared by all workers: what is under way is as much as there are workers
            await asyncio.sleep(0)  # a long row of photos that are held must not stop the others' clocks
            if item.stem in self._claimed:
                continue
            self._claimed.add(item.stem)
            reason = await self._have(item, client)
            if reason is not None:
                self.reasons[item.stem] = reason

    async def _have(self, item: Wanted, client: httpx.AsyncClient) -> str | None:
        """Bring one photo into the folder, or return why it cannot be had."""
        if not _STEM.fullmatch(item.stem):
            return f"photo not downloaded: {item.stem[:128]!r} cannot be a file name"
        if not item.urls:
            return "photo not downloaded: no URL"
        # URLs may hold secrets, so a digest is kept; with it what would make a difference to the outcome.
        asked = digest([item.urls, self._max_bytes, self._settings.allow_private])
        if (past := self._past.reason(item.stem, asked)) is not None:
            return past
        failures = []
        for url in item.urls:
            try:
                await self._bring(url, item.stem, client)
                return None
            except FetchError as error:
                failures.append(error)
        return await self._note(item.stem, asked, failures)

    async def _note(self, stem: str, asked: str, failures: list[FetchError]) -> str:
        open_ones = [failure for failure in failures if failure.outlook is not Outlook.NEVER]
        others = f" (and {len(failures) - 1} more URLs)" if len(failures) > 1 else ""
        reason = f"{(open_ones or failures)[0]}{others}"
        if not open_ones and self._past.add(stem, asked, reason):
            self._past.save()
        return reason

    async def _bring(self, url: str, stem: str, client: httpx.AsyncClient) -> None:
        """Fetch a URL into the folder, in as many tries as are allowed. Raises FetchError."""
        for tries in range(self._settings.retries + 1):
            try:
                body = await fetch(client, url, self._max_bytes, self._settings.timeout)
                await self._keep(body, stem)
                return
            except FetchError as error:
                if error.outlook is not Outlook.SOON or tries == self._settings.retries:
                    raise
                wait = max(_backoff(tries), min(error.wait, MAX_RETRY_AFTER_SECONDS))
            await asyncio.sleep(wait)

    async def _keep(self, body: Body, stem: str) -> None:
        async with self._decoding:
            await asyncio.to_thread(_check, body)
        await asyncio.to_thread(_write, self._folder / f"{stem}{_extension(body.content)}", body.content)


def _check(body: Body) -> None:
    """Decode a photo, to know that it is one. Raises FetchError."""
    if not body.content:
        raise FetchError(f"empty body: {body.url}", Outlook.NEVER)
    try:
        decode_rgb(body.content, body.url)
    except UnusablePhotoError as error:
        what = f"HTML in place of a photo: {body.url}" if _HTML.match(body.content) else str(error)
        # A body of no declared length may have been cut off on its way, and come whole another time.
        raise FetchError(what, Outlook.NEVER if body.length_known else Outlook.NEXT_RUN) from error


def _extension(content: bytes) -> str:
    """Return the extension that goes with the content of a photo that could be decoded."""
    if content.startswith(b"\xff\xd8"):
        return ".jpg"
    return ".png" if content.startswith(b"\x89PNG") else ".webp"


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def _backoff(tries: int) -> float:
    """Seconds before the next try: doubling, capped, and scattered so that the workers do not come all at once."""
    return min(BACKOFF_SECONDS * 2**tries, MAX_BACKOFF_SECONDS) * random.uniform(0.5, 1.5)


class _PastFailures:
    """What no second try will mend, by stem: a digest of what was asked for, and the reason."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = dict(_read(path)) if path.exists() else {}
        self._unsaved = 0

    def reason(self, stem: str, asked: str) -> str | None:
        held = self._held.get(stem)
        return held[1] if held is not None and held[0] == asked else None

    def add(self, stem: str, asked: str, reason: str) -> bool:
        """Keep one more; return whether it is time to save."""
        self._held[stem] = (asked, reason)
        self._unsaved += 1
        return self._unsaved >= max(SAVE_EVERY, len(self._held) // 4)

    def save(self) -> None:
        """Write the file, where there is anything new."""
        if not self._unsaved:
            return
        with whole_file(self._path) as temporary, temporary.open("w", encoding="utf-8") as stream:
            for stem, (asked, reason) in self._held.items():
                stream.write(json.dumps({"stem": stem, "asked": asked, "reason": reason}) + "\n")
        self._unsaved = 0


def _read(path: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            try:
                row = json.loads(line)
                yield str(row["stem"]), (str(row["asked"]), str(row["reason"]))
            except (ValueError, TypeError, KeyError):  # somebody's edit; the worst is that a URL is asked for again
                continue
