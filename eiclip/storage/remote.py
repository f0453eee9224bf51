"""What lies behind a URL of any protocol that fsspec knows: its files, with what changes when their content does."""

import contextlib
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from eiclip.errors import EiclipError, RawDataError, SettingsError

Stamp = tuple[str, int | None, str]
"""Name (relative to the place), bytes (None: the store does not say), and checksum or time ('': neither)."""

MAGIC = re.compile(r"[*?\[]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# What tells two contents of one size apart, the surest first; every store has its own name for it.
_MARKS = (
    "ETag", "etag", "md5Hash", "md5", "sha256", "checksum", "Content-MD5", "Digest", "generation", "mtime",
    "LastModified", "Last-Modified", "last_modified", "updated", "modified", "modify", "created",
)  # fmt: skip


@dataclass(frozen=True)
class RemoteFile:
    """A file behind a URL."""

    path: str  # as its file system takes it
    stamp: Stamp

    @property
    def name(self) -> str:
        """Its name, relative to the place it was found in."""
        return self.stamp[0]


def scheme_of(place: str) -> str | None:
    """The protocol of a URL, None for a plain path.

    >>> scheme_of("s3://bucket/photos"), scheme_of("/data/a:b//c")
    ('s3', None)
    """
    found = _SCHEME.match(place)
    return found[1].lower() if found else None


def shown(place: str) -> str:
    """The place without a password or a signature, for messages.

    >>> shown("https://me:secret@shop.example/a.csv?signature=abc")
    'https://shop.example/a.csv'
    """
    return re.sub(r"(?<=://)[^/@]*@", "", _before_query(place))


def is_pattern(place: str) -> bool:
    """Tell a pattern (`*`, `?`, `[`) from a name; in a web address a question mark opens the query instead."""
    return MAGIC.search(_before_query(place)) is not None


def fixed_part(pattern: str) -> str:
    """The folder below which everything lies that a pattern can match ('' where it has none).

    >>> fixed_part("bucket/exports/2024-*/part.csv"), fixed_part("*.csv")
    ('bucket/exports', '')
    """
    magic = MAGIC.search(pattern)
    return pattern[: magic.start() if magic else len(pattern)].rpartition("/")[0]


def safe_name(name: str, place: str) -> str:
    """`name`, where it is a plain name below the folder it is relative to; else RawDataError."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or "\0" in name or "\\" in name or str(path) != name or ".." in path.parts:
        raise RawDataError(f"{shown(place)}: {name!r} is no plain name below that folder; rename or remove that file")
    return name


@contextlib.contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn whatever a protocol's package raises into a RawDataError that names the place."""
    try:
        yield
    except EiclipError:
        raise
    except FileNotFoundError as error:
        raise nothing_at(place) from error
    except Exception as error:  # every package has its own kinds
        what = f"{type(error).__name__}: {error}".replace(place, shown(place))[:300]
        raise RawDataError(
            f"{shown(place)}: cannot be reached or read ({what}); check the address and your access to it"
        ) from error


def nothing_at(place: str) -> RawDataError:
    """The error for a place that holds no file."""
    return RawDataError(f"{shown(place)}: nothing there; put it there, or correct the setting that names it")


def file_system(place: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL, with nothing remembered of earlier listings, and the path in it.

    Raises SettingsError where the protocol is unknown or its package is not installed (says which).
    """
    try:
        system, path = url_to_fs(place)
    except ImportError as error:
        raise SettingsError(
            f"{shown(place)}: its protocol needs a package that is not installed here ({error}); "
            "pip install it into this environment, or give a local path"
        ) from error
    except ValueError as error:
        raise SettingsError(f"{shown(place)}: {error}; give a path or a URL of a protocol that fsspec knows") from error
    system.invalidate_cache()
    return system, path


def remote_files(place: str) -> tuple[AbstractFileSystem, list[RemoteFile]]:
    """The files of a URL: itself, those of a folder (a web address of one ends in '/'), or those of a pattern.

    Sorted by name; hidden files (`.name`) are left out.

    Raises RawDataError where there is none, or a name leads out of the folder; SettingsError as `file_system` does.
    """
    system, path = file_system(place)
    with reading(place):
        root, entries = _entries(system, path, is_folder=place.endswith("/"))
        prefix = f"{root.rstrip('/')}/"
        named = [(_before_query(entry["name"]).removeprefix(prefix), entry) for entry in entries]
        found = [
            RemoteFile(entry["name"], stamp_of(system, safe_name(name, place), entry))
            for name, entry in named
            if entry["type"] == "file" and not name.endswith("/") and not is_hidden(name)
        ]
    if not found:
        raise nothing_at(place)
    return system, sorted(found, key=lambda file: file.name)


def look_up(system: AbstractFileSystem, path: str, name: str) -> RemoteFile | None:
    """The file at `path`, under the relative name `name`; None where there is none."""
    try:
        entry = system.info(path)
    except FileNotFoundError:
        return None
    return RemoteFile(path, stamp_of(system, name, entry)) if entry["type"] == "file" else None


def stamp_of(system: AbstractFileSystem, name: str, entry: dict[str, Any]) -> Stamp:
    """The stamp of a file under a name, from what its file system says of it."""
    if entry.get("size") is None and not _mark(entry):  # a web server's listing tells names only
        entry = system.info(entry["name"])
    return name, entry.get("size"), _mark(entry)


def is_hidden(name: str) -> bool:
    """Whether a relative name has a part like `.name`: files being written, remnants of desktops."""
    return any(part.startswith(".") and part != ".." for part in name.split("/"))


def _entries(system: AbstractFileSystem, path: str, *, is_folder: bool) -> tuple[str, list[dict[str, Any]]]:
    """The folder that names are relative to, and what there is."""
    if is_pattern(path):
        return fixed_part(path), list(system.glob(path, detail=True).values())
    entry = system.info(path)
    if is_folder or entry["type"] == "directory":
        return path, list(system.find(path, detail=True).values())
    return _before_query(path).rpartition("/")[0], [entry]


def _before_query(place: str) -> str:
    return place.partition("?")[0] if place.startswith(("http://", "https://")) else place


def _mark(entry: dict[str, Any]) -> str:
    value = next((entry[key] for key in _MARKS if entry.get(key)), "")
    return str(value.timestamp() if isinstance(value, datetime.datetime) else value)
