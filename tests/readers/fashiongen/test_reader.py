import hashlib
import logging
import os

import h5py
import numpy as np
import pytest
from PIL import Image

from eiclip.errors import RawDataError, SettingsError
from eiclip.readers.base import Listing, PhotoFacts, RawReader, Rejected, UnusablePhotoError
from eiclip.readers.fashiongen.reader import FashionGenReader
from eiclip.readers.photo_files import perceptual_hash

from ..conftest import TRAIN, VALIDATION, grow, noise, write_growing


def test_a_row_becomes_a_listing(fashiongen):
    row = {
        "id": 7, "name": "Black Jeans", "brand": " Golden  Goose ", "category": "JEANS", "subcategory": "SKINNY JEANS",
        "season": "SS2017", "composition": "98% cotton, 2% elastane.", "department": "CLOTHING", "gender": "Women",
        "pose": "id_gridfs_1", "description": "Logo appliqu\u00e9.<br>Zip-fly\u00ef\u00bf\u00bd", "price": 99.5,
    }  # fmt: skip
    listing = next(FashionGenReader(fashiongen([row])).rows())
    assert listing == Listing(
        source=TRAIN, place=0, product_id="7", photo=f"{TRAIN}#0", source_split="train",
        title="Black Jeans", description="Logo appliqu\u00e9. Zip-fly", description_raw=row["description"],
        category="JEANS", subcategory="SKINNY JEANS", pose="id_gridfs_1", department="CLOTHING", gender="Women",
        price=99.5,
        currency="USD",
        entities={"brand": ["golden goose"], "subcategory": ["skinny jeans"], "season": ["ss2017"],
                  "composition": ["98% cotton, 2% elastane."]},
    )  # fmt: skip


def test_rows_come_in_order_with_their_places_and_splits(fashiongen):
    reader: RawReader = FashionGenReader(fashiongen([{"id": 1}, {"id": 1}, {"id": 2}], [{"id": 3}, {"id": 1}]))
    rows = list(reader.rows())
    assert [(row.product_id, row.place) for row in rows] == [("1", 0), ("1", 1), ("2", 2), ("3", 0), ("1", 1)]
    assert [row.photo for row in rows] == [f"{row.source}#{row.place}" for row in rows]
    assert [row.source_split for row in rows] == ["train"] * 3 + ["test"] * 2
    assert reader.rows_in() == 5


def test_rows_without_text_are_rejected(fashiongen):
    rows = list(FashionGenReader(fashiongen([{"description": " <br> "}, {}])).rows())
    assert rows[0] == Rejected(TRAIN, 0, "0", "no description")
    assert isinstance(rows[1], Listing)


def test_photos_are_examined_in_the_order_asked(fashiongen):
    blank = np.zeros((8, 8, 3), np.uint8)
    dotted = blank.copy()
    dotted[7, 7, 2] = 1
    rows = [{"pixels": blank}, {"pixels": blank + np.uint8([9, 8, 7])}, {"pixels": dotted}, {"description": ""}]
    refs = [f"{TRAIN}#{place}" for place in (3, 1, 0, 2)] + [f"{VALIDATION}#0", f"{TRAIN}#3"]
    found = list(FashionGenReader(fashiongen(rows)).examine(refs))
    assert [str(facts) for facts in found if isinstance(facts, UnusablePhotoError)] == [
        "blank photo: every pixel is (9, 8, 7)",
        "blank photo: every pixel is (0, 0, 0)",
    ]
    assert [getattr(facts, "photo", None) for facts in found] == [refs[0], None, None, *refs[3:]]
    whole = noise(3)
    sha256 = hashlib.sha256(whole.tobytes()).hexdigest()
    assert found[0] == found[5] == PhotoFacts(refs[0], 8, 8, sha256, perceptual_hash(Image.fromarray(whole)))


def test_nothing_has_to_be_downloaded(fashiongen):
    assert FashionGenReader(fashiongen()).missing([f"{TRAIN}#0"]) == {}


def test_rows_gained_elsewhere_leave_the_photos_stamps(tmp_path):
    write_growing(tmp_path / TRAIN, [{} for _ in range(5)])
    write_growing(tmp_path / VALIDATION, [{}])
    reader = FashionGenReader(tmp_path)
    refs = [f"{TRAIN}#{place}" for place in (1, 2, 4)]
    whole, before, others = reader.stamps(), reader.photo_stamps(refs), reader.photo_stamps(refs[:2])
    grow(tmp_path / TRAIN, [{}, {}, {}])
    assert reader.rows_in() == 9
    assert reader.stamps() != whole
    assert reader.photo_stamps(refs) == before != others
    with h5py.File(tmp_path / TRAIN, "a") as file:
        file["input_image"][2, 3, 3] ^= 1
    assert reader.photo_stamps(refs) != before


def test_stamps_are_in_the_order_of_the_photos(fashiongen):
    reader = FashionGenReader(fashiongen())
    refs = [f"{TRAIN}#{place}" for place in range(3)]
    assert reader.photo_stamps(refs) != reader.photo_stamps(refs[::-1])


@pytest.mark.parametrize("price", [0, -1, float("nan"), float("inf")])
def test_a_price_that_is_none_is_absent(fashiongen, price):
    assert next(FashionGenReader(fashiongen([{"price": price}])).rows()).price is None


def test_empty_entities_are_absent(fashiongen):
    row = next(FashionGenReader(fashiongen([{"brand": "", "season": " "}])).rows())
    assert set(row.entities) == {"subcategory", "composition"}


def test_a_missing_optional_column_is_a_warning_and_empty(fashiongen, caplog):
    folder = fashiongen(drop=("input_season", "input_name", "input_msrpUSD"))
    with caplog.at_level(logging.WARNING):
        row = next(FashionGenReader(folder).rows())
    assert f"{TRAIN}: no 'input_name', 'input_season', 'input_msrpUSD'" in caplog.text
    assert (row.title, row.price) == ("", None)
    assert "season" not in row.entities


def test_categories_stand_in_for_missing_subcategories(fashiongen, caplog):
    row = next(FashionGenReader(fashiongen([{"category": "JEANS"}], drop=("input_subcategory",))).rows())
    assert row.subcategory == "JEANS"
    assert row.entities["subcategory"] == ["jeans"]
    assert "stand in" in caplog.text


@pytest.mark.parametrize(
    ("drop", "named"),
    [
        (("input_image",), "'input_image'"),
        (("input_description",), "'input_description'"),
        (("input_productID",), "'input_productID'"),
        (("input_category", "input_subcategory"), "'input_subcategory' or 'input_category'"),
    ],
)
def test_a_missing_needed_key_names_file_and_key(fashiongen, drop, named):
    with pytest.raises(RawDataError, match=f"{TRAIN}: needs {named}"):
        next(FashionGenReader(fashiongen(drop=drop)).rows())


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("input_image", np.zeros((3, 8, 8, 3), np.float32)),
        ("input_image", np.zeros((3, 3, 8, 8), np.uint8)),
        ("input_image", np.zeros((3, 8), np.uint8)),
        ("input_image", np.uint8(3)),
        ("input_productID", np.zeros((3, 1), np.float32)),
        ("input_productID", np.int32(3)),
        ("input_description", np.zeros((3, 2), "S9")),
        ("input_brand", np.zeros((3, 1), np.int8)),
        ("input_description", np.array([["a"], ["b"], ["c"]], dtype=h5py.string_dtype())),
    ],
)
def test_a_wrong_type_or_shape_says_what_was_expected(fashiongen, key, values):
    with pytest.raises(RawDataError, match=f"{TRAIN}: '{key}' should be .* but is "):
        next(FashionGenReader(fashiongen(**{key: values})).rows())


def test_unequal_lengths_are_an_error(fashiongen):
    folder = fashiongen(input_brand=np.zeros((4, 1), "S9"))
    with pytest.raises(RawDataError, match="'input_brand' has 4 rows but 'input_image' has 3"):
        next(FashionGenReader(folder).rows())


def test_flat_columns_are_read_like_tall_ones(fashiongen):
    folder = fashiongen(input_productID=np.array([4, 5, 6]), input_description=np.array([b"a", b"b", b"c"]))
    assert [row.product_id for row in FashionGenReader(folder).rows()][:3] == ["4", "5", "6"]


def test_a_fault_of_the_second_file_is_found_before_the_first_row(fashiongen):
    folder = fashiongen()
    content = (folder / VALIDATION).read_bytes()
    (folder / VALIDATION).write_bytes(content[: len(content) // 2])
    with pytest.raises(RawDataError, match=f"{VALIDATION}: not a whole HDF5 file"):
        next(FashionGenReader(folder).rows())
    (folder / VALIDATION).unlink()
    with pytest.raises(RawDataError, match=f"{VALIDATION}: no such file"):
        next(FashionGenReader(folder).rows())


def test_an_empty_file_has_no_rows(fashiongen):
    assert [row.source_split for row in FashionGenReader(fashiongen(validation=[])).rows()] == ["train"] * 3


def test_photos_come_in_the_order_asked(fashiongen):
    folder = fashiongen([{} for _ in range(6)], validation=[{"pixels": noise(50)}])
    wanted = [f"{TRAIN}#1", f"{TRAIN}#2", f"{TRAIN}#5", f"{VALIDATION}#0", f"{TRAIN}#0", f"{TRAIN}#0"]
    found = list(FashionGenReader(folder).photos(wanted))
    assert [photo.mode for photo in found] == ["RGB"] * 6
    for photo, seed in zip(found, [1, 2, 5, 50, 0, 0], strict=True):
        np.testing.assert_array_equal(np.asarray(photo), noise(seed))


@pytest.mark.parametrize("chunks", [(1, 8, 8, 3), (4, 8, 4, 3), (6, 8, 8, 3)])
def test_photos_and_rows_agree_whatever_the_chunks(fashiongen, chunks, monkeypatch):
    monkeypatch.setattr("eiclip.readers.fashiongen.hdf5.SLAB_BYTES", 2 * 192)
    monkeypatch.setattr("eiclip.readers.fashiongen.hdf5.WIDE_SLAB_BYTES", 5 * 192)
    folder = fashiongen([{} for _ in range(11)], drop=("input_image",))
    with h5py.File(folder / TRAIN, "a") as file:
        pixels = np.stack([noise(i) for i in range(11)])
        file.create_dataset("input_image", data=pixels, chunks=chunks, compression="gzip")
    reader = FashionGenReader(folder)
    refs = [row.photo for row in reader.rows()]
    assert refs == [*(f"{TRAIN}#{i}" for i in range(11)), f"{VALIDATION}#0"]
    hashes = [hashlib.sha256(photo.tobytes()).hexdigest() for photo in reader.photos(refs)]
    assert hashes == [facts.photo_sha256 for facts in reader.examine(refs)]
    assert hashes == [hashlib.sha256(noise(i).tobytes()).hexdigest() for i in (*range(11), 0)]


@pytest.mark.parametrize("ref", ["other.h5#1", f"{TRAIN}#-1", TRAIN, f"../{TRAIN}#1", f"{TRAIN}#99", f"{TRAIN}#"])
def test_a_ref_of_another_place_is_an_error(fashiongen, ref):
    reader = FashionGenReader(fashiongen())
    for look in (reader.photos, reader.examine):
        with pytest.raises(RawDataError):
            list(look([ref]))
    with pytest.raises(RawDataError):
        reader.photo_stamps([ref])


def test_an_unknown_group_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="'colour' is not in Fashion-Gen data: choose from brand"):
        FashionGenReader(tmp_path, groups=("brand", "colour"))


def test_stamps_follow_the_files(fashiongen):
    folder = fashiongen()
    reader = FashionGenReader(folder)
    before = reader.stamps()
    assert FashionGenReader(folder).stamps() == before
    os.utime(folder / TRAIN, (1, 1))
    assert reader.stamps() != before
    (folder / TRAIN).unlink()
    with pytest.raises(RawDataError, match=TRAIN):
        reader.stamps()


def test_real_products(real_products):
    folder = real_products("fashiongen", "--limit", "40", "--images-per-product", "2")
    reader = FashionGenReader(folder)
    rows = list(reader.rows())
    assert len(rows) == reader.rows_in() == 80
    assert all(isinstance(row, Listing) for row in rows)
    assert len({row.photo for row in rows}) == 80
    assert {row.source_split for row in rows} == {"train", "test"}
    assert sum("brand" in row.entities for row in rows) > 60
    (facts,) = reader.examine([rows[3].photo])
    photo = next(reader.photos([facts.photo]))
    assert hashlib.sha256(photo.tobytes()).hexdigest() == facts.photo_sha256
