"""Small good datasets of every kind, written to be damaged."""

import csv
import functools
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from benchmarks.fuzz.case import OUTSIDE, RAW, Case, Place
from eiclip.readers.fashiongen.reader import SPLITS
from eiclip.settings.load import ColumnSettings, DatasetSettings

SECRET = "sesame-7f3a91"
SIDE = 16
TRAIN, VALIDATION = SPLITS
ROWS = {TRAIN: 6, VALIDATION: 3}
PRODUCTS = 5
FLAVOURS = ("amazon2014", "amazon2018", "amazon2023", "jsonl", "csv")
COLUMNS = ColumnSettings(
    product_id="sku", title="name", description=("about",), photo="picture", category="kind", price="cost",
    entities={"brand": "maker"},
)  # fmt: skip


def pixels(number: int, side: int = SIDE) -> np.ndarray[Any, Any]:
    """A photo that is like no other, uint8 (side, side, 3)."""
    return np.random.default_rng(number).integers(0, 255, (side, side, 3), dtype=np.uint8)


@functools.cache
def encoded(number: int, kind: str = "JPEG") -> bytes:
    """The same, as a file."""
    stream = io.BytesIO()
    Image.fromarray(pixels(number)).save(stream, kind)
    return stream.getvalue()


def secret_photo() -> bytes:
    """The photo outside the dataset."""
    return encoded(99)


def make_folders(root: Path) -> None:
    """Make a case's folders, and what lies outside the dataset."""
    (root / RAW).mkdir(parents=True)
    outside = root / OUTSIDE
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET * 1000)
    (outside / "secret.jpg").write_bytes(secret_photo())
    write_hdf5(outside / "secret.h5", columns(ROWS[TRAIN], 90, SECRET))


def columns(count: int, first: int, text: str = "") -> dict[str, np.ndarray[Any, Any]]:
    """Key -> values of `count` rows of a Fashion-Gen file; product ids from `first`."""
    names = (
        "name", "brand", "category", "subcategory", "season", "composition", "description", "department", "gender",
        "pose",
    )  # fmt: skip
    found = {
        "input_image": np.stack([pixels(first + row) for row in range(count)]),
        "input_productID": np.arange(first, first + count, dtype=np.int32).reshape(-1, 1),
        "input_msrpUSD": np.full((count, 1), 9.5, np.float32),
    }
    for name in names:
        cells = [f"{text}{name} {first + row}".encode() for row in range(count)]
        found[f"input_{name}"] = np.array(cells, "S60").reshape(-1, 1)
    return found


KEYS = tuple(columns(1, 0))


def write_hdf5(path: Path, values: dict[str, np.ndarray[Any, Any]], **options: Any) -> None:
    """Write datasets; `options` are h5py's, of all of them."""
    with h5py.File(path, "w") as file:
        for key, data in values.items():
            file.create_dataset(key, data=data, **options)


def fashiongen(root: Path, **options: Any) -> Case:
    """Both files, whole."""
    folder = root / RAW
    untouched: dict[Place, str] = {}
    for first, (name, count) in enumerate(ROWS.items()):
        write_hdf5(folder / name, columns(count, 10 + 10 * first), **options)
        untouched |= {(name, row): str(10 + 10 * first + row) for row in range(count)}
    return Case(DatasetSettings(kind="fashiongen", folder=str(folder)), sum(ROWS.values()), untouched)


@dataclass
class Line:
    """A line of metadata or of a table: bytes without their line end, and the product id where it is untouched."""

    content: bytes
    product_id: str | None = None


def record(flavour: str, number: int) -> dict[str, Any]:
    """The good record of a product."""
    name, text, brand = f"Blue dress {number}", f"A dress of cotton, number {number}.", f"Brand {number % 2}"
    if flavour == "amazon2014":
        url = f"http://images.example/{number}.jpg"
        return {"asin": f"B{number}", "title": name, "description": text, "brand": brand, "price": 9.99,
                "imUrl": url, "categories": [["Clothing", "Dresses"]]}  # fmt: skip
    if flavour == "amazon2018":
        return {"asin": f"B{number}", "title": name, "description": [text], "feature": ["Imported"], "brand": brand,
                "price": "$9.99", "category": ["Clothing", "Dresses"], "imageURL": [], "rank": []}  # fmt: skip
    if flavour == "amazon2023":
        return {"parent_asin": f"B{number}", "title": name, "description": [text], "features": [], "price": 9.99,
                "details": {"Brand": brand}, "store": brand, "main_category": "Fashion", "images": [],
                "categories": ["Clothing", "Dresses"]}  # fmt: skip
    return {"sku": f"B{number}", "name": name, "about": text, "maker": brand, "kind": "dresses", "cost": 9.99,
            "picture": f"B{number}.jpg"}  # fmt: skip


def rendered(flavour: str, values: dict[str, Any]) -> bytes:
    """A record as a line of its edition."""
    if flavour == "amazon2014":
        return repr(values).encode("utf-8", "surrogatepass")
    if flavour == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(values.values())
        return text.getvalue().encode("utf-8", "surrogatepass")
    return json.dumps(values).encode()


def good_lines(flavour: str) -> list[Line]:
    """A line per product."""
    return [Line(rendered(flavour, record(flavour, n)), f"B{n}") for n in range(PRODUCTS)]


def lines_file(flavour: str, *, gz: bool = False) -> str:
    """What the file of lines is named."""
    return ("table.csv" if flavour == "csv" else "meta.json") + (".gz" if gz else "")


def write_lines(root: Path, flavour: str, lines: Sequence[Line], *, gz: bool = False, end: bytes = b"\n") -> Case:
    """Write lines below their header and the products' photos; rows are counted by line ends alone."""
    name = lines_file(flavour, gz=gz)
    head = [Line(rendered("csv", {key: key for key in record("csv", 0)}))] if flavour == "csv" else []
    content, untouched = b"", {}
    first = -1 if flavour == "csv" else 0 if flavour == "jsonl" else 1
    for line in [*head, *lines]:
        if line.product_id is not None:
            untouched[(name, first + content.count(b"\n"))] = line.product_id
        content += line.content + end
    (root / RAW / name).write_bytes(gzip.compress(content, 1) if gz else content)
    case = Case(dataset(root, flavour, name), content.count(b"\n") - len(head), untouched)
    write_photos(root)
    if flavour == "csv" and (b'"' in b"".join(line.content for line in lines if line.product_id is None)):
        case.rows, case.untouched = None, {}  # a quoted cell may hold line ends
    return case


def dataset(root: Path, flavour: str, name: str) -> DatasetSettings:
    """Settings of the dataset whose rows are in the raw file `name`."""
    file, images = str(root / RAW / name), str(root / RAW / "images")
    if flavour.startswith("amazon"):
        return DatasetSettings(kind="amazon", metadata=file, images=images)
    return DatasetSettings(kind="table", files=file, images=images, columns=COLUMNS)


def write_photos(root: Path) -> Path:
    """Write a photo per product; returns their folder."""
    images = root / RAW / "images"
    images.mkdir(exist_ok=True)
    for number in range(PRODUCTS):
        (images / f"B{number}.jpg").write_bytes(encoded(number))
    return images
