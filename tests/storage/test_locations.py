"""Raw files at paths and URLs: what changes with them, and copies of them here."""

import json
import os
import tracemalloc
from pathlib import Path

import fsspec
import pytest
from fsspec.registry import known_implementations

from eiclip.errors import RawDataError, SettingsError
from eiclip.storage.locations import folder_stamp, local_file, local_files, local_folder, local_path, stamp

from .conftest import CountingHandler, put


def test_urls_and_paths_are_told_apart():
    assert not any(map(local_path, ("s3://b/k", "memory://a", "https://h/x", "gs://b")))
    assert [str(local_path(url)) for url in ("file:///a b", "local:///a")] == ["/a b", "/a"]
    for path in ("/data/a", "a b/c", "exports/*.csv", "a:b", "/data/a:b//c", "./x://", "C:\\x"):
        assert local_path(path) == Path(path)


def test_a_file_is_copied_once_and_again_when_it_changed(place, tmp_path):
    put(f"{place}/meta.json.gz", b"one")
    first = local_file(f"{place}/meta.json.gz", tmp_path / "cache")
    assert (first.name, first.read_bytes()) == ("meta.json.gz", b"one")
    before = first.stat()
    assert local_file(f"{place}/meta.json.gz", tmp_path / "cache").stat().st_ino == before.st_ino, "not copied again"
    put(f"{place}/meta.json.gz", b"two")
    second = local_file(f"{place}/meta.json.gz", tmp_path / "cache")
    assert (second, second.read_bytes()) == (first, b"two")


def test_files_of_one_folder_there_are_in_one_folder_here(place, tmp_path):
    put(f"{place}/train.h5", b"1")
    put(f"{place}/validation.h5", b"2")
    put(f"{place}/sub/train.h5", b"3")
    names = ("train.h5", "validation.h5", "sub/train.h5")
    first, second, other = (local_file(f"{place}/{name}", tmp_path / "cache") for name in names)
    assert first.parent == second.parent != other.parent
    assert [file.read_bytes() for file in (first, second, other)] == [b"1", b"2", b"3"]


def test_a_stamp_changes_with_the_content_and_only_then(place):
    put(f"{place}/a.csv", b"1")
    put(f"{place}/sub/b.csv", b"22")
    found = stamp(place)
    assert [(name, size) for name, size, _ in found] == [("a.csv", 1), ("sub/b.csv", 2)]
    assert stamp(place) == found
    assert all(mark for *_, mark in found)
    assert [entry[:2] for entry in stamp(f"{place}/*.csv")] == [("a.csv", 1)]
    assert [entry[:2] for entry in stamp(f"{place}/sub/b.csv")] == [("b.csv", 2)]
    put(f"{place}/a.csv", b"9")
    changed = stamp(place)
    assert changed != found
    assert changed[1] == found[1]
    assert json.loads(json.dumps(changed)) == [list(entry) for entry in changed]


def test_a_stamp_of_a_great_folder_is_one_entry(place):
    put(f"{place}/a.jpg", b"1")
    before = folder_stamp(place)
    assert folder_stamp(place) == before
    assert len(before) == 1
    put(f"{place}/b.jpg", b"22")
    assert folder_stamp(place) != before


def test_nothing_there_names_the_place(place, tmp_path):
    for look, empty in ((stamp, place), (folder_stamp, place), *((stamp, tmp_path / n) for n in ("gone.csv", "*.csv"))):
        with pytest.raises(RawDataError, match=f"{str(empty).split('/')[-1].strip('*')}: nothing there"):
            look(str(empty))


def test_a_plain_path_is_taken_as_it_is(tmp_path):
    (tmp_path / "b.csv").write_text("b")
    (tmp_path / "a.csv").write_text("a")
    (tmp_path / ".a.csv.123.part").write_text("half")
    cache = tmp_path / "cache"
    assert local_file(str(tmp_path / "a.csv"), cache) == tmp_path / "a.csv"
    assert local_folder(str(tmp_path), cache) == tmp_path
    assert local_files(str(tmp_path / "*.csv"), cache) == [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert local_files(str(tmp_path), cache) == [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert local_files(f"file://{tmp_path}/b.csv", cache) == [tmp_path / "b.csv"]
    assert not cache.exists()


@pytest.mark.parametrize("place", ["*.csv", "a[1].csv"])
def test_a_relative_place_is_taken_from_here_and_a_name_with_the_signs_of_a_pattern_as_a_name(
    place, tmp_path, monkeypatch
):
    (tmp_path / "a[1].csv").write_text("a")
    monkeypatch.chdir(tmp_path)
    assert [entry[:2] for entry in stamp(place)] == [("a[1].csv", 1)]


def test_files_of_a_pattern_keep_apart_what_has_one_name(place, tmp_path):
    put(f"{place}/2023/part.csv", b"old")
    put(f"{place}/2024/part.csv", b"new")
    found = local_files(f"{place}/*/part.csv", tmp_path / "cache")
    assert [file.read_bytes() for file in found] == [b"old", b"new"]


def test_a_folder_is_copied_as_it_is_and_what_is_gone_there_goes_here(tmp_path):
    place = "memory://folder-as-it-is"
    for name in ("a.jpg", "deep/b.jpg", "deep/c.jpg"):
        put(f"{place}/{name}", name.encode())
    folder = local_folder(place, tmp_path)
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*.jpg")) == [
        "a.jpg",
        "deep/b.jpg",
        "deep/c.jpg",
    ]
    untouched = (folder / "a.jpg").stat().st_ino
    fsspec.filesystem("memory").rm("/folder-as-it-is/deep/c.jpg")
    put(f"{place}/deep/b.jpg", b"other")
    assert local_folder(place, tmp_path) == folder
    assert not (folder / "deep/c.jpg").exists()
    assert (folder / "deep/b.jpg").read_bytes() == b"other"
    assert (folder / "a.jpg").stat().st_ino == untouched


def test_only_the_files_asked_for_are_copied(place, tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        put(f"{place}/{name}", name.encode())
    folder = local_folder(place, tmp_path / "cache", ["b.jpg", "absent.jpg"])
    if place.startswith("file"):
        assert folder.name == "there", "files here are not copied"
        return
    assert [file.name for file in folder.iterdir()] == ["b.jpg"]
    local_folder(place, tmp_path / "cache", ["c.jpg"])
    assert sorted(file.name for file in folder.iterdir()) == ["b.jpg", "c.jpg"]


@pytest.mark.parametrize("name", ["../up.jpg", "/etc/passwd", "a/../../b", "", "a\0b", "..\\b"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    put("memory://refused/a.jpg", b"a")
    with pytest.raises(RawDataError, match="no plain name"):
        local_folder("memory://refused", tmp_path, [name])


def test_a_listing_that_leads_out_is_refused(tmp_path):
    system = fsspec.filesystem("memory")
    put("memory://hostile/a.jpg", b"a")
    system.store["/hostile/../../evil.jpg"] = system.store["/hostile/a.jpg"]
    try:
        with pytest.raises(RawDataError, match="evil"):
            local_folder("memory://hostile", tmp_path / "cache")
        assert not list(tmp_path.rglob("*.jpg"))
    finally:
        del system.store["/hostile/../../evil.jpg"]


def test_a_lost_or_damaged_record_or_copy_is_made_again(tmp_path):
    put("memory://record/a.csv", b"abc")
    copy = local_file("memory://record/a.csv", tmp_path)
    copy.write_bytes(b"ab")
    assert local_file("memory://record/a.csv", tmp_path).read_bytes() == b"abc"
    [record] = tmp_path.glob("*.json")
    record.write_text("{half")
    assert local_file("memory://record/a.csv", tmp_path).read_bytes() == b"abc"
    copy.unlink()
    assert local_file("memory://record/a.csv", tmp_path).read_bytes() == b"abc"


def test_a_web_server_is_asked_for_a_file_once(web, tmp_path):
    address, folder, fetched = web
    (folder / "meta.jsonl").write_bytes(b"1\n" * 1000)
    for _ in range(3):
        assert local_file(f"{address}/meta.jsonl?token=x/y", tmp_path / "c").read_bytes() == b"1\n" * 1000
    assert fetched == ["/meta.jsonl?token=x/y"]
    os.utime(folder / "meta.jsonl", (1e9, 1e9))
    local_file(f"{address}/meta.jsonl?token=x/y", tmp_path / "c")
    assert len(fetched) == 2


def test_a_folder_of_a_web_server(web, tmp_path):
    address, folder, _ = web
    (folder / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / "photos" / name).write_text(name)
    found = local_folder(f"{address}/photos/", tmp_path / "c")
    assert sorted(file.read_text() for file in found.iterdir()) == ["a.jpg", "b.jpg"]
    assert [entry[:2] for entry in stamp(f"{address}/photos/")] == [("a.jpg", 5), ("b.jpg", 5)]


def test_a_download_cut_short_leaves_the_old_copy(web, tmp_path, monkeypatch):
    address, folder, _ = web
    (folder / "a.bin").write_bytes(b"old")
    copy = local_file(f"{address}/a.bin", tmp_path / "c")
    (folder / "a.bin").write_bytes(b"x" * 100_000)

    def cut(self, source, outputfile):
        outputfile.write(source.read(5_000))

    monkeypatch.setattr(CountingHandler, "copyfile", cut)
    with pytest.raises(RawDataError, match=r"a\.bin"):
        local_file(f"{address}/a.bin", tmp_path / "c")
    assert copy.read_bytes() == b"old"
    assert not list(tmp_path.rglob("*.part"))


def test_errors_of_a_server_do_not_show_secrets(web, tmp_path):
    address, _, _ = web
    secret = address.replace("://", "://me:password@") + "/gone.csv?signature=abc"
    with pytest.raises(RawDataError) as error:
        local_file(secret, tmp_path)
    assert "gone.csv" in str(error.value)
    assert not {"password", "signature"} & set(str(error.value).replace("=", " ").replace(":", " ").split())


def test_memory_stays_flat_while_a_file_is_fetched(web, tmp_path):
    address, folder, _ = web
    with (folder / "big.bin").open("wb") as stream:
        stream.truncate(128 * 2**20)
    tracemalloc.start()
    try:
        assert local_file(f"{address}/big.bin", tmp_path / "c").stat().st_size == 128 * 2**20
        assert tracemalloc.get_traced_memory()[1] < 48 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("call", [stamp, lambda place: local_file(place, None)])
def test_a_missing_package_and_an_unknown_protocol_are_said(call, monkeypatch):
    missing = {"class": "shelffs_not_here.ShelfFileSystem", "err": "Install shelffs to access shelves"}
    monkeypatch.setitem(known_implementations, "shelf", missing)
    with pytest.raises(SettingsError, match="shelf://a.*Install shelffs.*pip install"):
        call("shelf://a/b")
    with pytest.raises(SettingsError, match=r"no-such://a.*protocol"):
        call("no-such://a/b")
