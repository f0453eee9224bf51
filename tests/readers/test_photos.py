"""Photos in parts: how rows are cut, what is stored of them, and what is fetched first."""

import gzip
import json

import pyarrow.parquet as pq
import pytest
from PIL import Image

from eiclip.errors import RawDataError
from eiclip.readers import photos
from eiclip.readers.amazon.reader import AmazonReader
from eiclip.readers.base import Listing, Rejected
from eiclip.readers.fashiongen.reader import FashionGenReader
from eiclip.readers.photos import PhotoRow, download_missing, list_parts, part_rows_of, photos_found, write_photos
from eiclip.readers.records import write_records, write_rows
from eiclip.readers.table.reader import TableReader
from eiclip.settings.load import ColumnSettings, DownloadSettings

from .bad_server import photo, status
from .conftest import TRAIN, VALIDATION, encoded, grow, write_growing, write_photo


@pytest.fixture
def records(tmp_path):
    """Return a function that stores rows as (source, place, usable)."""

    def write(*rows):
        path = tmp_path / "records.parquet"
        stored = [
            Listing(source, place, "p", f"{source}#{place}", "", "A coat.", "", photo_urls=("http://x",))
            if usable
            else Rejected(source, place, None, "blank line")
            for source, place, usable in rows
        ]
        write_rows(path, "d", stored)
        return [path]

    return write


def test_parts_are_cut_by_the_place_of_rows(records):
    """A rejected row takes its place: a row's part does not depend on what became of the others."""
    rows = [("a.h5", place, place not in {1, 4, 5}) for place in range(8)]
    found = records(*rows, ("b.h5", 0, True))
    assert list_parts(found, 2) == ["a-h5-00000", "a-h5-00001", "a-h5-00003", "b-h5-00000"]
    assert [row.place for row in part_rows_of(found, "a-h5-00000", 2)] == [0]
    assert [row.place for row in part_rows_of(found, "a-h5-00001", 2)] == [2, 3]
    assert part_rows_of(found, "a-h5-00003", 2) == [PhotoRow("a.h5", n, f"a.h5#{n}", ("http://x",)) for n in (6, 7)]
    assert part_rows_of(found, "a-h5-00002", 2) == []


@pytest.mark.parametrize("part_rows", [1, 3, 7, 100])
def test_every_listing_is_in_one_part(records, part_rows):
    rows = [(source, place, place % 5 > 0) for source in ("b.h5", "a.h5") for place in range(23)]
    found = records(*rows)
    parts = [part_rows_of(found, part, part_rows) for part in list_parts(found, part_rows)]
    places = [(row.source, row.place) for part in parts for row in part]
    assert places == sorted((source, place) for source, place, usable in rows if usable)


def test_a_part_has_a_row_per_listing_with_facts_or_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "BATCH", 2)
    (tmp_path / "images").mkdir()
    write_photo(tmp_path / "images" / "B1.jpg")
    Image.new("RGB", (9, 9), "white").save(tmp_path / "images" / "B2.png")
    reader = AmazonReader(tmp_path / "meta", tmp_path / "images")
    rows = [PhotoRow("meta", number, f"B{number}") for number in (1, 2, 3, 4)] + [PhotoRow("meta", 9, "B1")]
    output = tmp_path / "part.parquet"
    counts = write_photos(rows, reader, "d", output, {"B4": "download failed: HTTP 404", "B1": "not asked for"})
    assert counts == {"usable": 2, "unusable": 3}
    stored = pq.read_table(output).to_pylist()
    assert [(row["place"], row["reason"]) for row in stored] == [
        (1, None),
        (2, "blank photo: images/B2.png is one colour, (255, 255, 255)"),
        (3, "photo missing: images/B3.jpg"),
        (4, "download failed: HTTP 404"),
        (9, None),
    ]
    (facts,) = reader.examine(["B1"])
    kept = {"photo": facts.photo, "width": 10, "height": 12, "photo_sha256": facts.photo_sha256, "phash": facts.phash,
            "other_name": False, "further_photos": 0}  # fmt: skip
    assert stored[0] == {"dataset": "d", "source": "meta", "place": 1, "reason": None} | kept
    assert stored[1] == dict.fromkeys(kept) | {
        "dataset": "d",
        "source": "meta",
        "place": 2,
        "reason": stored[1]["reason"],
    }


def test_a_part_without_rows_is_a_table_without_rows(tmp_path):
    (tmp_path / "images").mkdir()
    counts = write_photos([], AmazonReader(tmp_path / "meta", tmp_path / "images"), "d", tmp_path / "out", {})
    assert counts == {"usable": 0, "unusable": 0}
    assert pq.read_table(tmp_path / "out").schema.equals(photos.SCHEMA)


def test_a_failure_leaves_the_old_part(tmp_path):
    write_growing(tmp_path / TRAIN, [{}, {}])
    write_growing(tmp_path / VALIDATION, [{}])
    rows = [PhotoRow(TRAIN, place, f"{TRAIN}#{place}") for place in range(3)]
    output = tmp_path / "part.parquet"
    write_photos(rows[:2], FashionGenReader(tmp_path), "d", output, {})
    before = output.read_bytes()
    with pytest.raises(RawDataError, match="row 2 is beyond the last"):
        write_photos(rows, FashionGenReader(tmp_path), "d", output, {})
    assert output.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [TRAIN, VALIDATION, "part.parquet"]


def test_rows_that_a_file_gains_leave_the_old_parts_as_they_are(tmp_path):
    write_growing(tmp_path / TRAIN, [{} for _ in range(6)])
    write_growing(tmp_path / VALIDATION, [{}])

    def made(name):
        folder = tmp_path / name
        reader = FashionGenReader(tmp_path)
        found = [folder / "records.parquet"]
        write_records(reader, "d", found[0])
        parts = {part: part_rows_of(found, part, 3) for part in list_parts(found, 3)}
        for part, rows in parts.items():
            write_photos(rows, reader, "d", folder / part, {})
        prints = {part: reader.photo_stamps([row.photo for row in rows]) for part, rows in parts.items()}
        return parts, prints, {part: pq.read_table(folder / part) for part in parts}

    before, after = made("before"), None
    grow(tmp_path / TRAIN, [{}, {"description": ""}])
    after = made("after")
    assert len(after[0]) == len(before[0]) + 1
    for old, new in zip(before, after, strict=True):
        assert {part: new[part] for part in old} == old
    (added,) = set(after[0]) - set(before[0])
    assert [row.place for row in after[0][added]] == [6], "the row without a description has no photo to look at"


def test_missing_photos_are_fetched_and_examined_like_the_others(tmp_path, server):
    images, downloads = tmp_path / "images", tmp_path / "downloads"
    images.mkdir()
    write_photo(images / "B1.jpg")
    urls = {
        "B1": [server.on("/1.jpg", photo(encoded(seed=1)))],
        "B2": [server.on("/gone.jpg", status(404)), server.on("/2.jpg", photo(encoded(seed=2)))],
        "B3": [server.on("/3.jpg", photo(b"<html>no</html>"))],
        "B4": [],
    }
    lines = [
        json.dumps({"asin": name, "title": "T", "imageURL": found[:1], "imUrl": (found or [""])[-1]})
        for name, found in urls.items()
    ]
    (tmp_path / "meta.gz").write_bytes(gzip.compress("\n".join(lines).encode()))

    def reader():
        return AmazonReader(tmp_path / "meta.gz", images, downloads=downloads)

    write_records(reader(), "d", tmp_path / "records")
    (part,) = list_parts([tmp_path / "records"], 100)
    rows = part_rows_of([tmp_path / "records"], part, 100)
    settings = DownloadSettings(allow_private=True, retries=0, timeout=5)
    failures = download_missing(rows, reader(), downloads, settings)
    assert list(failures) == ["B3"]
    assert "HTML" in failures["B3"]
    assert server.count() == {"/gone.jpg": 1, "/2.jpg": 1, "/3.jpg": 1}, "what the folder holds is not asked for"
    write_photos(rows, reader(), "d", tmp_path / "photos", failures)
    found = pq.read_table(tmp_path / "photos").to_pylist()
    assert [row["photo"] for row in found] == ["images/B1.jpg", "downloads/B2.jpg", None, None]
    assert [row["reason"] for row in found[2:]] == [failures["B3"], "photo missing: images/B4.jpg"]

    assert download_missing(rows, reader(), downloads, settings) == failures, "failures are kept with their reason"
    assert sum(server.count().values()) == 3, "and nothing is asked for again"


def test_nothing_missing_makes_no_folder(tmp_path):
    (tmp_path / "images").mkdir()
    write_photo(tmp_path / "images" / "B1.jpg")
    reader = AmazonReader(tmp_path / "meta", tmp_path / "images", downloads=tmp_path / "downloads")
    rows = [PhotoRow("meta", 1, "B1", ("http://127.0.0.1:9/x",)), PhotoRow("meta", 2, "B2")]
    assert download_missing(rows, reader, tmp_path / "downloads", DownloadSettings()) == {}
    assert not (tmp_path / "downloads").exists()


def found(reader, folder):
    """What is said of a reader's photos."""
    write_records(reader, "d", folder / "records")
    listed = [folder / "records"]
    files = []
    for part in list_parts(listed, 2):
        files.append(folder / f"{part}.parquet")
        write_photos(part_rows_of(listed, part, 2), reader, "d", files[-1], {})
    return photos_found(listed, files, reader)


def table_of(folder, pictures):
    lines = ["sku,name,picture", *(f'{number},Hat,"{picture}"' for number, picture in enumerate(pictures))]
    (folder / "shop.csv").write_text("\n".join(lines))
    columns = ColumnSettings(product_id="sku", title="name", photo="picture")
    (folder / "photos").mkdir(exist_ok=True)
    return TableReader([folder / "shop.csv"], columns, folder / "photos", ())


def test_where_no_photo_is_found_the_commonest_reason_and_the_nearest_name_are_said(tmp_path):
    reader = table_of(tmp_path, ["../a.jpg", "img/dress-1.jpg", "img/dress-2.jpg"])
    write_photo(tmp_path / "photos" / "drezz-1.jpg")
    write_photo(tmp_path / "photos" / "hat.jpg")
    assert found(reader, tmp_path) == (
        False,
        "0 of 3 photos found; most common reason (2): photo missing: photos/img/dress-1.jpg (shop.csv row 1); "
        f"nearest existing name: {tmp_path}/photos/drezz-1.jpg",
        {"photos": 3, "usable": 0, "under_another_name": 0, "of_several_names": 0, "left_out_of_cells": 0},
    )


def test_an_empty_folder_and_blank_photos_have_no_nearest_name(tmp_path):
    reader = table_of(tmp_path, ["a.jpg"])
    reason = "photo missing: photos/a.jpg (shop.csv row 0)"
    assert found(reader, tmp_path)[1] == f"0 of 1 photos found; most common reason (1): {reason}"
    Image.new("RGB", (9, 9), "white").save(tmp_path / "photos" / "a.jpg")
    passed, said, _ = found(reader, tmp_path)
    assert not passed
    assert said.endswith("blank photo: a.jpg is one colour, (255, 255, 255) (shop.csv row 0)")


def test_photos_under_other_names_and_those_left_out_are_counted(tmp_path):
    reader = table_of(tmp_path, ["A.JPG", "b.jpg", "b.jpg|a.jpg|c.jpg", "gone.jpg"])
    for name in ("a.jpg", "b.jpg"):
        write_photo(tmp_path / "photos" / name)
    passed, said, facts = found(reader, tmp_path)
    assert passed
    assert said == (
        "3 of 4 photos found; 1 of them under another name, such as A.JPG as a.jpg; "
        "2 more are named in cells of several photos and left out: a row is one photo"
    )
    assert facts == {"photos": 4, "usable": 3, "under_another_name": 1, "of_several_names": 0, "left_out_of_cells": 2}


def test_files_that_several_names_are_found_to_mean_are_said(tmp_path):
    reader = table_of(tmp_path, ["C:/women/1.jpg", "C:/men/1.jpg", "2.jpg", "2.jpg"])
    for name in ("1.jpg", "2.jpg"):
        write_photo(tmp_path / "photos" / name)
    passed, said, facts = found(reader, tmp_path)
    assert passed
    assert facts["of_several_names"] == 1
    assert said.endswith(
        "files found under several names: 1, such as C:/men/1.jpg and C:/women/1.jpg, both 1.jpg; "
        "see that they show one product"
    )


def test_of_amazon_photos_the_nearest_name_is_said(tmp_path):
    (tmp_path / "images").mkdir()
    write_photo(tmp_path / "images" / "B000-1.jpg")
    (tmp_path / "meta.json").write_text(json.dumps({"asin": "B0001", "title": "T"}))
    _, said, _ = found(AmazonReader(tmp_path / "meta.json", tmp_path / "images"), tmp_path)
    assert said.endswith(f"(meta.json line 1); nearest existing name: {tmp_path}/images/B000-1.jpg")
