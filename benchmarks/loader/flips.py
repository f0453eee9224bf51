"""Single flipped bytes at seeded random offsets of shards and indexes: found, and the sample they lie in named."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import say
from eiclip.shards import find_damage, read_index, read_manifest

FLIPS = 200


def measure(folder: Path, flips: int = FLIPS) -> None:
    """Print how many are found, and how many of those within a sample name that one and no other."""
    shards = read_manifest(folder)["shards"]
    files = [(shard, folder / shard["name"], _regions(folder, shard)) for shard in shards]
    files += [(shard, folder / shard["index"]["name"], []) for shard in shards]
    ends = np.cumsum([path.stat().st_size for _, path, _ in files])
    random = np.random.default_rng(0)
    found = inside = named = 0
    # Half in the tars as a whole, half in the small indexes, which offsets over everything would seldom hit.
    for turn, share in enumerate(random.random(flips)):
        first, last = (0, len(shards)) if turn % 2 == 0 else (len(shards), len(files))
        begin = int(ends[first - 1]) if first else 0
        place = begin + int(share * (ends[last - 1] - begin))
        number = int(np.searchsorted(ends, place, side="right"))
        shard, path, regions = files[number]
        offset = place - (int(ends[number - 1]) if number else 0)
        damage = _damage_of_flip(folder, path, offset, int(random.integers(1, 256)))
        found += any(finding.shard == shard["name"] for finding in damage)
        hit = [image_id for start, end, image_id in regions if start <= offset < end]
        inside += len(hit)
        named += bool(hit) and [finding.image_id for finding in damage] == hit
    assert not find_damage(folder)
    size = int(ends[-1]) / 1e6
    note = f"{found} of {flips} found; {named} of {inside} within a sample name it alone; {size:.0f} MB of shards"
    say({"name": "single-byte flips found", "ours": found, "peer": flips, "ratio": found / flips, "goal": 1.0}
        | {"met": found == flips and named == inside, "note": note})  # fmt: skip


def _damage_of_flip(folder: Path, path: Path, offset: int, change: int) -> list[Any]:
    with path.open("r+b") as stream:
        stream.seek(offset)
        (was,) = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([was ^ change]))
        stream.flush()
        damage = find_damage(folder)
        stream.seek(offset)
        stream.write(bytes([was]))
    return damage


def _regions(folder: Path, shard: dict[str, Any]) -> list[tuple[int, int, str]]:
    index = read_index(folder, shard)
    columns = (index[name].to_pylist() for name in ("region_start", "region_end", "image_id"))
    return list(zip(*columns, strict=True))
