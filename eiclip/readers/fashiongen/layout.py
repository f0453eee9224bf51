"""The layout of a Fashion-Gen HDF5 file, checked on headers alone: keys, types, shapes, and what may be missing."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from eiclip.errors import RawDataError
from eiclip.readers.fashiongen.hdf5 import find_dataset, open_hdf5

IMAGE_KEY, ID_KEY, PRICE_KEY = "input_image", "input_productID", "input_msrpUSD"
TEXT_KEYS = {  # our field -> key of the file
    "title": "input_name",
    **{field: f"input_{field}" for field in ("description", "brand", "category", "subcategory", "season")},
    **{field: f"input_{field}" for field in ("composition", "department", "gender", "pose")},
}
MAX_SIDE = 1024  # published photos are 256 x 256
MAX_TEXT_WIDTH = 65_536
_WAY_OUT = "use the published file, or name the column as it is named there"


@dataclass(frozen=True)
class FashionGenFile:
    """The checked datasets of one open file."""

    count: int
    images: h5py.Dataset  # uint8 (N, H, W, 3)
    product_ids: h5py.Dataset  # integer (N, 1) or (N,)
    prices: h5py.Dataset | None
    texts: dict[str, h5py.Dataset]  # field -> bytes (N, 1) or (N,); fields the file lacks are absent
    missing: tuple[str, ...]  # optional keys the file lacks


@contextlib.contextmanager
def open_fashiongen(path: Path) -> Iterator[FashionGenFile]:
    """Open and check a file. Raises RawDataError naming file and key, what was expected and the way out."""
    with open_hdf5(path) as file:
        images = find_dataset(file, IMAGE_KEY)
        if images is None:
            raise _absent(file, IMAGE_KEY)
        shape = images.shape
        in_colour = images.dtype == "uint8" and len(shape) == 4 and shape[3] == 3
        if not in_colour or not all(0 < side <= MAX_SIDE for side in shape[1:3]):
            raise _wrong(images, IMAGE_KEY, "uint8 (N, 256, 256, 3)")
        texts = {field: _column(file, key, "S", "bytes (N, 1)", shape[0]) for field, key in TEXT_KEYS.items()}
        product_ids = _column(file, ID_KEY, "iu", "int32 (N, 1)", shape[0])
        prices = _column(file, PRICE_KEY, "fiu", "float32 (N, 1)", shape[0])
        if texts["description"] is None:
            raise _absent(file, TEXT_KEYS["description"])
        if texts["subcategory"] is None and texts["category"] is None:
            raise _absent(file, TEXT_KEYS["subcategory"], TEXT_KEYS["category"])
        if product_ids is None:
            raise _absent(file, ID_KEY)
        columns = {TEXT_KEYS[field]: column for field, column in texts.items()} | {PRICE_KEY: prices}
        missing = tuple(key for key, column in columns.items() if column is None)
        held = {field: column for field, column in texts.items() if column is not None}
        yield FashionGenFile(shape[0], images, product_ids, prices, held, missing)


def _column(file: h5py.File, key: str, kinds: str, expected: str, count: int) -> h5py.Dataset | None:
    column = find_dataset(file, key)
    if column is None:
        return None
    flat = column.ndim == 1 or column.shape[1:] == (1,)
    if not flat or column.dtype.kind not in kinds or column.dtype.itemsize > MAX_TEXT_WIDTH:
        raise _wrong(column, key, expected)
    if column.shape[0] != count:
        raise RawDataError(
            f"{file.filename}: '{key}' has {column.shape[0]:,} rows but '{IMAGE_KEY}' has {count:,}; {_WAY_OUT}"
        )
    return column


def _absent(file: h5py.File, *keys: str) -> RawDataError:
    what, held = " or ".join(f"'{key}'" for key in keys), ", ".join(sorted(file)[:20]) or "nothing"
    return RawDataError(f"{file.filename}: needs {what}, which is missing (it holds {held}); {_WAY_OUT}")


def _wrong(dataset: h5py.Dataset, key: str, expected: str) -> RawDataError:
    found = f"{dataset.dtype} {dataset.shape}"
    return RawDataError(f"{dataset.file.filename}: '{key}' should be {expected} but is {found}; {_WAY_OUT}")
