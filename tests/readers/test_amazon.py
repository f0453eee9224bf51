import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eiclip.errors import RawDataError, SettingsError
from eiclip.readers import Accepted, AmazonReader, Rejected
from eiclip.readers.base import RawReader

from .conftest import write_photo

DRESS = {"asin": "B1", "title": "Red Dress", "brand": "Diesel", "category": ["Clothing", "Dresses"], "price": "$5"}


def test_a_line_becomes_a_product_with_its_photo(amazon):
    metadata, images = amazon([DRESS], ["B1"])
    reader: RawReader = AmazonReader(metadata, images, groups=("brand", "subcategory"))
    (row,) = reader.rows()
    assert isinstance(row, Accepted)
    assert (row.source, row.locator, row.image_id, row.photo) == ("meta.json.gz", "line 1", "B1_1", "images/B1.jpg")
    assert row.entities == {"brand": "diesel", "subcategory": "dresses"}
    assert (row.source_split, row.price, row.photo_width, row.photo_height) == (None, 5.0, 10, 12)
    assert next(reader.photos([row.photo])).size == (10, 12)


def test_every_line_is_accounted_for(amazon):
    second = DRESS | {"asin": "B2"}
    lines = [DRESS, "", DRESS, second, "{", "[]", second | {"asin": "B3"}]
    metadata, images = amazon(lines, ["B1", "B2"])
    (images / "B3.jpg").write_bytes(b"no photo")
    reader = AmazonReader(metadata, images)
    rows = list(reader.rows())
    assert [getattr(row, "reason", None) for row in rows] == [
        None,
        "blank line",
        "duplicate id: B1",
        None,
        "broken JSON: Expecting property name enclosed in double quotes at column 2",
        "not an object: list",
        "unreadable photo: images/B3.jpg is not a JPEG, PNG or WEBP",
    ]
    assert [row.locator for row in rows] == [f"line {i}" for i in range(1, 8)]
    assert rows[6].product_id == "B3"
    assert reader.rows_in() == 7


def test_a_missing_photo_leaves_a_later_namesake_its_chance(amazon):
    metadata, images = amazon(["{", DRESS | {"title": ""}, DRESS, DRESS], ["B1"])
    kinds = [type(row) for row in AmazonReader(metadata, images).rows()]
    assert kinds == [Rejected, Rejected, Accepted, Rejected]
    (images / "B1.jpg").unlink()
    reasons = {row.reason for row in AmazonReader(metadata, images).rows()}
    assert "photo missing: images/B1.jpg" in reasons


def test_an_absent_brand_is_no_entity(amazon):
    metadata, images = amazon([DRESS | {"brand": brand, "asin": f"B{i}"} for i, brand in enumerate(("", "N/A", None))])
    for stem in ("B0", "B1", "B2"):
        write_photo(images / f"{stem}.jpg")
    assert [row.entities for row in AmazonReader(metadata, images).rows()] == [{}, {}, {}]


def test_an_endless_line_is_one_rejected_row(amazon):
    metadata, images = amazon(["x" * 5_000_000, DRESS], ["B1"], name="meta.json")
    rows = list(AmazonReader(metadata, images).rows())
    assert rows[0].reason.startswith("line too long: over ")
    assert isinstance(rows[1], Accepted)


def test_rows_can_be_counted_before_a_pass(amazon):
    metadata, images = amazon([DRESS, "", "x"], name="meta.json")
    assert AmazonReader(metadata, images).rows_in() == 3


def test_a_missing_file_or_folder_is_an_error(amazon, tmp_path):
    metadata, images = amazon([DRESS])
    for reader in (AmazonReader(tmp_path / "absent", images), AmazonReader(metadata, tmp_path / "absent")):
        with pytest.raises(RawDataError, match="absent"):
            list(reader.rows())
        with pytest.raises(RawDataError, match="absent"):
            reader.fingerprint()


def test_a_truncated_file_is_an_error(amazon):
    metadata, images = amazon([DRESS | {"title": str(i) * 50} for i in range(500)])
    metadata.write_bytes(metadata.read_bytes()[:-30])
    with pytest.raises(RawDataError, match="cut short"):
        list(AmazonReader(metadata, images).rows())


def test_an_unknown_group_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="'season' is not in Amazon data"):
        AmazonReader(tmp_path, tmp_path, groups=("season",))


def test_the_fingerprint_follows_metadata_and_photos(amazon):
    metadata, images = amazon([DRESS], ["B1"])
    reader = AmazonReader(metadata, images)
    before = reader.fingerprint()
    assert reader.fingerprint() == before
    write_photo(images / "B2.jpg")
    with_photo = reader.fingerprint()
    assert with_photo != before
    metadata.write_bytes(gzip.compress(b"{}"))
    assert reader.fingerprint() != with_photo


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
    content = b"\n".join(lines)
    assume(packed or not content.startswith(b"\x1f\x8b"))  # a damaged gzip file is an error, not rows
    with tempfile.TemporaryDirectory() as name:
        metadata, images = Path(name) / "meta", Path(name) / "images"
        images.mkdir()
        write_photo(images / "B1.jpg")
        metadata.write_bytes(gzip.compress(content) if packed else content)
        reader = AmazonReader(metadata, images)
        rows = list(reader.rows())
        assert len(rows) == reader.rows_in() == AmazonReader(metadata, images).rows_in()
        accepted = [row for row in rows if isinstance(row, Accepted)]
        assert len({row.image_id for row in accepted}) == len(accepted)
        assert all(row.reason for row in rows if isinstance(row, Rejected))


@pytest.mark.parametrize(("edition", "name"), [("2014", "json"), ("2018", "json"), ("2023", "jsonl")])
def test_real_products(real_products, edition, name):
    folder = real_products("amazon", "--limit", "60", "--edition", edition)
    reader = AmazonReader(folder / f"meta_Tops.{name}.gz", folder / "images")
    rows = list(reader.rows())
    assert len(rows) == reader.rows_in() == 60
    accepted = [row for row in rows if isinstance(row, Accepted)]
    assert len(accepted) > 50
    assert sum("brand" in row.entities for row in accepted) > 50
    assert {photo.mode for photo in reader.photos([row.photo for row in accepted[:5]])} == {"RGB"}
