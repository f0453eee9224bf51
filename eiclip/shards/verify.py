"""What differs between shards and their manifest, shard by shard and sample by sample.

A shard is compared by its SHA-256. Only where that differs are its samples compared, each by the CRC-32 that the index
holds of its region: so a flipped byte names the sample it lies in.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from eiclip.errors import CorruptOutputError
from eiclip.shards.index import index_of_tar, read_index
from eiclip.shards.read import read_manifest
from eiclip.shards.sample import Sample
from eiclip.shards.write import INDEX_SCHEMA
from eiclip.storage.files import sha256_file

Policy = Literal["refuse", "quarantine"]


@dataclass(frozen=True)
class Finding:
    """Something that is not as the manifest says."""

    shard: str
    """The shard's name in the manifest."""
    split: str
    image_id: str | None
    """The damaged sample; None: what is damaged is no single sample of the shard."""
    what: str
    lost: int
    """Samples that cannot be used for it."""

    def __str__(self) -> str:
        sample = "" if self.image_id is None else f"sample {self.image_id} "
        return f"{self.shard}: {sample}{self.what}"


@dataclass(frozen=True)
class CheckedShard:
    """A shard's sound samples, as rows of its index, and what is wrong with the others."""

    path: Path
    index: pa.Table
    findings: list[Finding]


def verify_shards(folder: Path) -> list[str]:
    """What differs between shards and manifest, a sentence each; empty if nothing."""
    return [str(finding) for finding in find_damage(folder)]


def find_damage(folder: Path, splits: Sequence[str] | None = None) -> list[Finding]:
    """Everything that is not as the manifest says in the shards of `splits` (None: all); empty if nothing."""
    return [finding for shard in checked_shards(folder, splits) for finding in shard.findings]


def valid_shards(folder: Path, split: str, policy: Policy) -> list[CheckedShard]:
    """The shards of a split, compared with their manifest.

    Raises:
        CorruptOutputError: there is none; or one is damaged, and `policy` is to refuse that; or nothing is left.
    """
    shards = checked_shards(folder, [split])
    if not shards:
        raise CorruptOutputError(f"{folder}: no {split} shard; materialise the shards again")
    findings = [finding for shard in shards for finding in shard.findings]
    if findings and policy == "refuse":
        raise CorruptOutputError(f"{folder}: {shown(findings)}; {WAY_OUT}")
    if not any(len(shard.index) for shard in shards):
        raise CorruptOutputError(
            f"{folder}: no sound {split} sample is left: {shown(findings)}; materialise the shards again"
        )
    return shards


def valid_samples(shards: Sequence[CheckedShard]) -> Iterator[Sample]:
    """The sound samples of shards, in order, read by their index."""
    for shard in shards:
        if not len(shard.index):
            continue
        with shard.path.open("rb") as stream:
            for row in shard.index.to_pylist():
                stream.seek(row["jpeg_offset"])
                jpeg = stream.read(row["jpeg_bytes"])
                yield Sample(row["image_id"], row["product_id"], row["description"], dict(row["entities"]), jpeg)


WAY_OUT = "materialise the shards again, or leave those samples out (EICLIP_HARDWARE__CORRUPT_SAMPLES=quarantine)"
MOST_SHOWN = 5


def shown(findings: Sequence[Finding]) -> str:
    """The first few findings, and how many more there are."""
    more = f" and {len(findings) - MOST_SHOWN} more" if len(findings) > MOST_SHOWN else ""
    return "; ".join(str(finding) for finding in findings[:MOST_SHOWN]) + more


def checked_shards(folder: Path, splits: Sequence[str] | None = None) -> list[CheckedShard]:
    """The shards of `splits` (None: all), in the manifest's order, each compared with it; several at a time."""
    shards = [s for s in read_manifest(folder)["shards"] if splits is None or s["split"] in splits]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # hashing leaves the interpreter free
        return list(pool.map(lambda shard: _checked(folder, shard), shards))


def _checked(folder: Path, shard: dict[str, Any]) -> CheckedShard:
    path = folder / shard["name"]
    index, findings = _checked_index(folder, shard)
    if not path.is_file():
        findings.append(_finding(shard, "missing", shard["samples"]))
        return CheckedShard(path, INDEX_SCHEMA.empty_table(), findings)
    cut = path.stat().st_size != shard["bytes"]
    if not cut and sha256_file(path) == shard["sha256"]:
        return CheckedShard(path, index, findings) if index is not None else _drawn_up_again(path, shard, findings)
    what = f"{path.stat().st_size} bytes, the manifest says {shard['bytes']}" if cut else "checksum differs"
    if index is None:
        findings.append(_finding(shard, f"{what}, and without its index no sample can be told apart", shard["samples"]))
        return CheckedShard(path, INDEX_SCHEMA.empty_table(), findings)
    sound = _sound_rows(path, index)
    bad = [image_id for image_id, fine in zip(index["image_id"].to_pylist(), sound, strict=True) if not fine]
    findings += [_finding(shard, "is damaged", 1, image_id) for image_id in bad]
    if cut or not bad:
        findings.append(_finding(shard, what if bad else f"{what}, after its last sample", 0))
    return CheckedShard(path, index.filter(pa.array(sound)), findings)


def _drawn_up_again(path: Path, shard: dict[str, Any], findings: list[Finding]) -> CheckedShard:
    """A sound shard whose index is not: nothing is lost."""
    try:
        return CheckedShard(path, index_of_tar(path), findings)
    except CorruptOutputError as error:  # a tar that another program wrote
        return CheckedShard(
            path, INDEX_SCHEMA.empty_table(), [*findings, _finding(shard, str(error), shard["samples"])]
        )


def _checked_index(folder: Path, shard: dict[str, Any]) -> tuple[pa.Table | None, list[Finding]]:
    """The index if it is as the manifest says."""
    listed = shard.get("index")
    if listed is None:
        return None, [_finding(shard, "no index is listed in the manifest", 0)]
    path = folder / listed["name"]
    if not path.is_file():
        return None, [_finding(shard, f"its index {listed['name']} is missing", 0)]
    if path.stat().st_size != listed["bytes"] or sha256_file(path) != listed["sha256"]:
        return None, [_finding(shard, f"its index {listed['name']} is damaged", 0)]
    try:
        return read_index(folder, shard), []
    except CorruptOutputError as error:
        return None, [_finding(shard, str(error), 0)]


def _sound_rows(path: Path, index: pa.Table) -> list[bool]:
    columns = (index[name].to_pylist() for name in ("region_start", "region_end", "region_crc32"))
    with path.open("rb") as stream:
        found = []
        for start, end, crc32 in zip(*columns, strict=True):
            stream.seek(start)
            region = stream.read(end - start)
            found.append(len(region) == end - start and zlib.crc32(region) == crc32)
    return found


def _finding(shard: dict[str, Any], what: str, lost: int, image_id: str | None = None) -> Finding:
    return Finding(shard["name"], shard["split"], image_id, what, lost)
