"""Folders of shards at a URL: published for other machines, and fetched by them, checked against their manifest.

The order is what keeps readers safe: content first, the manifest after it, what is no longer listed removed last. A
file that would be written over takes the old manifest away first, so that no manifest ever names other content.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

from eiclip.errors import CorruptOutputError, EiclipError
from eiclip.storage.cache import MANIFEST
from eiclip.storage.files import sha256_file, whole_file, whole_folder
from eiclip.storage.locations import TRANSFERS_AT_ONCE, local_path
from eiclip.storage.remote import file_system, reading, safe_name, shown

_UNFINISHED = ".unfinished"
_PIECE = 2**20


def publish_folder(folder: Path, place: str, manifest: str = MANIFEST) -> int:
    """Upload the files that a folder's manifest lists, and the manifest last; returns how many were uploaded.

    What is there already with the same content is left alone: by the manifest there, or, where it lists no such file
    (an upload was interrupted), by reading it. Afterwards what an earlier manifest listed and this one does not is
    removed; files that no manifest of this place ever listed are never touched.

    Raises:
        CorruptOutputError: a file of the folder is not what its manifest says.
        EiclipError: the place cannot be written.
        SettingsError: the protocol's package is not installed.
    """
    content = _read(folder / manifest)
    shards = _listed(content, folder / manifest)
    there = _Place(place)
    try:
        old = there.shards(manifest)
        kept = {name for name, shard in shards.items() if there.has(name, shard, old.get(name))}
        todo = [name for name in shards if name not in kept]
        for name in todo:
            _check(folder / name, shards[name], "materialise the shards again")
        ours = set(old) | there.unfinished(manifest)
        if todo or there.read(manifest) != content:
            there.write(f"{manifest}{_UNFINISHED}", json.dumps(sorted(ours | set(shards))).encode())
            if any(name in old for name in todo):
                there.remove(manifest)
            _at_once(lambda name: there.upload(folder / name, name), todo)
            there.write(manifest, content)
        there.clear(manifest, ours - set(shards))
    except EiclipError:
        raise
    except Exception as error:  # every protocol's package has its own kinds
        what = f"{type(error).__name__}: {error}".replace(place, shown(place))[:300]
        raise EiclipError(f"{shown(place)}: cannot be written ({what}); check the address and your access") from error
    return len(todo)


def fetch_folder(place: str, folder: Path, manifest: str = MANIFEST) -> int:
    """Fetch a published folder, whole or not at all, every file checked; returns how many files were fetched.

    Files of the old `folder` with the same content are taken over.

    Raises:
        RawDataError: nothing was published there, or it cannot be read.
        CorruptOutputError: a file is not what the manifest says (damaged, or just being published: try again).
        SettingsError: the protocol's package is not installed.
    """
    there = _Place(place)
    with reading(place):
        content: bytes = there.system.cat_file(there.path(manifest))
        shards = _listed(content, f"{shown(place)}/{manifest}")
        with whole_folder(folder) as part:
            todo = [name for name in shards if not _taken_over(folder / name, shards[name], part / name)]
            _at_once(lambda name: there.download(name, shards[name], part / name), todo)
            (part / manifest).write_bytes(content)
    return len(todo)


class _Place:
    """The files at a URL, by their relative names."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.system, self.root = file_system(place)
        self.local = local_path(place)

    def path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{safe_name(name, self.place)}"

    def read(self, name: str) -> bytes | None:
        try:
            content: bytes = self.system.cat_file(self.path(name))
        except FileNotFoundError:
            return None
        return content

    def shards(self, manifest: str) -> dict[str, dict[str, Any]]:
        """What the manifest there lists; nothing where there is none or it is no manifest."""
        try:
            return _listed(self.read(manifest) or b"", shown(self.place))
        except CorruptOutputError:
            return {}

    def unfinished(self, manifest: str) -> set[str]:
        """Names that an interrupted upload may have left."""
        try:
            return {
                safe_name(str(name), self.place) for name in json.loads(self.read(f"{manifest}{_UNFINISHED}") or b"[]")
            }
        except ValueError:
            return set()

    def has(self, name: str, shard: dict[str, Any], listed: dict[str, Any] | None) -> bool:
        """Whether the file is there with the shard's content."""
        try:
            size = self.system.info(self.path(name))["size"]
        except FileNotFoundError:
            return False
        if size != shard["bytes"] or (listed and listed["sha256"] != shard["sha256"]):
            return False
        return listed is not None or _sha256(self.system, self.path(name)) == shard["sha256"]

    def upload(self, file: Path, name: str) -> None:
        if self.local is None:
            self.system.put_file(str(file), self.path(name))
            return
        with whole_file(Path(self.path(name))) as temporary:
            shutil.copyfile(file, temporary)

    def download(self, name: str, shard: dict[str, Any], file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.system.get_file(self.path(name), str(file))
        _check(file, shard, f"publish {shown(self.place)} again, or try again if that is under way")

    def write(self, name: str, content: bytes) -> None:
        if self.local is None:
            self.system.pipe_file(self.path(name), content)
            return
        with whole_file(Path(self.path(name))) as temporary:
            temporary.write_bytes(content)

    def remove(self, name: str) -> None:
        try:
            self.system.rm_file(self.path(name))
        except FileNotFoundError:
            return

    def clear(self, manifest: str, names: set[str]) -> None:
        """Remove what is no longer listed, then the note of an upload under way."""
        _at_once(self.remove, names)
        if self.read(f"{manifest}{_UNFINISHED}") is not None:
            self.remove(f"{manifest}{_UNFINISHED}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptOutputError(f"{path}: {error}; materialise the shards first") from error


def _listed(content: bytes, where: object) -> dict[str, dict[str, Any]]:
    """The files that a manifest lists, by name: shards, and the index of each that has one."""
    try:
        listed = [file for shard in json.loads(content)["shards"] for file in (shard, shard.get("index")) if file]
        shards = {str(file["name"]): file for file in listed}
        for name, shard in shards.items():
            safe_name(name, str(where))
            if not (isinstance(shard["bytes"], int) and isinstance(shard["sha256"], str)):
                raise ValueError(f"{name}: no size or no checksum")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptOutputError(f"{where}: no manifest of shards ({error!r}); materialise the shards again") from error
    return shards


def _check(file: Path, shard: dict[str, Any], way_out: str) -> None:
    if not file.is_file() or file.stat().st_size != shard["bytes"] or sha256_file(file) != shard["sha256"]:
        raise CorruptOutputError(f"{file}: not what its manifest says; {way_out}")


def _taken_over(old: Path, shard: dict[str, Any], new: Path) -> bool:
    if not old.is_file() or old.stat().st_size != shard["bytes"] or sha256_file(old) != shard["sha256"]:
        return False
    new.parent.mkdir(parents=True, exist_ok=True)
    os.link(old, new)
    return True


def _sha256(system: AbstractFileSystem, path: str) -> str:
    found = hashlib.sha256()
    with system.open(path, "rb") as stream:
        while piece := stream.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def _at_once(work: Callable[[str], None], names: Iterable[str]) -> None:
    with ThreadPoolExecutor(TRANSFERS_AT_ONCE) as pool:
        list(pool.map(work, names))
