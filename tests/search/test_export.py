"""Exports: what a shop's own store finds in them is what the engine finds."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from eiclip.search import Query
from pipelines.cli import main
from tests.search.conftest import DATASET

ASKED = [Query(text="b1 coat", top=6), Query(product_id="p2", top=5), Query(text="number 3", view="image", top=6)]


def exported(home, capsys, *arguments):
    """Status, output and errors of the command."""
    status = main(["export", "--home", str(home.root), "--variant", "eiclip", *map(str, arguments)])
    return status, *capsys.readouterr()


def vectors_of(engine, query):
    """The vector (D,) that a query's products are compared with."""
    return engine.vectors([engine.reader.read(query)])[0]


def assert_neighbours(engine, found):
    """`found` gives ids and cosines of the products nearest to a vector by a column, best first."""
    for query in ASKED:
        hits = engine.search(replace(query, by="vectors")).hits
        rows = [row for row in found(f"{query.view}_vector", vectors_of(engine, query)) if row[0] != query.product_id]
        assert [row[0] for row in rows] == [hit.product_id for hit in hits]
        assert [row[1] for row in rows] == pytest.approx([hit.score for hit in hits], abs=1e-5)


def test_parquet_has_what_the_engine_shows(home, engine, tmp_path, capsys):
    output = tmp_path / "new" / "products.parquet"
    status, said, errors = exported(home, capsys, output)
    assert (status, errors) == (0, "")
    assert "6 products of shop by eiclip, three vectors of" in said
    rows = pq.read_table(output)
    shown = {hit.product_id: hit for hit in engine.search(Query(text="coat", top=6)).hits}
    for row in rows.to_pylist():
        hit = shown[row["product_id"]]
        assert (row["title"], row["price"], row["category"]) == (hit.title, hit.price, hit.category)
        assert {group: names for group, names in row["entities"].items() if names} == dict(hit.entities)

    def found(column, vector_D):
        score_N = np.stack(rows[column].to_numpy()) @ vector_D
        return [(rows["product_id"][int(row)].as_py(), score_N[row]) for row in np.argsort(-score_N)]

    assert_neighbours(engine, found)
    assert [file.name for file in output.parent.iterdir()] == [output.name]


def test_lancedb_finds_the_same_neighbours(home, engine, tmp_path, capsys):
    lancedb = pytest.importorskip("lancedb")
    place = tmp_path / "shop.lancedb"
    lancedb.connect(place).create_table("theirs", [{"x": 1}])
    for _ in range(2):  # the second replaces the first
        status, said, errors = exported(home, capsys, place, "--to", "lancedb")
        assert (status, errors) == (0, "")
    assert f"open_table({DATASET!r})" in said
    table = lancedb.connect(place).open_table(DATASET)
    assert table.count_rows() == 6
    assert lancedb.connect(place).open_table("theirs").count_rows() == 1

    def found(column, vector_D):
        rows = table.search(vector_D, vector_column_name=column).distance_type("dot").limit(6).to_list()
        return [(row["product_id"], 1 - row["_distance"]) for row in rows]

    assert_neighbours(engine, found)
    brand = engine.search(Query(product_id="p2")).hits[0].entities["brand"][0]
    rows = table.search().where(f"array_has(entities.brand, '{brand}')").to_list()
    wanted = [hit.product_id for hit in engine.search(Query(text="x", filters={"brand": (brand,)})).hits]
    assert sorted(row["product_id"] for row in rows) == sorted(wanted)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Runs a script or a statement in a real Postgres with pgvector, and returns what psql prints, in CSV."""
    pgserver = pytest.importorskip("pgserver")
    with pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete") as server:
        psql = shutil.which("psql") or str(pgserver.POSTGRES_BIN_PATH / "psql")

        def run(*options, wrong=False):
            done = subprocess.run(
                [psql, server.get_uri(), "-q", "--csv", "-t", *options], capture_output=True, text=True
            )
            assert bool(done.returncode) == wrong, done.stderr
            return done.stdout

        yield run


def test_pgvector_finds_the_same_neighbours(home, engine, tmp_path, capsys, postgres):
    script = tmp_path / "products.sql"
    status, said, errors = exported(home, capsys, script, "--to", "pgvector", "--table", "wares")
    assert (status, errors) == (0, "")
    assert f"-f {script} makes the table wares" in said
    for _ in range(2):  # the second replaces the first
        postgres("-f", script)

    def found(column, vector_D):
        asked = str(vector_D.tolist())
        lines = postgres(
            "-c", f"SELECT product_id, -({column} <#> '{asked}') FROM wares ORDER BY {column} <#> '{asked}'"
        )
        return [(name, float(score)) for name, score in (line.split(",") for line in lines.splitlines())]

    assert_neighbours(engine, found)
    brand = engine.search(Query(product_id="p2")).hits[0].entities["brand"][0]
    count = postgres("-c", f"SELECT count(*) FROM wares WHERE entities->'brand' ? '{brand}'")
    assert int(count) == len(engine.search(Query(text="x", filters={"brand": (brand,)})).hits)


def test_a_script_that_fails_leaves_the_table_as_it_was(home, tmp_path, capsys, postgres):
    script = tmp_path / "products.sql"
    exported(home, capsys, script, "--to", "pgvector", "--table", "kept")
    postgres("-f", script)
    script.write_text(script.read_text().replace("\n\\.\n", "\np9,too,few\n\\.\n"))
    postgres("-f", script, wrong=True)
    assert int(postgres("-c", "SELECT count(*) FROM kept")) == 6


def test_what_cannot_be_written_is_told_and_nothing_changes(home, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "is a folder: name another output for parquet" in exported(home, capsys, folder)[2]
    assert "table 'a b': name one of small letters" in exported(home, capsys, tmp_path / "x", "--table", "a b")[2]
    monkeypatch.setitem(__import__("sys").modules, "lancedb", None)  # as where it is not installed
    status, _, errors = exported(home, capsys, tmp_path / "x", "--to", "lancedb")
    assert (status, errors) == (1, "eiclip: lancedb is not installed; pip install 'eiclip[lancedb]'\n")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
