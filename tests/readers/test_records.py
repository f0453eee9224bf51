import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

import duckdb
import pyarrow.parquet as pq
import pytest

from eiclip.errors import RawDataError
from eiclip.readers import records
from eiclip.readers.base import Listing, Rejected
from eiclip.readers.records import MAPS, SCHEMA, count_reasons, write_records, write_rows
from eiclip.storage.lake import open_views

ROW = Listing(
    source="raw.h5", place=0, product_id="1", photo="raw.h5#0", source_split="train", title="t", description="d",
    description_raw="d", category="c", subcategory="s", pose="", department="", gender="", price=9.5,
    brand_raw="Diesel", entities={"brand": ["diesel"], "season": ["ss2017"]}, photo_urls=("http://x/1.jpg",),
)  # fmt: skip
BAD = Rejected("raw.h5", 1, None, "no id: neither 'asin' nor 'parent_asin'")


class ListReader:
    """A reader of rows that are at hand."""

    unit = "row"
    photos_in_rows = True
    expected = "expected rows"

    def __init__(self, rows, rows_in=None):
        self._rows = rows
        self._rows_in = len(rows) if rows_in is None else rows_in

    def stamps(self) -> dict[str, list[int]]:
        return {"f": [1, 1]}

    def rows(self) -> Iterator[Listing | Rejected]:
        for row in self._rows:
            if isinstance(row, BaseException):
                raise row
            yield row

    def _no_photos(self, refs: Sequence[str]):
        raise NotImplementedError

    photos = examine = missing = photo_stamps = _no_photos

    def rows_in(self) -> int:
        return self._rows_in


def test_the_schema_follows_the_rows():
    names = [field.name for field in fields(Listing)]
    assert sorted(SCHEMA.names) == sorted(["dataset", *names, "reason"])
    assert {field.name for field in fields(Rejected)} <= set(SCHEMA.names)


def test_rows_are_stored_as_they_are(tmp_path):
    counts = write_records(ListReader([ROW, BAD]), "shop", tmp_path / "out.parquet")
    assert counts == {"rows_in": 2, "usable": 1, "rejected": 1}
    usable, rejected = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert {name: dict(usable.pop(name)) for name in MAPS} == {name: getattr(ROW, name) for name in MAPS}
    assert tuple(usable.pop("photo_urls")) == ROW.photo_urls
    assert (usable.pop("dataset"), usable.pop("reason")) == ("shop", None)
    assert all(usable[name] == getattr(ROW, name) for name in usable)
    held = {"dataset": "shop", "source": "raw.h5", "place": 1, "reason": BAD.reason}
    assert rejected == dict.fromkeys(SCHEMA.names) | held


def test_prices_that_could_not_be_read_are_told(tmp_path, caplog):
    texts = ["Call us", "£5", "Call us", "a", "b"]
    unread = [replace(ROW, place=place, price=None, price_unread=text) for place, text in enumerate(texts)]
    write_records(ListReader([ROW, *unread]), "shop", tmp_path / "out.parquet")
    [message] = [record.getMessage() for record in caplog.records]
    assert message.startswith("shop: 5 of 6 texts of prices could not be read, and those rows have none: "
                              "'Call us' 2 times, 'a' 1 times, 'b' 1 times;")  # fmt: skip
    caplog.clear()
    write_records(ListReader([ROW]), "shop", tmp_path / "out.parquet")
    assert not caplog.records


def test_the_usable_rows_are_the_listings(tmp_path):
    write_records(ListReader([ROW, BAD, replace(ROW, place=2)]), "shop", tmp_path / "out.parquet")
    with duckdb.connect() as connection:
        open_views(connection, {"records": [tmp_path / "out.parquet"]})
        found = connection.sql("SELECT place, reason IS NULL FROM records").fetchall()
        assert found == [(0, True), (1, False), (2, True)]
        listings = connection.sql("FROM listings")
        tagged = listings.project("place, entities['brand'], entities['colour']").fetchall()
        assert tagged == [(0, ["diesel"], None), (2, ["diesel"], None)]
        assert listings.columns == [name for name in SCHEMA.names if name != "reason"]


def test_rows_go_out_in_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROW_GROUP", 2)
    rows = [replace(ROW, place=place) for place in range(5)]
    write_records(ListReader(rows), "shop", tmp_path / "out.parquet")
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert file.num_row_groups == 3
    assert file.read().column("place").to_pylist() == list(range(5))


def test_reasons_are_counted_by_kind(tmp_path):
    reasons = ["bad id: 'x'", "no text", "bad id: 'a'", "blank line", "bad id: 'b'", "no text"]
    rows = [replace(BAD, place=place, reason=reason) for place, reason in enumerate(reasons)]
    write_records(ListReader([*rows, ROW]), "shop", tmp_path / "out.parquet")
    counted = count_reasons(tmp_path / "out.parquet")
    assert list(counted.items()) == [("bad id: 'a'", 3), ("no text", 2), ("blank line", 1)]


def test_nothing_usable_is_an_error_with_the_common_reasons(tmp_path):
    rows = [BAD] * 3 + [replace(BAD, reason="no text")] * 2 + [replace(BAD, reason=r) for r in ("a: 1", "b: 2")]
    with pytest.raises(RawDataError) as caught:
        write_records(ListReader(rows), "shop", tmp_path / "out.parquet")
    expected = f"shop: none of 7 raw rows can be used: 3 as '{BAD.reason}'; 2 as 'no text'; 1 as 'a: 1'"
    assert expected in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class WholeReader(ListReader):
    """A reader that has a faster way, or finds that it has not."""

    def __init__(self, rows, able):
        super().__init__(rows)
        self.able = able

    def write(self, dataset, output):
        write_rows(output, dataset, [replace(ROW, title="fast")])
        return self.able


@pytest.mark.parametrize(("able", "titles"), [(True, ["fast"]), (False, ["t"])])
def test_the_faster_way_is_taken_where_it_is_open(tmp_path, able, titles):
    write_records(WholeReader([ROW], able), "shop", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").column("title").to_pylist() == titles
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_no_rows_at_all_is_an_error(tmp_path):
    with pytest.raises(RawDataError, match="none of 0 raw rows can be used: the files are empty"):
        write_records(ListReader([]), "shop", tmp_path / "out.parquet")


def test_rows_that_went_missing_are_an_error(tmp_path):
    with pytest.raises(RawDataError, match="5 raw rows, but 1 usable and 1 rejected"):
        write_records(ListReader([ROW, BAD], rows_in=5), "shop", tmp_path / "out.parquet")


@pytest.mark.parametrize("failure", [RawDataError("damaged"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_records_as_they_were(tmp_path, failure):
    output = tmp_path / "out.parquet"
    write_records(ListReader([ROW]), "shop", output)
    before = output.read_bytes()
    with pytest.raises((RawDataError, KeyboardInterrupt)):
        write_records(ListReader([ROW, ROW, failure]), "shop", output)
    assert output.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


@pytest.mark.parametrize(
    "module", ["eiclip.readers.records", "eiclip.readers", "eiclip.readers.amazon.json_lines", "eiclip.readers.photos"]
)
def test_each_module_can_be_imported_first(module):
    """The readers' fast way writes records, and records are read by readers: neither may need the other to be there."""
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
