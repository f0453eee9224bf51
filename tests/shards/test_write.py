"""Equal samples give equal bytes, tars are as `tarfile` writes them, and parts are put together."""

import json
import tarfile

import pytest

from eiclip.errors import CorruptOutputError
from eiclip.shards import find_damage, merge_parts, read_manifest, read_samples, shard_paths, write_shards

PARTS = ["raw-00000", "raw-00001", "raw-00002"]


def test_equal_samples_give_equal_bytes(folder, tmp_path, sample):
    write_shards([("test", sample(1))], tmp_path / "again", photo_size=32)
    for name in ("test-000000.tar", "test-000000.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_tarfile_reads_what_it_would_have_written(folder, sample):
    content = (folder / "test-000000.tar").read_bytes()
    with tarfile.open(folder / "test-000000.tar") as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}
        for member in tar.getmembers():
            assert (member.mtime, member.uid, member.uname, member.mode) == (0, 0, "", 0o644)
            assert member.tobuf(tarfile.USTAR_FORMAT) == content[member.offset : member.offset + 512]
    assert list(found) == ["p1_0.jpg", "p1_0.txt", "p1_0.json"]
    assert found["p1_0.jpg"] == sample(1).jpeg
    assert found["p1_0.txt"].decode() == sample(1).description
    texts = {
        "image_id": "p1_0",
        "product_id": "p1",
        "entities": {"brand": ["acne studios"], "colour": ["black", "white"]},
    }
    assert json.loads(found["p1_0.json"]) == texts


def test_long_ids_fit_a_tar_header(tmp_path, sample):
    long = sample(3, image_id="x" * 120)
    write_shards([("train", long)], tmp_path / "long", photo_size=32)
    assert list(read_samples(shard_paths(tmp_path / "long", "train"))) == [long]


@pytest.fixture
def parts(tmp_path, sample):
    """A folder of three parts, in which splits are mixed and one part has no training photos."""
    for part, splits in zip(PARTS, [{"train": 0, "test": 1}, {"test": 2}, {"train": 3, "validation": 4}], strict=True):
        samples = [(split, sample(number)) for split, number in splits.items()]
        write_shards(samples, tmp_path / part, photo_size=32)
    merge_parts(tmp_path, PARTS)
    return tmp_path


def test_parts_are_read_as_one(parts, sample):
    manifest = read_manifest(parts)
    assert manifest["samples"] == {"train": 2, "validation": 1, "test": 2}
    assert manifest["photo_size"] == 32
    paths = [path.relative_to(parts).as_posix() for path in shard_paths(parts, "train")]
    assert paths == ["raw-00000/train-000000.tar", "raw-00002/train-000000.tar"]
    assert list(read_samples(shard_paths(parts, "train"))) == [sample(0), sample(3)]
    assert list(read_samples(shard_paths(parts, "test"))) == [sample(1), sample(2)]
    assert find_damage(parts) == []


def test_damage_within_a_part_is_found_and_named(parts):
    (parts / "raw-00001" / "test-000000.tar").unlink()
    shard, index = parts / "raw-00002" / "train-000000.tar", parts / "raw-00002" / "validation-000000.parquet"
    shard.write_bytes(shard.read_bytes()[:-512])
    index.write_bytes(index.read_bytes()[:-1])
    missing, cut, unindexed = map(str, find_damage(parts))
    assert missing == "raw-00001/test-000000.tar: missing"
    assert cut.startswith("raw-00002/train-000000.tar: ")
    name = "raw-00002/validation-000000"
    assert unindexed == f"{name}.tar: its index {name}.parquet is damaged"


def test_parts_that_are_no_more_are_removed(parts, sample):
    for part in PARTS[:2]:
        (parts / f"{part}.made.json").write_text("{}")
    (parts / ".raw-00003.part").mkdir()  # being written at this moment
    merge_parts(parts, ["raw-00000", "raw-00002"])
    names = {path.name for path in parts.iterdir()}
    assert names == {"manifest.json", "raw-00000", "raw-00000.made.json", "raw-00002", ".raw-00003.part"}
    assert list(read_samples(shard_paths(parts, "test"))) == [sample(1)]


def test_a_part_made_again_leaves_the_others_as_they_were(parts, sample):
    before = {name: (parts / name).stat().st_ino for name in PARTS}
    manifest = read_manifest(parts)
    write_shards([("test", sample(2))], parts / "raw-00001", photo_size=32)
    assert merge_parts(parts, PARTS) == manifest, "equal samples give equal bytes, whoever makes them"
    after = {name: (parts / name).stat().st_ino for name in PARTS}
    assert [after[name] == before[name] for name in PARTS] == [True, False, True]
    write_shards([("test", sample(5))], parts / "raw-00001", photo_size=32)
    merged = merge_parts(parts, PARTS)
    changed = [a["name"] for a, b in zip(merged["shards"], manifest["shards"], strict=True) if a != b]
    assert changed == ["raw-00001/test-000000.tar"]


def test_parts_of_several_photo_sizes_are_refused(parts, sample):
    write_shards([("train", sample(0))], parts / "raw-00003", photo_size=48)
    before = read_manifest(parts)
    with pytest.raises(CorruptOutputError, match="photos of several sizes"):
        merge_parts(parts, [*PARTS, "raw-00003"])
    assert read_manifest(parts) == before
    assert (parts / "raw-00003").is_dir()


def test_a_part_without_a_manifest_is_named(parts):
    (parts / "raw-00001" / "manifest.json").unlink()
    with pytest.raises(CorruptOutputError, match="raw-00001"):
        merge_parts(parts, ["raw-00000", "raw-00001"])


def test_no_parts_are_no_samples(tmp_path):
    (tmp_path / "empty").mkdir()
    assert merge_parts(tmp_path / "empty", [])["samples"] == {"train": 0, "validation": 0, "test": 0}
