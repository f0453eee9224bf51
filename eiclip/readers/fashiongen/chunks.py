"""Chunks of HDF5 files from elsewhere: HDF5 unpacks whatever a chunk's stream holds, however little was declared.

A deflate stream grows to a thousand times its bytes, and again where a pipeline unpacks twice, so that a chunk of two
megabytes takes two gigabytes of memory. What is stored is therefore held against what is declared before HDF5 reads.
"""

import itertools
import math
import zlib

import h5py

MAX_INFLATION = 1100  # deflate, the strongest filter in use, tops out at 1,032 to 1
MAX_UNPACKED_BYTES = 256 * 2**20  # of one chunk
SMALL_CHUNK_BYTES = 4096
_HARMLESS_STORED = MAX_UNPACKED_BYTES // MAX_INFLATION
_PIECE = 2**20
_COMPRESSORS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SZIP, 32000}  # 32000: lzf


def fault_of_chunks(dataset: h5py.Dataset) -> str | None:
    """What is wrong with how a dataset is cut into chunks, None where nothing is; looks at headers alone."""
    if dataset.chunks is None:
        return None
    filters = _filters(dataset)
    if sum(name in _COMPRESSORS for name in filters) > 1:
        return "is compressed more than once"
    declared = _chunk_bytes(dataset)
    grid = math.prod(math.ceil(side / chunk) for side, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    if declared < SMALL_CHUNK_BYTES and grid > 2 * dataset.shape[0]:
        return f"is cut into {grid:,} chunks of {declared:,} bytes; h5repack it with chunks of a few MB"
    largest = 0

    def look(chunk: h5py.h5d.StoreInfo) -> None:
        nonlocal largest
        largest = max(largest, chunk.size)

    if dataset.id.get_storage_size() > _HARMLESS_STORED:
        dataset.id.chunk_iter(look)
    if largest > _most_stored(declared):
        return f"stores {largest:,} bytes in a chunk of {declared:,}"
    return None


def check_inflation(dataset: h5py.Dataset, start: int, stop: int) -> None:
    """Raise ValueError where a chunk of rows [start, stop) unpacks to more than it declares, and that is much.

    Only chunks that could hold over `MAX_UNPACKED_BYTES` are unpacked for it, piece by piece.
    """
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
        except (OSError, RuntimeError):  # never written, or damaged: reading tells
            continue
        if len(stored) > _HARMLESS_STORED and not mask & skipped and _inflates_beyond(stored, declared):
            raise ValueError(f"the chunk at {offset} unpacks to more than the {declared:,} bytes it declares")


def _filters(dataset: h5py.Dataset) -> list[int]:
    plan = dataset.id.get_create_plist()
    return [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]


def _chunk_bytes(dataset: h5py.Dataset) -> int:
    return math.prod(dataset.chunks) * int(dataset.dtype.itemsize)


def _most_stored(declared: int) -> int:
    """What a chunk that does not compress at all may take."""
    return declared + declared // 8 + 2**16


def _inflates_beyond(stored: bytes, declared: int) -> bool:
    unpacker, unpacked = zlib.decompressobj(), 0
    try:
        while stored and not unpacker.eof and unpacked <= declared:
            unpacked += len(unpacker.decompress(stored, _PIECE))
            stored = unpacker.unconsumed_tail
    except zlib.error:  # reading tells
        return False
    return unpacked > declared
