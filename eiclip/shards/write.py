"""Samples to shards: tars, the index beside each, and a manifest of checksums."""

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import CorruptOutputError
from eiclip.shards.read import INDEX_SCHEMA, index_row, read_manifest
from eiclip.shards.sample import Sample
from eiclip.storage.cache import MANIFEST
from eiclip.storage.files import sha256_file, whole_folder, write_json

SAMPLES_PER_SHARD = 2000
FORM = ("photo_size", "photos")
"""What a manifest says of the photos."""
SPLITS = ("train", "validation", "test")


def write_shards(
    samples: Iterable[tuple[str, Sample]], folder: Path, *, photo_size: int, photos: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write (split, sample) pairs, in their order, as `<split>-<number>.tar`, an index beside each, and a manifest.

    The folder is written whole or not at all. Return the manifest: photo size, how photos were made square (`photos`,
    where it is known), samples per split, and for each shard its split, samples, bytes and SHA-256, with the name,
    bytes and SHA-256 of its index.
    """
    with whole_folder(folder) as part:
        writers: dict[str, _ShardWriter] = {}
        for split, sample in samples:
            writers.setdefault(split, _ShardWriter(part, split)).add(sample)
        shards = [shard for split in sorted(writers) for shard in writers[split].close()]
        return _write_manifest(part, {"photo_size": photo_size} | ({"photos": photos} if photos else {}), shards)


def merge_parts(folder: Path, parts: Sequence[str]) -> dict[str, Any]:
    """Put the parts below `folder` (each a folder written by `write_shards`) together: a manifest of all their shards.

    Sub-folders that are no part are removed. Raises CorruptOutputError where a part has no manifest, or sizes differ.
    """
    manifests = {part: read_manifest(folder / part) for part in parts}
    forms = {part: {k: manifest[k] for k in FORM if k in manifest} for part, manifest in manifests.items()}
    if any(form != forms[parts[0]] for form in forms.values()):
        raise CorruptOutputError(f"{folder}: parts with photos of several sizes ({forms}); make the shards again")
    shards = []
    for part, manifest in manifests.items():
        for shard in manifest["shards"]:
            index = shard["index"] | {"name": f"{part}/{shard['index']['name']}"}
            shards.append(shard | {"name": f"{part}/{shard['name']}", "index": index})
    merged = _write_manifest(folder, next(iter(forms.values()), {"photo_size": 0}), shards)
    for stale in folder.iterdir():
        if stale.is_dir() and stale.name not in manifests and not stale.name.startswith("."):
            shutil.rmtree(stale)
            stale.with_name(f"{stale.name}.made.json").unlink(missing_ok=True)
    return merged


def _write_manifest(folder: Path, form: Mapping[str, Any], shards: list[dict[str, Any]]) -> dict[str, Any]:
    counts = {split: sum(shard["samples"] for shard in shards if shard["split"] == split) for split in SPLITS}
    manifest = {**form, "samples": counts, "shards": shards}
    write_json(folder / MANIFEST, manifest)
    return manifest


class _ShardWriter:
    """Shards of one split; tar headers carry no time or owner, so that equal samples give equal bytes."""

    def __init__(self, folder: Path, split: str) -> None:
        self.folder, self.split = folder, split
        self.shards: list[dict[str, Any]] = []
        self.tar: IO[bytes] | None = None
        self.rows: list[dict[str, Any]] = []

    def add(self, sample: Sample) -> None:
        if self.tar is None:
            self.tar = (self.folder / f"{self.split}-{len(self.shards):06d}.tar").open("wb")
        texts = {"image_id": sample.image_id, "product_id": sample.product_id, "entities": sample.entities}
        region, start = _region(sample, texts), self.tar.tell()
        self.tar.write(region)
        row = index_row(texts, region, start, tarfile.BLOCKSIZE, len(sample.jpeg))
        self.rows.append(row | {"description": sample.description})
        if len(self.rows) == SAMPLES_PER_SHARD:
            self.close()

    def close(self) -> list[dict[str, Any]]:
        """End the shard under way, if there is one, and return the entries of all."""
        if self.tar is not None:
            end = self.tar.tell() + 2 * tarfile.BLOCKSIZE  # two empty blocks, then up to a whole record
            self.tar.write(bytes(2 * tarfile.BLOCKSIZE + -end % tarfile.RECORDSIZE))
            self.tar.close()
            tar = Path(self.tar.name)
            index = tar.with_suffix(".parquet")
            pq.write_table(pa.Table.from_pylist(self.rows, schema=INDEX_SCHEMA), index, compression="zstd")
            entry = {"name": tar.name, "split": self.split, "samples": len(self.rows)} | _checksum(tar)
            self.shards.append(entry | {"index": {"name": index.name} | _checksum(index)})
            self.tar, self.rows = None, []
        return self.shards


def _checksum(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _region(sample: Sample, texts: dict[str, Any]) -> bytes:
    """Return a sample's members as they lie in the tar; the photo is the first."""
    key = sample.image_id
    plain = key.replace("_", "").replace("-", "")
    # A header has room for 100 letters, with the ending; WebDataset would cut a name at its first dot.
    if not (plain.isascii() and plain.isalnum() and len(key) <= 90):
        key = hashlib.sha256(key.encode()).hexdigest()[:24]
    text = json.dumps(texts, ensure_ascii=False, sort_keys=True)
    region = b""
    for ending, content in (("jpg", sample.jpeg), ("txt", sample.description.encode()), ("json", text.encode())):
        header = tarfile.TarInfo(f"{key}.{ending}")
        header.size = len(content)
        region += header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
    return region
