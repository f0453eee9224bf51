"""HDF5 files that point elsewhere: links, external storage and virtual datasets would read other files."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

from benchmarks.fuzz.case import OUTSIDE, Case, FuzzClass, Plan
from benchmarks.fuzz.datasets import KEYS, TRAIN
from benchmarks.fuzz.hdf5 import FILES, replaced

_OTHERS = ("secret.h5", "secret.txt", "missing.h5")


def _target(root: Path, name: str) -> str:
    return str(root / OUTSIDE / name)


def _linked(root: Path, plan: Plan) -> Case:
    def make(file: h5py.File, key: str, good: Any) -> None:
        kinds: dict[str, Any] = {
            "external": h5py.ExternalLink(_target(root, plan["to"]), key),
            "relative": h5py.ExternalLink(f"../{OUTSIDE}/{plan['to']}", key),
            "device": h5py.ExternalLink("/dev/zero", key),
            "soft": h5py.SoftLink(f"/{plan['other']}"),
            "loop": h5py.SoftLink(f"/{key}"),
            "dangling": h5py.SoftLink("/nowhere/at/all"),
        }
        if plan["kind"] == "group":
            file.create_group(key)
        elif plan["kind"] == "group link":  # an ordinary dataset behind a group that lies elsewhere
            file["elsewhere"] = h5py.ExternalLink(_target(root, plan["to"]), "/")
            file[key] = h5py.SoftLink(f"/elsewhere/{key}")
        elif plan["kind"] == "type":
            file[key] = np.dtype("f4")
        else:
            file[key] = kinds[plan["kind"]]

    return replaced(root, plan, make)


def _stored_elsewhere(root: Path, plan: Plan) -> Case:
    def make(file: h5py.File, key: str, good: Any) -> None:
        target = _target(root, plan["to"]) if plan["absolute"] else f"../{OUTSIDE}/{plan['to']}"
        size = h5py.h5f.UNLIMITED if plan["endless"] else good.nbytes + plan["more"]
        file.create_dataset(key, good.shape, good.dtype, external=[(target, plan["offset"], size)])

    return replaced(root, plan, make)


def _virtual(root: Path, plan: Plan) -> Case:
    def make(file: h5py.File, key: str, good: Any) -> None:
        to = "." if plan["to"] == "." else _target(root, plan["to"])
        layout = h5py.VirtualLayout(good.shape, good.dtype)
        rows = min(plan["rows"], len(good))
        source = h5py.VirtualSource(to, key if to != "." else plan["other"], (rows, *good.shape[1:]), good.dtype)
        layout[:rows] = source
        file.create_virtual_dataset(key, layout, fillvalue=0 if good.dtype.kind != "S" else None)

    return replaced(root, plan, make)


_TARGET = {"file": FILES, "key": st.sampled_from(KEYS), "to": st.sampled_from(_OTHERS), "other": st.sampled_from(KEYS)}
_LINKS = ("external", "relative", "device", "soft", "loop", "dangling", "group", "group link", "type")

CLASSES = [
    FuzzClass("HDF5 link", st.fixed_dictionaries(_TARGET | {"kind": st.sampled_from(_LINKS)}), _linked),
    FuzzClass(
        "external storage",
        st.fixed_dictionaries(_TARGET | {
            "absolute": st.booleans(), "endless": st.booleans(), "more": st.integers(0, 9),
            "offset": st.integers(0, 3000),
        }), _stored_elsewhere,
    ),
    FuzzClass(
        "virtual dataset",
        st.fixed_dictionaries(_TARGET | {"to": st.sampled_from((*_OTHERS, ".", TRAIN)), "rows": st.integers(1, 6)}),
        _virtual,
    ),
]  # fmt: skip
