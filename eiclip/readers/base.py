"""What every reader of raw files gives: rows that are usable, rows that are not and why, and photos.

A reader yields exactly one `Accepted` or `Rejected` per raw row, in the order of the raw files, so that
rows in = rows accepted + rows rejected can be checked by whoever stores them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from eiclip.errors import SettingsError


@dataclass(frozen=True)
class Accepted:
    """A usable raw row: one photo of one product."""

    source: str  # file name of the raw file
    locator: str  # place in it: 'row 17' (from 0) or 'line 203' (from 1)
    product_id: str
    image_id: str  # unique in the dataset: '<product_id>_<n>'
    photo: str  # how the reader finds the photo again: 'train.h5#17' or 'images/B00X.jpg'
    source_split: str | None  # 'train' or 'test' as the raw files say, None where they do not
    title: str
    description: str
    description_raw: str
    category: str
    subcategory: str
    pose: str
    department: str
    gender: str
    price: float | None
    entities: dict[str, str]  # entity group -> normalised entity; missing ones are absent
    photo_width: int
    photo_height: int
    photo_sha256: str  # of the decoded pixels (HDF5 rows) or of the file's bytes (photo files)


@dataclass(frozen=True)
class Rejected:
    """A raw row that cannot be used. `reason` opens with its kind; what differs by row follows a colon."""

    source: str
    locator: str
    product_id: str | None
    reason: str


class RawReader(Protocol):
    """Raw files of one dataset."""

    def fingerprint(self) -> str:
        """Digest that changes when the raw files do (names, sizes, times). Raises RawDataError."""
        ...

    def rows(self) -> Iterator[Accepted | Rejected]:
        """Yield one item per raw row, in order. Raises RawDataError where a file is useless as a whole."""
        ...

    def photos(self, refs: Sequence[str]) -> Iterator[Image.Image]:
        """Yield the RGB photos of `refs` (values of `Accepted.photo`) in their order. Raises RawDataError."""
        ...

    def rows_in(self) -> int:
        """Count the raw rows, independently of what was yielded. Raises RawDataError."""
        ...


def check_groups(groups: Sequence[str], known: Iterable[str], kind: str) -> tuple[str, ...]:
    """Return `groups` as a tuple; raise SettingsError for a group this kind of raw data does not hold."""
    allowed = tuple(known)
    for group in groups:
        if group not in allowed:
            raise SettingsError(f"entity group {group!r} is not in {kind} data: choose from {', '.join(allowed)}")
    if len(set(groups)) != len(groups):
        raise SettingsError(f"entity groups {list(groups)} name one twice: name each once")
    return tuple(groups)
