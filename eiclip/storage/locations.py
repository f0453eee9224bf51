"""Where raw files lie: paths, or URLs of any protocol that fsspec knows (s3://, gs://, https://, file://, memory://).

Readers and DuckDB work on local files. What a URL names is therefore copied into a cache once, and again only when its
stamp (size and checksum or time, as the store tells them) differs from the copy's.
"""

import contextlib
import glob
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from eiclip.errors import RawDataError
from eiclip.storage.files import digest, whole_file, write_json
from eiclip.storage.lock import exclusive
from eiclip.storage.remote import (
    RemoteFile,
    Stamp,
    file_system,
    fixed_part,
    is_hidden,
    is_pattern,
    look_up,
    nothing_at,
    reading,
    remote_files,
    safe_name,
    scheme_of,
    shown,
)

TRANSFERS_AT_ONCE = 8
_BATCH = 256


def is_url(place: str) -> bool:
    """Tell a URL (`s3://bucket/key`) from a plain path."""
    return scheme_of(place) is not None


def local_path(place: str) -> Path | None:
    """The path of a place on this machine (plain or `file://`), None for any other."""
    scheme = scheme_of(place)
    if scheme is None:
        return Path(place)
    return Path(LocalFileSystem._strip_protocol(place)) if scheme in ("file", "local") else None


def stamp(place: str) -> list[Stamp]:
    """What changes when a file, the files of a folder or those of a pattern change; sorted by name.

    Hidden files (`.name`) are left out. It takes a `stat` or a listing entry a file: for very many see `folder_stamp`.

    Raises RawDataError where there is nothing, SettingsError where the protocol's package is not installed.
    """
    local = local_path(place)
    if local is None:
        return [file.stamp for file in remote_files(place)[1]]
    root = _root(local)
    with reading(place):
        facts = [(file.relative_to(root).as_posix(), file.stat()) for file in _local_files(local)]
    return [(name, fact.st_size, str(fact.st_mtime_ns)) for name, fact in facts]


def folder_stamp(place: str) -> list[Stamp]:
    """A cheaper, coarser stamp of a folder with very many files.

    Of a local folder it is the folder's own time: it changes when a file is added or removed in it, not when one is
    written over nor when something changes further below. Of a URL it is the number of files and their bytes.

    Raises RawDataError where there is nothing, SettingsError where the protocol's package is not installed.
    """
    local = local_path(place)
    if local is None:
        found = remote_files(place)[1]
        return [("", sum(file.stamp[1] or 0 for file in found), f"{len(found)} files")]
    if not local.is_dir():
        raise nothing_at(place)
    with reading(place):
        return [("", None, str(local.stat().st_mtime_ns))]


def local_file(place: str, cache: Path) -> Path:
    """The file at `place` on this machine: a plain path as it is, a URL copied below `cache` where it has changed.

    The copy bears the URL's last part as its name and is replaced whole; files of one folder there are in one folder
    here. Memory does not grow with the file.

    Raises RawDataError where there is no such file or it cannot be read, SettingsError as `stamp` does.
    """
    local = local_path(place)
    if local is not None:
        return local
    system, found = remote_files(place)
    if len(found) != 1 or is_pattern(place) or found[0].name != _last_part(place):
        raise RawDataError(f"{shown(place)}: a folder or a pattern, where one file is needed; name the file")
    address, _, query = place.partition("?")
    folder = cache / digest([address.rpartition("/")[0], query])
    return _copied(place, system, found, folder, whole=False) / found[0].name


def local_files(pattern: str, cache: Path) -> list[Path]:
    """The files of a pattern (or of a folder, or one file) on this machine, sorted; otherwise as `local_file`."""
    local = local_path(pattern)
    if local is not None:
        return _local_files(local)
    system, found = remote_files(pattern)
    folder = _copied(pattern, system, found, cache / digest(pattern), whole=True)
    return [folder / file.name for file in found]


def local_folder(place: str, cache: Path, names: Iterable[str] | None = None) -> Path:
    """The folder at `place` on this machine: a plain path as it is, a URL's files copied where they have changed.

    Args:
        names: copy these only, relative to the folder, and leave those out that are not there (one request a name);
            by default all, and copies of what is there no longer are removed.

    Raises RawDataError where there is no such folder or a name leads out of it, SettingsError as `stamp` does.
    """
    local = local_path(place)
    if local is not None:
        return local
    if names is None:
        system, found = remote_files(place)
        return _copied(place, system, found, cache / digest(place), whole=True)
    system, root = file_system(place)
    wanted = [(f"{root.rstrip('/')}/{safe_name(name, place)}", name) for name in dict.fromkeys(names)]
    with reading(place), ThreadPoolExecutor(TRANSFERS_AT_ONCE) as pool:
        looked_up = list(pool.map(lambda one: look_up(system, *one), wanted))
    found = [file for file in looked_up if file]
    return _copied(place, system, found, cache / digest(place), whole=False)


def _last_part(place: str) -> str:
    return shown(place).rpartition("/")[2]


def _root(path: Path) -> Path:
    """The folder that the names of a file, a folder's files or a pattern's files are relative to."""
    if path.is_dir():
        return path
    return path.parent if path.is_file() else Path(fixed_part(str(path)) or path.anchor)


def _local_files(path: Path) -> list[Path]:
    """The files of a path, a folder or a pattern, by their relative names; RawDataError where there is none."""
    if path.is_file():
        return [path]
    if path.is_dir():
        files = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    else:
        files = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - takes absolute patterns
    root = _root(path)
    named = {file.relative_to(root).as_posix(): file for file in files if file.is_file()}
    found = [named[name] for name in sorted(named) if not is_hidden(name)]
    if not found:
        raise nothing_at(str(path))
    return found


def _copied(place: str, system: AbstractFileSystem, found: Sequence[RemoteFile], folder: Path, *, whole: bool) -> Path:
    """Let `folder` hold copies of `found` that are right; `whole`: and of nothing else. Returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder.with_suffix(".lock")):  # two at once would leave a copy beside the other's stamp
        record = _Record(folder.with_suffix(".json"), shown(place))
        todo = iter([file for file in found if not record.holds(folder, file)])
        # Batches grow, so that the record is written seldom and a run that is killed loses little.
        while batch := list(islice(todo, max(_BATCH, len(record.files)))):
            with ThreadPoolExecutor(TRANSFERS_AT_ONCE) as pool:
                list(pool.map(lambda file: _copy(system, file, folder), batch))
            record.update(file.stamp for file in batch)
        if whole:
            for name in record.drop_all_but({file.name for file in found}):
                (folder / name).unlink(missing_ok=True)
    return folder


def _copy(system: AbstractFileSystem, file: RemoteFile, folder: Path) -> None:
    url = system.unstrip_protocol(file.path)
    with reading(url), whole_file(folder / file.name) as temporary:
        system.get_file(file.path, str(temporary))
        size, copied = file.stamp[1], temporary.stat().st_size
        if size is not None and copied != size:
            raise RawDataError(
                f"{shown(url)}: should have {size:,} bytes, {copied:,} came: cut short, or written to meanwhile; "
                "run again"
            )


class _Record:
    """The stamps of the copies in a folder, kept beside it as JSON."""

    def __init__(self, path: Path, place: str) -> None:
        self.path, self.place = path, place
        self.files: dict[str, Stamp] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # without it, all is copied anew
            known = json.loads(path.read_text(encoding="utf-8"))["files"]
            self.files = {name: (name, size, mark) for name, size, mark in known}

    def holds(self, folder: Path, file: RemoteFile) -> bool:
        """Whether the copy is there and still right."""
        _, size, mark = file.stamp
        # Without a checksum or a time nothing says so.
        if not mark or self.files.get(file.name) != file.stamp:
            return False
        copy = folder / file.name
        return copy.is_file() and size in (None, copy.stat().st_size)

    def update(self, stamps: Iterable[Stamp]) -> None:
        """Note new copies."""
        self.files |= {one[0]: one for one in stamps}
        self._write()

    def drop_all_but(self, names: set[str]) -> set[str]:
        """Forget the other copies; returns their names."""
        gone = set(self.files) - names
        if gone:
            self.files = {name: one for name, one in self.files.items() if name in names}
            self._write()
        return gone

    def _write(self) -> None:
        write_json(self.path, {"place": self.place, "files": list(self.files.values())})
