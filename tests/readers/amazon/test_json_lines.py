"""The fast way through Amazon metadata says what the line reader says, whatever the lines hold."""

import gzip
import tempfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eiclip.errors import RawDataError
from eiclip.readers.amazon.metadata import GROUPS
from eiclip.readers.amazon.reader import AmazonReader
from eiclip.readers.lines import count_lines, numbered_lines
from eiclip.readers.records import write_records, write_rows
from eiclip.storage.lake import open_views

from ..conftest import as_line

DRESS = {
    "asin": "B1", "title": "Red Dress", "brand": "Diesel", "category": ["Clothing", "Dresses"], "price": "$5",
    "feature": ["100% Cotton", "Fits well."], "description": ["A red dress."], "imageURL": ["http://x/1.jpg"],
}  # fmt: skip
SHOE = {
    "parent_asin": "B2", "title": "Shoe", "details": {"Brand": "Nike"}, "store": "Nike", "price": 12.5,
    "features": ["Light"], "description": [], "main_category": "AMAZON FASHION", "categories": ["Shoes", "Men"],
    "images": [{"thumb": "http://x/t", "large": "http://x/l", "hi_res": None}],
}  # fmt: skip


def stored(path):
    """Every column of every row; an entity that is empty is as absent."""
    with duckdb.connect() as connection:
        open_views(connection, {"records": [path]})
        rows = connection.sql("FROM records ORDER BY place").to_arrow_table().to_pylist()
    for row in rows:
        row["entities"] = {group: entity for group, entity in row["entities"] or [] if entity != [""]}
    return rows


def both_ways(metadata, **options):
    """What the fast way stores (None where it has to be read line by line) and what the line reader stores."""
    folder = metadata.parent
    options = {"groups": GROUPS, "downloads": folder / "downloads"} | options

    def reader():
        return AmazonReader(metadata, folder / "images", **options)

    fast = stored(folder / "fast") if reader().write("d", folder / "fast") else None
    write_rows(folder / "slow", "d", reader().rows())
    return fast, stored(folder / "slow")


def assert_agree(metadata, lines, packed=False, end=b"\n", **options):
    content = end.join(map(as_line, lines)) + end
    metadata.write_bytes(gzip.compress(content) if packed else content)
    fast, slow = both_ways(metadata, **options)
    assert fast is not None, "the fast way was not taken"
    for one, other in zip(fast, slow, strict=True):
        assert one == other


@pytest.fixture
def metadata(tmp_path):
    return tmp_path / "meta"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_plain_lines_of_both_editions(metadata, packed, end):
    assert_agree(metadata, [DRESS, SHOE, DRESS | {"asin": "B3"}, SHOE | {"parent_asin": "B4"}], packed, end)


def test_a_file_that_opens_with_a_byte_order_mark(metadata):
    metadata.write_bytes(b"\xef\xbb\xbf" + as_line(DRESS) + b"\n" + as_line(SHOE))
    fast, slow = both_ways(metadata)
    assert fast in (None, slow)
    assert [row["reason"] for row in slow] == [None, None]


# Values that no field is spared. Numbers stand alone or are whole: in a list, SQL spells 1.50 as the file does, and
# the line reader as Python does (1.5, and nothing from 1e18 on).
VALUES = [
    None, 7, 1.5, True, False, -0.0, 10**20, 1e300, "", " ", "x", "7", "1.50", "true", "null", "NULL", "N/A",
    "true love", "['a', 'b']", '["a", "b"]', '{"Brand": "Nike"}', "{'Brand': 'Nike'}", '{"a": NaN}', "[x", "{x",
    " [x]", '"x"',
    "{}", ["a", "b"], ["a", ["b"]], [["a", "b"], ["c"]], [], [None], [1, 2], [True, "x"], ["[x", " {y"], ["", "x"],
    ["  "], ["x"] * 101, ["a  b", " c", "c "], ["A", "a", "B"], ["a.", "b!", "c"], ["Straße", "STRASSE"],
    ["İx", "i\u0307x"], ["Σας", "ΣΑΣ", "σας"], [{"hi_res": "http://a", "large": "http://b", "thumb": None}], [{}],
    {"a": 1},
    {"Brand": "Nike"}, {"Brand": ["Nike", "x"]}, {"Brand": 7}, {"Brand": " "},
    {"hi_res": ["http://a"], "large": [None]},
    "http://a/b.jpg", ["http://a/b.jpg", "http://c"], " http://a\n", "HTTP://a", "var a = (new Date()).getTime();",
    "a. b", "a.. b", "wait... what", "x! . y", "a\nb", "a\n b", "a\r\nb", "a\tb", " a", "a ", "a  b", "a\u00a0b",
    "a\u2028b", "a\u200bb", "a\ufffdb", "aï¿½b", "a\u0000b", "a\ud800b", "\ufeffa", "é", "e\u0301", "😀", "½", "२",
    "--", "...", "<br>", "<b>x</b>", "a <3 b", "a &amp; b", "a & b", "&lt;b&gt;", "<!-- x", "<script>x", "\n", "\u00a0",
    "x" * 101, "xy " * 9000, "$9.99 - $14.99", "$1,299.00", "0", "05", "$", "12 ", "9" * 12, "1e5", "1.",
    ".a{color:red}",
    "Visit the Nike Store", "100% Cotton", "Tops & Tees", '<img src="x" alt="AMAZON FASHION"/>', "Imported",
]  # fmt: skip
FIELDS = (
    "title", "description", "feature", "features", "brand", "store", "details", "category", "categories", "main_cat",
    "main_category", "price", "image", "images", "imageURL", "imageURLHighRes", "imUrl", "asin", "parent_asin",
)  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_no_field_is_trusted_to_have_its_type(metadata, field):
    bases = (DRESS, SHOE, {"asin": "B1", "title": "T"}, {"asin": "B1", "description": "D"})
    assert_agree(metadata, [base | {field: value} for value in VALUES for base in bases])


# DuckDB also forgives a comma before the closing brace, and of a key that comes twice it takes the first, where the
# line reader rejects the one and takes the last of the other, and it reads whole objects somewhat over the cap: such
# lines are not here.
LINES = [
    b"{", b"[]", b"null", b'"x"', b"7", b"{} {}", b"{}{", b'{"asin": "B1"}', b'{"title": "T"}', b"<html>",
    b'{"asin": }',
    b'{"asin": "B1", "title": "T", "price": NaN}',
    b'{"asin": "B1", "title": "\xff\xfe"}', b'{"asin": "B1", "title": "a\\ud800b"}',
    b'{"asin": "B1", "title": "a\\qb"}',
    b'{"asin": "B1", "title": "a\tb"}', b"{'asin': 'B1', 'title': 'T'}",
    b'{"asin": "../x", "title": "T"}', b'{"asin": " B1 ", "title": "T"}', b'{"asin": 7, "title": "T"}',
    b'  {"asin": "B1", "title": "T"}  ', b'{"asin": "B1", "title": "<br>-"}', b'{"Asin": "B1", "TITLE": "T"}',
    b'{"asin": "B1", "title": "a\x00b"}', b'{"asin": "B1", "title": "T"} // x', b'{"asin": "B1", "title": "T"',
    b'{"asin": "B1", "title": "T", "x": ' + b"[" * 300 + b"]" * 300 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_odd_lines_among_good_ones(metadata, packed):
    lines = [DRESS]
    for line in LINES:
        lines += [line, SHOE]
    content = b"\n".join(map(as_line, lines))
    metadata.write_bytes(gzip.compress(content) if packed else content)
    fast, slow = both_ways(metadata)
    assert fast in (None, slow)


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_an_odd_line_keeps_its_place(metadata, line):
    metadata.write_bytes(b"\n".join(map(as_line, [DRESS, line, SHOE])))
    fast, slow = both_ways(metadata)
    assert [row["place"] for row in slow] == [1, 2, 3]
    assert fast in (None, slow)


@pytest.mark.parametrize("lines", [[repr(DRESS)], [DRESS, "", SHOE]], ids=["Python literals", "a blank line"])
def test_what_has_to_be_read_by_lines_is(metadata, lines):
    metadata.write_bytes(b"\n".join(map(as_line, lines)) + b"\n")
    reader = AmazonReader(metadata, metadata.parent)
    assert not reader.write("d", metadata.parent / "fast")
    counts = write_records(AmazonReader(metadata, metadata.parent), "d", metadata.parent / "out")
    assert counts["rows_in"] == len(lines)
    assert [row["place"] for row in stored(metadata.parent / "out")] == list(range(1, len(lines) + 1))


def test_no_line_but_the_odd_ones_goes_through_the_line_reader(metadata, monkeypatch):
    seen = []
    row = AmazonReader.row
    monkeypatch.setattr(AmazonReader, "row", lambda self, number, line: seen.append(number) or row(self, number, line))
    metadata.write_bytes(b"\n".join(map(as_line, [DRESS, SHOE, "{", DRESS, SHOE | {"brand": True}])))
    counts = write_records(AmazonReader(metadata, metadata.parent), "d", metadata.parent / "out")
    assert counts == {"rows_in": 5, "usable": 4, "rejected": 1}
    assert seen == [3, 5]


def test_an_endless_line_is_one_rejected_row(metadata):
    assert_agree(metadata, [DRESS, "x" * 5_000_000, SHOE])
    assert stored(metadata.parent / "fast")[1]["reason"].startswith("line too long")


def test_the_papers_subset(metadata):
    lines = [DRESS, SHOE, DRESS | {"brand": "N/A"}, DRESS | {"brand": ""}, DRESS | {"category": ["Books", "Fashion"]}]
    lines += [
        SHOE | {"main_category": "Toys"},
        SHOE | {"main_category": None},
        SHOE | {"details": {}, "store": ""},
        "{",
    ]
    assert_agree(metadata, lines, subset="paper")
    reasons = [row["reason"] for row in stored(metadata.parent / "fast")]
    assert reasons[:4] == [None, None] + ["outside the paper's subset: no brand"] * 2
    assert sum(reason is None for reason in reasons) == 2


@pytest.mark.parametrize("groups", [("brand",), ("category",), ("subcategory", "brand"), ()])
def test_the_groups_asked_for_are_tagged(metadata, groups):
    assert_agree(metadata, [DRESS, SHOE, DRESS | {"brand": None}], groups=groups)
    assert set(stored(metadata.parent / "fast")[0]["entities"]) == set(groups)


def test_addresses_are_kept_only_where_photos_are_downloaded(metadata):
    assert_agree(metadata, [DRESS, SHOE], downloads=None)
    assert_agree(metadata, [DRESS, SHOE])
    assert [row["photo_urls"] for row in stored(metadata.parent / "fast")] == [
        ["http://x/1.jpg"],
        ["http://x/l", "http://x/t"],
    ]


def test_names_that_come_again_in_later_batches_keep_their_values(metadata):
    """What a name comes to is kept by its value: thousands of rows in one file, few names."""
    lines = [
        DRESS | {"asin": f"B{n}", "brand": f"Brand {n % 7}", "category": ["Clothing", f"Kind {n % 5}"], "price": n / 4}
        for n in range(1, 5001)
    ]
    assert_agree(metadata, lines)


@st.composite
def mutated_line(draw):
    """A good line with a stretch of it replaced by anything but a line end."""
    line = as_line(draw(st.sampled_from([DRESS, SHOE])))
    start = draw(st.integers(0, len(line)))
    inserted = draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"[", b"{}", b'", "', b"null", b'": "', b" "])))
    return (line[:start] + inserted + line[start + draw(st.integers(0, 30)) :]).replace(b"\n", b"").replace(b"\r", b"")


TEXTS = st.lists(
    st.sampled_from(["a", "B", "ß", "é", "e\u0301", " ", "  ", "\n", "\t", ".", "!", ". ", "&amp;", "<b>", "<", "&",
                     "[", "{", "'", '"', "\\", "\u00a0", "\u200b", "\ufffd", "ï¿½", "1", "true", "getTime",
                     "100%", "😀"]),
    max_size=8,
).map("".join)  # fmt: skip
SHAPED = st.dictionaries(
    st.sampled_from([name for name in FIELDS if name not in {"price", "image", "images", "imageURL", "imUrl"}]),
    st.one_of(TEXTS, st.lists(TEXTS, max_size=3), st.booleans(), st.none(), st.integers(0, 99)),
).map(lambda fields: DRESS | fields)


@settings(max_examples=25, deadline=None)
@given(lines=st.lists(st.one_of(mutated_line(), SHAPED), min_size=5, max_size=30), packed=st.booleans())
def test_both_ways_agree_on_whatever_the_lines_hold(lines, packed):
    with tempfile.TemporaryDirectory() as name:
        content = b"\n".join(as_line(line) for line in [DRESS, *lines])
        (Path(name) / "meta").write_bytes(gzip.compress(content) if packed else content)
        fast, slow = both_ways(Path(name) / "meta")
        if fast is not None:
            for one, other in zip(fast, slow, strict=True):
                assert one == other


def test_what_says_nothing_is_read_alike_both_ways(metadata):
    nothing = ["NULL", "#N/A", "{{product.title}}", "${title}", " n/a ", "tbd", "TBD ", "\\N"]
    lines = [DRESS | {"title": text, "brand": text} for text in nothing]
    lines += [SHOE | {"description": ["Soft.", text], "features": [text], "store": text} for text in nothing]
    lines += [{"asin": "B7", "title": text, "description": [text]} for text in nothing]
    assert_agree(metadata, lines, placeholders=["TBD"])
    assert [row["title"] for row in stored(metadata.parent / "fast")[: len(nothing)]] == [""] * len(nothing)


def test_the_papers_subset_takes_no_placeholder_for_a_brand(metadata):
    lines = [DRESS | {"brand": brand} for brand in ("(none)", "Nike", "#N/A", "no brand")]
    assert_agree(metadata, lines, subset="paper")
    reasons = [row["reason"] for row in stored(metadata.parent / "fast")]
    assert [bool(reason) for reason in reasons] == [True, False, True, True]


@pytest.mark.parametrize(("edition", "name"), [("2018", "json"), ("2023", "jsonl")])
def test_real_products(real_products, edition, name):
    folder = real_products("amazon", "--limit", "200", "--edition", edition)
    for subset in ("all", "paper"):
        fast, slow = both_ways(folder / f"meta_Tops.{name}.gz", subset=subset)
        assert len(slow) == 200
        assert fast == slow


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_are_numbered_whatever_the_ends(tmp_path, pack):
    path = tmp_path / "lines"
    path.write_bytes(pack(b"\xef\xbb\xbfa\r\n\nb\nlast"))
    assert list(numbered_lines(path)) == [(1, b"a"), (2, b""), (3, b"b"), (4, b"last")]
    assert count_lines(path) == 4


def test_a_line_over_the_cap_is_skipped_and_the_next_is_whole(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"x" * 50 + b"\n" + b"y" * 10 + b"\n" + b"z" * 11)
    assert list(numbered_lines(path, cap=10)) == [(1, None), (2, b"y" * 10), (3, None)]


def test_an_empty_file_has_no_lines(tmp_path):
    (tmp_path / "lines").write_bytes(b"")
    assert count_lines(tmp_path / "lines") == 0


def test_a_truncated_gzip_names_the_file_and_the_line(tmp_path):
    path = tmp_path / "meta.json.gz"
    whole = gzip.compress(b"".join(b"%d\n" % i for i in range(5000)))
    path.write_bytes(whole[:-20])
    with pytest.raises(RawDataError, match=r"meta\.json\.gz: damaged or cut short after line \d+ .*fetch it again"):
        count_lines(path)


def test_a_damaged_gzip_is_an_error(tmp_path):
    path = tmp_path / "meta.json.gz"
    path.write_bytes(gzip.compress(bytes(range(256)) * 100)[:40] + b"\xff" * 100)
    with pytest.raises(RawDataError, match="damaged"):
        count_lines(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(RawDataError, match="no such file"):
        count_lines(tmp_path / "absent.gz")
