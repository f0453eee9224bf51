"""What every reader of raw files gives: listings (text and tags), what is wrong with the others, and photos.

A reader yields exactly one `Listing` or `Rejected` per raw row, in the order of the raw files, so that rows in =
listings + rejections can be checked by whoever stores them. Photos, which take long, are looked at in a second pass.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from PIL import Image

from eiclip.errors import RawDataError, SettingsError

CONTENT = "sha256:"
"""How the stamp of a photo begins that is a digest of what it holds, wherever it lies."""


@dataclass(frozen=True)
class Listing:
    """The text and tags of a raw row: one photo of one product."""

    source: str  # file name of the raw file
    place: int  # in it, in the reader's unit: rows from 0, lines from 1
    product_id: str
    photo: str  # how the reader finds the photo: 'train.h5#17', a path or a URL, or an id that names a file
    title: str
    description: str
    description_raw: str
    source_split: str | None = None  # 'train' or 'test' as the raw files say, None where they do not
    category: str = ""
    subcategory: str = ""
    pose: str = ""
    department: str = ""
    gender: str = ""
    style: str | None = None  # which products are truly of one style, where the raw files say so: ground truth
    price: float | None = None
    price_unread: str | None = None  # of the raw file's text, where it has one that is no price
    currency: str | None = None  # ISO 4217 code of the price, or the sign that names it
    available: bool | None = None  # whether it is in stock, None where the raw file does not say
    available_unread: str | None = None  # of the raw file's text, where it has one that does not say so
    link: str | None = None  # address of the product's page, http or https
    link_unread: str | None = None  # of the raw file's text, where it has one that is no such address
    attributes: dict[str, list[str]] = field(default_factory=dict)  # to filter by; one without values is absent
    brand_raw: str | None = None  # as the raw file writes it, where it was normalised further
    entities: dict[str, list[str]] = field(default_factory=dict)  # by group; one without entities is absent
    photo_urls: tuple[str, ...] = ()  # where the photo can be had, best first


@dataclass(frozen=True)
class Rejected:
    """A raw row that cannot be used. `reason` opens with its kind; what differs by row follows a colon."""

    source: str
    place: int
    product_id: str | None
    reason: str
    available: bool | None = None  # as that of a listing: a variant is no photo, but can be had
    attributes: dict[str, list[str]] | None = None


@dataclass(frozen=True)
class PhotoFacts:
    """What is kept of a usable photo."""

    photo: str  # the reference that `photos` takes
    width: int
    height: int
    photo_sha256: str  # of the decoded RGB pixels (HDF5) or of the file's bytes
    phash: int  # 64-bit perceptual hash, as a signed integer
    other_name: bool = False  # whether it was found under another name than the raw file gives
    further_photos: int = 0  # how many more photos the row names, which are left out: a row is one photo


class UnusablePhotoError(Exception):
    """A photo cannot be used; its text is the reason, ready for the quarantine."""


class Examiner(Protocol):
    """What looks at photos."""

    def examine(self, refs: Sequence[str]) -> Iterator[PhotoFacts | UnusablePhotoError]:
        """Decode the photos `refs` (of `Listing.photo`) in full: facts or faults, in order. Raises RawDataError."""


class RawReader(Examiner, Protocol):
    """Raw files of one dataset."""

    unit: str  # what `Listing.place` counts: 'row' or 'line'
    expected: str
    """What the raw files should be, for whoever sees that none of their rows can be used."""
    photos_in_rows: bool
    """Whether photos lie in the raw files: their stamps, for which they are read, hold as long as the files' own."""

    def stamps(self) -> dict[str, list[int]]:
        """[size in bytes, time of the last change in ns] of the raw files, by name. Raises RawDataError."""

    def rows_in(self) -> int:
        """Count the raw rows, independently of what was yielded. Raises RawDataError."""

    def rows(self) -> Iterator[Listing | Rejected]:
        """Yield one item per raw row, in order. Raises RawDataError where a file is useless as a whole."""

    def missing(self, refs: Sequence[str]) -> dict[str, str]:
        """Those of `refs` that are not at hand and would have to be downloaded, and the stem of the file for each.

        Raises RawDataError.
        """

    def nearest(self, ref: str) -> Path | None:
        """The photo that is there whose name is most like that of a missing one. Raises RawDataError."""

    def photo_stamps(self, refs: Sequence[str]) -> list[str]:
        """What changes when a photo may have changed, of each of `refs`, in their order. Raises RawDataError."""

    def photos(self, refs: Sequence[str]) -> Iterator[Image.Image]:
        """Yield the RGB photos of `refs` (values of `PhotoFacts.photo`) in their order. Raises RawDataError."""


def check_file(path: Path, setting: str) -> None:
    """Raise RawDataError where there is no such file: `setting` names it."""
    if not path.is_file():
        raise RawDataError(f"{path}: no such file; put it there, or set {setting} to where it is")


def stamps_of(files: Iterable[Path], setting: str) -> dict[str, list[int]]:
    """Size in bytes and time of each file, by its name; RawDataError where one is missing: `setting` names it."""
    found = {}
    for file in files:
        try:
            stat = file.stat()
        except OSError as error:
            raise RawDataError(f"{file}: {error.strerror}; set {setting} to where it is") from error
        found[file.name] = [stat.st_size, stat.st_mtime_ns]
    return found


def check_groups(groups: Sequence[str], known: Collection[str], where: str) -> tuple[str, ...]:
    """Return `groups` as a tuple; raise SettingsError for one that is not `known`, naming `where` they come from."""
    for group in groups:
        if group not in known:
            raise SettingsError(f"entity group {group!r} is not in {where}: choose from {', '.join(known) or 'none'}")
    if len(set(groups)) != len(groups):
        raise SettingsError(f"entity groups {list(groups)} name one twice: name each once")
    return tuple(groups)
