"""What differs between shards and their manifest, shard by shard and sample by sample.

A shard is compared by its SHA-256. Only where that differs are its samples compared, each by the CRC-32 that the index
holds of its region: so a flipped byte names the sample it lies in.
"""

import functools
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from eiclip.errors import CorruptOutputError
from eiclip.shards.read import INDEX_SCHEMA, index_of_tar, indexed_samples, read_index, read_manifest
from eiclip.shards.sample import Sample
from eiclip.storage.files import sha256_file

MOST_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """Something that is not as the manifest says."""

    shard: str  # its name in the manifest
    split: str
    image_id: str | None  # of the damaged sample; None: what is damaged is no single sample of the shard
    what: str
    lost: int  # samples that cannot be used for it

    def __str__(self) -> str:
        sample = "" if self.image_id is None else f"sample {self.image_id} "
        return f"{self.shard}: {sample}{self.what}"


@dataclass(frozen=True)
class CheckedShard:
    """A shard's intact samples, as rows of its index, and what is wrong with the others."""

    path: Path
    index: pa.Table
    findings: list[Finding]


def find_damage(folder: Path) -> list[Finding]:
    """Return everything that is not as the manifest says; empty if nothing."""
    return [finding for shard in _checked_shards(folder, None) for finding in shard.findings]


def valid_shards(folder: Path, split: str, policy: Literal["refuse", "quarantine"]) -> list[CheckedShard]:
    """Return the shards of a split, compared with their manifest.

    Raises CorruptOutputError where there is none, one is damaged and `policy` is to refuse that, or nothing is left.
    """
    shards = _checked_shards(folder, split)
    if not shards:
        raise CorruptOutputError(
            f"{folder}: no product of the {split} split has a photo there; see the dataset's quarantine and test_share"
        )
    findings = [finding for shard in shards for finding in shard.findings]
    more = f" and {len(findings) - MOST_SHOWN} more" if len(findings) > MOST_SHOWN else ""
    damage = "; ".join(str(finding) for finding in findings[:MOST_SHOWN]) + more
    if findings and policy == "refuse":
        way_out = "leave those samples out (EICLIP_HARDWARE__CORRUPT_SAMPLES=quarantine)"
        raise CorruptOutputError(f"{folder}: {damage}; materialise the shards again, or {way_out}")
    if not any(len(shard.index) for shard in shards):
        raise CorruptOutputError(f"{folder}: no intact {split} sample is left: {damage}; materialise the shards again")
    return shards


def valid_samples(shards: Sequence[CheckedShard]) -> Iterator[Sample]:
    """Yield the intact samples of shards, in order."""
    for shard in shards:
        yield from indexed_samples(shard.path, shard.index)


def _checked_shards(folder: Path, split: str | None) -> list[CheckedShard]:
    """Compare the shards of a split (None: all) with the manifest, in its order; several at a time."""
    shards = [s for s in read_manifest(folder)["shards"] if split is None or s["split"] == split]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # hashing leaves the interpreter free
        return list(pool.map(functools.partial(_checked, folder), shards))


def _checked(folder: Path, shard: dict[str, Any]) -> CheckedShard:
    path, listed = folder / shard["name"], shard["index"]
    finding = functools.partial(Finding, shard["name"], shard["split"])
    findings, index = [], None
    if index_fault := _fault(folder / listed["name"], listed):
        how = "missing" if index_fault == "missing" else "damaged"
        findings.append(finding(None, f"its index {listed['name']} is {how}", 0))
    else:
        index = read_index(folder, shard)
    fault = _fault(path, shard)
    if not fault:
        return CheckedShard(path, index_of_tar(path) if index is None else index, findings)
    if fault == "missing" or index is None:
        what = fault if fault == "missing" else f"{fault}, and without its index no sample can be told apart"
        findings.append(finding(None, what, shard["samples"]))
        return CheckedShard(path, INDEX_SCHEMA.empty_table(), findings)
    regions = (index[name].to_pylist() for name in ("region_start", "region_end", "region_crc32"))
    with path.open("rb") as stream:
        read = functools.partial(os.pread, stream.fileno())
        intact = [zlib.crc32(read(end - start, start)) == crc32 for start, end, crc32 in zip(*regions, strict=True)]
    damaged = index.filter(pa.array([not whole for whole in intact]))["image_id"].to_pylist()
    findings += [finding(image_id, "is damaged", 1) for image_id in damaged]
    if path.stat().st_size != shard["bytes"] or not damaged:
        findings.append(finding(None, fault if damaged else f"{fault}, after its last sample", 0))
    return CheckedShard(path, index.filter(pa.array(intact)), findings)


def _fault(path: Path, listed: dict[str, Any]) -> str:
    """Return how a file differs from its entry in the manifest; empty if it does not."""
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size != listed["bytes"]:
        return f"{size} bytes, the manifest says {listed['bytes']}"
    return "" if sha256_file(path) == listed["sha256"] else "checksum differs"
