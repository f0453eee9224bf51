"""Photos from URLs into a folder, as many as there are, and a note of those that cannot be had.

The folder is the state: what it holds is not fetched again, so a run that was killed is taken up by the next one.
Failures that no second try will mend are kept in a file beside the photos; delete it to have them asked for again.
"""

import asyncio
import contextlib
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from eiclip.readers.base import UnusablePhotoError
from eiclip.readers.download.fetch import Body, FetchError, fetch, open_client
from eiclip.readers.photo_files import MAX_FILE_BYTES, PhotoFolder, decode_rgb
from eiclip.settings.load import DownloadSettings
from eiclip.storage.files import digest, whole_file

BACKOFF_SECONDS = 0.5  # before the second try; it doubles with each further one
MAX_BACKOFF_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 60.0  # the longest wait that a server may ask for
FAILURES_NAME = "failed_downloads.jsonl"
SAVE_EVERY = 200  # failures between two writings of the file; a quarter of those it holds where that is more
_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_HTML = re.compile(rb"\s*<(!doctype|html|head|body|!--|\?xml)", re.IGNORECASE)


Wanted = tuple[str, tuple[str, ...]]
"""The stem of a photo's file name, such as the product's id, and its URLs: the next is tried when one has failed."""


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
        self._folder, self._settings = folder, settings
        self._max_bytes = min(settings.max_bytes, MAX_FILE_BYTES)  # no larger file would be read
        self._claimed = set(PhotoFolder(folder).names)  # held, or in a worker's hands
        self._failed: dict[
            str, tuple[str, str]
        ] = {}  # what no second try will mend: a digest of what was asked, reason
        past = folder / FAILURES_NAME
        for line in past.read_text(encoding="utf-8", errors="replace").split("\n") if past.exists() else ():
            # What somebody's edit has spoilt is asked for again.
            with contextlib.suppress(ValueError, TypeError, KeyError):
                row = json.loads(line)
                self._failed[str(row["stem"])] = str(row["asked"]), str(row["reason"])
        self._unsaved = 0
        self._decoding = asyncio.Lock()  # one photo at a time: pixels take much more memory than files
        self.reasons: dict[str, str] = {}

    async def run(self, wanted: Iterator[Wanted]) -> None:
        # Names are looked up in threads, and a look-up that hangs must not keep photos from being decoded.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(self._settings.concurrency + 4))
        try:
            async with open_client(self._settings) as client, asyncio.TaskGroup() as group:
                for _ in range(self._settings.concurrency):
                    group.create_task(self._work(wanted, client))
        finally:
            if self._unsaved:
                self._save()

    async def _work(self, wanted: Iterator[Wanted], client: httpx.AsyncClient) -> None:
        for stem, urls in wanted:  # shared by all workers: what is under way is as much as there are workers
            await asyncio.sleep(0)  # a long row of photos that are held must not stop the others' clocks
            if stem in self._claimed:
                continue
            self._claimed.add(stem)
            reason = await self._have(stem, urls, client)
            if reason is not None:
                self.reasons[stem] = reason

    async def _have(self, stem: str, urls: Sequence[str], client: httpx.AsyncClient) -> str | None:
        """Bring one photo into the folder, or return why it cannot be had."""
        if not _STEM.fullmatch(stem):
            return f"photo not downloaded: {stem[:128]!r} cannot be a file name"
        if not urls:
            return "photo not downloaded: no URL"
        # URLs may hold secrets, so a digest is kept; with it what would make a difference to the outcome.
        asked = digest([urls, self._max_bytes, self._settings.allow_private])
        past, reason = self._failed.get(stem, ("", ""))
        if past == asked:
            return reason
        failures = []
        for url in urls:
            try:
                await self._bring(url, stem, client)
                return None
            except FetchError as error:
                failures.append(error)
        passing = [failure for failure in failures if failure.retry != "never"]
        others = f" (and {len(failures) - 1} more URLs)" if len(failures) > 1 else ""
        reason = f"{(passing or failures)[0]}{others}"
        if not passing:
            self._failed[stem] = (asked, reason)
            self._unsaved += 1
            if self._unsaved >= max(SAVE_EVERY, len(self._failed) // 4):
                self._save()
        return reason

    async def _bring(self, url: str, stem: str, client: httpx.AsyncClient) -> None:
        """Fetch a URL into the folder, in as many tries as are allowed. Raises FetchError."""
        for tries in range(self._settings.retries + 1):
            try:
                body = await fetch(client, url, self._max_bytes, self._settings.timeout)
                async with self._decoding:
                    await asyncio.to_thread(_check, body)
                await asyncio.to_thread(_write, self._folder, stem, body.content)
                return
            except FetchError as error:
                if error.retry != "soon" or tries == self._settings.retries:
                    raise
                # Doubling, capped, and scattered so that workers do not come all at once.
                backoff = min(BACKOFF_SECONDS * 2**tries, MAX_BACKOFF_SECONDS) * random.uniform(0.5, 1.5)
                wait = max(backoff, min(error.wait, MAX_RETRY_AFTER_SECONDS))
            await asyncio.sleep(wait)

    def _save(self) -> None:
        with whole_file(self._folder / FAILURES_NAME) as temporary, temporary.open("w", encoding="utf-8") as stream:
            for stem, (asked, reason) in self._failed.items():
                stream.write(json.dumps({"stem": stem, "asked": asked, "reason": reason}) + "\n")
        self._unsaved = 0


def _check(body: Body) -> None:
    """Decode a photo, to know that it is one. Raises FetchError."""
    if not body.content:
        raise FetchError(f"empty body: {body.url}", "never")
    try:
        decode_rgb(body.content, body.url)
    except UnusablePhotoError as error:
        what = f"HTML in place of a photo: {body.url}" if _HTML.match(body.content) else str(error)
        # A body of no declared length may have been cut off on its way, and come whole another time.
        raise FetchError(what, "never" if body.length_known else "next run") from error


def _write(folder: Path, stem: str, content: bytes) -> None:
    """Write a photo that could be decoded, with the extension that goes with its content."""
    ending = {b"\xff\xd8": ".jpg", b"\x89P": ".png"}.get(content[:2], ".webp")
    with whole_file(folder / f"{stem}{ending}") as temporary:
        temporary.write_bytes(content)
