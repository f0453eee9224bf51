"""HDF5 files from elsewhere: what is in them is checked before any of it is read.

A file can point at other files (external links, external storage, virtual datasets), which would leak them into a
catalogue, and declare terabytes in kilobytes: both are refused by the headers alone. HDF5 unpacks whatever a chunk's
stream holds, a thousand times its bytes, so what is stored is held against what is declared before HDF5 reads.
"""

import contextlib
import itertools
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from eiclip.errors import RawDataError
from eiclip.readers.base import check_file

SLAB_BYTES = 8 * 2**20  # one read of a dataset laid out by rows
WIDE_SLAB_BYTES = 256 * 2**20  # one read where a chunk spans so many rows that small reads would unpack it repeatedly
MAX_CHUNK_BYTES = 256 * 2**20  # of one chunk unpacked, which HDF5 does whole
SMALL_CHUNK_BYTES = 4096
MAX_INFLATION = 1100  # deflate, the strongest filter in use, tops out at 1,032 to 1
HARMLESS_BYTES = 2**18  # whatever its ratio: rows of a few bytes that nobody wrote are rows to go through all the same
_HARMLESS_STORED = 256 * 2**20 // MAX_INFLATION  # of one chunk
_COMPRESSORS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SZIP, 32000}  # 32000: lzf
_GET_AGAIN = "fetch the file again from where it came, or compare its checksum"
# h5py reports damage found while reading as any of these.
_H5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)


@contextlib.contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open `path` for reading. Raises RawDataError where it is missing, truncated or no HDF5 file."""
    check_file(path, "the dataset's folder")
    try:
        file = h5py.File(path, "r")
    except _H5_ERRORS as error:
        raise RawDataError(f"{path}: not a whole HDF5 file ({error}); {_GET_AGAIN}") from error
    with file:
        yield file


def find_dataset(file: h5py.File, key: str) -> h5py.Dataset | None:
    """Return dataset `key` of the file's root, None where there is none. Raises RawDataError for a `_fault`."""
    try:
        link = file.get(key, getlink=True)
        if link is None:
            return None
        fault = _fault(file, key, link)
    except _H5_ERRORS as error:
        raise RawDataError(f"{file.filename}: the header of '{key}' is damaged ({error}); {_GET_AGAIN}") from error
    if fault is not None:
        raise RawDataError(f"{file.filename}: '{key}' {fault}; refused: use an ordinary copy with its data inside")
    return file[key]


def _fault(file: h5py.File, key: str, link: Any) -> str | None:
    """Return what is wrong with how a dataset is stored, None where nothing is; look at headers alone."""
    if not isinstance(link, h5py.HardLink):
        return f"is a link to elsewhere ({type(link).__name__})"
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset):
        return f"is a {type(dataset).__name__.lower()}, not a dataset"
    if dataset.external:
        return f"keeps its data in other files ({dataset.external[0][0]})"
    if dataset.is_virtual:
        return "is a virtual dataset, made of other files"
    if dataset.shape is None:
        return "has no shape"
    declared, stored, on_disk = dataset.nbytes, dataset.id.get_storage_size(), Path(file.filename).stat().st_size
    if stored > on_disk:
        return f"claims {stored:,} stored bytes in a file of {on_disk:,}"
    if declared > max(HARMLESS_BYTES, MAX_INFLATION * stored):
        return f"declares {declared:,} bytes {dataset.shape} but stores {stored:,}"
    if dataset.chunks is None:
        return None
    unpacked = _chunk_bytes(dataset)
    if unpacked > MAX_CHUNK_BYTES:
        return f"has chunks of {unpacked:,} bytes; h5repack it with chunks of a few MB"
    if sum(name in _COMPRESSORS for name in _filters(dataset)) > 1:
        return "is compressed more than once"
    grid = math.prod(math.ceil(side / chunk) for side, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    if unpacked < SMALL_CHUNK_BYTES and grid > 2 * dataset.shape[0]:
        return f"is cut into {grid:,} chunks of {unpacked:,} bytes; h5repack it with chunks of a few MB"
    sizes = [0]
    if stored > _HARMLESS_STORED:
        dataset.id.chunk_iter(lambda chunk: sizes.append(chunk.size))
    return f"stores {max(sizes):,} bytes in a chunk of {unpacked:,}" if max(sizes) > _most_stored(unpacked) else None


def rows_per_slab(dataset: h5py.Dataset) -> int:
    """Return rows to read at a time: whole chunks if they fit in memory.

    h5py's own chunks of 256 x 256 photos span thousands of rows, and a small slice unpacks as much as a large one.
    """
    row_bytes = max(1, int(np.prod(dataset.shape[1:], dtype=np.int64)) * dataset.dtype.itemsize)
    narrow = max(1, SLAB_BYTES // row_bytes)
    chunk_rows = dataset.chunks[0] if dataset.chunks else 1
    if chunk_rows <= narrow:
        return narrow // chunk_rows * chunk_rows
    return max(1, min(chunk_rows, WIDE_SLAB_BYTES // row_bytes))


def read_rows(dataset: h5py.Dataset, start: int, stop: int) -> np.ndarray[Any, Any]:
    """Read rows [start, stop). Raises RawDataError naming file and key where they cannot be read."""
    try:
        _check_inflation(dataset, start, stop)
        return np.asarray(dataset[start:stop])
    except _H5_ERRORS as error:
        where = f"{dataset.file.filename}: '{dataset.name.lstrip('/')}' rows {start} to {stop - 1}"
        raise RawDataError(f"{where} cannot be read ({error}); {_GET_AGAIN}") from error


def _check_inflation(dataset: h5py.Dataset, start: int, stop: int) -> None:
    """Raise ValueError where a chunk of rows [start, stop) that may hold over 256 MiB unpacks to more than declared."""
    if dataset.chunks is None or h5py.h5z.FILTER_DEFLATE not in (filters := _filters(dataset)):
        return
    declared = _chunk_bytes(dataset)
    if min(dataset.id.get_storage_size(), _most_stored(declared)) <= _HARMLESS_STORED:
        return
    skipped = 1 << filters.index(h5py.h5z.FILTER_DEFLATE)
    first, *others = dataset.chunks
    sides = [range(0, side, chunk) for side, chunk in zip(dataset.shape[1:], others, strict=True)]
    for offset in itertools.product(range(start // first * first, stop, first), *sides):
        try:
            mask, stored = dataset.id.read_direct_chunk(offset)
            if len(stored) <= _HARMLESS_STORED or mask & skipped:
                continue
            inflated = len(zlib.decompressobj().decompress(stored, declared + 1))
        except (OSError, RuntimeError, zlib.error):  # never written, or damaged: reading tells
            continue
        if inflated > declared:
            raise ValueError(f"the chunk at {offset} unpacks to more than the {declared:,} bytes it declares")


def _filters(dataset: h5py.Dataset) -> list[int]:
    plan = dataset.id.get_create_plist()
    return [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]


def _chunk_bytes(dataset: h5py.Dataset) -> int:
    return math.prod(dataset.chunks) * int(dataset.dtype.itemsize)


def _most_stored(declared: int) -> int:
    """Return what a chunk that does not compress at all may take."""
    return declared + declared // 8 + 2**16
