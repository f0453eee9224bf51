"""Where the sources of outputs lie, and what identifies their content."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from assets.common import Project
from eiclip.readers.open import open_reader
from eiclip.storage.cache import content_digest, content_of, read_record

Key = tuple[str, ...]
"""An asset's key: the dataset (or `general`, `results`), the table or kind of folder, the part of it."""
GENERAL = "general"
PARTS = frozenset({"photos"})
"""Tables of several files, all of which a reader of the table reads."""


def prefixed(prefix: str, names: Iterable[str]) -> tuple[str, ...]:
    """Sources of one kind: `checkpoint/` and variants."""
    return tuple(prefix + name for name in names)


def key_of(dataset: str, source: str) -> Key:
    """The asset key of a source: of the dataset, unless it begins with `general/`."""
    parts = tuple(source.split("/"))
    return parts if parts[0] == GENERAL else (dataset, *parts)


def source_files(project: Project, dataset: str, source: str) -> list[Path]:
    """The files (or the one folder) of a source."""
    key = key_of(dataset, source)
    return project.paths.lake.files(key[1], key[0]) if key[1] in PARTS else [project.paths.place(key)]


def source_content(project: Project, dataset: str, source: str) -> Any:
    """Content of a source, from the records of what made it.

    Raises:
        CorruptOutputError: it is not there, or was edited.
    """
    found = [content_of(file) for file in source_files(project, dataset, source)]
    return found[0] if len(found) == 1 else found


def raw_content(project: Project, name: str) -> Any:
    """What identifies a dataset's raw files: content of the synthetic ones, sizes and times of the user's own."""
    dataset = project.datasets()[name]
    return (
        content_of(project.paths.raw(name)) if dataset.embedded else open_reader(project.paths, name, dataset).stamps()
    )


def known_content(file: Path) -> str:
    """Content of a file, from its record where it has one."""
    known, _ = read_record(file)
    return str(known["content"]) if known else content_digest(file)
