"""Reviews of the three editions: every line is a review or is rejected with the reason."""

import datetime
import gzip
import json
import re

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eiclip.errors import RawDataError
from eiclip.readers.amazon import reviews
from eiclip.readers.amazon.json_lines import MAX_LINE_BYTES
from eiclip.readers.amazon.reviews import write_reviews

from ..conftest import as_line

OLD = {
    "reviewerID": "A2SUAM1J3GNN3B", "asin": "0000013714", "reviewerName": "J. McDonald", "helpful": [2, 304],
    "reviewText": "It's a \"fine\" coat.", "overall": 5.0, "summary": "Heavenly", "unixReviewTime": 1252800000,
}  # fmt: skip
MIDDLE = {
    "overall": 4.0, "vote": "1,204", "verified": True, "reviewTime": "09 1, 2016", "reviewerID": "A3J",
    "asin": "B00X", "style": {"Size:": " L"}, "reviewText": "Good", "summary": "Ok", "unixReviewTime": 1472688000,
    "image": ["https://images.example/a.jpg"],
}  # fmt: skip
NEW = {
    "rating": 1.0, "title": "Tore", "text": "Tore <br /> at once", "images": [], "asin": "B1", "parent_asin": "B0",
    "user_id": "AH", "timestamp": 1588687728923, "helpful_vote": 3, "verified_purchase": False,
}  # fmt: skip


class Read:
    """What became of a file."""

    def __init__(self, path, content):
        path.write_bytes(content)
        output, rejected = path.with_name("out.parquet"), path.with_name("rejected.parquet")
        *self.counts, self.duplicates = write_reviews(path, output, rejected, "shop").values()
        self.rows, self.rejected = pq.read_table(output).to_pylist(), pq.read_table(rejected).to_pylist()
        assert (pq.read_schema(output), pq.read_schema(rejected)) == (reviews.SCHEMA, reviews.REJECTED_SCHEMA)


@pytest.fixture
def read(tmp_path):
    """Return a function that writes lines and reads them as reviews."""

    def call(*lines, name="reviews.json", zipped=False):
        content = b"\n".join(map(as_line, lines)) + b"\n"
        return Read(tmp_path / name, gzip.compress(content) if zipped else content)

    return call


@pytest.mark.parametrize("zipped", [False, True])
def test_the_three_editions(read, zipped):
    found = read(OLD, MIDDLE, NEW, zipped=zipped, name="misnamed.csv")
    common = {"dataset": "shop", "source": "misnamed.csv"}
    assert found.rows == [
        common | {
            "place": 1, "product_id": "0000013714", "rating": 5.0, "helpful": 2, "text": "It's a \"fine\" coat.",
            "summary": "Heavenly", "time": datetime.datetime(2009, 9, 13), "verified": None,
        },
        common | {
            "place": 2, "product_id": "B00X", "rating": 4.0, "helpful": 1204, "text": "Good", "summary": "Ok",
            "time": datetime.datetime(2016, 9, 1), "verified": True,
        },
        common | {
            "place": 3, "product_id": "B0", "rating": 1.0, "helpful": 3, "text": "Tore <br /> at once",
            "summary": "Tore", "time": datetime.datetime(2020, 5, 5, 14, 8, 48, 923000), "verified": False,
        },
    ]  # fmt: skip
    assert found.counts == [3, 3, 0]


def test_python_literals_are_read_safely(read):
    found = read(repr(OLD), repr(MIDDLE | {"verified": None}), "{'asin': __import__('os').getcwd()}")
    assert [(row["product_id"], row["helpful"], row["text"]) for row in found.rows] == [
        ("0000013714", 2, 'It\'s a "fine" coat.'),
        ("B00X", 1204, "Good"),
    ]
    [bad] = found.rejected
    assert (bad["place"], bad["reason"].split(":")[0]) == (3, "broken Python literal")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (MIDDLE | {"overall": 7.0}, "rating outside 1 to 5: 7.0"),
        (MIDDLE | {"overall": 0}, "rating outside 1 to 5: 0"),
        (MIDDLE | {"overall": "five"}, "bad rating: 'five'"),
        (MIDDLE | {"overall": True}, "bad rating: bool"),
        (MIDDLE | {"overall": None}, "no rating: neither 'overall' nor 'rating'"),
        (MIDDLE | {"overall": float("nan")}, "rating outside 1 to 5: nan"),
        (MIDDLE | {"overall": 10**30}, "rating outside 1 to 5: a great number"),
        (MIDDLE | {"asin": "../../etc"}, "bad id: '../../etc' (letters, digits, '.', '_' and '-' only, at most 64)"),
        ({"overall": 5}, "no id: neither 'asin' nor 'parent_asin'"),
        ("{broken", "broken JSON: Expecting property name enclosed in double quotes at column 2"),
        (b"[1]", "not an object: list"),
        (b'{"asin": "B1", "overall": 5,}', "broken JSON"),
        (b'{"asin": "B1", "overall": 5, "x": ' + b"[" * 3000 + b"]" * 3000 + b"}", "broken JSON: nested too deeply"),
        (b'{"asin": "B1", "overall": 5, "x": ' + b"7" * 6000 + b"}", "broken JSON"),
    ],
)
def test_what_cannot_be_used_is_kept_with_its_reason(read, line, reason):
    found = read(OLD, line, NEW)
    assert found.counts == [3, 2, 1]
    assert [row["place"] for row in found.rows] == [1, 3]
    [bad] = found.rejected
    assert (bad["dataset"], bad["source"], bad["place"]) == ("shop", "reviews.json", 2)
    assert bad["reason"].startswith(reason)


def test_odd_values_are_taken_for_what_they_say(read):
    odd = {"asin": " B1 ", "overall": " 4.5 ", "vote": 2.0, "unixReviewTime": "1472688000", "verified": "True"}
    found = read(OLD, odd, {"asin": "B2", "overall": 3, "vote": "many", "unixReviewTime": -5})
    second, third = found.rows[1:]
    assert (second["product_id"], second["rating"], second["helpful"], second["verified"]) == ("B1", 4.5, 2, True)
    assert second["time"] == datetime.datetime(2016, 9, 1)
    assert [third[name] for name in ("helpful", "text", "summary", "time", "verified")] == [0, None, None, None, None]


def test_a_line_over_the_cap_blank_lines_and_a_byte_order_mark(read):
    long = json.dumps(OLD | {"reviewText": "x" * MAX_LINE_BYTES})
    found = read(b"\xef\xbb\xbf" + as_line(OLD), "", long, "  ", NEW)
    assert [row["place"] for row in found.rows] == [1, 5]
    assert [(row["place"], row["reason"].split(":")[0]) for row in found.rejected] == [
        (2, "blank line"),
        (3, "line too long"),
        (4, "blank line"),
    ]


def test_a_file_without_a_last_line_end_and_of_several_gzip_members(tmp_path):
    content = gzip.compress(as_line(OLD) + b"\n") + gzip.compress(as_line(NEW))
    found = Read(tmp_path / "reviews.gz", content)
    assert [row["place"] for row in found.rows] == [1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "none of 0 lines"),
        (as_line({"asin": "B1", "title": "metadata, not reviews"}), "none of 1 lines is a review"),
        (gzip.compress(as_line(OLD) * 500)[:-20], "damaged or cut short"),
    ],
)
def test_a_useless_file_is_an_error_and_leaves_nothing(tmp_path, content, message):
    (tmp_path / "reviews").write_bytes(content)
    with pytest.raises(RawDataError, match=message):
        write_reviews(tmp_path / "reviews", tmp_path / "out", tmp_path / "rejected", "shop")
    with pytest.raises(RawDataError, match="no such file"):
        write_reviews(tmp_path / "gone", tmp_path / "out", tmp_path / "rejected", "shop")
    assert [file.name for file in tmp_path.iterdir()] == ["reviews"]


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 6), st.floats(), st.integers(), st.text(max_size=12),
    st.sampled_from(["5", "1.5 ", "1,204", "[2, 3]", "\ud800", "a\0b", "&amp;", "x" * 20_001]),
    st.sampled_from(["ï¿½", "NaN", ",}", "é" * 20_000, "", " ", "null", "[3,5]", "1,2,3"]),
    st.integers(0, 2 * 10**18), st.lists(st.integers(0, 2000), max_size=3),
    st.dictionaries(st.text(), st.none(), max_size=1), st.sampled_from(["B1", "b.2", [3, 5], [3, 500], [[]], [1.0]]),
    st.sampled_from([1252800000, 1588687728923, 4102444799, 4102444800, 4102444800000, 10**12, 10**13, 10**15]),
)  # fmt: skip
FIELDS = (
    "asin", "parent_asin", "overall", "rating", "helpful", "vote", "helpful_vote", "reviewText", "text", "summary",
    "title", "unixReviewTime", "timestamp", "verified", "verified_purchase", "style",
)  # fmt: skip
ODD_BYTES = [
        b'{"asin":"B1","asin":"B2","overall":5}', b'{"asin":"B1","overall":5,"overall":null}',
        b'{"asin":"B1","overall":5,}', b'{"asin":"B1","overall":5,"x":inf}', b'{"asin":"B1","overall":5,"x":[1,]}',
        b'{"asin":"B1","overall":5,"x":nan}', b'{"asin":"B1","overall":5,"x":NaN }', b'{"asin":"B1","overall":.5e1}',
        b'{"asin":"B1","overall":5} {"asin":"B2","overall":5}', b'{"asin":"B1","overall":5}\r', b"\x0b{}", b"null",
        b'{"asin":"B1","overall":5,"text":"\xff\xfe"}', b'{"asin":"B1","overall":5,"text":"\xed\xa0\x80"}',
        b'{"asin":"B1","overall":5,"text":"\\ud83d\\ude00 \\u0000"}', b'{"asin":"B\\u0031","overall":5e0}',
        b'{"\\u0061sin":"B1","overall":5}', b'{"asin":"B1","overall":5.0000000001}', b'{"asin":"B1","overall":"5."}',
        b"{'asin': 'B1', 'overall': 4.0, 'helpful': [1, 2]}", b'{"asin":"B1","overall":5,"text":"a\tb"}', b"\x00",
        b'{"asin":"B1","overall":5} // seen', b'{"asin":"B1","overall":+5}', b'{"asin":"B1","overall":5,"time":-0}',
        b'{"asin":"B1","overall":05}', b'{"asin":"B1","overall":5,"unixReviewTime":1e9}', b"[" * 2000, b'"\\',
        b'{"asin":"B1","overall":5,"text":"\xc2\x85\xe2\x80\xa8"}', b'{"asin":"B1","overall":5,"title":"\\u2028"}',
        b'{"asin":"B1","overall":5,"x":{"y":1,"y":2}}', b'\xef\xbb\xbf{"asin":"B1","overall":5}', b'{"":1,"":2}',
]  # fmt: skip
LINES = st.one_of(
    st.fixed_dictionaries(
        {"asin": st.just("B1"), "overall": st.just(4)}, optional=dict.fromkeys((*FIELDS[1:2], *FIELDS[3:]), VALUES)
    ),
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, VALUES)),
    st.sampled_from(ODD_BYTES),
    st.binary(max_size=20).filter(lambda line: b"\n" not in line),
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=8), raw=st.booleans())
@example(lines=[OLD] * 400 + ODD_BYTES, raw=True)
@example(lines=[b"", OLD, b" "], raw=False)
def test_whatever_the_lines_hold_each_is_a_review_or_rejected(read, lines, raw):
    dumped = [
        json.dumps(line, ensure_ascii=not raw).encode("utf-8", "surrogatepass") if isinstance(line, dict) else line
        for line in lines
    ]
    found = read(OLD, *dumped, NEW)
    assert found.counts == [len(lines) + 2, len(found.rows), len(found.rejected)]
    places = [row["place"] for row in found.rows], [row["place"] for row in found.rejected]
    assert sorted(places[0] + places[1]) == list(range(1, len(lines) + 3))
    assert list(places) == [sorted(place) for place in places]
    for row in found.rows:
        assert re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", row["product_id"])
        assert 1 <= row["rating"] <= 5
        assert 0 <= row["helpful"] < 10**9
        assert row["time"] is None or 1970 <= row["time"].year < 2100
        assert all(row[name] is None or 0 < len(row[name]) <= 20_000 for name in ("text", "summary"))
    assert all(row["reason"] for row in found.rejected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"asin":"B1","asin":"B2","overall":5}', {"product_id": "B2"}),
        (b'{"asin":"B1","overall":.5e1}', None),
        (b'{"asin":"B1","overall":5,"x":nan}', None),
        (b'{"asin":"B1","overall":5,"x":NaN }', {"rating": 5.0}),
        (b'{"asin":"B1","overall":5,"text":"\xff\xfe"}', None),
        (b'{"asin":"B1","overall":5,"text":"\\ud83d\\ude00 \\u0000\\ud800"}', {"text": "\U0001f600 \ufffd\ufffd"}),
        (b'{"asin":"B\\u0031","overall":5e0}', {"product_id": "B1", "rating": 5.0}),
        (b'{"asin":"B1","overall":"5."}', None),
        (b'{"asin":"B1","overall":5,"unixReviewTime":4102358400}', {"time": datetime.datetime(2099, 12, 31)}),
        (b'{"asin":"B1","overall":5,"unixReviewTime":4102444800}', {"time": None}),
        (b'{"asin":"B1","overall":5,"timestamp":1588687728000}', {"time": datetime.datetime(2020, 5, 5, 14, 8, 48)}),
        (b'{"asin":"B1","overall":5,"reviewText":"","text":"y"}', {"text": "y"}),
        (b'{"asin":"B1","overall":5,"text":"' + b"x" * 20_001 + b'"}', {"text": "x" * 20_000}),
        (b'{"asin":"B1","overall":5,"helpful":[3,500],"verified":"no"}', {"helpful": 3, "verified": None}),
    ],
)  # fmt: skip
def test_odd_lines_are_read_as_python_reads_json(read, line, expected):
    rows = read(OLD, line).rows[1:]
    assert [{name: row[name] for name in expected or ()} for row in rows] == ([] if expected is None else [expected])


def test_a_review_that_is_there_again_is_counted_once(read):
    """A product in variants has the same review with each; the first stays, whatever order the others come in."""
    changes = {"user_id": "AI", "rating": 2.0, "timestamp": 1588687728924, "text": "Tears", "parent_asin": "B9",
               "title": "Torn"}  # fmt: skip
    others = [NEW | {name: value} for name, value in changes.items()]
    variants = [NEW | {"asin": asin, "helpful_vote": votes} for asin, votes in (("B2", 0), ("B3", 7))]
    found = read(NEW, "{", others[0], *variants, *others[1:], OLD, {"asin": "B1"}, OLD)
    assert [row["place"] for row in found.rows] == [1, 3, 6, 7, 8, 9, 10, 11]
    assert [(row["place"], row["product_id"], row["reason"]) for row in found.rejected] == [
        (2, None, "broken JSON: Expecting property name enclosed in double quotes at column 2"),
        (4, "B0", "duplicate review: of line 1"),
        (5, "B0", "duplicate review: of line 1"),
        (12, "B1", "no rating: neither 'overall' nor 'rating'"),
        (13, "0000013714", "duplicate review: of line 11"),
    ]
    assert (found.counts, found.duplicates) == ([13, 8, 5], 3)


def test_reviews_whose_user_is_not_known_are_all_counted(read):
    anonymous = {"asin": "B1", "overall": 5.0, "reviewText": "Good"}
    assert read(*[anonymous] * 3).counts == [3, 3, 0]


def test_every_second_of_many_reviews_is_a_duplicate(tmp_path):
    """More than a row group, so that what is left out is found across them."""
    rows = [
        {"asin": f"B{n % 7}", "overall": 5, "reviewerID": f"A{n}", "reviewText": f"text {n}"} for n in range(12_000)
    ]
    order = np.random.default_rng(0).permutation([*range(12_000), *range(12_000)])
    (tmp_path / "reviews").write_bytes(b"".join(as_line(rows[n]) + b"\n" for n in order))
    counts = write_reviews(tmp_path / "reviews", tmp_path / "out", tmp_path / "rejected", "shop")
    assert counts == {"rows_in": 24_000, "accepted": 12_000, "quarantined": 12_000, "duplicates": 12_000}
    _, first = np.unique(order, return_index=True)
    assert pq.read_table(tmp_path / "out")["place"].to_pylist() == sorted(first + 1)
    assert set(pq.read_table(tmp_path / "rejected")["place"].to_pylist()) == set(range(1, 24_001)) - set(first + 1)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out", "rejected", "reviews"]


def test_many_reviews_are_counted_right(tmp_path):
    count = 25_000
    line = json.dumps({"asin": "B%07d", "overall": "RATING", "reviewerID": "A%d", "vote": "1,204"})
    line = line.replace('"RATING"', "%d.0")
    with gzip.open(tmp_path / "many.json.gz", "wt", compresslevel=1) as stream:
        stream.writelines((line % (n % 1000, n % 5 + 1, n)) + "\n" for n in range(count))
        stream.write("{broken\n")
    counts = write_reviews(tmp_path / "many.json.gz", tmp_path / "out", tmp_path / "rejected", "shop")
    assert counts == {"rows_in": count + 1, "accepted": count, "quarantined": 1, "duplicates": 0}
    found = duckdb.read_parquet(str(tmp_path / "out")).aggregate("min(place), max(place), avg(rating), sum(helpful)")
    assert found.fetchall() == [(1, count, 3.0, 1204 * count)]
