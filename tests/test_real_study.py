"""The study on real products: what it makes of raw files, of packs that are not there, and of jobs that fail."""

import tomllib

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import real_study, tables
from benchmarks.real_study import QUERIES, Catalogue, catalogues, held_out, raw
from eiclip.settings.load import DatasetSettings
from eiclip.storage.catalogue import CATALOGUE
from eiclip.storage.sql import read_sql


@pytest.fixture
def pack(tmp_path):
    ids = list(range(5 * QUERIES + 500))
    pq.write_table(pa.table({"product_id": ids, "name": [f"n{i}" for i in ids]}), tmp_path / "pack.parquet")
    return tmp_path / "pack.parquet"


def test_the_same_products_are_held_out_whatever_their_order(pack, tmp_path):
    found = pq.read_table(held_out(pack, tmp_path / "one.parquet"))
    turned = tmp_path / "turned.parquet"
    pq.write_table(pq.read_table(pack).take(list(range(found.num_rows))[::-1]), turned)
    again = pq.read_table(held_out(turned, tmp_path / "two.parquet"))
    tests = [{row["product_id"] for row in table.to_pylist() if row["split"] == "test"} for table in (found, again)]
    assert tests[0] == tests[1]
    assert len(tests[0]) == QUERIES
    assert set(found["split"].to_pylist()) == {"train", "test"}


def test_a_small_pack_keeps_most_products_for_training(tmp_path):
    pq.write_table(pa.table({"product_id": list(range(92))}), tmp_path / "pack.parquet")
    found = pq.read_table(held_out(tmp_path / "pack.parquet", tmp_path / "names.parquet"))
    assert found["split"].to_pylist().count("test") == 18


def test_each_catalogue_has_a_home_and_settings_that_can_be_read(pack, tmp_path):
    (tmp_path / "tops").mkdir()
    (tmp_path / "tops" / "meta_Tops.json.gz").touch()
    found = {one.name: one for one in catalogues(tmp_path / "real", tmp_path, tmp_path / "tops", pack)}
    assert set(found) == set(real_study.JOBS)
    assert len({one.home for one in found.values()}) == len(found)
    entries = {}
    for name, one in found.items():
        [(dataset, entry)] = tomllib.loads(one.settings.read_text())["datasets"].items()
        assert dataset == name
        entries[name] = DatasetSettings.model_validate(entry)
    assert entries["tops"].metadata.endswith("meta_Tops.json.gz")
    assert entries["names"].columns.split == "split"
    assert entries["myntra_text"].training == {"text_tower": "last:2"}
    assert entries["myntra"].training == {}


def test_a_pack_that_is_not_there_is_left_out_and_that_is_said(tmp_path, capsys):
    assert raw(tmp_path, "amazon", tmp_path / "raw") is None
    assert "amazon: no amazon_tops below" in capsys.readouterr().out


def test_a_pack_that_its_tool_cannot_read_is_left_out(tmp_path, capsys):
    for name, text in (("tools/raw_from_pack.py", "raise SystemExit(3)"), ("data/amazon_tops.parquet", "")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    assert raw(tmp_path, "amazon", tmp_path / "raw") is None
    assert "cannot read amazon_tops.parquet" in capsys.readouterr().out
    assert not (tmp_path / "raw" / "whole").exists()


def test_a_job_that_fails_is_named_with_its_reason_and_its_log(tmp_path, capsys):
    one = Catalogue.of(tmp_path, "myntra", f'kind = "fashiongen"\nfolder = "{tmp_path / "nowhere"}"\n')
    assert not one.run("ingest")
    assert one.failed == ["ingest"]
    said = capsys.readouterr().out
    assert "myntra: ingest left out" in said
    assert "nowhere" in said
    assert (tmp_path / "myntra" / "ingest.log").is_file()


def test_groups_that_tell_nothing_are_named(tmp_path):
    rows = [("brand", 0), ("brand", 1), ("brand", 2), ("season", 0), ("season", 1), ("composition", 0)]
    (tmp_path / "shop").mkdir()
    with duckdb.connect(str(tmp_path / "shop" / CATALOGUE)) as connection:
        connection.sql("CREATE TABLE entity_vocabulary (dataset VARCHAR, entity_group VARCHAR, entity_id BIGINT)")
        connection.executemany("INSERT INTO entity_vocabulary VALUES ('shop', ?, ?)", rows)
    said = Catalogue.of(tmp_path, "shop", 'kind = "amazon"\n').left_out()
    assert [line.split(":")[1].split(" what")[0] for line in said] == [
        " training knows no entity of 'composition'", " training knows one entity of 'season'"
    ]  # fmt: skip


def test_a_table_is_filled_where_its_command_is_named(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- t: one -->\nold\n<!-- end -->\n<!-- t: two -->\nold\n<!-- end -->\n")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    tables.fill("page.md", "t", "two", "| new |\n")
    assert page.read_text() == ("a\n<!-- t: one -->\nold\n<!-- end -->\n<!-- t: two -->\n| new |\n<!-- end -->\n")


def test_every_table_of_the_pages_has_its_query():
    found = {
        match["name"] for page in tables.PAGES
        for match in tables._TABLE.finditer((tables.ROOT / page).read_text(encoding="utf-8"))
    }  # fmt: skip
    assert tables.JUDGED in found
    assert all(read_sql(f"docs/{name}") for name in found - {tables.JUDGED})
