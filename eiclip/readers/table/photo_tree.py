"""The files of a folder of photos and of the folders in it, by path.

Paths come from a table and are taken as hostile: nothing outside the folder is looked at or opened, nor anything but
regular files. A path under which there is no file may be one that another system or program writes in another way.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from eiclip.errors import RawDataError
from eiclip.readers.base import UnusablePhotoError
from eiclip.readers.photo_files import EXTENSIONS, fold_name, nearest_name, same_letters
from eiclip.readers.texts import storable

_DRIVE = re.compile(r"[a-zA-Z]:(?=/)")
_Names = dict[str, tuple[str, ...]]


@dataclass
class PhotoTree:
    """The photos below a folder. A folder in it is listed where a path has no file, and once."""

    folder: Path
    _listed: dict[str, _Names] = field(default_factory=dict)

    @cached_property
    def root(self) -> str:
        """The folder without links. Raises RawDataError where there is none."""
        if not self.folder.is_dir():
            raise RawDataError(f"{self.folder}: no such folder; set the dataset's images to the folder of the photos")
        return os.path.realpath(self.folder)

    def find(self, name: str, *, whole: bool = False) -> tuple[str, Path]:
        """Return the path below the folder, and the place, of the file that is named; `whole`: by no part of its path.

        That is the file of this path. If there is none: with `\\` as `/`, `%20` as a space, letters of another case or
        put together otherwise, and the extension that a photo of this name has; what stands before the folder (its
        own name, a drive, `/`) is left out, of a path from a drive or `/` as little as there is a file for.

        Raises:
            UnusablePhotoError: no such file, several that are equally likely, or one outside the folder.
            RawDataError: there is no folder.
        """
        place = self._file(name)
        if place is not None:
            return name, place
        for written in dict.fromkeys((name, unquote(name))):
            for parts in self._paths(written, whole):
                if found := self._likeliest(name, parts):
                    return found
        shown = ascii(name)[1:-1][:80]
        path = os.path.join(self.root, name.replace("\\", "/"))  # noqa: PTH118  # `/` begins anew
        if storable(name) != name or not self._is_inside(path):
            raise UnusablePhotoError(f"photo outside the folder: {shown}")
        raise UnusablePhotoError(f"photo missing: {self.folder.name}/{name}")

    def nearest(self, name: str) -> Path | None:
        """The photo that is there whose path is most like a name; None for an empty folder."""
        found = nearest_name(name.replace("\\", "/"), self._photos())
        return None if found is None else self.folder.absolute() / found

    def _photos(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self.root):
            folders.sort()
            for name in sorted(names):
                if name.lower().endswith(EXTENSIONS):
                    yield os.path.relpath(os.path.join(folder, name), self.root)  # noqa: PTH118

    def _is_inside(self, path: str) -> bool:
        # The realpath of the whole, so that a link inside the folder cannot lead out of it.
        return Path(os.path.realpath(path)).is_relative_to(self.root)

    def _file(self, name: str) -> Path | None:
        """The regular file of exactly this path below the folder."""
        if storable(name) != name or name.startswith("/"):
            return None
        place = os.path.realpath(os.path.join(self.root, name))  # noqa: PTH118
        # Keeps pipes and devices out, which would hang the reader; Path.is_file raises where a name is too long.
        return Path(place) if os.path.isfile(place) and Path(place).is_relative_to(self.root) else None  # noqa: PTH113

    def _paths(self, name: str, whole: bool) -> Iterator[list[str]]:
        """Yield the paths below the folder that a name can mean, as their parts, the longest first."""
        path = name.replace("\\", "/")
        is_rooted = path.startswith("/") or _DRIVE.match(path) is not None
        parts: list[str] = []
        for part in _DRIVE.sub("", path, count=1).split("/"):
            if part == "..":
                if not parts:
                    return
                parts.pop()
            elif part not in {"", "."}:
                parts.append(part)
        own = [fold_name(part) for part in self.folder.absolute().parts]
        for begin in range(len(parts)):
            skipped = [fold_name(part) for part in parts[:begin]]
            if not skipped or (is_rooted and not whole) or own[-begin:] == skipped:
                yield parts[begin:]

    def _likeliest(self, name: str, parts: Sequence[str]) -> tuple[str, Path] | None:
        """The one file that a path means. Raises UnusablePhotoError for several that are equally likely."""
        folders = [""]
        for part in parts[:-1]:
            folders = [
                f"{folder}{held}/" for folder in folders for held in self._names(folder).get(fold_name(part), ())
            ]
        stem, extension = os.path.splitext(parts[-1])  # noqa: PTH122
        stem = stem if extension.lower() in EXTENSIONS else parts[-1]
        for last in (parts[-1], *(f"{stem}{ending}" for ending in EXTENSIONS)):
            paths = [f"{folder}{held}" for folder in folders for held in self._names(folder).get(fold_name(last), ())]
            found = [(path, place) for path in paths if (place := self._file(path))]
            alike = [one for one in found if same_letters(one[0], "/".join([*parts[:-1], last]))]
            if len(alike or found) > 1:
                either = " or ".join(f"{self.folder.name}/{path}" for path, _ in (alike or found)[:2])
                raise UnusablePhotoError(f"ambiguous photo: {ascii(name)[1:-1][:80]} may be {either}; rename one")
            if found:
                return (alike or found)[0]
        return None

    def _names(self, folder: str) -> _Names:
        """What a folder holds: names by how they are compared."""
        if folder not in self._listed:
            names: _Names = {}
            place = os.path.join(self.root, folder)  # noqa: PTH118
            if self._is_inside(place) and os.path.isdir(place):  # noqa: PTH112
                for held in os.listdir(place):  # noqa: PTH208  # a million names, not Paths
                    if storable(held) == held:
                        key = fold_name(held)
                        names[held if key == held else key] = (*names.get(key, ()), held)
            self._listed[folder] = names
        return self._listed[folder]
