"""Places given as paths and as URLs: in memory, and over HTTP and the S3 protocol with real servers on loopback."""

import contextlib
import functools
import http.server
import json
import os
import shutil
import threading
import tracemalloc
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations
from PIL import Image

from eiclip.errors import CorruptOutputError, EiclipError, RawDataError, SettingsError
from eiclip.shards import Sample, encode_photo, find_damage, merge_parts, read_samples, shard_paths, write_shards
from eiclip.storage.files import sha256_file, write_json
from eiclip.storage.locations import folder_stamp, local_file, local_files, local_folder, local_path, stamp
from eiclip.storage.publish import fetch_folder, publish_folder


class CountingHandler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; remembers which were fetched."""

    fetched: list

    def do_GET(self):
        self.fetched.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path):
    """A real web server of a folder: its address, the folder and what was fetched."""
    pytest.importorskip("aiohttp")
    folder = tmp_path / "www"
    folder.mkdir()
    handler = type("Handler", (CountingHandler,), {"fetched": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder, handler.fetched
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def object_store():
    """A server of the S3 protocol on loopback."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        given = {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
        for name, value in {**given, "DEFAULT_REGION": "us-east-1"}.items():
            patch.setenv(f"AWS_{name}", value)
        yield
    server.stop()


@pytest.fixture(params=["memory", "file", "s3"])
def place(request, tmp_path):
    """An empty folder that can be written, at a URL of each protocol."""
    if request.param == "file":
        yield f"file://{tmp_path}/there"
        return
    if request.param == "s3":
        request.getfixturevalue("object_store")
    name = f"{request.param}://bucket-{os.getpid()}-{abs(hash(request.node.name)) % 10**9}"
    system, path = fsspec.url_to_fs(name)
    system.mkdir(path)
    yield f"{name}/there"
    system.rm(path, recursive=True)


def put(place, content):
    with fsspec.open(place, "wb", auto_mkdir=True) if place.startswith("file") else fsspec.open(place, "wb") as stream:
        stream.write(content)


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


@pytest.mark.parametrize("look", [stamp, folder_stamp])
def test_nothing_there_names_the_place(place, look):
    with pytest.raises(RawDataError, match="there.*nothing there"):
        look(place)


@pytest.mark.parametrize("name", ["gone.csv", "*.csv", "gone/"])
def test_nothing_at_a_plain_path_names_it(tmp_path, name):
    with pytest.raises(RawDataError, match="nothing there"):
        stamp(f"{tmp_path}/{name}")


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


def test_a_relative_pattern_is_taken_from_here(tmp_path, monkeypatch):
    (tmp_path / "part.csv").write_text("a")
    monkeypatch.chdir(tmp_path)
    assert [entry[:2] for entry in stamp("*.csv")] == [("part.csv", 1)]
    assert [entry[:2] for entry in stamp("part.csv")] == [("part.csv", 1)]


def test_a_name_with_the_signs_of_a_pattern_is_still_a_name(tmp_path):
    (tmp_path / "a[1].csv").write_text("a")
    assert [entry[:2] for entry in stamp(str(tmp_path / "a[1].csv"))] == [("a[1].csv", 1)]


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
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*.jpg")} == {
        "a.jpg",
        "deep/b.jpg",
        "deep/c.jpg",
    }
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
    monkeypatch.setitem(
        known_implementations,
        "shelf",
        {"class": "shelffs_not_here.ShelfFileSystem", "err": "Install shelffs to access shelves"},
    )
    with pytest.raises(SettingsError, match="shelf://a.*Install shelffs.*pip install"):
        call("shelf://a/b")
    with pytest.raises(SettingsError, match=r"no-such://a.*protocol"):
        call("no-such://a/b")


def shards(folder, contents):
    """A folder of shards with its manifest."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    listed = [
        {"name": name, "bytes": len(content), "sha256": sha256_file(folder / name)}
        for name, content in contents.items()
    ]
    write_json(folder / "manifest.json", {"photo_size": 8, "shards": listed})
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
