"""Shards: what goes in comes out, equal samples give equal bytes, and parts are put together."""

import argparse
import io
import json
import tarfile

import duckdb
import numpy as np
import pytest
from PIL import Image

from eiclip.errors import CorruptOutputError
from eiclip.shards import (
    Sample,
    fit_square,
    index_of_tar,
    merge_parts,
    read_index,
    read_manifest,
    read_samples,
    shard_paths,
    verify_shards,
    write_shards,
)


def test_round_trip_by_split(folder, sample):
    assert list(read_samples(shard_paths(folder, "train"))) == [sample(0), sample(2, image_id="a.b/../c_0")]
    assert list(read_samples(shard_paths(folder, "test"))) == [sample(1)]
    assert verify_shards(folder) == []


def test_equal_samples_give_equal_bytes(folder, tmp_path, sample):
    write_shards([("test", sample(1))], tmp_path / "again", photo_size=32)
    for name in ("test-000000.tar", "test-000000.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_a_plain_image_caption_tar_is_read_too(tmp_path, sample):
    with tarfile.open(tmp_path / "plain.tar", "w") as tar:
        for name, content in (("7.jpg", sample(0).jpeg), ("7.txt", "Une veste à pois".encode())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert list(read_samples([tmp_path / "plain.tar"])) == [Sample("7", "7", "Une veste à pois", {}, sample(0).jpeg)]


def test_tarfile_reads_what_it_would_have_written(folder, sample):
    with tarfile.open(folder / "test-000000.tar") as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}
        assert all(member.tobuf(tarfile.USTAR_FORMAT) == raw for member, raw in headers(folder, tar))
    assert list(found) == ["p1_0.jpg", "p1_0.txt", "p1_0.json"]
    assert found["p1_0.jpg"] == sample(1).jpeg
    assert found["p1_0.txt"].decode() == sample(1).description
    assert json.loads(found["p1_0.json"]) == {
        "image_id": "p1_0",
        "product_id": "p1",
        "entities": {"brand": "acne studios"},
    }


def headers(folder, tar):
    content = (folder / "test-000000.tar").read_bytes()
    return [(member, content[member.offset : member.offset + 512]) for member in tar.getmembers()]


def test_open_clips_own_training_program_reads_them_as_they_lie(folder, sample):
    data = pytest.importorskip("open_clip_train.data")
    given = {"train_data": None, "val_data": str(folder / "train-000000.tar"), "val_num_samples": 2, "batch_size": 2}
    arguments = argparse.Namespace(**given, workers=0, seed=0)
    read = data.get_wds_dataset(arguments, np.asarray, is_train=False, tokenizer=lambda text: [text])
    ((photos, texts),) = read.dataloader
    assert list(texts) == [sample(0).description, sample(2).description]
    assert np.array_equal(photos, [sample(0).pixels(32), sample(2).pixels(32)])


def test_an_index_says_what_the_tar_does(folder, sample):
    (shard,) = [shard for shard in read_manifest(folder)["shards"] if shard["split"] == "train"]
    index = read_index(folder, shard)
    assert index.equals(index_of_tar(folder / shard["name"]))
    content = (folder / shard["name"]).read_bytes()
    for row, wanted in zip(index.to_pylist(), [sample(0), sample(2, image_id="a.b/../c_0")], strict=True):
        jpeg = content[row["jpeg_offset"] : row["jpeg_offset"] + row["jpeg_bytes"]]
        assert Sample(row["image_id"], row["product_id"], row["description"], dict(row["entities"]), jpeg) == wanted
    assert duckdb.sql(f"SELECT entities['brand'] FROM '{folder}/*.parquet'").fetchall() == [("acne studios",)] * 3


def test_no_shards_of_a_split_is_an_error(folder):
    with pytest.raises(CorruptOutputError, match="no validation shard"):
        shard_paths(folder, "validation")


def test_the_whole_photo_is_kept_in_a_white_square():
    square = np.asarray(fit_square(Image.new("RGB", (10, 40), "black"), 32))
    assert square.shape == (32, 32, 3)
    assert (square[:, 12:20] < 10).all()
    assert (square[:, :11] == 255).all()


def test_pixels_are_decoded_and_resized_where_needed(sample):
    assert sample(0).pixels(32).shape == (32, 32, 3)
    assert sample(0).pixels(16).shape == (16, 16, 3)
    with pytest.raises(CorruptOutputError, match="p9_0"):
        Sample("p9_0", "p9", "", {}, b"no photo").pixels(32)


def test_long_ids_fit_a_tar_header(tmp_path, sample):
    long = sample(3, image_id="x" * 120)
    write_shards([("train", long)], tmp_path / "long", photo_size=32)
    assert list(read_samples(shard_paths(tmp_path / "long", "train"))) == [long]


@pytest.fixture
def parts(tmp_path, sample):
    """A folder of three parts, in which splits are mixed and one part has no training photos."""
    folder = tmp_path / "parted"
    write_shards([("train", sample(0)), ("test", sample(1))], folder / "raw-00000", photo_size=32)
    write_shards([("test", sample(2))], folder / "raw-00001", photo_size=32)
    write_shards([("train", sample(3)), ("validation", sample(4))], folder / "raw-00002", photo_size=32)
    merge_parts(folder, ["raw-00000", "raw-00001", "raw-00002"])
    return folder


def test_parts_are_read_as_one(parts, sample):
    manifest = read_manifest(parts)
    assert manifest["samples"] == {"train": 2, "validation": 1, "test": 2}
    assert manifest["photo_size"] == 32
    assert [path.relative_to(parts).as_posix() for path in shard_paths(parts, "train")] == [
        "raw-00000/train-000000.tar",
        "raw-00002/train-000000.tar",
    ]
    assert list(read_samples(shard_paths(parts, "train"))) == [sample(0), sample(3)]
    assert list(read_samples(shard_paths(parts, "test"))) == [sample(1), sample(2)]
    assert verify_shards(parts) == []


def test_damage_within_a_part_is_found_and_named(parts):
    (parts / "raw-00001" / "test-000000.tar").unlink()
    shard = parts / "raw-00002" / "train-000000.tar"
    shard.write_bytes(shard.read_bytes()[:-512])
    problems = [problem.split(":")[0] for problem in verify_shards(parts)]
    assert problems == ["raw-00001/test-000000.tar", "raw-00002/train-000000.tar"]
    with pytest.raises(CorruptOutputError, match=r"missing test-000000\.tar"):
        shard_paths(parts, "test")
    with pytest.raises(CorruptOutputError, match=r"train-000000\.tar not of the size"):
        shard_paths(parts, "train")


def test_parts_that_are_no_more_are_removed(parts, sample):
    (parts / "raw-00001.made.json").write_text("{}")
    (parts / "raw-00000.made.json").write_text("{}")
    (parts / ".raw-00003.part").mkdir()  # being written at this moment
    merge_parts(parts, ["raw-00000", "raw-00002"])
    names = {path.name for path in parts.iterdir()}
    assert names == {"manifest.json", "raw-00000", "raw-00000.made.json", "raw-00002", ".raw-00003.part"}
    assert list(read_samples(shard_paths(parts, "test"))) == [sample(1)]


def test_a_part_made_again_leaves_the_others_as_they_were(parts, sample):
    names = ["raw-00000", "raw-00001", "raw-00002"]
    before = {name: (parts / name).stat().st_ino for name in names}
    manifest = read_manifest(parts)
    write_shards([("test", sample(2))], parts / "raw-00001", photo_size=32)
    assert merge_parts(parts, names) == manifest, "equal samples give equal bytes, whoever makes them"
    after = {name: (parts / name).stat().st_ino for name in names}
    assert [after[name] == before[name] for name in names] == [True, False, True]
    write_shards([("test", sample(5))], parts / "raw-00001", photo_size=32)
    merged = merge_parts(parts, names)
    changed = [a["name"] for a, b in zip(merged["shards"], manifest["shards"], strict=True) if a != b]
    assert changed == ["raw-00001/test-000000.tar"]


def test_parts_of_several_photo_sizes_are_refused(parts, sample):
    write_shards([("train", sample(0))], parts / "raw-00003", photo_size=48)
    names = [path.name for path in parts.iterdir() if path.is_dir()]
    before = read_manifest(parts)
    with pytest.raises(CorruptOutputError, match="photos of several sizes"):
        merge_parts(parts, names)
    assert read_manifest(parts) == before
    assert (parts / "raw-00003").is_dir()


def test_a_part_without_a_manifest_is_named(parts):
    (parts / "raw-00001" / "manifest.json").unlink()
    with pytest.raises(CorruptOutputError, match="raw-00001"):
        merge_parts(parts, ["raw-00000", "raw-00001"])


def test_no_parts_are_no_samples(tmp_path):
    (tmp_path / "empty").mkdir()
    assert merge_parts(tmp_path / "empty", [])["samples"] == {"train": 0, "validation": 0, "test": 0}
