"""WebDataset shards: tars of photos (JPEG, at training resolution) and their texts, with a manifest of checksums.

A sample is `<image_id>.jpg` + `<image_id>.json` ({"image_id", "product_id", "description", "entities"}). Shards hold
entity *strings*: ids belong to a vocabulary, which may change without the photos being written again.
"""

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np
import simplejpeg
import webdataset as wds
from PIL import Image

from eiclip.errors import CorruptOutputError
from eiclip.files import sha256_file, whole_folder, write_json
from eiclip.readers.base import RawReader
from eiclip.stage import MANIFEST

SAMPLES_PER_SHARD = 2000
JPEG_QUALITY = 92
LONGEST_KEY = 90
"""Tar headers have room for names of 100 characters, the ending included."""
SPLITS = ("train", "validation", "test")
_BLANK = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)


@dataclass(frozen=True)
class Sample:
    """One photo of a product with the product's text and tags."""

    image_id: str
    product_id: str
    description: str
    entities: dict[str, str] = field(default_factory=dict)
    jpeg: bytes = b""

    def pixels(self, size: int) -> np.ndarray:
        """The photo as uint8 (size, size, 3), RGB.

        Raises:
            CorruptOutputError: the JPEG cannot be decoded.
        """
        try:
            photo = simplejpeg.decode_jpeg(self.jpeg, colorspace="RGB")
        except ValueError as error:
            raise CorruptOutputError(f"photo {self.image_id}: {error}; make the shards again") from error
        if photo.shape[:2] != (size, size):
            photo = np.asarray(fit_square(Image.fromarray(photo), size))
        pixels: np.ndarray = photo
        return pixels


def fit_square(photo: Image.Image, size: int) -> Image.Image:
    """The whole photo in a square of side `size`, bicubic, padded with white (a garment must not lose its hem)."""
    if photo.size == (size, size):
        return photo.convert("RGB")
    scale = size / max(photo.size)
    width, height = (max(1, round(side * scale)) for side in photo.size)
    resized = photo.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (size, size), "white")
    square.paste(resized, ((size - width) // 2, (size - height) // 2))
    return square


def encode_photo(photo: Image.Image | np.ndarray, size: int) -> bytes:
    """JPEG bytes of the photo (an image, or pixels: uint8 (H, W, 3), RGB) at training resolution."""
    if isinstance(photo, np.ndarray) and photo.shape[:2] != (size, size):
        photo = Image.fromarray(photo)
    pixels = photo if isinstance(photo, np.ndarray) else np.asarray(fit_square(photo, size))
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="444"
    )
    return encoded


@runtime_checkable
class PixelReader(Protocol):
    """A reader whose photos are pixels as they lie in the raw file: they need not become images first."""

    def pixels(self, refs: Sequence[str]) -> Iterator[np.ndarray]:
        """Yield the photos of `refs` in their order, uint8 (H, W, 3), each valid until the next is asked for."""
        ...


def encode_photos(reader: RawReader, refs: Sequence[str], size: int) -> Iterator[bytes]:
    """JPEG bytes at training resolution of the photos of `refs`, in their order. Raises RawDataError."""
    photos: Iterator[Any] = reader.pixels(refs) if isinstance(reader, PixelReader) else reader.photos(refs)
    return (encode_photo(photo, size) for photo in photos)


def write_shards(samples: Iterable[tuple[str, Sample]], folder: Path, *, photo_size: int) -> dict[str, Any]:
    """Write (split, sample) pairs, in their order, as `<split>-<number>.tar` and a manifest; whole or not at all.

    Returns:
        The manifest: photo size, samples per split, and for each shard its split, samples, bytes and SHA-256.
    """
    with whole_folder(folder) as part:
        writers: dict[str, _ShardWriter] = {}
        for split, sample in samples:
            writers.setdefault(split, _ShardWriter(part, split)).add(sample)
        shards = [shard for split in sorted(writers) for shard in writers[split].close()]
        counts = {split: sum(s["samples"] for s in shards if s["split"] == split) for split in SPLITS}
        manifest = {"photo_size": photo_size, "samples": counts, "shards": shards}
        write_json(part / MANIFEST, manifest)
    return manifest


def merge_parts(folder: Path, parts: Sequence[str]) -> dict[str, Any]:
    """Put the parts below `folder` (each a folder written by `write_shards`) together: a manifest of all their shards.

    Sub-folders that are no part are removed.

    Raises:
        CorruptOutputError: a part has no manifest, or parts differ in the size of their photos.
    """
    manifests = {part: read_manifest(folder / part) for part in parts}
    sizes = {part: manifest["photo_size"] for part, manifest in manifests.items()}
    if len(set(sizes.values())) > 1:
        raise CorruptOutputError(f"{folder}: parts with photos of several sizes ({sizes}); make the shards again")
    found = [(part, shard) for part, manifest in manifests.items() for shard in manifest["shards"]]
    shards = [shard | {"name": f"{part}/{shard['name']}"} for part, shard in found]
    counts = {split: sum(s["samples"] for s in shards if s["split"] == split) for split in SPLITS}
    merged = {"photo_size": next(iter(sizes.values()), 0), "samples": counts, "shards": shards}
    write_json(folder / MANIFEST, merged)
    for stale in folder.iterdir():
        if stale.is_dir() and stale.name not in manifests and not stale.name.startswith("."):
            shutil.rmtree(stale)
            stale.with_name(f"{stale.name}.made.json").unlink(missing_ok=True)
    return merged


class _ShardWriter:
    """Shards of one split; tar headers carry no time or owner, so that equal samples give equal bytes."""

    def __init__(self, folder: Path, split: str) -> None:
        self.folder, self.split = folder, split
        self.shards: list[dict[str, Any]] = []
        self.tar: IO[bytes] | None = None
        self.sha256 = hashlib.sha256()
        self.samples = 0

    def add(self, sample: Sample) -> None:
        if self.tar is None:
            self.tar, self.sha256 = self._path().open("wb"), hashlib.sha256()
        key = _key(sample.image_id)
        text = {
            "image_id": sample.image_id,
            "product_id": sample.product_id,
            "description": sample.description,
            "entities": sample.entities,
        }
        self._member(f"{key}.jpg", sample.jpeg)
        self._member(f"{key}.json", json.dumps(text, ensure_ascii=False, sort_keys=True).encode())
        self.samples += 1
        if self.samples == SAMPLES_PER_SHARD:
            self._finish()

    def close(self) -> list[dict[str, Any]]:
        if self.tar is not None:
            self._finish()
        return self.shards

    def _path(self) -> Path:
        return self.folder / f"{self.split}-{len(self.shards):06d}.tar"

    def _member(self, name: str, content: bytes) -> None:
        # Not `tarfile.addfile`, which takes a third of the time of encoding the photo; nor another pass for the digest.
        self._write(_header(name, len(content)))
        self._write(content)
        self._write(bytes(-len(content) % tarfile.BLOCKSIZE))

    def _write(self, piece: bytes) -> None:
        assert self.tar is not None
        self.tar.write(piece)
        self.sha256.update(piece)

    def _finish(self) -> None:
        assert self.tar is not None
        end = self.tar.tell() + 2 * tarfile.BLOCKSIZE  # two empty blocks, then up to a whole record
        self._write(bytes(2 * tarfile.BLOCKSIZE + -end % tarfile.RECORDSIZE))
        size, path = self.tar.tell(), self._path()
        self.tar.close()
        shard = {"name": path.name, "split": self.split, "samples": self.samples, "bytes": size}
        self.shards.append(shard | {"sha256": self.sha256.hexdigest()})
        self.tar, self.samples = None, 0


def _header(name: str, size: int) -> bytes:
    """The block that `tarfile` would write for a member of this name (ASCII, at most 100 characters) and size."""
    sized = b"%b%b%011o\0%b" % (name.encode("ascii").ljust(100, b"\0"), _BLANK[100:124], size, _BLANK[136:])
    return b"%b%06o%b" % (sized[:148], sum(sized) - sum(sized[148:156]) + 8 * ord(" "), b"\0 " + sized[156:])


def _key(image_id: str) -> str:
    """A tar member's name: ids that WebDataset would cut at a dot, long ones and odd ones are digested."""
    plain = image_id.replace("_", "").replace("-", "")
    fits = plain.isascii() and plain.isalnum() and len(image_id) <= LONGEST_KEY
    return image_id if fits else hashlib.sha256(image_id.encode()).hexdigest()[:24]


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of shards.

    Raises:
        CorruptOutputError: there is none, or it is not JSON.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptOutputError(f"{folder / MANIFEST}: {error}; materialise the shards again") from error
    return manifest


def verify_shards(folder: Path) -> list[str]:
    """What differs between shards and manifest (missing, other size, other checksum, other count); empty if nothing."""
    problems = []
    for shard in read_manifest(folder)["shards"]:
        path = folder / shard["name"]
        if not path.is_file():
            problems.append(f"{shard['name']}: missing")
        elif path.stat().st_size != shard["bytes"]:
            problems.append(f"{shard['name']}: {path.stat().st_size} bytes, manifest says {shard['bytes']}")
        elif sha256_file(path) != shard["sha256"]:
            problems.append(f"{shard['name']}: checksum differs from the manifest")
        else:
            with tarfile.open(path) as tar:
                samples = sum(name.endswith(".jpg") for name in tar.getnames())
            if samples != shard["samples"]:
                problems.append(f"{shard['name']}: {samples} photos, manifest says {shard['samples']}")
    return problems


def shard_paths(folder: Path, split: str) -> list[Path]:
    """The shards of a split, in order.

    Raises:
        CorruptOutputError: there is none, or one is missing or of another size than its manifest says.
    """
    sizes = {folder / s["name"]: s["bytes"] for s in read_manifest(folder)["shards"] if s["split"] == split}
    missing = [path.name for path in sizes if not path.is_file()]
    # A tar cut between two samples reads as a shorter tar, without an error.
    cut = [path.name for path, size in sizes.items() if path.is_file() and path.stat().st_size != size]
    if not sizes or missing or cut:
        what = f"missing {', '.join(missing)}" if missing else f"no {split} shard"
        what = f"{', '.join(cut)} not of the size its manifest says" if cut else what
        raise CorruptOutputError(f"{folder}: {what}; materialise the shards again")
    return list(sizes)


def read_samples(shards: Sequence[Path]) -> Iterator[Sample]:
    """Samples of shards, in order, read with webdataset; a corrupt member is an error, never skipped."""
    dataset = wds.WebDataset([str(shard) for shard in shards], shardshuffle=False, empty_check=False)
    for raw in dataset:
        yield _sample(raw)


def _sample(raw: dict[str, Any]) -> Sample:
    """A sample of this project's shards, or of a plain image-caption tar (`.jpg` + `.txt`, as img2dataset writes)."""
    if "jpg" not in raw or not ("json" in raw or "txt" in raw):
        raise CorruptOutputError(f"{raw.get('__url__')}: sample {raw.get('__key__')} lacks its .jpg, .json or .txt")
    if "json" not in raw:
        return Sample(raw["__key__"], raw["__key__"], raw["txt"].decode(), {}, raw["jpg"])
    text = json.loads(raw["json"])
    return Sample(text["image_id"], text["product_id"], text["description"], text["entities"], raw["jpg"])
