import csv
import dataclasses
import datetime
import decimal
import gzip
import hashlib
import io
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eiclip.errors import RawDataError, SettingsError
from eiclip.readers.base import Listing, Rejected
from eiclip.readers.cells import MAX_LINE_BYTES
from eiclip.readers.table.reader import TableReader
from eiclip.settings.load import ColumnSettings

from ..conftest import encoded

COLUMNS = ColumnSettings(product_id="sku", title="name", description=("details",), photo="picture")
FULL = COLUMNS.model_copy(
    update={"split": "part", "category": "kind", "price": "price", "entities": {"brand": "maker", "season": "season"}}
)
DRESS = {
    "sku": "D-1", "name": "Wrap <b>dress</b>", "details": "Silk &amp; cotton.", "picture": "d-1.jpg", "part": "train",
    "kind": "Dresses", "price": "49.50", "maker": "ÉTOILE  Bleue", "season": "n/a",
}  # fmt: skip


def as_csv(rows, delimiter=","):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_jsonl(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_parquet(rows):
    content = io.BytesIO()
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows), content)
    return content.getvalue()


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table's bytes and opens a reader of it."""

    def write(content, columns=COLUMNS, groups=(), name="shop.csv", images=None, downloads=None, encoding=None):
        (tmp_path / name).write_bytes(content)
        return TableReader([tmp_path / name], columns, images or tmp_path, groups, downloads, encoding)

    return write


@pytest.mark.parametrize("form", [as_csv, as_jsonl, as_parquet])
def test_every_format_gives_the_same_listing(table, form):
    (listing,) = table(form([DRESS]), FULL, ("season", "brand", "category")).rows()
    assert listing == Listing(
        source="shop.csv", place=0, product_id="D-1", photo="d-1.jpg", title="Wrap dress",
        description="Wrap dress. Silk & cotton.", description_raw="Wrap <b>dress</b>\nSilk &amp; cotton.",
        source_split="train", category="Dresses", price=49.5,
        entities={"season": ["n/a"], "brand": ["étoile bleue"], "category": ["dresses"]},
    )  # fmt: skip


@pytest.mark.parametrize("form", [as_csv, as_jsonl, as_parquet])
def test_prices_are_read_by_the_form_of_their_column_in_all_files(tmp_path, form):
    for name, prices in {"a.csv": ["1.299", "2.499"], "b.csv": ["12,50 €", "8 USD", "Call us", ""]}.items():
        (tmp_path / name).write_bytes(form([DRESS | {"price": price} for price in prices]))

    def read(**settings):
        columns = FULL.model_copy(update=settings)
        rows = TableReader([tmp_path / "a.csv", tmp_path / "b.csv"], columns, tmp_path, ()).rows()
        return [(row.price, row.price_unread) for row in rows]

    euros = [(1299.0, None), (2499.0, None), (12.5, None), (None, "8 USD"), (None, "Call us"), (None, None)]
    assert read() == euros
    assert read(currency="EUR", decimal=",") == euros
    dollars = read(currency="USD", decimal=".")
    assert dollars == [(1.299, None), (2.499, None), (None, "12,50 €"), (8.0, None), (None, "Call us"), (None, None)]


@pytest.mark.parametrize("form", [as_csv, as_jsonl])
def test_gzipped_tables_are_read_whatever_they_are_named(table, form):
    reader = table(gzip.compress(form([DRESS, DRESS])), name="shop.parquet")
    assert [row.place for row in reader.rows()] == [0, 1]
    assert reader.rows_in() == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_by_the_wanted_columns(table, delimiter):
    row = DRESS | {"a, b; c | d": 'Says "hi",\nthen;goes|on\t'}
    (listing,) = table(as_csv([row], delimiter)).rows()
    assert listing.title == "Wrap dress"


def test_quoted_line_ends_windows_line_ends_and_a_byte_order_mark(table):
    content = '\ufeffsku,name,details,picture\r\nA,"Red\r\nhat",warm,a.jpg\r\nB,Scarf,long,b.jpg'
    listings = list(table(content.encode()).rows())
    assert [(row.product_id, row.title, row.place) for row in listings] == [("A", "Red hat", 0), ("B", "Scarf", 1)]


SEVERAL = FULL.model_copy(update={"separators": {"brand": "|", "category": " / "}})
NAMES = ["Black", "black ", "WHITE", "", " ", "n/a", "rag & bone", "a/b", "x|y"]


@pytest.mark.parametrize("form", [as_jsonl, as_parquet])
def test_every_text_of_a_list_column_is_an_entity(table, form):
    row = DRESS | {"maker": ["Black", None, "n/a", "WHITE", " black"], "season": ["Fall"], "kind": ["Dresses", "Party"]}
    (listing,) = table(form([row]), FULL, ("brand", "season", "category")).rows()
    assert listing.entities == {
        "brand": ["black", "n/a", "white"],
        "season": ["fall"],
        "category": ["dresses", "party"],
    }
    assert listing.category == "Dresses"


@pytest.mark.parametrize("form", [as_csv, as_jsonl, as_parquet])
def test_a_text_is_one_entity_unless_its_group_has_a_separator(table, form):
    row = DRESS | {"maker": "|Black| n/a|White|black", "season": "Fall|Spring", "kind": "Dresses / Party"}
    groups = ("brand", "season", "category")
    (one,) = table(form([row]), FULL, groups).rows()
    assert one.entities == {
        "brand": ["|black| n/a|white|black"], "season": ["fall|spring"], "category": ["dresses / party"]
    }  # fmt: skip
    (several,) = table(form([row]), SEVERAL, groups).rows()
    assert several.entities == {
        "brand": ["black", "n/a", "white"], "season": ["fall|spring"], "category": ["dresses", "party"]
    }  # fmt: skip
    assert (one.category, several.category) == ("Dresses / Party", "Dresses")


@pytest.mark.parametrize("nothing", ["NULL", "#N/A", r"\N", "{{product.title}}", "Shop item"])
def test_what_says_nothing_is_no_text_no_category_and_no_id(tmp_path, nothing):
    rows = [DRESS | {"name": nothing, "kind": nothing}, DRESS | {"sku": nothing}]
    (tmp_path / "shop.csv").write_bytes(as_csv(rows))
    reader = TableReader([tmp_path / "shop.csv"], FULL, tmp_path, ("category",), placeholders=["shop ITEM"])
    listing, other = reader.rows()
    assert (listing.title, listing.category, listing.entities) == ("", "", {"category": [nothing.lower()]})
    assert nothing not in listing.description
    assert listing.description_raw.startswith(nothing), "what was left out can be counted"
    assert isinstance(other, Listing if nothing == "Shop item" else Rejected)


@settings(max_examples=50, deadline=None)
@given(names=st.lists(st.sampled_from(NAMES), max_size=8), as_list=st.booleans())
def test_values_are_those_of_single_cells_once_and_in_order(names, as_list):
    """The oracle reads every value as a product of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shop.jsonl"

        def brands(columns, *cells):
            file.write_bytes(as_jsonl([DRESS | {"maker": cell} for cell in cells]))
            return [row.entities.get("brand", []) for row in TableReader([file], columns, None, ("brand",)).rows()]

        parts = [part for name in names for part in name.split("|")]
        expected = []
        for found in brands(FULL, *parts) if parts else []:
            expected += [name for name in found if name not in expected]
        assert brands(SEVERAL, names if as_list else "|".join(names)) == [expected]


def test_a_row_of_very_many_entities_is_rejected(table):
    row = DRESS | {"maker": "|".join(map(str, range(33)))}
    (rejected,) = table(as_csv([row]), SEVERAL, ("brand",)).rows()
    assert rejected == Rejected("shop.csv", 0, "D-1", "too many entities: 33 of 'brand', at most 32")
    (listing,) = table(as_csv([row | {"maker": row["maker"][:-3] + "|1|1"}]), SEVERAL, ("brand",)).rows()
    assert len(listing.entities["brand"]) == 32


def test_rows_of_one_id_are_photos_of_one_product(table):
    rows = list(table(as_csv([DRESS, DRESS | {"picture": "back.jpg"}])).rows())
    assert [(row.product_id, row.photo) for row in rows] == [("D-1", "d-1.jpg"), ("D-1", "back.jpg")]


def test_a_row_that_is_not_in_the_encoding_is_rejected_with_the_place_of_its_bytes(table):
    rows = [DRESS | {"sku": f"D-{number}", "maker": "Hermès"} for number in range(3)]
    bad, *good = table(as_csv(rows).replace(b"D-0", b"D\xe90"), FULL, ("brand",)).rows()
    assert bad == Rejected("shop.csv", 0, None, "not UTF-8: its byte 2 is 0xe9")
    assert [row.entities["brand"] for row in good] == [["hermès"]] * 2
    bad, *good = table(as_jsonl(rows).replace(b"D-0", b"D\xe90"), FULL, ("brand",)).rows()
    assert bad == Rejected("shop.csv", 0, None, "not UTF-8: its byte 11 is 0xe9")
    assert [row.entities["brand"] for row in good] == [["hermès"]] * 2


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp1252", ["Robe d’été brodée", "Hermès", "Größe für Mädchen"]),
        ("cp1250", ["sukienka żółta", "łączka śliczna", "źdźbło"]),
        ("gb18030", ["女装连衣裙", "红色真丝", "男鞋皮革"]),
        ("cp1251", ["Платье красное", "Сапоги кожаные", "Синяя юбка"]),
        ("cp932", ["ワンピース", "靴革製", "帽子"]),
    ],
)
def test_a_file_that_mostly_is_in_another_encoding_is_read_and_told(table, caplog, encoding, names):
    content = as_csv([DRESS | {"sku": f"D-{n}", "name": name, "maker": ""} for n, name in enumerate(names)]).decode()
    rows = table(content.encode(encoding)).rows()
    assert [row.title for row in rows] == names
    assert f"most lines are not UTF-8 and are read as {encoding}" in caplog.text


@pytest.mark.parametrize("form", [as_csv, as_jsonl])
def test_an_encoding_that_is_set_is_that_of_every_row(table, form):
    rows = [DRESS | {"sku": f"D-{number}", "maker": "Hermès"} for number in range(3)]
    content = (
        form(rows) if form is as_csv else b"".join(json.dumps(r, ensure_ascii=False).encode() + b"\n" for r in rows)
    )
    found = list(table(content.decode().encode("cp1252"), FULL, ("brand",), encoding="cp1252").rows())
    assert [row.entities["brand"] for row in found] == [["hermès"]] * 3


def test_a_quote_that_never_closes_costs_one_row(table):
    lines = [b"Q%d,Dress %d,x,%d.jpg" % (number, number, number) for number in range(8)]
    lines[2] = lines[2].replace(b"Dress", b'"Dress')
    for later in (lines[5], lines[5].replace(b"Dress 5", b'"Dress, 5"'), lines[5].replace(b"Dress 5", b'5" heel')):
        reader = table(b"\n".join([b"sku,name,details,picture", *lines[:5], later, *lines[6:]]))
        found = list(reader.rows())
        assert [row.product_id for row in found] == [None if n == 2 else f"Q{n}" for n in range(8)]
        assert found[2] == Rejected("shop.csv", 2, None, "bad row: a quote is opened and not closed as it should be")
        assert reader.rows_in() == 8


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda text: text.replace(b"\r\n", b"\r"), ""),
        (lambda text: b"sep=,\r\n" + text, "the header is line 2"),
        (lambda text: b"Products,,,\r\nMade today,,,\r\n\r\n" + text, "the header is line 4"),
        (lambda text: text.replace(b"\r\n", b",\r\n").replace(b"picture,", b"picture"), ""),
        (lambda text: text.replace(b"\r\n", b";;\r\n"), ""),
        (lambda text: text.replace(b'""', b'\\"'), ""),
    ],
    ids=["CR", "sep", "titles", "trailing", "trailing in the header too", "backslashes"],
)
def test_headers_and_quotes_as_programs_write_them(table, caplog, changed, said):
    rows = [
        {"sku": "A", "name": 'The "A", a skirt', "details": "x", "picture": "a.jpg"},
        {"sku": "B", "name": "Plain", "details": 'A 5" heel', "picture": "b.jpg"},
    ]
    content = as_csv(rows)
    if changed(b"\r\n") == b";;\r\n":
        content = as_csv(rows, ";")
    reader = table(changed(content))
    assert [(row.product_id, row.title, row.photo) for row in reader.rows()] == [
        ("A", 'The "A", a skirt', "a.jpg"), ("B", "Plain", "b.jpg")
    ]  # fmt: skip
    assert reader.rows_in() == 2
    assert said in caplog.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sku": " "}, "no id"),
        ({"sku": "x" * 129}, "bad id"),
        ({"sku": "a\0b"}, "bad id"),
        ({"sku": "8.71234E+12"}, "bad id: '8.71234E+12' was rounded by a spreadsheet"),
        ({"sku": "8,7e+12"}, "bad id: '8,7e+12' was rounded by a spreadsheet"),
        ({"sku": "a\x1bb"}, "bad id"),
        ({"name": "<br>", "details": "-"}, "no title and no description"),
        ({"picture": ""}, "no photo"),
        ({"picture": "ftp://shop/a.jpg"}, "bad photo: 'ftp://shop/a.jpg' is neither http nor https"),
        ({"picture": "https://shop/a\tb.jpg"}, "bad photo: 'https://shop/a\\tb.jpg' has control characters"),
        ({"picture": "data:image/png;base64,iVBOR"}, "bad photo: text cannot hold a photo's bytes (base64)"),
        ({"picture": "A" * 5000}, "bad photo: text cannot hold a photo's bytes (base64)"),
        ({"picture": "a\0.jpg"}, "bad photo: 'a\\x00.jpg' has control characters"),
        ({"part": "Validation"}, "bad split: validation is drawn from train"),
        ({"part": "dev2"}, "bad split: 'dev2' is neither"),
        ({"part": ""}, "bad split: '' is neither"),
    ],
)
@pytest.mark.parametrize("form", [as_csv, as_jsonl, as_parquet])
def test_unusable_rows_are_rejected_with_a_reason(table, form, change, reason):
    rows = list(table(form([DRESS | change, DRESS]), FULL).rows())
    assert isinstance(rows[0], Rejected)
    assert rows[0].reason.startswith(reason)
    assert isinstance(rows[1], Listing)


def test_cells_of_odd_types(table):
    line = {
        "sku": 12.0, "name": ["Boots", "never seen"], "details": ["warm", 7, None, {"a": 1}, True, ["deep"]],
        "picture": ["a.jpg"], "price": 30, "maker": {"name": "x"}, "part": "TRAIN ", "kind": None,
        "season": float("nan"),
    }  # fmt: skip
    (row,) = table(as_jsonl([line]), FULL, ("brand", "season")).rows()
    assert (row.product_id, row.title, row.description) == ("12", "Boots", "Boots. warm. 7. true")
    assert (row.price, row.source_split, row.category, row.entities) == (30.0, "train", "", {})


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        ([{"bytes": "aGk="}, "b.jpg"], "bad photo: text cannot hold"),
        ([None, ""], "no photo"),
        ({"bytes": "aGk=", "path": None}, "bad photo: text cannot hold"),
        (True, "no photo"),
        (None, "no photo"),
        ([], "no photo"),
        ("\ud800.jpg", "bad photo"),
    ],
)
def test_odd_photo_cells_are_rejected(table, picture, reason):
    (row,) = table(as_jsonl([DRESS | {"picture": picture}])).rows()
    assert row.reason.startswith(reason)
    row.reason.encode()


def test_parquet_cells_of_odd_types(table):
    columns = {
        "sku": pa.array([1, None], pa.float64()),
        "name": pa.array([b"caf\xe9 hat", b"x"], pa.binary()),
        "details": pa.array([["a", "b"], None], pa.list_(pa.string())),
        "picture": pa.array(["a.jpg", "a.jpg"]).dictionary_encode(),
        "price": pa.array([decimal.Decimal("9.90"), None]),
        "maker": pa.array([datetime.datetime(2020, 1, 1)] * 2, pa.timestamp("ns")),
        "season": pa.array([b"\xff\xfe"] * 2).view(pa.string()),
        "part": ["test", "test"],
        "kind": pa.array([[1], [2]], pa.list_(pa.int8())),
    }
    content = as_parquet(pa.table(columns))
    bad = list(table(content, FULL, ("brand", "season")).rows())
    assert [row.reason[:18] for row in bad] == ["not UTF-8: its byt", "not UTF-8: its byt"]
    first, second = table(content, FULL, ("brand", "season"), encoding="latin-1").rows()
    assert (first.product_id, first.title, first.description) == ("1", "café hat", "café hat. a. b")
    assert first.entities["season"] == ["ÿþ"]
    assert (first.price, first.category) == (9.9, "1")
    assert first.entities["brand"][0].startswith("2020-01-01")
    assert second == Rejected("shop.csv", 1, None, "no id")


def test_urls_keep_their_address_and_a_reference_of_fixed_form(table):
    url = "https://shop.example/a.jpg?size=1"
    (row,) = table(as_csv([DRESS | {"picture": f" {url} "}])).rows()
    assert row.photo_urls == (url,)
    assert row.photo == "url:" + hashlib.sha256(url.encode()).hexdigest()[:32]


SHOPIFY = FULL.model_copy(update={"split": None})


@pytest.mark.parametrize("form", [as_csv, as_jsonl, as_parquet])
def test_further_rows_of_a_product_that_have_a_photo_alone_are_its_photos(table, form):
    empty = dict.fromkeys(DRESS, "") | {"sku": "D-1", "price": "30"}
    rows = [
        DRESS, empty | {"picture": "2.jpg"}, empty, empty | {"picture": "3.jpg", "maker": "Gap"},
        DRESS | {"sku": "D-2", "picture": ""}, empty | {"sku": "D-2", "picture": "4.jpg"}, empty | {"picture": "5.jpg"},
    ]  # fmt: skip
    found = list(table(form(rows), SHOPIFY, ("brand",)).rows())
    assert [row.photo if isinstance(row, Listing) else row.reason for row in found] == [
        "d-1.jpg", "2.jpg", "no photo of its own: a further row of the product above, such as a variant", "3.jpg",
        "no photo", "4.jpg", "no title and no description",
    ]  # fmt: skip
    first, second, fourth, last = (found[number] for number in (0, 1, 3, 5))
    assert second == dataclasses.replace(first, place=1, photo="2.jpg", price=30.0)
    assert fourth == dataclasses.replace(second, place=3, photo="3.jpg", entities={"brand": ["gap"]})
    assert (last.product_id, last.title) == ("D-2", "Wrap dress")


def test_a_row_that_cannot_be_read_gives_the_next_no_texts(table):
    content = as_csv([DRESS]) + b'D-1,"open\nD-1,,,2.jpg,,,,,\n'
    assert [getattr(row, "reason", "")[:7] for row in table(content, SHOPIFY).rows()] == ["", "bad row", "no titl"]


@pytest.mark.parametrize("form", [as_csv, as_jsonl, as_parquet])
def test_a_template_makes_the_photo_of_columns(table, form):
    columns = COLUMNS.model_copy(update={"photo": "{kind}/{number}.jpg"})
    rows = [
        DRESS | {"kind": kind, "number": number, "picture": "", "none": ""}
        for kind, number in (("women", 7), ("a, b", 8), ("", 9), ("../..", 10))
    ]
    found = list(table(form(rows), columns).rows())
    assert [row.photo if isinstance(row, Listing) else row.reason for row in found] == [
        "women/7.jpg", "a, b/8.jpg", "no photo", "../../10.jpg"
    ]  # fmt: skip
    urls = COLUMNS.model_copy(update={"photo": "https://shop.example/{kind}/{number}.jpg?v=1"})
    assert next(table(form(rows[1:]), urls).rows()).photo_urls == ("https://shop.example/a%2C%20b/8.jpg?v=1",)
    gone = COLUMNS.model_copy(update={"photo": "{nummer}.jpg"})
    with pytest.raises(RawDataError, match=r"shop\.csv: no column 'nummer'; it has 'sku'"):
        list(table(form(rows), gone).rows())


def test_a_template_needs_no_column_of_photos_and_its_files_are_read(table, tmp_path):
    columns = COLUMNS.model_copy(update={"photo": "{sku}.jpg"})
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "d-1.png").write_bytes(encoded("PNG"))
    content = as_parquet([{"sku": "D-1", "name": "Dress", "details": "x"}])
    reader = table(content, columns, images=tmp_path / "photos")
    (facts,) = reader.examine([row.photo for row in reader.rows()])
    assert (facts.photo, facts.other_name) == ("d-1.png", True)


@pytest.mark.parametrize(("cell", "photo"), [(15970, "15970"), (15970.0, "15970"), (["a.jpg", "b.jpg"], None)])
def test_numbers_and_lists_name_photos(table, cell, photo):
    (row,) = table(as_jsonl([DRESS | {"picture": cell}])).rows()
    assert row.photo == (photo or json.dumps(cell))


@pytest.mark.parametrize("path", ["url:" + "0" * 32, "shop.csv#3"])
def test_a_path_is_never_taken_for_another_reference(table, path):
    (row,) = table(as_csv([DRESS | {"picture": path}])).rows()
    assert row.photo == f"./{path}"


@pytest.mark.parametrize("form", [as_csv, as_jsonl, as_parquet])
def test_a_missing_column_is_an_error_that_names_what_there_is(table, form):
    row = {name: cell for name, cell in DRESS.items() if name != "maker"}
    with pytest.raises(RawDataError, match=r"shop\.csv: no column 'maker'; it has 'sku', 'name'.*`columns`"):
        list(table(form([row]), FULL, ("brand",)).rows())
    assert len(list(table(form([row]), FULL).rows())) == 1  # a column that no group needs is not missed


def test_columns_of_all_files_are_checked_before_the_first_row(tmp_path):
    (tmp_path / "a.csv").write_bytes(as_csv([DRESS]))
    (tmp_path / "b.csv").write_text("sku,name\n1,hat\n")
    with pytest.raises(RawDataError, match=r"b\.csv: no column 'details'"):
        next(TableReader([tmp_path / "a.csv", tmp_path / "b.csv"], COLUMNS, tmp_path, ()).rows())


def test_several_files_of_different_formats_are_one_table(tmp_path):
    for name, form in (("a", as_csv), ("b", as_jsonl), ("c", as_parquet)):
        (tmp_path / name).write_bytes(form([DRESS, DRESS]))
    reader = TableReader([tmp_path / name for name in "abc"], COLUMNS, None, ())
    assert [(row.source, row.place) for row in reader.rows()] == [(name, i) for name in "abc" for i in range(2)]
    assert reader.rows_in() == 6


def test_bad_settings_are_refused(tmp_path):
    for columns, groups, match in (
        (FULL, ("brand", "colour"), "'colour' is not in the table's columns .add it under columns.entities.:"),
        (COLUMNS, ("category",), "'category' is not in the table's columns"),
        (FULL, ("brand", "brand"), "name one twice"),
        (ColumnSettings(), (), "name no text"),
    ):
        with pytest.raises(SettingsError, match=match):
            TableReader([tmp_path / "a"], columns, None, groups)
    with pytest.raises(SettingsError, match="two files of the table are named 'a'"):
        TableReader([tmp_path / "a", tmp_path / "b" / "a"], COLUMNS, None, ())


def test_missing_files_are_errors(tmp_path):
    for files, match in (([], "no files"), ([tmp_path / "absent"], "absent")):
        reader = TableReader(files, COLUMNS, None, ())
        for act in (reader.stamps, reader.rows_in, lambda reader=reader: list(reader.rows())):
            with pytest.raises(RawDataError, match=match):
                act()


def test_stamps_follow_the_files(table):
    """Columns and groups are not in them: tests/assets/test_raw.py has what records are made from."""
    reader = table(as_csv([DRESS]), FULL, ("brand",))
    before = reader.stamps()
    assert reader.stamps() == before
    assert table(as_csv([DRESS, DRESS]), FULL, ("brand",)).stamps() != before


def test_a_bad_csv_row_costs_no_other_row(table):
    lines = ["sku,name,details,picture", '1,"un"closed,x,a.jpg', "2,Hat,x", "", "3,Hat,x,a.jpg,more", "4,Hat,x,a.jpg"]
    reader = table("\n".join([*lines, '5,"cut off']).encode())
    reasons = [row.reason.partition(":")[0] if isinstance(row, Rejected) else row.product_id for row in reader.rows()]
    assert reasons == ["bad row", "bad row", "blank row", "bad row", "4", "bad row"]
    assert reader.rows_in() == 6


def test_endless_lines_cells_and_rows_are_single_rejected_rows(table):
    header, good = b"sku,name,details,picture\n", b"1,Hat,x,a.jpg\n"
    line = b"x" * (MAX_LINE_BYTES + 1) + b"\n"
    cell = b"2,Hat," + b"y" * 200_000 + b",a.jpg\n"
    row = b'2,"' + b"\ny" * 2_000 + b'"\n'  # quoted line ends: longer than any row
    reader = table(header + line + good + cell + good + row)
    kinds = [item.reason[:13] if isinstance(item, Rejected) else item.product_id for item in reader.rows()]
    assert kinds[:6] == ["line too long", "1", "2", "1", "bad row: a qu", "bad row: 1 ce"]
    assert len(kinds) == 4 + 2_001
    assert reader.rows_in() == len(kinds)


def test_an_endless_json_line_is_a_single_rejected_row(table):
    reader = table(as_jsonl([DRESS]) + b'{"a": "' + b"x" * MAX_LINE_BYTES + b'"}\n' + b"[" * 50_000 + b"\n")
    rows = list(reader.rows())
    assert [row.reason for row in rows[1:]] == [
        f"line too long: over {MAX_LINE_BYTES:,} bytes",
        "broken JSON: nested too deeply",
    ]
    assert reader.rows_in() == 3


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        ("sku,name".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04xl/worksheets", "Excel"),
        (b'[{"sku": 1}]', "no column 'name'; it has 'sku'"),
        (gzip.compress(b"PAR1", mtime=0), "gzipped Parquet"),
        (gzip.compress(as_csv([DRESS] * 50))[:-20], "cut short"),
        (b"PAR1 and no more", "damaged or cut short"),
        (b"x" * (MAX_LINE_BYTES + 1), "expected a CSV header"),
        (b'"sku"x,name\n1,2\n', "no column 'sku'"),
        (as_csv([DRESS]).replace(b"season", b"name"), "names 'name' 2 times"),
    ],
)
def test_a_file_that_is_no_table_is_an_error(table, content, match):
    with pytest.raises(RawDataError, match=match):
        list(table(content).rows())


def test_a_cut_parquet_file_is_an_error(table):
    content = as_parquet([DRESS] * 100)
    for broken in (content[:-50], content[:100] + b"\xff" * 300 + content[400:]):
        with pytest.raises(RawDataError, match="damaged or cut short"):
            list(table(broken).rows())


def test_real_products_as_a_table(real_products, tmp_path):
    folder = real_products("amazon", "--limit", "40", "--edition", "2023")
    columns = ColumnSettings(
        product_id="parent_asin", title="title", description=("features", "description"), photo="picture",
        entities={"brand": "store"},
    )  # fmt: skip
    packed = gzip.decompress((folder / "meta_Tops.jsonl.gz").read_bytes()).splitlines()
    rows = [json.loads(line) for line in packed]
    rows = [row | {"picture": f"{row['parent_asin']}.jpg"} for row in rows]
    (tmp_path / "shop").write_bytes(as_jsonl(rows))
    reader = TableReader([tmp_path / "shop"], columns, folder / "images", ("brand",))
    listings = [row for row in reader.rows() if isinstance(row, Listing)]
    assert len(listings) == 40
    assert not [facts for facts in reader.examine([row.photo for row in listings]) if isinstance(facts, Exception)]


WHOLE = {"csv": (as_csv([DRESS]), as_csv([DRESS]).split(b"\n", 1)[1]), "jsonl": (as_jsonl([DRESS]),) * 2}


@settings(max_examples=150, deadline=None)
@given(data=st.data(), form=st.sampled_from(sorted(WHOLE)), packed=st.booleans())
def test_rows_in_are_rows_out_whatever_the_lines_hold(data, form, packed):
    opening, row = WHOLE[form]

    def mutated(start, length, other):
        return row[:start] + other + row[start + length :]

    line = st.builds(mutated, st.integers(0, len(row)), st.integers(0, 40), st.binary(max_size=12))
    content = opening + b"\n".join(data.draw(st.lists(line | st.binary(max_size=30), max_size=6)))
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "shop"
        file.write_bytes(gzip.compress(content) if packed else content)
        reader = TableReader([file], FULL, Path(name), ("brand",))
        rows = list(reader.rows())
        assert len(rows) == reader.rows_in()
        assert [row.place for row in rows] == list(range(len(rows)))
        assert isinstance(rows[0], Listing)
        for item in rows:
            text = item.reason if isinstance(item, Rejected) else item.product_id + item.photo + item.description
            assert text
            assert "\0" not in text
            text.encode()


OFFERS = FULL.model_copy(update={
    "availability": "stock", "link": "url", "currency": "EUR", "decimal": ".",
    "attributes": {"size": "sizes", "fit": "fit"}, "separators": {"size": "|"},
})  # fmt: skip


@pytest.mark.parametrize("form", [as_csv, as_jsonl, as_parquet])
def test_stock_page_currency_and_attributes_are_read(table, form):
    url = "https://shop.example/a b?x=1&amp;y=2"
    row = DRESS | {"stock": "In_Stock", "url": url, "sizes": "M|XL | m|n/a", "fit": "-"}
    other = row | {"sku": "D-2", "stock": "ask us", "url": "javascript:alert(1)", "sizes": "", "price": ""}
    one, two = table(form([row, other]), OFFERS).rows()
    assert (one.available, one.available_unread, one.currency) == (True, None, "EUR")
    assert (one.link, one.link_unread) == ("https://shop.example/a%20b?x=1&y=2", None)
    assert one.attributes == {"size": ["m", "xl"]}
    assert (two.available, two.available_unread, two.currency) == (None, "ask us", None)
    assert (two.link, two.link_unread, two.attributes) == (None, "javascript:alert(1)", {})


def test_lists_truth_values_and_numbers_are_attributes_and_stock(table):
    row = DRESS | {"url": None, "sizes": [36, 38.0, None], "fit": ["Slim"]}
    found = list(table(as_jsonl([row | {"stock": stock} for stock in (True, False, 0)]), OFFERS).rows())
    assert [row.available for row in found] == [True, False, False]
    assert found[0].attributes == {"size": ["36", "38"], "fit": ["slim"]}


@pytest.mark.parametrize("address", ["ftp://shop.example/a", "/p/1", "www.shop.example", "https://a\x00.example", "x"])
def test_a_link_is_http_or_https(table, address):
    (row,) = table(as_jsonl([DRESS | {"url": address, "stock": 1, "sizes": "", "fit": ""}]), OFFERS).rows()
    assert row.link is None
    assert row.link_unread


def test_a_variant_without_a_photo_keeps_its_size_and_stock(table):
    sold = {"stock": "0", "url": "", "sizes": "36", "fit": ""}
    variant = dict.fromkeys(DRESS, "") | {"sku": "D-1"} | sold | {"sizes": "38", "stock": "2"}
    first, second = table(as_csv([DRESS | sold, variant]), OFFERS).rows()
    assert (first.available, first.attributes) == (False, {"size": ["36"]})
    assert isinstance(second, Rejected)
    assert second.reason.startswith("no photo of its own")
    assert (second.available, second.attributes) == (True, {"size": ["38"]})
