"""What lies behind a URL of any protocol that fsspec knows: its files, with what changes when their content does."""

import contextlib
import datetime
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any, TypeVar

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from eiclip.errors import EiclipError, RawDataError, SettingsError

Stamp = tuple[str, int | None, str]
"""Name of a file (relative to the place), bytes (None: the store does not say), checksum or time ('': neither)."""

MAGIC = re.compile(r"[*?\[]")
# What differs between two contents of one size, the surest first; every store has its own name for it.
_MARKS = (
    "ETag", "etag", "md5Hash", "md5", "sha256", "checksum", "Content-MD5", "Digest", "generation", "mtime",
    "LastModified", "Last-Modified", "last_modified", "updated", "modified", "modify", "created",
)  # fmt: skip

Item = TypeVar("Item")
Result = TypeVar("Result")


def shown(place: str) -> str:
    """Return the place without a password or a signature, for messages.

    >>> shown("https://me:secret@shop.example/a.csv?signature=abc")
    'https://shop.example/a.csv'
    """
    return re.sub(r"(?<=://)[^/@]*@", "", _before_query(place))


def is_pattern(place: str) -> bool:
    """Tell a pattern (`*`, `?`, `[`) from a name; in a web address a question mark opens the query instead."""
    return MAGIC.search(_before_query(place)) is not None


def fixed_part(pattern: str) -> str:
    """Return the folder below which everything lies that a pattern can match ('' where it has none).

    >>> fixed_part("bucket/exports/2024-*/part.csv"), fixed_part("*.csv")
    ('bucket/exports', '')
    """
    return MAGIC.split(pattern, maxsplit=1)[0].rpartition("/")[0]


def is_hidden(name: str) -> bool:
    """Whether a relative name has a part like `.name`: files being written, remnants of desktops."""
    return any(part.startswith(".") and part != ".." for part in name.split("/"))


def safe_name(name: str, place: str) -> str:
    """Return `name`, where it is a plain name below the folder it is relative to; else raise RawDataError."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or "\0" in name or "\\" in name or str(path) != name or ".." in path.parts:
        raise RawDataError(f"{shown(place)}: {name!r} is no plain name below that folder; rename or remove that file")
    return name


def at_once(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Do something with each of several files, a few at a time."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(work, items))


@contextlib.contextmanager
def reaching(place: str, *, writing: bool = False) -> Iterator[None]:
    """Turn whatever a protocol's package raises into an error that names the place, without secrets."""
    try:
        yield
    except EiclipError:
        raise
    except Exception as raised:  # every package has its own kinds
        if isinstance(raised, FileNotFoundError) and not writing:
            raise nothing_at(place) from raised
        error, wanted = (EiclipError, "written") if writing else (RawDataError, "reached or read")
        what = f"{type(raised).__name__}: {raised}".replace(place, shown(place))[:300]
        raise error(f"{shown(place)}: cannot be {wanted} ({what}); check the address and your access to it") from raised


def nothing_at(place: str) -> RawDataError:
    """Return the error for a place that holds no file."""
    return RawDataError(f"{shown(place)}: nothing there; put it there, or correct the setting that names it")


def file_system(place: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a URL, with nothing remembered of earlier listings, and the path in it.

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


def remote_files(place: str) -> tuple[AbstractFileSystem, dict[str, Stamp]]:
    """Return the files of a URL: itself, those of a folder (a web address of one ends in '/'), or of a pattern.

    Their stamps by their paths in the file system, sorted by name; hidden files (`.name`) are left out.

    Raises RawDataError where there is none, or a name leads out of the folder; SettingsError as `file_system` does.
    """
    system, path = file_system(place)
    found = {}
    with reaching(place):
        if is_pattern(path):
            root, entries = fixed_part(path), list(system.glob(path, detail=True).values())
        elif place.endswith("/") or system.info(path)["type"] == "directory":
            root, entries = path, list(system.find(path, detail=True).values())
        else:
            root, entries = _before_query(path).rpartition("/")[0], [system.info(path)]
        for entry in entries:
            name = _before_query(entry["name"]).removeprefix(f"{root.rstrip('/')}/")
            if entry["type"] == "file" and not name.endswith("/") and not is_hidden(name):
                found[entry["name"]] = _stamp(system, safe_name(name, place), entry)
    if not found:
        raise nothing_at(place)
    return system, dict(sorted(found.items(), key=lambda file: file[1][0]))


def look_up(system: AbstractFileSystem, path: str, name: str) -> Stamp | None:
    """Return the stamp of the file at `path`, under the relative name `name`; None where there is none."""
    try:
        entry = system.info(path)
    except FileNotFoundError:
        return None
    return _stamp(system, name, entry) if entry["type"] == "file" else None


def _stamp(system: AbstractFileSystem, name: str, entry: dict[str, Any]) -> Stamp:
    if entry.get("size") is None and not _mark(entry):  # a web server's listing tells names only
        entry = system.info(entry["name"])
    return name, entry.get("size"), _mark(entry)


def _mark(entry: dict[str, Any]) -> str:
    value = next((entry[key] for key in _MARKS if entry.get(key)), "")
    return str(value.timestamp() if isinstance(value, datetime.datetime) else value)


def _before_query(place: str) -> str:
    return place.partition("?")[0] if place.startswith(("http://", "https://")) else place
