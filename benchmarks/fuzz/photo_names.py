"""Photos named as people and programs name them: each row must be used, with the pixels of the photo it means."""

import hashlib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from benchmarks.fuzz.case import RAW, Case, FuzzClass, Plan
from benchmarks.fuzz.datasets import COLUMNS, PRODUCTS, Line, dataset, encoded, record, rendered, write_lines

FLAVOURS = ("csv", "jsonl", "parquet")
FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda path: path, "backslashes": lambda path: path.replace("/", "\\"), "slash": lambda path: f"/{path}",
    "drive": lambda path: "C:\\Users\\me\\" + path.replace("/", "\\"), "share": lambda path: f"\\\\host\\{path}",
    "folder repeated": lambda path: f"images/{path}", "capitals": str.upper, "dots": lambda path: f"./x/..//{path}",
    "composed": lambda path: unicodedata.normalize("NFC", path), "escaped": lambda path: path.replace(" ", "%20"),
    "decomposed": lambda path: unicodedata.normalize("NFD", path), "stem": lambda path: path.rpartition(".")[0],
    "jpeg": lambda path: path.rpartition(".")[0] + ".jpeg",
}  # fmt: skip
"""How a path below the folder of photos may be written in a table."""


def sha256(number: int) -> str:
    """Digest of the file of a good photo."""
    return hashlib.sha256(encoded(number)).hexdigest()


def _case(root: Path, flavour: str, rows: list[dict[str, Any]], photos: dict[str, bytes], **columns: Any) -> Case:
    """A table of rows, all of which must be used, and photos below its folder."""
    if flavour == "parquet":
        (root / RAW / "images").mkdir()
        pq.write_table(pa.Table.from_pylist(rows), root / RAW / "table.parquet")
        case = Case(dataset(root, flavour, "table.parquet"), len(rows))
        case.untouched = {("table.parquet", place): row["sku"] for place, row in enumerate(rows)}
    else:
        case = write_lines(root, flavour, [Line(rendered(flavour, row), row["sku"]) for row in rows])
        for file in (root / RAW / "images").iterdir():
            file.unlink()
    for path, content in photos.items():
        file = root / RAW / "images" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    case.dataset = case.dataset.model_copy(update={"columns": COLUMNS.model_copy(update=columns)})
    return case


def _means(case: Case, numbers: list[int]) -> Case:
    """The case, whose rows must have these photos."""
    case.photos = {place: sha256(number) for place, number in zip(sorted(case.untouched), numbers, strict=True)}
    return case


def _written(root: Path, plan: Plan) -> Case:
    rows = [record("jsonl", number) for number in range(PRODUCTS)]
    paths = [f"{plan['folder']}{plan['stem']} {number}.jpg" for number in range(PRODUCTS)]
    for row, path, form in zip(rows, paths, plan["forms"], strict=True):
        row["picture"] = FORMS[form](path)
    photos = {path: encoded(number) for number, path in enumerate(paths)}
    return _means(_case(root, plan["flavour"], rows, photos), list(range(PRODUCTS)))


def _several(root: Path, plan: Plan) -> Case:
    rows = [record("jsonl", number) for number in range(PRODUCTS)]
    for number, row in enumerate(rows):
        names = [*plan["before"], f"a,b {number}.jpg", *plan["after"]]
        row["picture"] = repr(names) if plan["mark"] == "list" else plan["mark"].join(names)
    photos = {f"a,b {number}.jpg": encoded(number) for number in range(PRODUCTS)} | {"broken.jpg": b"<html>"}
    return _means(_case(root, plan["flavour"], rows, photos), list(range(PRODUCTS)))


def _further(root: Path, plan: Plan) -> Case:
    """Products, each with further rows that hold a photo alone: of the product's texts, and with their own photo."""
    rows = []
    for number, count in enumerate(plan["counts"]):
        rows.append(record("jsonl", number) | {"cost": "9.99"})
        rows += [dict.fromkeys(rows[0], "") | {"sku": f"B{number}"} for _ in range(count)]
    for place, row in enumerate(rows):
        row["picture"] = f"{place}.jpg"
    photos = {f"{place}.jpg": encoded(place) for place in range(len(rows))}
    case = _means(_case(root, plan["flavour"], rows, photos), list(range(len(rows))))
    places = sorted(case.untouched)
    case.titles = {place: f"Blue dress {row['sku'][1:]}" for place, row in zip(places, rows, strict=True)}
    return case


def _template(root: Path, plan: Plan) -> Case:
    rows = [record("jsonl", number) for number in range(PRODUCTS)]
    for row, kind in zip(rows, plan["kinds"], strict=True):
        row |= {"kind": kind, "picture": ""}
    photos = {f"{row['kind']}/{row['sku']}_1.{plan['ending']}": encoded(number) for number, row in enumerate(rows)}
    case = _case(root, plan["flavour"], rows, photos, photo="{kind}/{sku}_1" + plan["written"])
    return _means(case, list(range(PRODUCTS)))


_FLAVOUR = {"flavour": st.sampled_from(FLAVOURS)}
_OTHERS = st.lists(st.sampled_from(("gone.jpg", "broken.jpg", "ftp://h/x.jpg", "www.shop.example/a.jpg")), max_size=3)

CLASSES = [
    FuzzClass(
        "photo path as written",
        st.fixed_dictionaries(_FLAVOUR | {
            "stem": st.sampled_from(("dress", "robe brode\u0301e", "robe brod\u00e9e", "a.b", "a, b", "é%")),
            "folder": st.sampled_from(("", "women/", "e\u0301te\u0301/x y/")),
            "forms": st.lists(st.sampled_from(sorted(FORMS)), min_size=PRODUCTS, max_size=PRODUCTS),
        }), _written,
    ),
    FuzzClass(
        "photos in one cell",
        st.fixed_dictionaries(_FLAVOUR | {
            "mark": st.sampled_from((",", ", ", ";", "|", " | ", " ", "list")), "before": _OTHERS, "after": _OTHERS,
        }), _several,
    ),
    FuzzClass(
        "further rows of a product",
        st.fixed_dictionaries(_FLAVOUR | {"counts": st.lists(st.integers(0, 3), min_size=1, max_size=PRODUCTS)}),
        _further,
    ),
    FuzzClass(
        "photo template",
        st.fixed_dictionaries(_FLAVOUR | {
            "kinds": st.lists(st.sampled_from(("Dresses", "a b", "x/y", "50%20", "é")), min_size=PRODUCTS,
                              max_size=PRODUCTS),
            "ending": st.sampled_from(("jpg", "JPG", "jpeg")), "written": st.sampled_from(("", ".jpg", ".jpeg")),
        }), _template,
    ),
]  # fmt: skip
