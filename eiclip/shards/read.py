"""Shards to samples, in order."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from eiclip.errors import CorruptOutputError
from eiclip.shards.sample import Sample
from eiclip.storage.cache import MANIFEST


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


def _all_of_them(shards: Iterable[Any]) -> Iterable[Any]:
    """Every process reads every shard it is given, under torchrun too: what is shared out is so before."""
    return shards


def read_samples(shards: Sequence[Path]) -> Iterator[Sample]:
    """Samples of shards, in order, read with webdataset; a corrupt member is an error, never skipped."""
    import webdataset as wds  # with torch, which those who write shards do without

    dataset = wds.WebDataset(
        [str(shard) for shard in shards], shardshuffle=False, empty_check=False, nodesplitter=_all_of_them
    )
    for raw in dataset:
        yield _sample(raw)


def _sample(raw: dict[str, Any]) -> Sample:
    """A sample of this project's shards, or of a plain image-caption tar (without `.json`, as img2dataset writes)."""
    if "jpg" not in raw or "txt" not in raw:
        raise CorruptOutputError(f"{raw.get('__url__')}: sample {raw.get('__key__')} lacks its .jpg or .txt")
    description = raw["txt"].decode()
    if "json" not in raw:
        return Sample(raw["__key__"], raw["__key__"], description, {}, raw["jpg"])
    text = json.loads(raw["json"])
    return Sample(text["image_id"], text["product_id"], description, text["entities"], raw["jpg"])
