"""Fashion-Gen as it is published: two HDF5 files, one row a photo, text as latin-1 bytes.

Both files are checked in full before the first row is read: a pass over the photos takes long, and a fault of the
second file should not wait for its end. h5py is not thread-safe: read from one thread.
"""

import functools
import hashlib
import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from eiclip.errors import RawDataError
from eiclip.readers.base import CONTENT, Listing, PhotoFacts, Rejected, UnusablePhotoError, check_groups, stamps_of
from eiclip.readers.fashiongen.hdf5 import read_rows, rows_per_slab
from eiclip.readers.fashiongen.layout import TEXT_KEYS, FashionGenFile, open_fashiongen
from eiclip.readers.photo_files import perceptual_hash
from eiclip.readers.texts import entity_spelling, informative, storable

SPLITS = {"fashiongen_256_256_train.h5": "train", "fashiongen_256_256_validation.h5": "test"}
GROUPS = ("brand", "category", "subcategory", "season", "composition", "department", "gender")
TEXT_ROWS = 10_000  # whose texts, some 2 KB each, are read at a time
logger = logging.getLogger(__name__)

# Photos of a product repeat its texts, and seasons or categories are few.
_informative = functools.lru_cache(maxsize=50_000)(informative)
_entity = functools.lru_cache(maxsize=50_000)(entity_spelling)


class FashionGenReader:
    """Rows and photos of a folder that holds `fashiongen_256_256_train.h5` and `..._validation.h5`."""

    unit = "row"
    photos_in_rows = True
    expected = "expected the two HDF5 files of Fashion-Gen"

    def __init__(
        self, folder: Path, groups: Sequence[str] = ("brand", "subcategory", "season", "composition"),
        placeholders: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Take the folder, looked at later; `placeholders` are further texts that say nothing.

        Raises SettingsError for a group that Fashion-Gen has no column for.
        """
        self.folder = folder
        self.placeholders = frozenset(map(entity_spelling, placeholders))
        self.groups = check_groups(groups, GROUPS, "Fashion-Gen data")

    def stamps(self) -> dict[str, list[int]]:
        """Sizes and times of both files. Raises RawDataError."""
        return stamps_of([self.folder / name for name in SPLITS], "the folder")

    def rows_in(self) -> int:
        """Return the number of photos both files declare. Raises RawDataError."""
        total = 0
        for name in SPLITS:
            with open_fashiongen(self.folder / name) as file:
                total += file.count
        return total

    def rows(self) -> Iterator[Listing | Rejected]:
        """Yield the rows of the train file, then those of the validation file. Raises RawDataError."""
        for name in SPLITS:
            with open_fashiongen(self.folder / name) as file:
                if file.missing:
                    keys = ", ".join(f"'{key}'" for key in file.missing)
                    instead = "; categories stand in for subcategories" if "subcategory" not in file.texts else ""
                    logger.warning("%s: no %s; those values stay empty%s", name, keys, instead)
        for name in SPLITS:
            with open_fashiongen(self.folder / name) as file:
                yield from self._file_rows(name, file)

    def _file_rows(self, name: str, file: FashionGenFile) -> Iterator[Listing | Rejected]:
        for start in range(0, file.count, TEXT_ROWS):
            stop = min(start + TEXT_ROWS, file.count)
            ids = read_rows(file.product_ids, start, stop).reshape(-1)
            prices = file.prices if file.prices is None else read_rows(file.prices, start, stop).reshape(-1)
            cells = {field: read_rows(column, start, stop).reshape(-1) for field, column in file.texts.items()}
            # latin-1, not UTF-8 with errors ignored, which loses the letters of "appliqué".
            texts = {field: [cell.decode("latin-1") for cell in column.tolist()] for field, column in cells.items()}
            # A copy without subcategories has categories (checked on opening): candidates are drawn within them then.
            texts.setdefault("subcategory", texts.get("category", []))
            for offset in range(stop - start):
                row, product_id = start + offset, str(ids[offset])
                cell = {field: texts[field][offset] if texts.get(field) else "" for field in TEXT_KEYS}
                plain = {field: _informative(text, self.placeholders) for field, text in cell.items()}
                if not plain["description"]:
                    yield Rejected(name, row, product_id, "no description")
                    continue
                price = math.nan if prices is None else float(prices[offset])
                is_known = math.isfinite(price) and price > 0  # 0 stands for "not known"
                yield Listing(
                    source=name, place=row, product_id=product_id, photo=f"{name}#{row}", source_split=SPLITS[name],
                    title=plain["title"], description=plain["description"],
                    description_raw=storable(texts["description"][offset]),
                    category=plain["category"], subcategory=plain["subcategory"], pose=plain["pose"],
                    department=plain["department"], gender=plain["gender"],
                    price=price if is_known else None, currency="USD" if is_known else None,
                    entities={group: [entity] for group in self.groups if (entity := _entity(cell[group]))},
                )  # fmt: skip

    def photos(self, refs: Sequence[str]) -> Iterator[Image.Image]:
        """Yield the photos of `refs` ('<file>#<row>') in their order. Raises RawDataError."""
        return (Image.fromarray(pixels) for pixels in self.pixels(refs))

    def examine(self, refs: Sequence[str]) -> Iterator[PhotoFacts | UnusablePhotoError]:
        """Facts of the photos of `refs`, in their order; a photo of one colour is unusable. Raises RawDataError."""
        for ref, pixels in zip(refs, self.pixels(refs), strict=True):
            first = pixels[:1, :1]
            # A sparse look settles nearly every photo, at a tenth of the time of a full one.
            if (pixels[::16, ::16] == first).all() and (pixels == first).all():
                colour = tuple(int(value) for value in pixels[0, 0])
                yield UnusablePhotoError(f"blank photo: every pixel is {colour}")
                continue
            photo = Image.fromarray(pixels)
            yield PhotoFacts(ref, *photo.size, hashlib.sha256(pixels.tobytes()).hexdigest(), perceptual_hash(photo))

    def missing(self, refs: Sequence[str]) -> dict[str, str]:
        """None: photos lie in the rows."""
        return {}

    def nearest(self, ref: str) -> Path | None:
        """None: photos have no names."""
        return None

    def photo_stamps(self, refs: Sequence[str]) -> list[str]:
        """Digests of the pixels of `refs`, all of which are read. Raises RawDataError."""
        # Contiguous rows of a slab.
        return [f"{CONTENT}{hashlib.sha256(pixels.data).hexdigest()}" for pixels in self.pixels(refs)]

    def pixels(self, refs: Sequence[str]) -> Iterator[np.ndarray[Any, Any]]:
        """Pixels of `refs` in their order, uint8 (H, W, 3), valid until the next is asked for. Raises RawDataError."""
        places = []  # rising rows of a file are read in one slice
        for ref in refs:
            name, _, row = ref.rpartition("#")
            if name not in SPLITS or not (row.isascii() and row.isdigit()):
                form = f"'<file>#<row>' with a file of {', '.join(SPLITS)}"
                raise RawDataError(f"photo {ref!r} is not of the form {form}")
            places.append((name, int(row)))
        for name, group in itertools.groupby(places, key=lambda place: place[0]):
            with open_fashiongen(self.folder / name) as file:
                yield from _rows_of(file.images, [row for _, row in group])


def _rows_of(images: h5py.Dataset, rows: Sequence[int]) -> Iterator[np.ndarray[Any, Any]]:
    if rows and max(rows) >= images.shape[0]:
        where = f"{images.file.filename}: row {max(rows)}"
        raise RawDataError(f"{where} is beyond the last, {images.shape[0] - 1}: the file changed, read it again")
    slab = rows_per_slab(images)
    begin = 0
    while begin < len(rows):
        end = begin + 1
        while end < len(rows) and rows[end] > rows[end - 1] and rows[end] // slab == rows[begin] // slab:
            end += 1
        block = read_rows(images, rows[begin], rows[end - 1] + 1)
        for row in rows[begin:end]:
            yield block[row - rows[begin]]
        del block  # else two slabs are held while the next one is read
        begin = end
