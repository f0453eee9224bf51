"""Files written whole or not at all, and digests.

Every writer of the project goes through `whole_file` or `whole_folder`: content is made under a temporary name
beside its place, synced, then renamed, so that a reader sees the old content or the new, never a part.
"""

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = "folder="
"""Begins the name of a dataset's folder in a table of the lake. Readers of Parquet folders make a column of it, which
must not be one that the files have: theirs is `dataset`."""


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_beside(path: Path) -> Path:
    return path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.part"


def remove_parts(path: Path) -> None:
    """Remove what writers of `path` that were killed have left beside it; not while another one is writing."""
    for part in path.parent.glob(f".{path.name}.*.part"):
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; on success sync it and rename it to `path`, on failure remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(path)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder to fill; on success it takes the place of `path`, on failure it is removed.

    A folder cannot be renamed over a full one, so the old one is moved aside first: for an instant there is none,
    never a mixture of both.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _sync(file)
        if path.exists():
            old = _temporary_beside(path)
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            temporary.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def beside(output: Path, ending: str) -> Path:
    """Return where a file lies that belongs to an output and is no part of it: next to it, with a further ending.

    Of a Parquet file of the lake it lies in `lake/.beside`: to pandas, Spark and others every file of a table's folder
    is part of the table.
    """
    name = f"{output.name}{ending}"
    if not output.parent.name.startswith(FOLDER):
        return output.with_name(name)
    table = output.parents[1]
    return table.parent / ".beside" / table.name / output.parent.name / name


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all (UTF-8)."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Short hex digest of a JSON-able value: equal values give equal digests, whatever their key order."""
    text = json.dumps(value, sort_keys=True, default=str, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
