"""The photos of a user's own table: bytes in a Parquet column, files below a folder, or downloads.

A reference says which: '<file>#<row>' the bytes in a row, 'url:<digest>' a download, anything else a path. Paths come
from the table and are taken as hostile: nothing outside the folder is opened, nor anything but regular files.
"""

import hashlib
import itertools
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eiclip.errors import RawDataError
from eiclip.readers.amazon.metadata import UnusableRowError
from eiclip.readers.base import CONTENT, URL_PREFIX, UnusablePhotoError
from eiclip.readers.photo_files import EXTENSIONS, MAX_FILE_BYTES, photo_bytes
from eiclip.readers.table.parquet import EMBEDDED, ParquetTable
from eiclip.readers.texts import storable
from eiclip.storage.files import digest

MAX_PATH = 1024  # characters
MAX_URL = 2048
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_DOWNLOAD = re.compile(rf"{URL_PREFIX}([0-9a-f]{{32}})")
_ROW = re.compile(r"(.+)#([0-9]{1,18})", re.DOTALL)
_NO_BYTES = "text cannot hold a photo's bytes (base64): write photos to files, or use Parquet"


def photo_of_cell(cell: Any, source: str, row: int, sources: Container[str]) -> tuple[str, tuple[str, ...]]:
    """Return the reference of the photo in a cell, and its URLs. Raises UnusableRowError where the cell holds none.

    `source` is the name of the file that holds the cell, in a row that counts from 0, and `sources` those of all files.
    """
    if cell is EMBEDDED:
        return f"{source}#{row}", ()
    if isinstance(cell, list) and len(cell) == 1:
        cell = cell[0]
    if isinstance(cell, list) and cell:
        raise UnusableRowError(f"bad photo: a list of {len(cell)}; give every photo a row of its own")
    if isinstance(cell, (dict, bytes)):
        raise UnusableRowError(f"bad photo: {_NO_BYTES}")
    text = cell.strip() if isinstance(cell, str) else ""
    if not text:
        raise UnusableRowError("no photo")
    if _SCHEME.match(text):
        if not text.lower().startswith(("http://", "https://")):
            raise UnusableRowError(f"bad photo: {text[:60]!a} is neither http nor https")
        if len(text) > MAX_URL or any(letter.isspace() or not letter.isprintable() for letter in text):
            raise UnusableRowError(f"bad photo: {text[:60]!a} has spaces or control characters, or is too long")
        return f"{URL_PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:32]}", (text,)
    if text.startswith("data:") or len(text) > MAX_PATH:
        raise UnusableRowError(f"bad photo: {_NO_BYTES}")
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text):
        raise UnusableRowError(f"bad photo: {text[:60]!a} has control characters")
    found = _ROW.fullmatch(text)
    # A file may be named as the other references are.
    return f"./{text}" if text.startswith(URL_PREFIX) or (found and found.group(1) in sources) else text, ()


@dataclass(frozen=True)
class TablePhotos:
    """Where the photos of a table's references lie, and their bytes."""

    tables: Mapping[str, ParquetTable]  # the table's Parquet files, by name
    images: Path | None
    downloads: Path | None

    def contents(self, refs: Sequence[str]) -> Iterator[bytes | UnusablePhotoError]:
        """Yield every photo's bytes, or why there are none, in order; rising rows of a Parquet file in one pass.

        Raises RawDataError where a Parquet file cannot be read, or the folder of photos is missing.
        """
        places = [self._row(ref) for ref in refs]
        begins = [at for at in range(len(refs)) if at == 0 or not _follows(places[at - 1], places[at])]
        for begin, end in itertools.pairwise([*begins, len(refs)]):
            if (place := places[begin]) is None:
                yield self._file_content(refs[begin])
                continue
            rows = [found[1] for found in places[begin:end] if found]
            for ref, cell in zip(refs[begin:end], self.tables[place[0]].photos(rows), strict=True):
                yield self._cell_content(ref, cell)

    def stamps(self, refs: Sequence[str]) -> list[str]:
        """Digests of each file's size and time, or of the bytes that a table holds. Raises RawDataError."""
        stats = defaultdict[str, list[list[str | int]]](list)
        for ref in (ref for ref in refs if self._row(ref) is None):
            try:
                stat = self._file(ref).stat()
                stats[ref].append([ref, stat.st_size, stat.st_mtime_ns])
            except (UnusablePhotoError, OSError) as error:
                stats[ref].append([ref, str(error)])
        rows = [ref for ref in refs if self._row(ref) is not None]
        held = {
            ref: digest([ref, str(content)])
            if isinstance(content, UnusablePhotoError)
            else f"{CONTENT}{hashlib.sha256(content).hexdigest()}"
            for ref, content in zip(rows, self.contents(rows), strict=True)
        }
        return [held.get(ref) or digest(stats[ref]) for ref in refs]

    def _row(self, ref: str) -> tuple[str, int] | None:
        found = _ROW.fullmatch(ref)
        return (found.group(1), int(found.group(2))) if found and found.group(1) in self.tables else None

    def _cell_content(self, ref: str, cell: Any) -> bytes | UnusablePhotoError:
        if isinstance(cell, dict):  # a data set of Hugging Face, which may hold a path instead
            cell = cell.get("bytes") or cell.get("path")
        if isinstance(cell, str):
            return self._file_content(cell)
        if not isinstance(cell, bytes) or not cell:
            return UnusablePhotoError(f"photo missing: {ref} holds no bytes")
        if len(cell) > MAX_FILE_BYTES:
            return UnusablePhotoError(f"photo too large: {ref} has over {MAX_FILE_BYTES:,} bytes")
        return cell

    def _file_content(self, ref: str) -> bytes | UnusablePhotoError:
        try:
            return photo_bytes(self._file(ref), ref)
        except UnusablePhotoError as error:
            return error

    def _file(self, ref: str) -> Path:
        """Return the regular file of a reference. Raises UnusablePhotoError, RawDataError without a folder."""
        if download := _DOWNLOAD.fullmatch(ref):
            for name in (f"{download.group(1)}{ending}" for ending in EXTENSIONS):
                if self.downloads and (self.downloads / name).is_file():
                    return self.downloads / name
            raise UnusablePhotoError("photo missing: not downloaded from its URL")
        if self.images is None:
            raise UnusablePhotoError(f"photo missing: {ref} is a path, and the dataset's `images` names no folder")
        if not self.images.is_dir():
            raise RawDataError(f"{self.images}: no such folder; set the dataset's images to the folder of the photos")
        folder = os.path.realpath(self.images)
        # The realpath of the whole, so that a link inside the folder cannot lead out of it.
        place = None if storable(ref) != ref else Path(os.path.realpath(Path(folder) / ref))
        if place is None or Path(ref).is_absolute() or not place.is_relative_to(folder):
            raise UnusablePhotoError(f"photo outside the folder: {ascii(ref)[1:-1][:80]}")
        # Keeps pipes and devices out, which would hang the reader; Path.is_file raises where a name is too long.
        if not os.path.isfile(place):  # noqa: PTH113
            raise UnusablePhotoError(f"photo missing: {self.images.name}/{ref}")
        return place


def _follows(before: tuple[str, int] | None, after: tuple[str, int] | None) -> bool:
    return before is not None and after is not None and before[0] == after[0] and before[1] <= after[1]
