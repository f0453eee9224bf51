"""Folders of shards put together under one manifest."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eiclip.errors import CorruptOutputError
from eiclip.shards.read import read_manifest
from eiclip.shards.write import manifest_of
from eiclip.storage.cache import MANIFEST
from eiclip.storage.files import write_json


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
    shards = [_of_part(part, shard) for part, manifest in manifests.items() for shard in manifest["shards"]]
    merged = manifest_of(next(iter(sizes.values()), 0), shards)
    write_json(folder / MANIFEST, merged)
    for stale in folder.iterdir():
        if stale.is_dir() and stale.name not in manifests and not stale.name.startswith("."):
            shutil.rmtree(stale)
            stale.with_name(f"{stale.name}.made.json").unlink(missing_ok=True)
    return merged


def _of_part(part: str, shard: dict[str, Any]) -> dict[str, Any]:
    """A part's shard, and its index, as seen from the folder above."""
    index = shard["index"]
    return shard | {"name": f"{part}/{shard['name']}", "index": index | {"name": f"{part}/{index['name']}"}}
