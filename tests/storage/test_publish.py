"""Shards at URLs: whole or not there, however an upload ends."""

import contextlib
import json
import shutil

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from eiclip.errors import CorruptOutputError, EiclipError, RawDataError
from eiclip.shards import Sample, encode_photo, find_damage, merge_parts, read_samples, shard_paths, write_shards
from eiclip.storage.files import sha256_file, write_json
from eiclip.storage.locations import stamp
from eiclip.storage.publish import fetch_folder, publish_folder

from .conftest import put


def shards(folder, contents):
    """A folder of shards with its manifest."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    sizes = {name: {"bytes": len(content), "sha256": sha256_file(folder / name)} for name, content in contents.items()}
    write_json(folder / "manifest.json", {"photo_size": 8, "shards": [{"name": name} | sizes[name] for name in sizes]})
    return folder


def tree(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_shards_come_back_as_they_were(place, tmp_path):
    made = shards(tmp_path / "made", {"train-00000/train-000000.tar": b"a" * 300_000, "test-000000.tar": b"b"})
    assert publish_folder(made, place) == 2
    assert fetch_folder(place, tmp_path / "back") == 2
    assert tree(tmp_path / "back") == tree(made)
    assert publish_folder(made, place) == 0
    assert fetch_folder(place, tmp_path / "back") == 0, "what is here already is taken over"
    assert tree(tmp_path / "back") == tree(made)


def test_real_shards_in_parts_are_whole_after_the_journey(place, tmp_path):
    for number in range(2):
        photo = encode_photo(Image.new("RGB", (9, 7), (number * 90, 40, 40)), 16)
        sample = Sample(f"p{number}_0", f"p{number}", "A coat.", {"brand": "diesel"}, photo)
        write_shards([("train", sample)], tmp_path / "made" / f"train-0000{number}", photo_size=16)
    merge_parts(tmp_path / "made", ["train-00000", "train-00001"])
    publish_folder(tmp_path / "made", place)
    fetch_folder(place, tmp_path / "back")
    assert find_damage(tmp_path / "back") == []
    assert [sample.image_id for sample in read_samples(shard_paths(tmp_path / "back", "train"))] == ["p0_0", "p1_0"]


def test_growth_uploads_what_is_new_and_removes_what_is_gone(place, tmp_path):
    publish_folder(shards(tmp_path / "made", {"0/a.tar": b"a", "0/b.tar": b"b"}), place)
    put(f"{place}/notes.txt", b"mine")
    grown = shards(tmp_path / "made", {"0/a.tar": b"a", "0/b.tar": b"B", "1/c.tar": b"c"})
    assert publish_folder(grown, place) == 2, "b differs though its size is the same, c is new"
    assert publish_folder(shards(tmp_path / "made", {"0/a.tar": b"a"}), place) == 0
    left = [name for name, *_ in stamp(place)]
    assert left == ["0/a.tar", "manifest.json", "notes.txt"], "what was never published is not removed"
    fetch_folder(place, tmp_path / "back")
    assert set(tree(tmp_path / "back")) == {"0/a.tar", "manifest.json"}


class BreakingOffError(Exception):
    """The connection is gone."""


@pytest.mark.parametrize("survivors", range(8))
def test_an_upload_that_broke_off_is_never_taken_for_whole(tmp_path, monkeypatch, survivors):
    place = f"memory://broken-off-{survivors}"
    old, new = {"a.tar": b"a", "b.tar": b"b", "d.tar": b"d"}, {"a.tar": b"A", "b.tar": b"b", "c.tar": b"c"}
    publish_folder(shards(tmp_path / "old", old), place)
    left = [survivors]

    def counted(operation):
        def call(self, *arguments, **options):
            left[0] -= 1
            if left[0] < 0:
                raise BreakingOffError
            return operation(self, *arguments, **options)

        return call

    with monkeypatch.context() as broken:
        for name in ("put_file", "pipe_file", "rm_file"):
            broken.setattr(MemoryFileSystem, name, counted(getattr(MemoryFileSystem, name)))
        with contextlib.suppress(EiclipError):
            publish_folder(shards(tmp_path / "new", new), place)
    try:
        fetch_folder(place, tmp_path / "seen")
        seen = tree(tmp_path / "seen")
        del seen["manifest.json"]
        assert seen in (old, new)
    except RawDataError:
        assert not (tmp_path / "seen").exists(), "nothing is published at this instant"
    publish_folder(tmp_path / "new", place)
    fetch_folder(place, tmp_path / "back")
    assert tree(tmp_path / "back") == tree(tmp_path / "new")
    assert [name for name, *_ in stamp(place)] == ["a.tar", "b.tar", "c.tar", "manifest.json"]
    publish_folder(tmp_path / "old", place)
    fetch_folder(place, tmp_path / "back")
    assert tree(tmp_path / "back") == tree(tmp_path / "old")


def test_a_damaged_shard_is_neither_published_nor_fetched(tmp_path):
    made = shards(tmp_path / "made", {"a.tar": b"a", "b.tar": b"b"})
    (made / "b.tar").write_bytes(b"x")
    with pytest.raises(CorruptOutputError, match=r"b\.tar"):
        publish_folder(made, "memory://damaged")
    (made / "b.tar").write_bytes(b"b")
    publish_folder(made, "memory://damaged")
    fetch_folder("memory://damaged", tmp_path / "back")
    put("memory://damaged/a.tar", b"x")
    shutil.rmtree(tmp_path / "back")
    with pytest.raises(CorruptOutputError, match=r"a\.tar"):
        fetch_folder("memory://damaged", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_manifest_that_leads_out_is_refused(tmp_path):
    entry = {"name": "../evil.tar", "bytes": 1, "sha256": "0" * 64}
    put("memory://evil-manifest/manifest.json", json.dumps({"shards": [entry]}).encode())
    with pytest.raises(RawDataError, match="no plain name"):
        fetch_folder("memory://evil-manifest", tmp_path / "back")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"shards": [{"name": "a"}]}', b'{"shards": 7}'])
def test_what_is_no_manifest_is_said(tmp_path, content):
    put("memory://no-manifest/manifest.json", content)
    with pytest.raises(CorruptOutputError, match="no manifest"):
        fetch_folder("memory://no-manifest", tmp_path / "back")


def test_a_place_that_cannot_be_written_is_said(web, tmp_path):
    address, _, _ = web
    with pytest.raises(EiclipError, match="cannot be written"):
        publish_folder(shards(tmp_path / "made", {"a.tar": b"a"}), f"{address}/there")
