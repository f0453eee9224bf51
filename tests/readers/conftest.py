"""Tiny raw files in the real layouts, and real products where the workspace's shared folder is there."""

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from .bad_server import BadServer

TEXT = (
    "name", "brand", "category", "subcategory", "season", "composition", "description", "department", "gender", "pose",
)  # fmt: skip
TRAIN, VALIDATION = "fashiongen_256_256_train.h5", "fashiongen_256_256_validation.h5"
SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"


def noise(seed, size=(8, 8)):
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


def fashiongen_columns(rows, first=0):
    """The datasets of rows (dicts of text fields, 'id', 'price', 'pixels'), the first of which has this number."""
    numbered = list(enumerate(rows, first))
    columns = {
        "input_image": np.array([row.get("pixels", noise(i)) for i, row in numbered], np.uint8).reshape(-1, 8, 8, 3),
        "input_productID": np.array([[row.get("id", i)] for i, row in numbered], np.int32).reshape(-1, 1),
        "input_msrpUSD": np.array([[row.get("price", 10)] for row in rows], np.float32).reshape(-1, 1),
    }
    for field in TEXT:
        cells = [str(row.get(field, f"{field} {i}")).encode("latin-1") for i, row in numbered]
        columns[f"input_{field}"] = np.array(cells, "S400").reshape(-1, 1)
    return columns


def write_fashiongen(path, rows, drop=(), **replaced):
    """Write rows as one Fashion-Gen file."""
    with h5py.File(path, "w") as file:
        for key, values in (fashiongen_columns(rows) | replaced).items():
            if key not in drop:
                file[key] = values


def write_growing(path, rows):
    """Write rows as a Fashion-Gen file that `grow` can add rows to."""
    with h5py.File(path, "w") as file:
        for key, values in fashiongen_columns(rows).items():
            file.create_dataset(key, data=values, maxshape=(None, *values.shape[1:]), chunks=(2, *values.shape[1:]))


def grow(path, rows):
    """Append rows to a file of `write_growing`."""
    with h5py.File(path, "a") as file:
        count = len(file["input_image"])
        for key, values in fashiongen_columns(rows, first=count).items():
            file[key].resize(count + len(rows), axis=0)
            file[key][count:] = values


@pytest.fixture
def fashiongen(tmp_path):
    """Return a function that writes both files of a folder; the arguments are those of the train file."""

    def write(rows=None, validation=({"id": 99},), **options):
        folder = tmp_path / "fashiongen"
        folder.mkdir(exist_ok=True)
        rows = [{"id": 1}, {"id": 1}, {"id": 2}] if rows is None else rows
        write_fashiongen(folder / TRAIN, rows, **options)
        write_fashiongen(folder / VALIDATION, list(validation))
        return folder

    return write


@pytest.fixture
def amazon(tmp_path):
    """Return a function that writes metadata lines (dicts, text or bytes) and photos, and gives both paths."""

    def write(lines, photos=(), name="meta.json.gz"):
        metadata, images = tmp_path / name, tmp_path / "images"
        images.mkdir(exist_ok=True)
        content = b"".join(as_line(line) + b"\n" for line in lines)
        metadata.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        for stem in photos:
            write_photo(images / f"{stem}.jpg")
        return metadata, images

    return write


def as_line(line):
    if isinstance(line, dict):
        line = json.dumps(line)
    return line.encode() if isinstance(line, str) else line


def encoded(format="JPEG", seed=0, size=(40, 30)):
    """The bytes of a photo."""
    stream = io.BytesIO()
    Image.fromarray(noise(seed, size)).save(stream, format=format)
    return stream.getvalue()


@pytest.fixture
def server():
    """A web server that misbehaves as told."""
    server = BadServer()
    yield server
    server.stop()


def write_photo(path, seed=0, size=(12, 10)):
    Image.fromarray(noise(seed, size)).save(path)


@pytest.fixture
def real_products(tmp_path):
    """Return a function that writes real products as raw files, with raw_from_pack.py's arguments."""
    tool = SHARED / "tools" / "raw_from_pack.py"
    if not tool.is_file():
        pytest.skip(f"real products are not here ({tool})")

    def write(*arguments):
        subprocess.run([sys.executable, str(tool), arguments[0], str(tmp_path), *arguments[1:]], check=True)
        return tmp_path

    return write
