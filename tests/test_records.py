from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

import duckdb
import pyarrow.parquet as pq
import pytest

from eiclip import catalog
from eiclip.catalog import CATALOG_SCHEMA, QUARANTINE_SCHEMA, CatalogCounts, write_catalog
from eiclip.errors import RawDataError
from eiclip.readers import Accepted, Rejected

ROW = Accepted(
    source="raw.h5", locator="row 0", product_id="1", image_id="1_1", photo="raw.h5#0", source_split=None, title="t",
    description="d", description_raw="d", category="c", subcategory="s", pose="", department="", gender="",
    price=None, entities={"brand": "diesel", "season": "ss2017"}, photo_width=8, photo_height=8, photo_sha256="0",
)  # fmt: skip
BAD = Rejected("raw.h5", "row 1", None, "photo missing: images/1.jpg")


class ListReader:
    """A reader of rows that are at hand."""

    def __init__(self, rows, rows_in=None):
        self._rows = rows
        self._rows_in = len(rows) if rows_in is None else rows_in

    def fingerprint(self) -> str:
        return "f"

    def rows(self) -> Iterator[Accepted | Rejected]:
        for row in self._rows:
            if isinstance(row, BaseException):
                raise row
            yield row

    def photos(self, refs: Sequence[str]):
        raise NotImplementedError

    def rows_in(self) -> int:
        return self._rows_in


def test_the_schemas_follow_the_rows():
    assert CATALOG_SCHEMA.names == ["dataset", *(field.name for field in fields(Accepted))]
    assert QUARANTINE_SCHEMA.names == ["dataset", *(field.name for field in fields(Rejected))]


def test_rows_are_stored_as_they_are(tmp_path):
    counts = write_catalog(ListReader([ROW, BAD]), "shop", tmp_path / "out")
    assert counts == CatalogCounts(rows_in=2, accepted=1, quarantined=1)
    (stored,) = pq.read_table(tmp_path / "out" / "catalog.parquet").to_pylist()
    assert dict(stored.pop("entities")) == ROW.entities
    assert stored.pop("dataset") == "shop"
    assert all(stored[name] == getattr(ROW, name) for name in stored)
    (refused,) = pq.read_table(tmp_path / "out" / "quarantine.parquet").to_pylist()
    assert refused == {
        "dataset": "shop", "source": "raw.h5", "locator": "row 1", "product_id": None, "reason": BAD.reason,
    }  # fmt: skip


def test_duckdb_reads_both_files_an_empty_one_too(tmp_path):
    write_catalog(ListReader([ROW]), "shop", tmp_path / "out")
    query = "SELECT entities['brand'] FROM read_parquet($file)"
    assert duckdb.execute(query, {"file": str(tmp_path / "out" / "catalog.parquet")}).fetchall() == [("diesel",)]
    query = "SELECT count(*) FROM read_parquet($file)"
    assert duckdb.execute(query, {"file": str(tmp_path / "out" / "quarantine.parquet")}).fetchall() == [(0,)]


def test_rows_go_out_in_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "ROW_GROUP", 2)
    rows = [replace(ROW, image_id=str(i)) for i in range(5)]
    write_catalog(ListReader(rows), "shop", tmp_path / "out")
    file = pq.ParquetFile(tmp_path / "out" / "catalog.parquet")
    assert file.num_row_groups == 3
    assert file.read().column("image_id").to_pylist() == list("01234")


def test_nothing_usable_is_an_error_with_the_common_reasons(tmp_path):
    rows = [BAD] * 3 + [replace(BAD, reason="no description")] * 2 + [replace(BAD, reason=r) for r in ("a: 1", "b: 2")]
    with pytest.raises(RawDataError) as caught:
        write_catalog(ListReader(rows), "shop", tmp_path / "out")
    assert (
        "shop: none of 7 raw rows can be used: 3 as 'photo missing: images/1.jpg'; 2 as 'no description'; 1 as"
        in str(caught.value)
    )
    assert list(tmp_path.iterdir()) == []


def test_no_rows_at_all_is_an_error(tmp_path):
    with pytest.raises(RawDataError, match="none of 0 raw rows can be used: the files are empty"):
        write_catalog(ListReader([]), "shop", tmp_path / "out")


def test_rows_that_went_missing_are_an_error(tmp_path):
    with pytest.raises(RawDataError, match="5 raw rows, but 1 accepted and 1 quarantined"):
        write_catalog(ListReader([ROW, BAD], rows_in=5), "shop", tmp_path / "out")


@pytest.mark.parametrize("failure", [RawDataError("damaged"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_catalog_as_it_was(tmp_path, failure):
    write_catalog(ListReader([ROW]), "shop", tmp_path / "out")
    before = (tmp_path / "out" / "catalog.parquet").read_bytes()
    with pytest.raises((RawDataError, KeyboardInterrupt)):
        write_catalog(ListReader([ROW, ROW, failure]), "shop", tmp_path / "out")
    assert (tmp_path / "out" / "catalog.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
