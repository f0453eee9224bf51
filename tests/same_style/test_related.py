"""Related products of the three editions, read by DuckDB and line by line: the same rows either way."""

import gzip
import json

import pyarrow.parquet as pq
import pytest

from eiclip.errors import RawDataError
from eiclip.readers.cells import MAX_LINE_BYTES
from eiclip.same_style.related import SCHEMA, related_of, write_related

OLD = {
    "asin": "0000031852", "title": "Girls Ballet Tutu",
    "related": {
        "also_bought": ["B00JHONN1S", "B002BZX8Z6"], "also_viewed": ["B002BZX8Z6"], "bought_together": ["B002BZX8Z6"],
        "buy_after_viewing": ["B0013OWKKC"],
    },
}  # fmt: skip
MIDDLE = {"asin": "B00A", "also_buy": ["B00B", "B00C"], "also_view": ["B00B"], "title": "Coat"}
NEW = {"parent_asin": "B0P", "asin": "B0C", "title": "Coat", "bought_together": None}
OLD_ROWS = [
    ("0000031852", "B00JHONN1S", "also_buy"), ("0000031852", "B002BZX8Z6", "also_buy"),
    ("0000031852", "B002BZX8Z6", "also_view"), ("0000031852", "B002BZX8Z6", "bought_together"),
    ("0000031852", "B0013OWKKC", "buy_after_viewing"),
]  # fmt: skip
MIDDLE_ROWS = [("B00A", "B00B", "also_buy"), ("B00A", "B00C", "also_buy"), ("B00A", "B00B", "also_view")]


def read(path, *lines, zipped=False):
    content = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if zipped else content)
    output = path.with_name("related.parquet")
    count = write_related(path, "shop", output)
    table = pq.read_table(output)
    assert (count, table.schema.names) == (table.num_rows, SCHEMA.names)
    assert {row["dataset"] for row in table.to_pylist()} <= {"shop"}
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".")] == []
    return sorted((row["product_id"], row["related_id"], row["kind"]) for row in table.to_pylist())


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("line", "rows"),
    [(repr(OLD), OLD_ROWS), (json.dumps(OLD), OLD_ROWS), (json.dumps(MIDDLE), MIDDLE_ROWS), (json.dumps(NEW), [])],
)
def test_every_edition_names_its_related_products(tmp_path, line, rows, zipped):
    assert read(tmp_path / "meta.json", line, zipped=zipped) == sorted(rows)


ODD = [
    {"asin": "A1", "also_buy": "B1"}, {"asin": "A1", "also_buy": ""}, {"asin": "A1", "also_buy": "[B1]"},
    {"asin": "A1", "also_buy": []}, {"asin": "A1", "also_buy": [None, "", " B2 ", "no id!", "B3"]},
    {"asin": "A1", "also_buy": [["B4"], {"asin": "B5"}, 12]}, {"asin": "bad id!", "also_buy": ["B6"]},
    {"asin": None, "also_buy": ["B7"]}, {"also_buy": ["B8"]}, {"asin": "A1", "also_buy": {"B9": 1}},
    {"parent_asin": "P1", "asin": "A1", "bought_together": ["B10"]}, {"asin": "A1", "also_view": ["A1"]},
    {"asin": "A1", "related": ["B11"]}, {"asin": "A1", "related": {"also_viewed": "B12", "also_bought": ["B13"]}},
    {"asin": "A1", "related": None}, {"asin": "A1", "related": "B14"}, {"asin": 77, "also_buy": ["B15"]},
]  # fmt: skip
ODD_ROWS = [
    ("A1", "B2", "also_buy"), ("A1", "B3", "also_buy"), ("A1", "12", "also_buy"), ("P1", "B10", "bought_together"),
    ("A1", "A1", "also_view"), ("A1", "B13", "also_buy"), ("77", "B15", "also_buy"),
]  # fmt: skip


def test_odd_fields_are_the_same_to_both_ways_of_reading(tmp_path):
    assert read(tmp_path / "meta.json", *map(json.dumps, ODD)) == sorted(ODD_ROWS)
    by_lines = read(tmp_path / "meta.json", repr({"asin": "A0"}), *map(repr, ODD))
    assert by_lines == sorted(ODD_ROWS) == sorted(row for record in ODD for row in related_of(record))


def test_lines_that_cannot_be_read_name_nothing(tmp_path):
    good = json.dumps(MIDDLE)
    assert read(tmp_path / "meta.json", "{broken", good, "", "7", '["a"]') == sorted(MIDDLE_ROWS)
    assert read(tmp_path / "meta.json", repr(OLD), "{'broken", "", "7") == sorted(OLD_ROWS)


@pytest.mark.parametrize("written", [json.dumps, repr])
def test_a_line_over_the_cap_keeps_no_other_from_being_read(tmp_path, written):
    long = {"asin": "A1", "title": "x" * 3 * MAX_LINE_BYTES, "also_buy": ["B1"]}
    found = read(tmp_path / "meta.json", *map(written, ({"asin": "A0"}, long, MIDDLE)))
    assert set(MIDDLE_ROWS) <= set(found) <= {*MIDDLE_ROWS, ("A1", "B1", "also_buy")}


def test_no_metadata_and_an_empty_file_make_an_empty_table(tmp_path):
    assert read(tmp_path / "meta.json") == []
    assert write_related(None, "shop", tmp_path / "none.parquet") == 0
    assert pq.read_schema(tmp_path / "none.parquet").names == SCHEMA.names


def test_a_file_that_is_not_there_or_is_cut_short(tmp_path):
    with pytest.raises(RawDataError, match="no such file"):
        write_related(tmp_path / "none.json", "shop", tmp_path / "related.parquet")
    content = gzip.compress("".join(json.dumps(MIDDLE | {"asin": f"B{n:05d}"}) + "\n" for n in range(5000)).encode())
    (tmp_path / "cut.json.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(RawDataError, match="cut short"):
        write_related(tmp_path / "cut.json.gz", "shop", tmp_path / "related.parquet")
    assert not (tmp_path / "related.parquet").exists()
