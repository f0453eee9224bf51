"""Damage is found, and named, wherever it is."""

import numpy as np
import pytest

from eiclip import shards as made
from eiclip.errors import CorruptOutputError
from eiclip.shards import find_damage, read_index, read_manifest, shard_paths, valid_samples, valid_shards

FLIPS = 200


@pytest.fixture(scope="module")
def shop(tmp_path_factory, sample):
    """Two training shards and a test one; tests put back what they change."""
    folder = tmp_path_factory.mktemp("shop") / "shards"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made.write, "SAMPLES_PER_SHARD", 6)
        samples = [("test" if number >= 12 else "train", sample(number)) for number in range(16)]
        made.write_shards(samples, folder, photo_size=32)
    return folder


def test_every_flipped_byte_is_found_and_its_sample_named(shop):
    """In tars and indexes, in proportion to their size; XOR by one to 255."""
    shards = read_manifest(shop)["shards"]
    files = [(shop / s["name"], s, read_index(shop, s).to_pylist()) for s in shards]
    files += [(shop / s["index"]["name"], s, []) for s in shards]
    ends = np.cumsum([path.stat().st_size for path, _, _ in files])
    random = np.random.default_rng(0)
    named = 0
    for place in random.integers(0, ends[-1], FLIPS):
        number = int(np.searchsorted(ends, place, side="right"))
        path, shard, rows = files[number]
        offset = int(place - (ends[number - 1] if number else 0))
        whole = path.read_bytes()
        path.write_bytes(bytes([*whole[:offset], whole[offset] ^ int(random.integers(1, 256)), *whole[offset + 1 :]]))
        damage = find_damage(shop)
        path.write_bytes(whole)
        hit = [row["image_id"] for row in rows if row["region_start"] <= offset < row["region_end"]]
        assert [(finding.shard, finding.image_id) for finding in damage] == [(shard["name"], hit[0] if hit else None)]
        named += len(hit)
    assert named > FLIPS / 2
    assert find_damage(shop) == []


def test_what_a_cut_shard_lost_is_named_and_the_rest_is_intact(shop, sample):
    path = shop / "train-000000.tar"
    whole = path.read_bytes()
    fourth = read_index(shop, read_manifest(shop)["shards"][1]).to_pylist()[3]
    path.write_bytes(whole[: fourth["region_start"] + 100])
    shards = valid_shards(shop, "train", "quarantine")
    left = list(valid_samples(shards))
    with pytest.raises(CorruptOutputError, match=r"sample p3_0 .*quarantine"):
        valid_shards(shop, "train", "refuse")
    path.write_bytes(whole)
    assert [len(shard.index) for shard in shards] == [3, 6]
    assert [sample.image_id for sample in left] == [f"p{number}_0" for number in (0, 1, 2, 6, 7, 8, 9, 10, 11)]
    assert left[3] == sample(6)
    *lost, cut = shards[0].findings
    assert [finding.image_id for finding in lost] == ["p3_0", "p4_0", "p5_0"]
    assert "bytes, the manifest says" in str(cut)


def test_of_a_missing_shard_nothing_is_left_and_without_any_there_is_no_training(shop, tmp_path):
    (path, other) = shard_paths(shop, "train")
    moved = [path.rename(tmp_path / path.name)]
    shards = valid_shards(shop, "train", "quarantine")
    assert [(len(shard.index), [finding.lost for finding in shard.findings]) for shard in shards] == [(0, [6]), (6, [])]
    moved.append(other.rename(tmp_path / other.name))
    with pytest.raises(CorruptOutputError, match="no intact train sample is left"):
        valid_shards(shop, "train", "quarantine")
    for file in moved:
        file.rename(shop / file.name)


def test_without_its_index_a_damaged_shard_is_lost_and_an_intact_one_is_not(shop):
    index, tar = shop / "train-000001.parquet", shop / "train-000001.tar"
    kept, whole = index.read_bytes(), tar.read_bytes()
    index.unlink()
    alone = valid_shards(shop, "train", "quarantine")
    tar.write_bytes(whole[:-1] + b"x")
    both = valid_shards(shop, "train", "quarantine")
    index.write_bytes(kept)
    tar.write_bytes(whole)
    assert [len(shard.index) for shard in alone] == [6, 6]
    assert alone[1].index.equals(read_index(shop, read_manifest(shop)["shards"][2]))
    assert [len(shard.index) for shard in both] == [6, 0]
    assert sum(finding.lost for finding in both[1].findings) == 6
