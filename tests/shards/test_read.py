"""What went into shards comes out of them, by their indexes and by the programs of others."""

import argparse
import io
import tarfile

import duckdb
import numpy as np
import pytest

from eiclip.errors import CorruptOutputError
from eiclip.shards import Sample, find_damage, read_index, read_jpeg, read_manifest, read_samples, shard_paths
from eiclip.shards.read import index_of_tar


def test_round_trip_by_split(folder, sample):
    train, odd = sample(0), sample(2, image_id="a.b/../c_0")
    assert list(read_samples(shard_paths(folder, "train"))) == [train, odd]
    assert list(read_samples(shard_paths(folder, "train"), {odd.image_id, "absent"})) == [odd]
    assert list(read_samples(shard_paths(folder, "test"))) == [sample(1)]
    assert find_damage(folder) == []


def plain_tar(path, **members):
    with tarfile.open(path, "w") as tar:
        for ending, content in members.items():
            member = tarfile.TarInfo(f"a.d/7.{ending}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_a_plain_image_caption_tar_is_read_too(tmp_path, sample):
    tar = plain_tar(tmp_path / "plain.tar", jpg=sample(0).jpeg, txt="Une veste à pois".encode())
    assert list(read_samples([tar])) == [Sample("a.d/7", "a.d/7", "Une veste à pois", {}, sample(0).jpeg)]


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"jpg": b"x"}, r"sample a\.d/7 lacks its \.jpg or \.txt"),
        ({"jpg": b"x", "txt": b"", "json": b"{}"}, "image_id"),
        ({"jpg": b"x", "txt": b"", "json": b"[]"}, "list"),
        ({"jpg": b"x", "txt": b"\xff"}, "decode"),
    ],
)
def test_a_tar_of_something_else_is_an_error(tmp_path, members, what):
    with pytest.raises(CorruptOutputError, match=rf"plain\.tar: .*{what}"):
        list(read_samples([plain_tar(tmp_path / "plain.tar", **members)]))


def test_an_index_says_what_the_tar_does(folder, sample):
    shard = read_manifest(folder)["shards"][1]
    index = read_index(folder, shard)
    assert index.equals(index_of_tar(folder / shard["name"]))
    content = (folder / shard["name"]).read_bytes()
    for row, wanted in zip(index.to_pylist(), [sample(0), sample(2, image_id="a.b/../c_0")], strict=True):
        jpeg = content[row["jpeg_offset"] : row["jpeg_offset"] + row["jpeg_bytes"]]
        assert Sample(row["image_id"], row["product_id"], row["description"], dict(row["entities"]), jpeg) == wanted
    assert duckdb.sql(f"SELECT entities['brand'] FROM '{folder}/*.parquet'").fetchall() == [(["acne studios"],)] * 3
    with pytest.raises(CorruptOutputError, match=r"2 rows, the manifest says 3 samples"):
        read_index(folder, shard | {"samples": 3})


def test_a_photo_beyond_the_end_or_of_no_shard_is_named(folder):
    path = shard_paths(folder, "test")[0]
    with pytest.raises(CorruptOutputError, match=r"test-000000\.tar: no photo of 'p1' at byte 9000"):
        read_jpeg(path, 9000, 10_000, lambda: "p1")
    with pytest.raises(CorruptOutputError, match="gone.tar"):
        read_jpeg(folder / "gone.tar", 0, 1, lambda: "p1")


def test_webdataset_reads_them_as_they_lie(folder, sample):
    wds = pytest.importorskip("webdataset")
    (raw,) = wds.WebDataset(str(folder / "test-000000.tar"), shardshuffle=False).decode()
    assert raw["txt"] == sample(1).description
    assert raw["json"] == {
        "image_id": "p1_0",
        "product_id": "p1",
        "entities": {"brand": ["acne studios"], "colour": ["black", "white"]},
    }


def test_open_clips_own_training_program_reads_them_as_they_lie(folder, sample):
    data = pytest.importorskip("open_clip_train.data")
    given = {"train_data": None, "val_data": str(folder / "train-000000.tar"), "val_num_samples": 2, "batch_size": 2}
    arguments = argparse.Namespace(**given, workers=0, seed=0)
    read = data.get_wds_dataset(arguments, np.asarray, is_train=False, tokenizer=lambda text: [text])
    ((photos, texts),) = read.dataloader
    assert list(texts) == [sample(0).description, sample(2).description]
    assert np.array_equal(photos, [sample(0).pixels(32), sample(2).pixels(32)])


def test_missing_and_cut_shards_and_splits_are_named(folder):
    with pytest.raises(CorruptOutputError, match="no validation shard"):
        shard_paths(folder, "validation")
    (folder / "test-000000.tar").unlink()
    shard = folder / "train-000000.tar"
    shard.write_bytes(shard.read_bytes()[:-512])
    with pytest.raises(CorruptOutputError, match=r"missing test-000000\.tar"):
        shard_paths(folder, "test")
    with pytest.raises(CorruptOutputError, match=r"train-000000\.tar not of the size"):
        shard_paths(folder, "train")
