"""Damage to HDF5 files: what is in them is missing, of another type or shape, cut short or flipped."""

import functools
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

from benchmarks.fuzz.case import RAW, Case, FuzzClass, Plan
from benchmarks.fuzz.datasets import KEYS, ROWS, SIDE, TRAIN, VALIDATION, columns, fashiongen, write_hdf5

FILES = st.sampled_from((TRAIN, VALIDATION))
FRACTIONS = st.floats(0, 1, exclude_max=True)
LAYOUTS = st.sampled_from(
    ({}, {"chunks": True}, {"compression": "gzip"}, {"compression": "lzf"}, {"chunks": True, "shuffle": True},
     {"fletcher32": True}, {"compression": "gzip", "shuffle": True, "fletcher32": True})
)  # fmt: skip


def cut(path: Path, fraction: float) -> None:
    """Keep the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])


def flip(path: Path, flips: list[tuple[float, int]]) -> None:
    """Change bytes: (where, as a fraction of the file; what the byte is xor-ed with)."""
    content = bytearray(path.read_bytes())
    for place, mask in flips:
        content[int(place * len(content))] ^= mask
    path.write_bytes(content)


FLIPS = st.lists(st.tuples(FRACTIONS, st.integers(1, 255)), min_size=1, max_size=40)


def _truncated(root: Path, plan: Plan) -> Case:
    case = fashiongen(root, **plan["layout"])
    cut(root / RAW / plan["file"], plan["kept"])
    return case


def _flipped(root: Path, plan: Plan) -> Case:
    case = fashiongen(root, **plan["layout"])
    # Most of a file is pixels: half of the cases change headers alone.
    scale = 0.3 if plan["early"] else 1.0
    flip(root / RAW / plan["file"], [(place * scale, mask) for place, mask in plan["flips"]])
    case.untouched = {}
    return case


def _missing(root: Path, plan: Plan) -> Case:
    case = fashiongen(root)
    with h5py.File(root / RAW / plan["file"], "r+") as file:
        for key in plan["keys"]:
            del file[key]
        if plan["instead"] and len(plan["keys"]) == 1:
            file[plan["instead"]] = np.zeros(3)
    for key in ("input_image", "input_productID", "input_description"):
        if plan["keys"] == [key]:
            case.key = key
    return case


def replaced(root: Path, plan: Plan, make: Any) -> Case:
    """The pair of files, dataset plan['key'] of plan['file'] made anew by `make(file, key, good values)`."""
    case = fashiongen(root)
    with h5py.File(root / RAW / plan["file"], "r+") as file:
        good = file[plan["key"]][()]
        del file[plan["key"]]
        make(file, plan["key"], good)
    case.key, case.untouched = plan["key"], {}
    return case


_TYPES: dict[str, Any] = {
    "half": "f2", "double": "f8", "complex": "c8", "truth": "?", "int8": "i1", "uint64": "u8", "big end": ">i8",
    "bytes": "S1", "wide bytes": "S65537", "wide void": "V70000", "utf-8": h5py.string_dtype("utf-8", 12),
    "text": h5py.string_dtype("utf-8"), "free bytes": h5py.string_dtype("ascii"),
    "compound": np.dtype([("a", "i4"), ("b", "S3")]), "void": "V8", "array": np.dtype(("u1", (3,))),
    "lists": h5py.vlen_dtype(np.int32), "reference": h5py.ref_dtype, "region": h5py.regionref_dtype,
    "enum": h5py.enum_dtype({"A": 0, "B": 1}, "i4"), "nested": np.dtype([("x", h5py.string_dtype())]),
}  # fmt: skip


def _wrong_type(root: Path, plan: Plan) -> Case:
    def make(file: h5py.File, key: str, good: Any) -> None:
        file.create_dataset(key, good.shape, _TYPES[plan["type"]], **({"chunks": True} if plan["chunked"] else {}))

    return replaced(root, plan, make)


def _wrong_shape(root: Path, plan: Plan) -> Case:
    def make(file: h5py.File, key: str, good: Any) -> None:
        if plan["shape"] == "null":
            file.create_dataset(key, data=h5py.Empty(good.dtype))
        else:
            file.create_dataset(key, tuple(plan["shape"]), good.dtype, maxshape=plan["shape"] or None)

    return replaced(root, plan, make)


_SIDES = st.sampled_from((0, 1, 2, 3, 4, SIDE, 255, 1024, 1025, 4096))
_COUNTS = st.sampled_from((0, 1, ROWS[VALIDATION], ROWS[TRAIN], ROWS[TRAIN] + 1, 100))
_SHAPES: st.SearchStrategy[Any] = st.one_of(
    st.just("null"), st.just([]), st.lists(_COUNTS, min_size=1, max_size=3),
    st.tuples(_COUNTS, _SIDES, _SIDES, st.sampled_from((1, 2, 3, 4))).map(list),
    st.tuples(_COUNTS, st.just(1), st.just(1)).map(list),
)  # fmt: skip


def _terabytes(root: Path, plan: Plan) -> Case:
    case = fashiongen(root)
    count, keys = plan["rows"], set(KEYS) if plan["all"] else {plan["key"]}
    with h5py.File(root / RAW / plan["file"], "r+") as file:
        for key in keys:
            shape, kind = (count, *file[key].shape[1:]), file[key].dtype
            if plan["smallest"]:
                shape, kind = (
                    ((count, 1, 1, 3), kind) if kind == "uint8" else (shape, "S1" if kind.kind == "S" else "u1")
                )
            del file[key]
            layout = {"chunks": (1,) * len(shape)} if "tiny" in plan["layout"] else plan["layout"]
            file.create_dataset(key, shape, kind, **layout)
    case.untouched = {}
    case.rows = sum(ROWS.values()) - ROWS[plan["file"]] + count if plan["all"] else case.rows
    case.key = "input_" if plan["all"] else plan["key"]
    return case


def _chunked(root: Path, plan: Plan) -> Case:
    """The photos, or another column, in one chunk that holds what the plan says."""
    case = fashiongen(root)
    key, count = plan["key"], ROWS[TRAIN]
    values = columns(count, 10)[key]
    span = max(count, plan["chunk_mib"] * 2**20 // max(1, values[0].nbytes))
    write_hdf5(root / RAW / TRAIN, {name: data for name, data in columns(count, 10).items() if name != key})
    with h5py.File(root / RAW / TRAIN, "r+") as file:
        options = {"chunks": (span, *values.shape[1:]), "maxshape": (None, *values.shape[1:])}
        if plan["twice"]:
            found = _packed_twice(file, key, values, options["chunks"])
        else:
            found = file.create_dataset(key, values.shape, values.dtype, compression="gzip", **options)
        content = _deflated(plan["holds_mib"]) + plan["tail"]
        found.id.write_direct_chunk(
            (0,) * values.ndim, zlib.compress(content) if plan["twice"] else content, plan["skipped"]
        )
    case.untouched, case.key = {}, key
    return case


def _packed_twice(file: h5py.File, key: str, values: Any, chunks: tuple[int, ...]) -> h5py.Dataset:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(chunks)
    plan.set_deflate(9)
    plan.set_deflate(9)
    space = h5py.h5s.create_simple(values.shape, (h5py.h5s.UNLIMITED, *values.shape[1:]))
    kind = h5py.h5t.py_create(values.dtype, logical=True)
    h5py.h5d.create(file.id, key.encode(), kind, space, plan)
    return file[key]


@functools.cache
def _deflated(mebibytes: int) -> bytes:
    """A zlib stream of zeros, a thousandth of their size, made without holding them; its checksum is wrong."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\xda" + block * mebibytes + b"\x03\x00" + b"\0" * 4


_BIG_COUNTS = st.one_of(
    st.integers(3, 20_000), st.sampled_from((100_000, 5_000_000)), st.integers(10**6, 10**9), st.integers(10**9, 2**50)
)
_SPARSE: tuple[Plan, ...] = ({}, {"chunks": True}, {"chunks": True, "compression": "gzip"}, {"tiny": True})
_KEY = st.sampled_from(KEYS)
_TARGET = {"file": FILES, "key": _KEY}

CLASSES = [
    FuzzClass("truncated HDF5", st.fixed_dictionaries({"file": FILES, "kept": FRACTIONS, "layout": LAYOUTS}),
    _truncated),
    FuzzClass(
        "flipped HDF5",
        st.fixed_dictionaries({"file": FILES, "early": st.booleans(), "flips": FLIPS, "layout": LAYOUTS}), _flipped,
    ),
    FuzzClass(
        "missing key",
        st.fixed_dictionaries({
            "file": FILES, "keys": st.lists(_KEY, min_size=1, max_size=4, unique=True),
            "instead": st.sampled_from(("", "input_images", "INPUT_IMAGE", "input_productid", "index")),
        }), _missing,
    ),
    FuzzClass(
        "wrong type",
        st.fixed_dictionaries(_TARGET | {"type": st.sampled_from(sorted(_TYPES)), "chunked": st.booleans()}),
        _wrong_type,
    ),
    FuzzClass("wrong shape", st.fixed_dictionaries(_TARGET | {"shape": _SHAPES}), _wrong_shape),
    FuzzClass(
        "declared terabytes",
        st.fixed_dictionaries(_TARGET | {
            "rows": _BIG_COUNTS, "all": st.booleans(), "smallest": st.booleans(),
            "layout": st.sampled_from(_SPARSE),
        }), _terabytes,
    ),
    FuzzClass(
        "hostile chunk",
        st.fixed_dictionaries({
            "key": st.sampled_from(("input_image", "input_description", "input_productID")),
            "chunk_mib": st.sampled_from((0, 1, 64, 255, 257, 1000)), "holds_mib": st.sampled_from((0, 1, 64, 600,
            2500)),
            "tail": st.binary(max_size=8), "skipped": st.sampled_from((0, 0, 0, 1)),
            "twice": st.sampled_from((False, False, False, True)),
        }), _chunked,
    ),
]  # fmt: skip
