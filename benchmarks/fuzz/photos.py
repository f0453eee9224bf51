"""Hostile photos, as files that Amazon ids or a table's paths name, or as bytes in a Parquet column."""

import functools
import io
import os
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from PIL import Image

from benchmarks.fuzz.case import OUTSIDE, RAW, Case, FuzzClass, Plan
from benchmarks.fuzz.datasets import COLUMNS, PRODUCTS, Line, encoded, good_lines, record, write_lines
from benchmarks.fuzz.hdf5 import FLIPS, FRACTIONS
from eiclip.settings.load import DatasetSettings

FILES = ("amazon2018", "jsonl", "csv")
BAD = 2
"""The product whose photo is damaged."""
_HOLDER = {"holder": st.sampled_from((*FILES, "parquet", "structs"))}


def with_photo(root: Path, plan: Plan, content: bytes) -> Case:
    """A dataset in which one photo is `content`."""
    if plan["holder"] in FILES:
        case = _files(root, plan)
        (root / RAW / "images" / f"B{BAD}.jpg").write_bytes(content)
        return case
    photos = [content if number == BAD else encoded(number) for number in range(PRODUCTS)]
    case = with_parquet(root, _bytes_column(photos, plan["holder"]))
    del case.untouched["table.parquet", BAD]
    return case


def _files(root: Path, plan: Plan) -> Case:
    lines = good_lines(plan["holder"])
    lines[BAD] = Line(lines[BAD].content)
    return write_lines(root, plan["holder"], lines)


def _bytes_column(photos: list[bytes], holder: str) -> pa.Array:
    if holder == "parquet":
        return pa.array(photos, pa.binary())
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([{"bytes": photo, "path": "../outside/secret.jpg"} for photo in photos], kind)


def with_parquet(root: Path, photos: pa.Array) -> Case:
    """A table in Parquet that holds its photos."""
    rows = [record("jsonl", number) for number in range(PRODUCTS)]
    names = [name for name in rows[0] if name != "picture"]
    table = pa.table({name: [row[name] for row in rows] for name in names} | {"picture": photos})
    pq.write_table(table, root / RAW / "table.parquet", row_group_size=2)
    untouched = {("table.parquet", row): f"B{row}" for row in range(PRODUCTS)}
    settings = DatasetSettings(kind="table", files=str(root / RAW / "table.parquet"), columns=COLUMNS)
    return Case(settings, PRODUCTS, untouched)


def _damaged(root: Path, plan: Plan) -> Case:
    content = bytearray(encoded(BAD, plan["format"]))
    for place, mask in plan["flips"]:
        content[int(place * len(content))] ^= mask
    return with_photo(root, plan, bytes(content[: max(1, int(plan["kept"] * len(content)))]) + plan["tail"])


def _bomb(root: Path, plan: Plan) -> Case:
    return with_photo(root, plan, bomb(plan["kind"], plan["width"], plan["height"], plan["mode"]))


@functools.cache
def bomb(kind: str, width: int, height: int, mode: str) -> bytes:
    """A small file that declares, and where it is a 'solid' one holds, that many pixels; or much text beside them."""
    if kind == "jpeg header":
        content = bytearray(encoded(BAD))
        start = content.index(b"\xff\xc0")
        content[start + 5 : start + 9] = struct.pack(">HH", min(height, 65_535), min(width, 65_535))
        return bytes(content)
    if kind == "webp header":
        size = (min(width, 16_383) & 0x3FFF).to_bytes(2, "little") + (min(height, 16_383) & 0x3FFF).to_bytes(
            2, "little"
        )
        frame = b"\x30\x01\x00\x9d\x01\x2a" + size + bytes(20)
        return b"RIFF" + struct.pack("<I", 12 + len(frame)) + b"WEBPVP8 " + struct.pack("<I", len(frame)) + frame
    if kind in {"text", "profile"}:
        packed = zlib.compress(bytes(min(width * height, 200_000_000)), 1)
        name = b"iCCP" if kind == "profile" else b"zTXt"
        return encoded(BAD, "PNG")[:33] + _chunk(name, b"k\0\0" + packed) + encoded(BAD, "PNG")[33:]
    if kind == "solid jpeg":
        stream = io.BytesIO()
        side = max(1, min(width, height, 9000))
        Image.new("L", (side, side)).save(stream, "JPEG", progressive=mode == "RGBA")
        return stream.getvalue()
    depth, colour, pixel_bytes = {"L": (8, 0, 1), "RGB": (8, 2, 3), "RGBA": (8, 6, 4), "I;16": (16, 0, 2)}[mode]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(kind == "solid interlaced"))
    # More than a caller may decode is only declared.
    held = _rows(width * pixel_bytes, height) if width * height <= 60_000_000 else _rows(1000, 1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", held) + _chunk(b"IEND", b"")


def _rows(row_bytes: int, rows: int) -> bytes:
    packer = zlib.compressobj(1)
    first = packer.compress(b"\0" + b"\x05" + bytes(row_bytes - 1)) if row_bytes else b""
    return first + b"".join(packer.compress(bytes(row_bytes + 1)) for _ in range(rows - 1)) + packer.flush()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _other_file(root: Path, plan: Plan) -> Case:
    return with_photo(root, plan, plan["start"] + _other(plan["kind"]) + plan["tail"])


@functools.cache
def _other(kind: str) -> bytes:
    texts = {
        "text": b"Just a text about a dress.\n" * 9, "html": b"<!DOCTYPE html><html><body>404</body></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touched) (w) file\n", "pdf": b"%PDF-1.7\n1 0 obj\n",
        "nothing": b"", "json": b'{"error": "not found"}', "script": b"#!/bin/sh\nexit 1\n",
        "fits": b"SIMPLE  =                    T", "xpm": b"/* XPM */", "ppm": b"P6 2 2 255\n" + bytes(12),
    }  # fmt: skip
    if kind in texts:
        return texts[kind]
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("../../photo.jpg", encoded(BAD))
        return stream.getvalue()
    return encoded(BAD, kind)


def _special(root: Path, plan: Plan) -> Case:
    case = _files(root, plan)
    name, outside = root / RAW / "images" / f"B{BAD}.jpg", root / OUTSIDE
    name.unlink()
    links = {
        "loop": name, "zero": Path("/dev/zero"), "random": Path("/dev/urandom"), "dangling": root / "nowhere.jpg",
        "outside": outside / "secret.jpg", "relative": Path("..") / ".." / OUTSIDE / "secret.jpg",
        "text outside": outside / "secret.txt", "itself": Path(), "inside": root / RAW / "images" / "B0.jpg",
        "memory": Path("/proc/self/mem"), "terminal": Path("/dev/tty"), "input": Path("/dev/stdin"),
    }  # fmt: skip
    if plan["kind"] == "pipe":
        os.mkfifo(name)
    elif plan["kind"] == "folder":
        (name / "B2.jpg").mkdir(parents=True)
    elif plan["kind"] == "socket":
        with socket.socket(socket.AF_UNIX) as plug:
            plug.bind(f"/proc/self/fd/{_folder(name)}/{name.name}")
    elif plan["kind"] == "sparse":
        with name.open("wb") as stream:
            stream.truncate(2**40)
    elif plan["kind"] == "forbidden":
        name.write_bytes(encoded(BAD))
        name.chmod(0)
    elif plan["kind"] == "folder outside":
        images = root / RAW / "images"
        images.rename(root / RAW / "kept")
        images.symlink_to(root / RAW / "kept")
        (images / f"B{BAD}.jpg").symlink_to(outside / "secret.jpg")
    else:
        name.symlink_to(links[plan["kind"]])
    return case


def _folder(name: Path) -> int:
    """An open descriptor of a file's folder: the name of a socket has 108 bytes at most."""
    return os.open(name.parent, os.O_RDONLY)


_SIDES = st.sampled_from((1, 16, 5000, 7000, 7072, 20_000, 65_500, 10**6, 2**31 - 1, 0))
_SPECIAL = (
    "pipe", "folder", "socket", "sparse", "forbidden", "folder outside", "loop", "zero", "random", "dangling",
    "outside",
    "relative", "text outside", "itself", "inside", "memory", "terminal", "input",
)  # fmt: skip
_OTHERS = (
    "text", "html", "svg", "eps", "pdf", "nothing", "json", "script", "fits", "xpm", "ppm", "zip", "GIF", "BMP", "TIFF",
    "ICO", "TGA", "PCX", "JPEG2000", "SGI",
)  # fmt: skip

CLASSES = [
    FuzzClass(
        "broken photo",
        st.fixed_dictionaries(_HOLDER | {
            "format": st.sampled_from(("JPEG", "PNG", "WEBP")), "kept": st.just(1.0) | FRACTIONS,
            "flips": st.just([]) | FLIPS, "tail": st.binary(max_size=8),
        }), _damaged,
    ),
    FuzzClass(
        "decompression bomb",
        st.fixed_dictionaries(_HOLDER | {
            "kind": st.sampled_from(
                ("solid", "solid", "solid interlaced", "jpeg header", "webp header", "text", "profile", "solid jpeg")
            ), "width": _SIDES, "height": _SIDES, "mode": st.sampled_from(("L", "RGB", "RGBA", "I;16")),
        }), _bomb,
    ),
    FuzzClass(
        "other file as photo",
        st.fixed_dictionaries(_HOLDER | {
            "kind": st.sampled_from(_OTHERS), "start": st.sampled_from((b"", b"", b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n")),
            "tail": st.binary(max_size=4),
        }), _other_file,
    ),
    FuzzClass(
        "special file as photo",
        st.fixed_dictionaries({"holder": st.sampled_from(FILES), "kind": st.sampled_from(_SPECIAL)}), _special,
    ),
]  # fmt: skip
