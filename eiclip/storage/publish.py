"""Folders of shards at a URL: published for other machines, and fetched by them, checked against their manifest.

The order is what keeps readers safe: content first, the manifest after it, what is no longer listed removed last. A
file that would be written over takes the old manifest away first, so that no manifest ever names other content.
"""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from eiclip.errors import CorruptOutputError
from eiclip.storage.cache import MANIFEST
from eiclip.storage.files import sha256_file, whole_file, whole_folder
from eiclip.storage.locations import local_path
from eiclip.storage.remote import at_once, file_system, look_up, reaching, safe_name, shown

UNFINISHED = f"{MANIFEST}.unfinished"  # lists the names that an upload, under way or interrupted, may have left
Shard = dict[str, Any]  # a file as a manifest lists it: its name, size and checksum


def publish_folder(folder: Path, place: str) -> int:
    """Upload the files that a folder's manifest lists, and the manifest last; returns how many were uploaded.

    What is there already with the same content is left alone: by the manifest there, or, where it lists no such file
    (an upload was interrupted), by reading it. Afterwards what an earlier manifest listed and this one does not is
    removed; files that no manifest of this place ever listed are never touched.

    Raises:
        CorruptOutputError: a file of the folder is not what its manifest says.
        EiclipError: the place cannot be written.
        SettingsError: the protocol's package is not installed.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise CorruptOutputError(f"{folder / MANIFEST}: {error}; materialise the shards first") from error
    shards = _listed(content, folder / MANIFEST)
    there = _Place(place)
    with reaching(place, writing=True):
        published, unfinished = there.read(MANIFEST), there.read(UNFINISHED)
        old: dict[str, Shard] = {}
        with contextlib.suppress(CorruptOutputError):  # what is no manifest lists nothing
            old = _listed(published or b"", shown(place))
        ours = set(old)
        with contextlib.suppress(ValueError):
            ours |= {safe_name(str(name), place) for name in json.loads(unfinished or b"[]")}
        todo = [name for name, shard in shards.items() if not there.has(name, shard, old.get(name))]
        for name in todo:
            _check(folder / name, shards[name], "materialise the shards again")
        if todo or published != content:
            unfinished = json.dumps(sorted(ours | set(shards))).encode()
            there.write(UNFINISHED, unfinished)
            if any(name in old for name in todo):
                there.remove(MANIFEST)
            at_once(lambda name: there.write(name, folder / name), todo)
            there.write(MANIFEST, content)
        at_once(there.remove, ours - set(shards))
        if unfinished is not None:
            there.remove(UNFINISHED)
    return len(todo)


def fetch_folder(place: str, folder: Path) -> int:
    """Fetch a published folder, whole or not at all, every file checked; returns how many files were fetched.

    Files of the old `folder` with the same content are kept.

    Raises:
        RawDataError: nothing was published there, or it cannot be read.
        CorruptOutputError: a file is not what the manifest says (damaged, or just being published: try again).
        SettingsError: the protocol's package is not installed.
    """
    there = _Place(place)

    def download(name: str, file: Path) -> None:
        there.system.get_file(there.path(name), str(file))
        _check(file, shards[name], f"publish {shown(place)} again, or try again if that is under way")

    with reaching(place), whole_folder(folder) as part:
        content: bytes = there.system.cat_file(there.path(MANIFEST))
        shards = _listed(content, f"{shown(place)}/{MANIFEST}")
        todo = []
        for name, shard in shards.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            if _matches(folder / name, shard):
                os.link(folder / name, part / name)
            else:
                todo.append(name)
        at_once(lambda name: download(name, part / name), todo)
        (part / MANIFEST).write_bytes(content)
    return len(todo)


class _Place:
    """The files at a URL, by their relative names."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.system, self.root = file_system(place)

    def path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{safe_name(name, self.place)}"

    def read(self, name: str) -> bytes | None:
        try:
            return bytes(self.system.cat_file(self.path(name)))
        except FileNotFoundError:
            return None

    def has(self, name: str, shard: Shard, listed: Shard | None) -> bool:
        """Whether the file is there with the shard's content."""
        there = look_up(self.system, self.path(name), name)
        if there is None or there[1] != shard["bytes"]:
            return False
        if listed is not None:
            return bool(listed["sha256"] == shard["sha256"])
        with self.system.open(self.path(name), "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == shard["sha256"]

    def write(self, name: str, content: bytes | Path) -> None:
        """Write bytes, or a copy of a file: whole or not at all, as object stores do by themselves."""
        if local_path(self.place) is not None:
            with whole_file(Path(self.path(name))) as temporary:
                shutil.copyfile(content, temporary) if isinstance(content, Path) else temporary.write_bytes(content)
        elif isinstance(content, Path):
            self.system.put_file(str(content), self.path(name))
        else:
            self.system.pipe_file(self.path(name), content)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.system.rm_file(self.path(name))


def _listed(content: bytes, where: object) -> dict[str, Shard]:
    """Return the files that a manifest lists, by name: shards, and the index of each that has one."""
    try:
        listed = [file for shard in json.loads(content)["shards"] for file in (shard, shard.get("index")) if file]
        shards = {safe_name(str(file["name"]), str(where)): file for file in listed}
        for name, shard in shards.items():
            if not (isinstance(shard["bytes"], int) and isinstance(shard["sha256"], str)):
                raise ValueError(f"{name}: no size or no checksum")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptOutputError(f"{where}: no manifest of shards ({error!r}); materialise the shards again") from error
    return shards


def _matches(file: Path, shard: Shard) -> bool:
    return file.is_file() and file.stat().st_size == shard["bytes"] and sha256_file(file) == shard["sha256"]


def _check(file: Path, shard: Shard, way_out: str) -> None:
    if not _matches(file, shard):
        raise CorruptOutputError(f"{file}: not what its manifest says; {way_out}")
