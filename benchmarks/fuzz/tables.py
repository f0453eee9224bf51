"""Damage that only a user's own table can have: of its columns, its quoting, its file, and paths that lead away."""

import datetime
import decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from benchmarks.fuzz.case import OUTSIDE, RAW, Case, FuzzClass, Plan
from benchmarks.fuzz.datasets import (
    PRODUCTS,
    Line,
    dataset,
    encoded,
    good_lines,
    lines_file,
    record,
    rendered,
    write_lines,
    write_photos,
)
from benchmarks.fuzz.hdf5 import FLIPS, FRACTIONS, cut, flip

_COLUMNS = tuple(record("jsonl", 0))
_NAME = "table.parquet"


def _parquet(root: Path, columns: dict[str, Any], **options: Any) -> Case:
    pq.write_table(pa.table(columns), root / RAW / _NAME, row_group_size=2, **options)
    write_photos(root)
    untouched = {(_NAME, row): f"B{row}" for row in range(PRODUCTS)}
    return Case(dataset(root, "parquet", _NAME), PRODUCTS, untouched)


def _good_columns() -> dict[str, Any]:
    rows = [record("jsonl", number) for number in range(PRODUCTS)]
    return {name: [row[name] for row in rows] for name in _COLUMNS}


def _types() -> dict[str, pa.Array]:
    count = PRODUCTS
    when = datetime.datetime(2020, 1, 1)
    values: dict[str, tuple[list[Any], pa.DataType]] = {
        "null": ([None] * count, pa.null()), "truth": ([True, False, None, True, False], pa.bool_()),
        "int": ([1, -1, 0, 2**62, None], pa.int64()), "unsigned": ([2**64 - 1] * count, pa.uint64()),
        "half": ([1.5] * count, pa.float16()), "double": ([float("nan"), float("inf"), -1e308, 1e308, 0.0],
        pa.float64()),
        "decimal": ([decimal.Decimal("9" * 38)] * count, pa.decimal128(38)), "date": ([when.date()] * count,
        pa.date32()),
        "late date": ([2**31 - 1] * count, pa.date32()), "time": ([2**62] * count, pa.timestamp("us")),
        "nanoseconds": ([when] * count, pa.timestamp("ns", "UTC")), "odd zone": ([when] * count, pa.timestamp("s",
        "Mars/A")),
        "duration": ([2**62] * count, pa.duration("us")), "bytes": ([b"\xff\x00", b"", b"B2", None, b"B4"],
        pa.binary()),
        "texts": ([["a"], [], None, ["b", None], ["c"] * 200], pa.list_(pa.string())),
        "nested": ([[[["a"]]]] * count, pa.list_(pa.list_(pa.list_(pa.string())))),
        "struct": ([{"bytes": "text", "b": None}] * count, pa.struct([("bytes", pa.string()), ("b", pa.int8())])),
        "odd struct": ([{"a": 1}] * count, pa.struct([("a", pa.int8())])),
        "map": ([[("a", 1), ("a", 2)]] * count, pa.map_(pa.string(), pa.int8())),
        "fixed": ([b"abcd"] * count, pa.binary(4)), "large": (["x" * 100_000] * count, pa.large_string()),
        "dictionary": (["B0", None, "B0", "B2", "B2"], pa.dictionary(pa.int8(), pa.string())),
        "time of day": ([2**36] * count, pa.time64("us")), "views": (["B0", "", "x" * 50, None, "B4"],
        pa.string_view()),
    }  # fmt: skip
    return {name: pa.array(cells, kind) for name, (cells, kind) in values.items()} | {"not utf-8": _not_utf8()}


def _not_utf8() -> pa.Array:
    raw = pa.array([b"\xff\xfe", b"B1\x80", b"caf\xe9", b"\xed\xa0\x80", b"B4"], pa.binary())
    return pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())


_TYPES = _types()


def _odd_column(root: Path, plan: Plan) -> Case:
    columns = _good_columns()
    for name, kind in plan["columns"].items():
        columns[name] = _TYPES[kind]
    for name in plan["dropped"]:
        columns.pop(name, None)
    case = _parquet(root, columns, **plan["options"])
    case.untouched = {}
    return case


def _damaged(root: Path, plan: Plan) -> Case:
    columns = _good_columns()
    if plan["embedded"]:
        columns["picture"] = [encoded(number) for number in range(PRODUCTS)]
    case = _parquet(root, columns, **plan["options"])
    path = root / RAW / _NAME
    if plan["how"] == "cut":
        cut(path, plan["kept"])
    elif plan["how"] == "tail":
        path.write_bytes(path.read_bytes() + plan["tail"])
    elif plan["how"] == "length":  # of the footer
        content = path.read_bytes()
        path.write_bytes(content[:-8] + plan["length"].to_bytes(4, "little") + content[-4:])
    else:
        # The footer is what a reader trusts.
        begin = 0.5 if plan["how"] == "footer" else 0.0
        flip(path, [(begin + place * (1 - begin), mask) for place, mask in plan["flips"]])
    case.untouched = {}
    case.rows = None  # the footer says how many there are
    return case


def _odd_csv(root: Path, plan: Plan) -> Case:
    lines = good_lines("csv")
    content = lines[plan["line"]].content
    for where, added in plan["added"]:
        place = int(where * len(content))
        content = content[:place] + added + content[place:]
    lines[plan["line"]] = Line(content)
    case = write_lines(root, "csv", lines, end=plan["end"])
    path = root / RAW / lines_file("csv")
    changed = path.read_bytes().replace(b",", plan["delimiter"])
    if plan["header"] is not None:
        changed = plan["header"] + changed.partition(b"\n")[2]
    path.write_bytes(plan["start"] + changed)
    case.rows, case.untouched = None, {}  # what is a row depends on the quotes
    return case


def _path_trick(root: Path, plan: Plan) -> Case:
    text = plan["text"].replace("@", str(root / OUTSIDE))
    values = record(plan["flavour"], plan["line"])
    key = next(iter(values)) if plan["as_id"] or "picture" not in values else "picture"
    values[key] = text
    if plan["list"] and plan["flavour"] not in {"csv", "parquet"}:
        values[key] = [text]
    if plan["flavour"] == "parquet":
        columns = _good_columns()
        columns[key][plan["line"]] = text.encode("utf-8", "replace").decode()
        case = _parquet(root, columns)
        case.untouched.pop((_NAME, plan["line"]), None)
        return case
    lines = good_lines(plan["flavour"])
    lines[plan["line"]] = Line(rendered(plan["flavour"], values))
    return write_lines(root, plan["flavour"], lines)


_TRICKS = st.one_of(
    st.sampled_from(
        ("../outside/secret", "../../outside/secret.jpg", "../../outside/secret.txt", "@/secret", "@/secret.jpg",
         "/etc/passwd", "/dev/zero", "/proc/self/environ", "file://@/secret.jpg", "http://127.0.0.1:9/x.jpg",
         "images/../..",
         "~/secret.jpg", "$HOME", "B0.jpg\x00.txt", "\x00", "..", ".", "/", "", "B0.jpg/",
         "B0.jpg/../../../outside/secret.jpg",
         "..\\..\\outside\\secret.jpg", "%2e%2e/outside/secret.jpg", "CON", "x" * 300, "x/" * 600, "B0.jpg\n", "*.jpg",
         "table.parquet#0", "table.csv#0", "meta.json#3", "url:" + "0" * 32, "url:../../secret",
         "data:image/png;base64,AA",
         "-rf", "'; DROP TABLE images; --", "{}", "%s", "ftp://h/x.jpg", "\ud800.jpg", "B0.JPG", "./B0.jpg",
         "a/./../B0.jpg")
    ),
    st.lists(st.sampled_from(("..", ".", "", "outside", "secret.jpg", "B0.jpg", "images", "raw")),
    max_size=7).map("/".join),
)  # fmt: skip
_CSV_SCRAPS = st.one_of(
    st.sampled_from((b'"', b'""', b'"""', b"\x00", b"\r", b"\n", b"\r\n", b'"\n', b'\n"', b",", b",,,", b";", b"\t",
    b"\\", b"'",
                     b'","', b"\x1a", b"\xef\xbb\xbf", b'"' * 1001)),
    st.binary(min_size=1, max_size=4),
)  # fmt: skip
_OPTIONS = st.sampled_from(
    ({}, {"compression": "gzip"}, {"compression": "zstd"}, {"use_dictionary": False}, {"version": "1.0"},
     {"data_page_version": "2.0", "compression": "snappy"}, {"write_page_checksum": True})
)  # fmt: skip
_COLUMN = st.sampled_from(_COLUMNS)
_HEADERS = st.none() | st.sampled_from(
    (
        b"",
        b"sku\n",
        b'"sku,name\n',
        b"sku,sku,name,about,maker,kind,cost,picture\n",
        b"a,b\n",
        b"\x00\n",
        b"," * 5000 + b"\n",
    )
)

CLASSES = [
    FuzzClass(
        "odd Parquet column",
        st.fixed_dictionaries({
            "columns": st.dictionaries(_COLUMN, st.sampled_from(sorted(_TYPES)), min_size=1, max_size=3),
            "dropped": st.just([]) | st.lists(_COLUMN, max_size=1), "options": _OPTIONS,
        }), _odd_column,
    ),
    FuzzClass(
        "damaged Parquet",
        st.fixed_dictionaries({
            "how": st.sampled_from(("cut", "tail", "length", "footer", "flip")), "kept": FRACTIONS, "flips": FLIPS,
            "tail": st.binary(min_size=1, max_size=9), "length": st.integers(0, 2**32 - 1), "embedded": st.booleans(),
            "options": _OPTIONS,
        }), _damaged,
    ),
    FuzzClass(
        "odd CSV",
        st.fixed_dictionaries({
            "line": st.integers(0, PRODUCTS - 1), "end": st.sampled_from((b"\n", b"\n", b"\r\n", b"\r", b"\n\n",
            b"\n\r")),
            "added": st.lists(st.tuples(FRACTIONS, _CSV_SCRAPS), max_size=4), "header": _HEADERS,
            "delimiter": st.sampled_from((b",", b",", b";", b"\t", b"|", b":", b" ", b"\x01")),
            "start": st.sampled_from((b"", b"", b"\xef\xbb\xbf", b"\n\n", b"\xff\xfe", b"# comment\n", b"sep=,\n")),
        }), _odd_csv,
    ),
    FuzzClass(
        "path trick",
        st.fixed_dictionaries({
            "flavour": st.sampled_from(("amazon2014", "amazon2018", "amazon2023", "jsonl", "csv", "parquet")),
            "line": st.integers(0, PRODUCTS - 1), "text": _TRICKS, "as_id": st.booleans(), "list": st.booleans(),
        }), _path_trick,
    ),
]  # fmt: skip
