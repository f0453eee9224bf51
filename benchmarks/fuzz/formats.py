"""The same records in formats that other programs write, arrays that are broken, and exports read by a preset."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from benchmarks.fuzz.case import RAW, Case, FuzzClass, Plan
from benchmarks.fuzz.datasets import PRODUCTS, dataset, record, write_photos
from benchmarks.fuzz.hdf5 import FLIPS, FRACTIONS, cut, flip
from eiclip.settings.load import DatasetSettings
from eiclip.settings.presets import ALWAYS, PRESETS

_FORMATS = ("array", "indented array", "csv of Python", "csv of JSON", "tsv", "parquet")
_FLAVOUR = st.sampled_from(("amazon2014", "amazon2018", "amazon2023", "jsonl"))
_TEXT = st.text("abZé中ß\"'[]{},;:\\|/ \t\n", max_size=20)


def _records(plan: Plan) -> list[dict[str, Any]]:
    """The good records, with texts of the plan in their titles."""
    rows = [record(plan["flavour"], number) for number in range(PRODUCTS)]
    for row, text in zip(rows, plan["texts"], strict=False):
        row["name" if plan["flavour"] == "jsonl" else "title"] = f"Dress {text} x"
    return rows


def _as_csv(rows: list[dict[str, Any]], written: Any, delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(rows[0])
    writer.writerows([cell if isinstance(cell, str) else written(cell) for cell in row.values()] for row in rows)
    return text.getvalue().encode()


def _content(kind: str, rows: list[dict[str, Any]]) -> bytes:
    if kind == "parquet":
        stream = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), stream, row_group_size=2)
        return stream.getvalue()
    if "csv" in kind:
        return _as_csv(rows, json.dumps if "JSON" in kind else repr)
    return _as_csv(rows, repr, "\t") if kind == "tsv" else json.dumps(rows, indent=1 if " " in kind else None).encode()


def _written(root: Path, plan: Plan, content: bytes) -> Case:
    """A file whose rows are all good: none may be lost, and every title is the one that was put in."""
    name, first = "export", 0 if plan["flavour"] == "jsonl" else 1
    (root / RAW / name).write_bytes(gzip.compress(content) if plan.get("gz") and content[:4] != b"PAR1" else content)
    write_photos(root)
    case = Case(dataset(root, plan["flavour"], name), PRODUCTS)
    for number in range(PRODUCTS):
        case.untouched[name, first + number] = f"B{number}"
    return case


def _other_format(root: Path, plan: Plan) -> Case:
    rows = _records(plan)
    case = _written(root, plan, _content(plan["format"], rows))
    for place, row in zip(case.untouched, rows, strict=True):
        case.titles[place] = " ".join((row.get("name") or row["title"]).split())
    return case


def _broken_array(root: Path, plan: Plan) -> Case:
    content = bytearray(_content(plan["format"], _records(plan)))
    for where, text in plan["inserted"]:
        place = int(where * len(content))
        content[place:place] = text
    case = _written(root, plan | {"gz": False}, bytes(content))
    case.rows, case.untouched = None, {}
    if plan["how"] == "cut":
        cut(root / RAW / "export", plan["kept"])
    elif plan["how"] == "flip":
        flip(root / RAW / "export", plan["flips"])
    return case


_FOREIGN = {
    "products": lambda rows: json.dumps({"products": rows}).encode(),
    "indented products": lambda rows: json.dumps({"products": rows}, indent=2).encode(),
    "indented objects": lambda rows: b"\n".join(json.dumps(row, indent=2).encode() for row in rows),
    "xml": lambda rows: b"<?xml version='1.0'?><rss>" + b"<item/>" * len(rows) + b"</rss>",
    "zip": lambda rows: b"PK\x03\x04" + json.dumps(rows).encode(),
    "bzip2": lambda rows: b"BZh91AY&SY" + json.dumps(rows).encode(),
    "feather": lambda rows: b"ARROW1\0\0" + json.dumps(rows).encode(),
    "utf-16": lambda rows: json.dumps(rows).encode("utf-16"),
}


def _foreign(root: Path, plan: Plan) -> Case:
    case = _written(root, plan, _FOREIGN[plan["what"]](_records(plan)))
    case.rows, case.untouched, case.key = None, {}, "export: "
    return case


def _preset(root: Path, plan: Plan) -> Case:
    preset = plan["preset"]
    layout = PRESETS[preset][plan["layout"] % len(PRESETS[preset])]
    names = {field: name for field, name in layout.items() if isinstance(name, str)}
    others = [*layout["description"], *layout["entities"].values()]
    dropped = {name for number, name in enumerate([*names.values(), *others]) if number in plan["dropped"]}
    kept = {names[field] for field in ALWAYS} | {layout["entities"]["brand"]}
    columns = [name for name in dict.fromkeys([*names.values(), *others, "Something else"]) if name in kept | (
        set(names.values()) | set(others) | {"Something else"}) - dropped]  # fmt: skip
    titles = [f"Dress {text} x" for text in (plan["texts"] + [""] * PRODUCTS)[:PRODUCTS]]
    rows = [
        dict.fromkeys(columns, "red") | {
            names["product_id"]: f"B{number}", names["title"]: title, names["photo"]: f"B{number}.jpg",
        }
        for number, title in enumerate(titles)
    ]  # fmt: skip
    (root / RAW / "export").write_bytes(_as_csv(rows, repr, plan["delimiter"]))
    images = write_photos(root)
    settings = DatasetSettings(kind="table", files=str(root / RAW / "export"), images=str(images), preset=preset)
    places = [("export", number) for number in range(PRODUCTS)]
    case = Case(settings, PRODUCTS, {place: f"B{place[1]}" for place in places})
    case.titles = {place: " ".join(title.split()) for place, title in zip(places, titles, strict=True)}
    return case


def _class(name: str, write: Any, **drawn: Any) -> FuzzClass:
    texts = st.lists(_TEXT, max_size=PRODUCTS)
    return FuzzClass(name, st.fixed_dictionaries({"flavour": _FLAVOUR, "texts": texts} | drawn), write)


_SCRAPS = st.sampled_from((b",", b"]", b"[", b"{", b"}", b'"', b"\\", b"\n", b"NaN", b"\xff", b"'", b"],[", b"},{"))
CLASSES = [
    _class("other formats", _other_format, format=st.sampled_from(_FORMATS), gz=st.booleans()),
    _class(
        "broken arrays", _broken_array, format=st.sampled_from(_FORMATS[:2]), flips=FLIPS, kept=FRACTIONS,
        inserted=st.lists(st.tuples(FRACTIONS, _SCRAPS), max_size=3), how=st.sampled_from(("insert", "cut", "flip")),
    ),
    _class("files of other kinds", _foreign, what=st.sampled_from(sorted(_FOREIGN))),
    _class(
        "presets", _preset, preset=st.sampled_from(sorted(PRESETS)), layout=st.integers(0, 1),
        dropped=st.sets(st.integers(0, 12)), delimiter=st.sampled_from((",", "\t", ";")),
    ),
]  # fmt: skip
