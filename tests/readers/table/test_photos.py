import hashlib
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.errors import RawDataError
from eiclip.readers.base import Listing, PhotoFacts, UnusablePhotoError
from eiclip.readers.table.reader import TableReader
from eiclip.settings.load import ColumnSettings

from ..conftest import encoded, noise, write_photo

NOT_DOWNLOADED = "photo missing: not downloaded from its URL (the dataset's section `download` has it fetched)"
COLUMNS = ColumnSettings(product_id="sku", title="name", photo="picture")


def png(seed):
    return encoded("PNG", seed, (12, 10))


def reader_of(folder, pictures, images=None, downloads=None, kind=None, **options):
    """A Parquet table with a row a picture."""
    cells = {"sku": list(range(len(pictures))), "name": ["hat"] * len(pictures), "picture": pa.array(pictures, kind)}
    pq.write_table(pa.table(cells), folder / "shop.parquet", **options)
    return TableReader([folder / "shop.parquet"], COLUMNS, images, (), downloads)


def refs_of(reader):
    rows = list(reader.rows())
    assert all(isinstance(row, Listing) for row in rows)
    return [row.photo for row in rows]


def outcomes(reader, refs):
    return [found.photo if isinstance(found, PhotoFacts) else str(found) for found in reader.examine(refs)]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    (folder / "women").mkdir(parents=True)
    write_photo(folder / "women" / "a.png", seed=1)
    write_photo(tmp_path / "secret.png", seed=2)
    return folder


def test_a_photo_below_the_folder_is_read(tmp_path, images):
    reader = reader_of(tmp_path, ["women/a.png"], images)
    (facts,) = reader.examine(refs_of(reader))
    content = (images / "women" / "a.png").read_bytes()
    assert (facts.photo, facts.width, facts.height) == ("women/a.png", 10, 12)
    assert facts.photo_sha256 == hashlib.sha256(content).hexdigest()
    (photo,) = reader.photos([facts.photo])
    assert photo.tobytes() == noise(1, (12, 10)).tobytes()


def test_paths_that_leave_the_folder_are_never_opened(tmp_path, images):
    (images / "link.png").symlink_to(tmp_path / "secret.png")
    (images / "up").symlink_to(tmp_path)
    os.mkfifo(images / "pipe.png")  # opening it would hang
    (images / "loop.png").symlink_to(images / "loop.png")
    outside = [
        "../secret.png", str(tmp_path / "secret.png"), "link.png", "up/secret.png", "women/../../secret.png",
        "..\\secret.png",
    ]  # fmt: skip
    missing = [
        "C:/../secret.png",
        "%2e%2e/secret.png",
        "pipe.png",
        "women",
        ".",
        "absent.png",
        "women/a.png/b",
        "x" * 300,
        "loop.png",
    ]
    reader = reader_of(tmp_path, [*outside, *missing], images)
    refs = refs_of(reader)
    found = outcomes(reader, refs)
    assert found[: len(outside)] == [f"photo outside the folder: {ascii(ref)[1:-1][:80]}" for ref in outside]
    assert found[len(outside) :] == [f"photo missing: images/{ref}" for ref in missing]
    assert outcomes(reader, ["a\0b", "\ud800"]) == [
        "photo outside the folder: a\\x00b",
        "photo outside the folder: \\ud800",
    ]
    with pytest.raises(RawDataError, match="outside the folder"):
        list(reader.photos(["../secret.png"]))


def test_links_and_detours_within_the_folder_are_followed(tmp_path, images):
    (images / "link.png").symlink_to(images / "women" / "a.png")
    (tmp_path / "alias").symlink_to(images)
    refs = ["link.png", "women/../women/a.png", "./women/a.png"]
    assert outcomes(reader_of(tmp_path, refs, tmp_path / "alias"), refs) == refs


def test_without_a_folder_paths_are_missing_and_an_absent_folder_is_an_error(tmp_path):
    (reason,) = outcomes(reader_of(tmp_path, ["a.png"]), ["a.png"])
    assert reason == "photo missing: a.png is a path, and the dataset's `images` names no folder"
    with pytest.raises(RawDataError, match="absent: no such folder"):
        list(reader_of(tmp_path, ["a.png"], tmp_path / "absent").examine(["a.png"]))


def test_downloads_are_found_by_the_digest_of_their_url(tmp_path):
    urls = ["https://shop.example/a", "http://shop.example/b"]
    downloads = tmp_path / "downloads"
    reader = reader_of(tmp_path, urls, downloads=downloads)
    refs = refs_of(reader)
    assert outcomes(reader, refs) == [NOT_DOWNLOADED] * 2
    before = reader.photo_stamps(refs)
    downloads.mkdir()
    write_photo(downloads / f"{hashlib.sha256(urls[1].encode()).hexdigest()[:32]}.webp")
    assert outcomes(reader, refs) == [NOT_DOWNLOADED, refs[1]]
    assert [photo.size for photo in reader.photos(refs[1:])] == [(10, 12)]
    assert reader.photo_stamps(refs) != before


STRUCT = pa.struct({"bytes": pa.binary(), "path": pa.string()})


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), STRUCT])
@pytest.mark.parametrize("group", [3, 7, 100])
def test_bytes_are_read_in_the_order_asked(tmp_path, kind, group):
    contents = [png(seed) for seed in range(40)]
    cells = [{"bytes": content, "path": "a.png"} for content in contents] if kind == STRUCT else contents
    reader = reader_of(tmp_path, cells, kind=kind, row_group_size=group)
    refs = refs_of(reader)
    assert refs == [f"shop.parquet#{row}" for row in range(40)]
    for rows in (range(40), [0, 0, 39], [5, 3, 30, 31, 2], [17]):
        found = list(reader.examine([refs[row] for row in rows]))
        assert [facts.photo for facts in found] == [refs[row] for row in rows]
        assert [facts.photo_sha256 for facts in found] == [hashlib.sha256(contents[row]).hexdigest() for row in rows]
        pixels = [photo.tobytes() for photo in reader.photos([refs[row] for row in rows])]
        assert pixels == [noise(row, (12, 10)).tobytes() for row in rows]


def test_unusable_bytes_are_named_by_their_row(tmp_path, images):
    cells = [
        {"bytes": None, "path": None}, {"bytes": b"", "path": "../secret.png"}, {"bytes": b"<html>", "path": None},
        {"bytes": None, "path": "women/a.png"}, None, {"bytes": png(1)[:200], "path": None},
    ]  # fmt: skip
    reader = reader_of(tmp_path, cells, images, kind=STRUCT)
    found = outcomes(reader, refs_of(reader))
    assert found[:5] == [
        "photo missing: shop.parquet#0 holds no bytes",
        "photo outside the folder: ../secret.png",
        "unreadable photo: shop.parquet#2 is not a JPEG, PNG or WEBP",
        "shop.parquet#3",
        "photo missing: shop.parquet#4 holds no bytes",
    ]
    assert found[5].startswith("unreadable photo: shop.parquet#5")


def test_references_of_all_kinds_keep_their_order(tmp_path, images):
    reader = reader_of(tmp_path, [png(0), png(1)], images, kind=pa.binary())
    refs = ["women/a.png", "shop.parquet#1", "url:" + "0" * 32, "shop.parquet#0", "absent"]
    found = list(reader.examine(refs))
    assert [getattr(item, "photo", type(item)) for item in found] == [
        refs[0], refs[1], UnusablePhotoError, refs[3], UnusablePhotoError
    ]  # fmt: skip


def test_a_row_beyond_the_last_is_an_error(tmp_path):
    with pytest.raises(RawDataError, match="no row 2, it has 2: the file changed"):
        list(reader_of(tmp_path, [png(0), png(1)]).examine(["shop.parquet#0", "shop.parquet#2"]))


@pytest.mark.parametrize(
    ("kind", "cell", "match"),
    [
        (pa.list_(pa.binary()), [b"\x89P"], "give every photo a row of its own"),
        (pa.struct({"path": pa.string()}), {"path": "a.png"}, "needs a field 'bytes'"),
    ],
)
def test_columns_that_cannot_hold_a_photo_are_errors(tmp_path, kind, cell, match):
    with pytest.raises(RawDataError, match=match):
        list(reader_of(tmp_path, [cell], kind=kind).rows())


def test_stamps_follow_files_and_bytes(tmp_path, images):
    refs = ["women/a.png", "shop.parquet#1"]
    before = reader_of(tmp_path, [png(0), png(1)], images).photo_stamps(refs)
    # Rows and files that were not asked for change nothing, nor does writing the table again.
    assert reader_of(tmp_path, [png(5), png(1), png(6)], images).photo_stamps(refs) == before
    other_bytes = reader_of(tmp_path, [png(0), png(2)], images).photo_stamps(refs)
    write_photo(images / "women" / "a.png", seed=3)
    other_file = reader_of(tmp_path, [png(0), png(1)], images).photo_stamps(refs)
    (images / "women" / "a.png").unlink()
    gone = reader_of(tmp_path, [png(0), png(1)], images).photo_stamps(refs)
    assert len({tuple(stamps) for stamps in (before, other_bytes, other_file, gone)}) == 4
    assert [one == other for one, other in zip(before, other_bytes, strict=True)] == [True, False]
    assert [one == other for one, other in zip(before, other_file, strict=True)] == [False, True]


def test_a_photo_that_changed_since_is_an_error(tmp_path, images):
    reader = reader_of(tmp_path, ["women/a.png"], images)
    (images / "women" / "a.png").write_text("gone")
    with pytest.raises(RawDataError, match="it changed after it was examined"):
        list(reader.photos(["women/a.png"]))


def test_of_several_photos_the_first_that_can_be_used_counts_and_the_rest_are_counted(tmp_path, images):
    (images / "broken.png").write_text("<html>")
    write_photo(images / "a, b.png", seed=4)
    write_photo(images / "b.png", seed=5)
    cells = ["broken.png, absent.png| women\\a.png;b.png", '["absent.png", "b.png"]', "a, b.png", "A, B.png", "b.png,"]
    reader = reader_of(tmp_path, cells, images)
    found = list(reader.examine(refs_of(reader)))
    assert [(facts.photo, facts.other_name, facts.further_photos) for facts in found] == [
        ("women/a.png", True, 3), ("b.png", False, 1), ("a, b.png", False, 0), ("a, b.png", True, 0),
        ("b.png", False, 0),
    ]  # fmt: skip
    pixels = [photo.tobytes() for photo in reader.photos([facts.photo for facts in found])]
    assert pixels == [noise(seed, (12, 10)).tobytes() for seed in (1, 5, 4, 4, 5)]
    (none,) = outcomes(reader, ["absent.png, broken.png, gone.png"])
    assert none == "unreadable photo: broken.png is not a JPEG, PNG or WEBP"
    assert outcomes(reader, ["absent.png, gone.png"]) == ["photo missing: images/absent.png"]


def test_lists_of_a_parquet_column_are_several_photos(tmp_path, images):
    reader = reader_of(tmp_path, [["absent.png", None, "women/a.png"]], images, kind=pa.list_(pa.string()))
    (facts,) = reader.examine(refs_of(reader))
    assert (facts.photo, facts.further_photos) == ("women/a.png", 1)


def test_a_url_without_its_scheme_is_downloaded_unless_the_folder_has_the_file(tmp_path, images):
    (images / "mirror.example" / "files").mkdir(parents=True)
    write_photo(images / "mirror.example" / "files" / "a.png", seed=6)
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    cells = ["//cdn.shop.example/a.png", "www.shop.example/b", "mirror.example/files/A.png", "women/a.png"]
    reader = reader_of(tmp_path, cells, images, downloads)
    rows = list(reader.rows())
    urls = ["https://cdn.shop.example/a.png", "https://www.shop.example/b", "https://mirror.example/files/A.png"]
    assert [row.photo_urls for row in rows] == [*((url,) for url in urls), ()]
    stems = [hashlib.sha256(url.encode()).hexdigest()[:32] for url in urls]
    assert reader.missing([row.photo for row in rows]) == {rows[0].photo: stems[0], rows[1].photo: stems[1]}
    assert outcomes(reader, cells) == [
        f"photo missing: {cells[0]} is not in images, and {NOT_DOWNLOADED.removeprefix('photo missing: ')}",
        f"photo missing: {cells[1]} is not in images, and {NOT_DOWNLOADED.removeprefix('photo missing: ')}",
        "mirror.example/files/a.png",
        "women/a.png",
    ]
    write_photo(downloads / f"{stems[1]}.png", seed=7)
    found = list(reader.examine(cells[1:]))
    assert [(facts.photo, facts.other_name) for facts in found] == [
        (f"url:{stems[1]}", False), ("mirror.example/files/a.png", True), ("women/a.png", False)
    ]  # fmt: skip
    (photo,) = reader.photos([found[0].photo])
    assert photo.tobytes() == noise(7, (12, 10)).tobytes()


def test_several_urls_are_one_download_whose_name_depends_on_all(tmp_path):
    cells = ["https://shop.example/a.jpg,https://shop.example/b.jpg", "https://shop.example/a.jpg|//shop.example/c.jpg"]
    reader = reader_of(tmp_path, cells, downloads=tmp_path)
    first, second = reader.rows()
    assert first.photo_urls == ("https://shop.example/a.jpg", "https://shop.example/b.jpg")
    stems = reader.missing([first.photo, second.photo])
    assert len(set(stems.values())) == 2
    write_photo(tmp_path / f"{stems[first.photo]}.jpg")
    (facts, missing) = reader.examine([first.photo, second.photo])
    assert (facts.photo, facts.further_photos) == (f"url:{stems[first.photo]}", 1)
    assert "not downloaded" in str(missing)


def test_a_file_that_is_renamed_changes_the_fingerprint(tmp_path, images):
    def fingerprint():
        return reader_of(tmp_path, ["WOMEN/A.png"], images).photo_stamps(["WOMEN/A.png"])[0]

    before = fingerprint()
    (images / "women" / "a.png").rename(images / "women" / "A.png")
    renamed = fingerprint()
    (images / "women" / "A.png").unlink()
    assert len({before, renamed, fingerprint()}) == 3
