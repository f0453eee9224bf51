"""Where raw files lie: paths, or URLs of any protocol that fsspec knows (s3://, gs://, https://, file://, memory://).

Readers and DuckDB work on local files. What a URL names is therefore copied into a cache once, and again only when its
stamp (size and checksum or time, as the store gives them) differs from the copy's.
"""

import glob
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from eiclip.errors import RawDataError
from eiclip.storage import remote
from eiclip.storage.files import digest, whole_file, write_json
from eiclip.storage.lock import exclusive
from eiclip.storage.remote import Stamp, at_once, is_pattern, nothing_at, reaching, remote_files, safe_name, shown


def local_path(place: str) -> Path | None:
    """Return the path of a place on this machine (plain or `file://`), None for a URL of another protocol."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", place)
    if scheme is None:
        return Path(place)
    return Path(LocalFileSystem._strip_protocol(place)) if scheme[1].lower() in ("file", "local") else None


def stamp(place: str) -> list[Stamp]:
    """Return what changes when a file, the files of a folder or those of a pattern change; sorted by name.

    Hidden files (`.name`) are left out. It takes a `stat` or a listing entry a file: for very many see `folder_stamp`.

    Raises RawDataError where there is nothing, SettingsError where the protocol's package is not installed.
    """
    local = local_path(place)
    if local is None:
        return list(remote_files(place)[1].values())
    with reaching(place):
        facts = {name: file.stat() for name, file in _local_files(local).items()}
    return [(name, fact.st_size, str(fact.st_mtime_ns)) for name, fact in facts.items()]


def folder_stamp(place: str) -> list[Stamp]:
    """Return a cheaper, coarser stamp of a folder with very many files.

    Of a local folder it is the folder's own time: it changes when a file is added or removed in it, not when one is
    written over nor when something changes further below. Of a URL it is the number of files and their bytes.

    Raises RawDataError where there is nothing, SettingsError where the protocol's package is not installed.
    """
    local = local_path(place)
    if local is None:
        found = remote_files(place)[1].values()
        return [("", sum(size or 0 for _, size, _ in found), f"{len(found)} files")]
    if not local.is_dir():
        raise nothing_at(place)
    with reaching(place):
        return [("", None, str(local.stat().st_mtime_ns))]


def local_file(place: str, cache: Path) -> Path:
    """Return the file at `place` on this machine: a plain path as it is, a URL copied below `cache` if it has changed.

    The copy bears the URL's last part as its name and is replaced whole; files of one folder there are in one folder
    here. Memory does not grow with the file.

    Raises RawDataError where there is no such file or it cannot be read, SettingsError as `stamp` does.
    """
    local = local_path(place)
    if local is not None:
        return local
    system, found = remote_files(place)
    names = [name for name, *_ in found.values()]
    if names != [shown(place).rpartition("/")[2]] or is_pattern(place):
        raise RawDataError(f"{shown(place)}: a folder or a pattern, where one file is needed; name the file")
    address, _, query = place.partition("?")
    folder = cache / digest([address.rpartition("/")[0], query])
    return _copied(place, system, found, folder, whole=False) / names[0]


def local_files(pattern: str, cache: Path) -> list[Path]:
    """Return the files of a pattern (or of a folder, or one file) on this machine, sorted; else as `local_file`."""
    local = local_path(pattern)
    if local is not None:
        return list(_local_files(local).values())
    system, found = remote_files(pattern)
    folder = _copied(pattern, system, found, cache / digest(pattern), whole=True)
    return [folder / name for name, *_ in found.values()]


def local_folder(place: str, cache: Path, names: Iterable[str] | None = None) -> Path:
    """Return the folder at `place` on this machine: a plain path as it is, a URL's files copied if they have changed.

    Args:
        names: copy these only, relative to the folder, and leave those out that are not there (one request a name);
            by default all, and copies of what is there no longer are removed.

    Raises RawDataError where there is no such folder or a name leads out of it, SettingsError as `stamp` does.
    """
    local = local_path(place)
    if local is not None:
        return local
    folder = cache / digest(place)
    if names is None:
        return _copied(place, *remote_files(place), folder, whole=True)
    system, root = remote.file_system(place)
    wanted = {f"{root.rstrip('/')}/{safe_name(name, place)}": name for name in names}
    with reaching(place):
        found = at_once(lambda path: remote.look_up(system, path, wanted[path]), wanted)
    there = {path: stamp for path, stamp in zip(wanted, found, strict=True) if stamp}
    return _copied(place, system, there, folder, whole=False)


def _local_files(path: Path) -> dict[str, Path]:
    """Return the files of a path, a folder or a pattern, by their relative names; RawDataError where there is none."""
    if path.is_file():
        return {path.name: path}
    if path.is_dir():
        root, files = path, [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    else:
        root = Path(remote.fixed_part(str(path)) or path.anchor)
        files = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - takes absolute patterns
    named = {file.relative_to(root).as_posix(): file for file in files if file.is_file()}
    found = {name: named[name] for name in sorted(named) if not remote.is_hidden(name)}
    if not found:
        raise nothing_at(str(path))
    return found


def _copied(place: str, system: AbstractFileSystem, found: Mapping[str, Stamp], folder: Path, *, whole: bool) -> Path:
    """Let `folder` hold up-to-date copies of `found`; `whole`: and no copy of anything else. Returns it.

    The stamps of the copies are kept beside it as JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder.with_suffix(".json")
    with exclusive(folder.with_suffix(".lock")):  # two at once would leave a copy beside the other's stamp
        try:
            known = json.loads(record.read_text(encoding="utf-8"))["files"]
            stamps = {name: (name, size, mark) for name, size, mark in known}
        except (OSError, ValueError, TypeError, KeyError):
            stamps = {}  # all is copied anew
        todo = []
        for path, (name, size, mark) in found.items():
            copy = folder / name  # without a checksum or a time nothing says that it is up to date
            is_known = mark and stamps.get(name) == (name, size, mark)
            if not (is_known and copy.is_file() and size in (None, copy.stat().st_size)):
                todo.append(path)
        gone = stamps.keys() - {name for name, *_ in found.values()} if whole else set()
        for name in gone:
            (folder / name).unlink(missing_ok=True)
            del stamps[name]
        while todo or gone:
            # Batches grow, so that the record is written seldom and a run that is killed loses little.
            size = max(256, len(stamps))
            batch, todo, gone = todo[:size], todo[size:], set()
            at_once(lambda path: _copy(system, path, found[path], folder), batch)
            stamps |= {found[path][0]: found[path] for path in batch}
            write_json(record, {"place": shown(place), "files": list(stamps.values())})
    return folder


def _copy(system: AbstractFileSystem, path: str, stamp: Stamp, folder: Path) -> None:
    url = system.unstrip_protocol(path)
    name, size, _ = stamp
    with reaching(url), whole_file(folder / name) as temporary:
        system.get_file(path, str(temporary))
        copied = temporary.stat().st_size
        if size not in (None, copied):
            raise RawDataError(
                f"{shown(url)}: {copied:,} bytes of {size:,} came: cut short, or just written to; run again"
            )
