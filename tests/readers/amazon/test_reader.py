import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eiclip.errors import RawDataError, SettingsError
from eiclip.readers.amazon.reader import AmazonReader
from eiclip.readers.base import Listing, PhotoFacts, RawReader, Rejected, UnusablePhotoError

from ..conftest import write_photo

DRESS = {"asin": "B1", "title": "Red Dress", "brand": "Diesel", "category": ["Clothing", "Dresses"], "price": "$5"}


def test_a_line_becomes_a_listing_with_its_photo(amazon):
    metadata, images = amazon([DRESS], ["B1"])
    reader: RawReader = AmazonReader(metadata, images, groups=("brand", "subcategory"))
    assert list(reader.rows()) == [
        Listing(
            source="meta.json.gz", place=1, product_id="B1", photo="B1", title="Red Dress", description="Red Dress",
            description_raw="Red Dress", category="Clothing", subcategory="Dresses", price=5.0, currency="USD",
            brand_raw="Diesel", entities={"brand": ["diesel"], "subcategory": ["dresses"]},
        )
    ]  # fmt: skip
    (facts,) = reader.examine(["B1"])
    assert (facts.photo, facts.width, facts.height) == ("images/B1.jpg", 10, 12)
    assert next(reader.photos([facts.photo])).size == (10, 12)


def test_every_line_is_accounted_for(amazon):
    lines = [DRESS, "", DRESS, DRESS | {"asin": "B2"}, "{", "[]", DRESS | {"asin": "B3", "title": ""}]
    metadata, images = amazon(lines)
    reader = AmazonReader(metadata, images)
    rows = list(reader.rows())
    assert [getattr(row, "reason", None) for row in rows] == [
        None,
        "blank line",
        None,
        None,
        "broken JSON: Expecting property name enclosed in double quotes at column 2",
        "not an object: list",
        "no title and no description",
    ]
    assert [row.place for row in rows] == list(range(1, 8))
    assert rows[6].product_id == "B3"
    assert reader.rows_in() == 7


def test_photos_are_examined_in_the_order_asked(amazon):
    metadata, images = amazon([], ["B1", "B4"])
    (images / "B3.jpg").write_bytes(b"no photo")
    reader = AmazonReader(metadata, images)
    found = list(reader.examine(["B4", "B3", "B2", "B1", "B4"]))
    assert [getattr(facts, "photo", str(facts)) for facts in found] == [
        "images/B4.jpg",
        "unreadable photo: images/B3.jpg is not a JPEG, PNG or WEBP",
        "photo missing: images/B2.jpg",
        "images/B1.jpg",
        "images/B4.jpg",
    ]
    assert [type(facts) for facts in found[1:3]] == [UnusablePhotoError] * 2
    assert isinstance(found[0], PhotoFacts)
    assert reader.missing(["B4", "B2", "B3"]) == {"B2": "B2"}


def test_photos_missing_from_the_folder_are_found_among_the_downloads(amazon, tmp_path):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    write_photo(downloads / "B1.png", seed=1, size=(5, 5))
    write_photo(downloads / "B2.png", seed=2, size=(6, 6))
    images_row = DRESS | {"imageURLHighRes": ["https://x/1.jpg", "https://x/2.jpg"], "imUrl": "ftp://x", "image": "q"}
    metadata, images = amazon([images_row], ["B1"])
    reader = AmazonReader(metadata, images, downloads=downloads)
    assert [row.photo_urls for row in reader.rows()] == [("https://x/1.jpg",)]
    assert [row.photo_urls for row in AmazonReader(metadata, images).rows()] == [()]
    facts = list(reader.examine(["B1", "B2"]))
    assert [found.photo for found in facts] == ["images/B1.jpg", "downloads/B2.png"], "the folder's own come first"
    assert [photo.size for photo in reader.photos([found.photo for found in facts])] == [(10, 12), (6, 6)]
    assert reader.missing(["B1", "B2"]) == {"B2": "B2"}, (
        "what lies among the downloads is asked for again: they are its state"
    )


def test_an_absent_brand_is_no_entity(amazon):
    metadata, images = amazon([DRESS | {"brand": brand, "asin": f"B{i}"} for i, brand in enumerate(("", "N/A", None))])
    rows = list(AmazonReader(metadata, images).rows())
    assert [row.entities for row in rows] == [{}, {"brand": ["n/a"]}, {}], "a placeholder is counted"
    assert [row.brand_raw for row in rows] == [None, "N/A", None]


def test_the_papers_subset_is_fashion_with_a_brand(amazon):
    lines = [
        DRESS,
        DRESS | {"brand": "N/A"},
        DRESS | {"category": ["Books", "Fashion"]},
        DRESS | {"category": ["Books"], "main_cat": "AMAZON FASHION"},
        {"asin": "B2", "title": "Hat"},
        DRESS | {"category": []},
        "{",
    ]
    metadata, images = amazon(lines)
    rows = list(AmazonReader(metadata, images, subset="paper").rows())
    assert [getattr(row, "reason", None) for row in rows[:-1]] == [
        None,
        "outside the paper's subset: no brand",
        "outside the paper's subset: category 'Books' is not fashion",
        None,
        "outside the paper's subset: no brand",
        "outside the paper's subset: category '' is not fashion",
    ]
    assert rows[-1].reason.startswith("broken JSON")
    assert rows[4].product_id == "B2"


def test_an_endless_line_is_one_rejected_row(amazon):
    metadata, images = amazon(["x" * 5_000_000, DRESS], ["B1"], name="meta.json")
    rows = list(AmazonReader(metadata, images).rows())
    assert rows[0].reason.startswith("line too long: over ")
    assert isinstance(rows[1], Listing)


def test_rows_can_be_counted_before_a_pass(amazon):
    metadata, images = amazon([DRESS, "", "x"], name="meta.json")
    assert AmazonReader(metadata, images).rows_in() == 3


def test_a_missing_file_or_folder_is_an_error(amazon, tmp_path):
    metadata, images = amazon([DRESS])
    for look in (AmazonReader.stamps, AmazonReader.rows_in, lambda reader: list(reader.rows())):
        with pytest.raises(RawDataError, match="absent"):
            look(AmazonReader(tmp_path / "absent", images))
    for name in ("examine", "missing", "photo_stamps"):
        with pytest.raises(RawDataError, match="absent"):
            list(getattr(AmazonReader(metadata, tmp_path / "absent"), name)(["B1"]))


def test_a_truncated_file_is_an_error(amazon):
    metadata, images = amazon([DRESS | {"title": str(i) * 50} for i in range(500)])
    metadata.write_bytes(metadata.read_bytes()[:-30])
    with pytest.raises(RawDataError, match="cut short"):
        list(AmazonReader(metadata, images).rows())


def test_an_unknown_group_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="'season' is not in Amazon data"):
        AmazonReader(tmp_path, tmp_path, groups=("season",))


def test_stamps_follow_the_metadata_and_the_photos_own_those_named(amazon):
    metadata, images = amazon([DRESS], ["B1"])

    def both():
        reader = AmazonReader(metadata, images)
        return reader.stamps(), reader.photo_stamps(["B1", "B2"])

    rows, photos = both()
    write_photo(images / "B3.jpg")
    assert both() == (rows, photos), "nobody asked for it"
    write_photo(images / "B2.jpg")
    assert both()[0] == rows
    assert both()[1] != photos
    photos = both()[1]
    metadata.write_bytes(gzip.compress(b"{}"))
    assert both()[0] != rows
    assert both()[1] == photos


WHOLE = [json.dumps(DRESS).encode(), repr(DRESS).encode(), json.dumps(DRESS | {"parent_asin": "B2"}).encode()]


@st.composite
def mutated_line(draw):
    """A good line with a stretch of it replaced by anything."""
    line = draw(st.sampled_from(WHOLE))
    start = draw(st.integers(0, len(line)))
    return line[:start] + draw(st.binary(max_size=12)) + line[start + draw(st.integers(0, 40)) :]


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(st.one_of(mutated_line(), st.binary(max_size=30)), max_size=6), packed=st.booleans())
def test_rows_in_are_rows_out_whatever_the_lines_hold(lines, packed):
    content = b"\n".join([WHOLE[0], *lines])  # a file that begins otherwise may be of another format
    with tempfile.TemporaryDirectory() as name:
        metadata, images = Path(name) / "meta", Path(name) / "images"
        metadata.write_bytes(gzip.compress(content) if packed else content)
        reader = AmazonReader(metadata, images)
        rows = list(reader.rows())
        assert len(rows) == reader.rows_in() == AmazonReader(metadata, images).rows_in()
        assert [row.place for row in rows] == list(range(1, len(rows) + 1))
        assert all(row.reason for row in rows if isinstance(row, Rejected))
        assert all(row.description and row.product_id for row in rows if isinstance(row, Listing))


@pytest.mark.parametrize(("edition", "name"), [("2014", "json"), ("2018", "json"), ("2023", "jsonl")])
def test_real_products(real_products, edition, name):
    folder = real_products("amazon", "--limit", "60", "--edition", edition)
    reader = AmazonReader(folder / f"meta_Tops.{name}.gz", folder / "images")
    rows = list(reader.rows())
    assert len(rows) == reader.rows_in() == 60
    listings = [row for row in rows if isinstance(row, Listing)]
    assert len(listings) > 50
    assert sum("brand" in row.entities for row in listings) > 50
    facts = list(reader.examine([row.photo for row in listings]))
    assert sum(isinstance(found, PhotoFacts) for found in facts) > 50
    refs = [found.photo for found in facts if isinstance(found, PhotoFacts)]
    assert {photo.mode for photo in reader.photos(refs[:5])} == {"RGB"}
