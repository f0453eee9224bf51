"""The photos of a user's own table: bytes in a Parquet column, files below a folder, or downloads.

A reference says which: '<file>#<row>' the bytes in a row, 'url:<digest>' a download; anything else is the text of a
cell, which names a path, a URL without its scheme, or several of either: the first that gives a photo counts.
"""

import hashlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eiclip.readers.base import CONTENT, UnusablePhotoError
from eiclip.readers.cells import UnusableRowError
from eiclip.readers.photo_files import EXTENSIONS, MAX_FILE_BYTES, photo_bytes
from eiclip.readers.table.parquet import EMBEDDED, ParquetTable
from eiclip.readers.table.photo_names import (
    NO_BYTES,
    URL_PREFIX,
    is_url,
    names_in,
    reference_of,
    stem_of,
    url_of,
    urls_of,
)
from eiclip.readers.table.photo_tree import PhotoTree
from eiclip.storage.files import digest

_DOWNLOAD = re.compile(rf"{URL_PREFIX}([0-9a-f]{{32}})")
_ROW = re.compile(r"(.+)#([0-9]{1,18})", re.DOTALL)
_NOT_DOWNLOADED = "not downloaded from its URL (the dataset's section `download` has it fetched)"

Content = bytes | UnusablePhotoError


def photo_of_cell(cell: Any, source: str, row: int, sources: Container[str]) -> tuple[str, tuple[str, ...]]:
    """Return the reference of the photo in a cell, and its URLs. Raises UnusableRowError where the cell holds none.

    `source` is the name of the file that holds the cell, in a row that counts from 0, and `sources` those of all files.
    """
    if cell is EMBEDDED:
        return f"{source}#{row}", ()
    if isinstance(cell, (dict, bytes)) or (isinstance(cell, list) and any(isinstance(c, (dict, bytes)) for c in cell)):
        raise UnusableRowError(f"bad photo: {NO_BYTES}")
    if isinstance(cell, list):
        cell = json.dumps([text for text in cell if isinstance(text, str)], ensure_ascii=False)
    ref, urls = reference_of(cell.strip() if isinstance(cell, str) else "")
    if _DOWNLOAD.fullmatch(ref) and urls:
        return ref, urls
    found = _ROW.fullmatch(ref)
    # A file may be named as the other references are.
    return f"./{ref}" if ref.startswith(URL_PREFIX) or (found and found.group(1) in sources) else ref, urls


@dataclass(frozen=True)
class TablePhotos:
    """Where the photos of a table's references lie, and their bytes."""

    tables: Mapping[str, ParquetTable]  # the table's Parquet files, by name
    images: PhotoTree | None
    downloads: Path | None

    def contents(self, refs: Sequence[str]) -> Iterator[Iterable[tuple[str, Content]]]:
        """Yield what there is of every reference, in order: exact references and their bytes, or why there are none.

        Of several photos that a reference names each has an entry, whose bytes are read when it is asked for. Rising
        rows of a Parquet file are read in one pass.

        Raises RawDataError where a Parquet file cannot be read, or the folder of photos is missing.
        """
        places = [self._row(ref) for ref in refs]
        begins = [at for at in range(len(refs)) if at == 0 or not _follows(places[at - 1], places[at])]
        for begin, end in itertools.pairwise([*begins, len(refs)]):
            if (place := places[begin]) is None:
                yield self._file_contents(refs[begin])
                continue
            rows = [found[1] for found in places[begin:end] if found]
            for ref, cell in zip(refs[begin:end], self.tables[place[0]].photos(rows), strict=True):
                yield [(ref, self._cell_content(ref, cell))]

    def stamps(self, refs: Sequence[str]) -> list[str]:
        """Digests of each file's size and time, or of the bytes that a table holds. Raises RawDataError."""
        stats = defaultdict[str, list[list[str | int]]](list)
        for ref in (ref for ref in refs if self._row(ref) is None):
            try:
                for exact, file in self._files(ref):
                    stat = file.stat()
                    stats[ref].append([ref, exact, stat.st_size, stat.st_mtime_ns])
            except (UnusablePhotoError, OSError) as error:
                stats[ref].append([ref, str(error)])
        rows = [ref for ref in refs if self._row(ref) is not None]
        held = {
            ref: digest([ref, str(content)])
            if isinstance(content, UnusablePhotoError)
            else f"{CONTENT}{hashlib.sha256(content).hexdigest()}"
            for tries in self.contents(rows)
            for ref, content in tries
        }
        return [held.get(ref) or digest(stats[ref]) for ref in refs]

    def to_download(self, ref: str) -> str | None:
        """The stem of the file that a photo is downloaded into; None where it is in a table or in the folder."""
        if download := _DOWNLOAD.fullmatch(ref):
            return download.group(1)
        if self._row(ref) is not None or not (urls := urls_of(names_in(ref))):
            return None
        try:
            in_folder = any(not exact.startswith(URL_PREFIX) for exact, _ in self._files(ref))
        except UnusablePhotoError:
            in_folder = False
        return None if in_folder else stem_of(urls)

    def _row(self, ref: str) -> tuple[str, int] | None:
        found = _ROW.fullmatch(ref)
        return (found.group(1), int(found.group(2))) if found and found.group(1) in self.tables else None

    def _cell_content(self, ref: str, cell: Any) -> Content:
        if isinstance(cell, dict):  # a data set of Hugging Face, which may hold a path instead
            cell = cell.get("bytes") or cell.get("path")
        if isinstance(cell, str):
            return next(content for _, content in self._file_contents(cell))
        if not isinstance(cell, bytes) or not cell:
            return UnusablePhotoError(f"photo missing: {ref} holds no bytes")
        if len(cell) > MAX_FILE_BYTES:
            return UnusablePhotoError(f"photo too large: {ref} has over {MAX_FILE_BYTES:,} bytes")
        return cell

    def _file_contents(self, ref: str) -> Iterator[tuple[str, Content]]:
        try:
            files = self._files(ref)
        except UnusablePhotoError as error:
            yield ref, error
            return
        for exact, file in files:
            try:
                yield exact, photo_bytes(file, exact)
            except UnusablePhotoError as error:
                yield exact, error

    def _files(self, ref: str) -> list[tuple[str, Path]]:
        """Return the files that a reference names, each with its exact reference.

        Raises UnusablePhotoError where there is none, RawDataError where the folder of photos is missing.
        """
        if download := _DOWNLOAD.fullmatch(ref):
            if (file := self._download(download.group(1))) is None:
                raise UnusablePhotoError(f"photo missing: {_NOT_DOWNLOADED}")
            return [(ref, file)]
        names, found, faults = names_in(ref), list[tuple[str, Path]](), list[UnusablePhotoError]()
        for name in [ref] if names == [ref] else [ref, *names]:  # one name may have commas in it
            if is_url(name):
                continue
            try:
                found.append(self._in_folder(name))
            except UnusablePhotoError as error:
                faults.append(error)
                continue
            if name == ref:
                return found
        urls = urls_of(names)
        if urls and (file := self._download(stem_of(urls))):
            found.append((f"{URL_PREFIX}{stem_of(urls)}", file))
        if not found and urls:
            where = f"{ref[:80]} is not in {self.images.folder.name}, and " if self.images and faults else ""
            raise UnusablePhotoError(f"photo missing: {where}{_NOT_DOWNLOADED}")
        if not found:
            raise faults[:2][-1]  # of the first name
        return found

    def _in_folder(self, name: str) -> tuple[str, Path]:
        if self.images is None:
            raise UnusablePhotoError(f"photo missing: {name} is a path, and the dataset's `images` names no folder")
        exact, file = self.images.find(name, whole=url_of(name) is not None)
        if exact != name and (_DOWNLOAD.fullmatch(exact) or self._row(exact)):
            exact = f"./{exact}"
        return exact, file

    def _download(self, stem: str) -> Path | None:
        if self.downloads is None:
            return None
        files = (self.downloads / f"{stem}{ending}" for ending in EXTENSIONS)
        return next((file for file in files if file.is_file()), None)


def _follows(before: tuple[str, int] | None, after: tuple[str, int] | None) -> bool:
    return before is not None and after is not None and before[0] == after[0] and before[1] <= after[1]
