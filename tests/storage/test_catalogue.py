"""The catalogue lies in its home and follows it: a copy reads its own files, in every way that people open it."""

import os
import shutil
import subprocess
import sys

import duckdb
import pyarrow as pa
import pytest

from eiclip.storage.catalogue import CATALOGUE, connect, refresh_catalogue
from eiclip.storage.lake import Lake

ASKED = "SELECT home FROM things"
# What an analyst's process does, with DuckDB and nothing of ours.
READ = "import duckdb, sys; db = duckdb.connect(sys.argv[1], read_only=True); print(db.sql(sys.argv[2]).fetchall())"


def small(home, says):
    lake = Lake(home)
    lake.write(pa.table({"dataset": ["a"], "home": [says]}), "things", "a")
    return lake


@pytest.fixture
def copied(tmp_path):
    """A home and its copy, each of which says in its table whose it is; their names are as awkward as they may be."""
    original, copy = tmp_path / "it's [a] home", tmp_path / "elsewhere" / "the, *copy"
    refresh_catalogue(small(original, "original"))
    shutil.copytree(original, copy)
    small(copy, "copy")
    return original, copy


def ask(database, folder, query=ASKED):
    done = subprocess.run(
        [sys.executable, "-c", READ, str(database), query], cwd=folder, capture_output=True, text=True
    )
    return done.stdout.strip() or done.stderr


def test_a_copy_reads_its_own_files_wherever_it_is_opened_from(copied):
    original, copy = copied
    for folder, database in (
        (copy, CATALOGUE),
        (copy.parent, f"{copy.name}/{CATALOGUE}"),
        (original, copy / CATALOGUE),
    ):
        assert ask(database, folder) == "[('copy',)]"
    assert ask(original / CATALOGUE, copy) == "[('original',)]"
    (copy.parent / "link").symlink_to(copy)
    assert ask(copy.parent / "link" / CATALOGUE, original) == "[('copy',)]"
    with connect(copy) as connection:
        assert connection.sql(ASKED).fetchall() == [("copy",)]


def test_a_moved_home_needs_nothing_of_the_place_it_was_made_in(copied):
    original, copy = copied
    moved = copy.parent / "moved"
    original.rename(moved)
    assert ask(moved / CATALOGUE, copy) == "[('original',)]"
    (copy / CATALOGUE).rename(copy.parent / CATALOGUE)
    assert "No files found" in ask(copy.parent / CATALOGUE, copy), "a catalogue without its lake"


def test_a_copy_that_nobody_can_write_is_read(copied):
    _, copy = copied
    paths = [copy, *copy.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert ask(copy / CATALOGUE, os.sep) == "[('copy',)]"
    finally:
        for path in paths:
            path.chmod(0o755)


def test_where_a_catalogue_cannot_tell_its_place_it_says_how_to(copied):
    original, copy = copied
    other = copy.parent / "renamed.duckdb"
    shutil.copy(original / CATALOGUE, other)
    assert "SET VARIABLE eiclip_home" in ask(other, original)
    with duckdb.connect(str(copy / CATALOGUE), config={"temp_directory": str(original)}, read_only=True) as connection:
        with pytest.raises(duckdb.Error, match="open the file itself"):
            connection.sql(ASKED).fetchall()
        connection.execute("SET VARIABLE eiclip_home = ?", [str(copy)])
        assert connection.sql(ASKED).fetchall() == [("copy",)]


def attach(connection, home, name):
    place = str(home / CATALOGUE).replace("'", "''")
    connection.execute(f"ATTACH '{place}' AS {name} (READ_ONLY)")


def test_an_attached_catalogue_reads_what_the_variable_names_and_two_read_nothing(copied):
    original, copy = copied
    with duckdb.connect() as connection:
        attach(connection, copy, "shop")
        with pytest.raises(duckdb.Error, match="SET VARIABLE eiclip_home"):
            connection.sql("SELECT home FROM shop.things").fetchall()
        connection.execute("SET VARIABLE eiclip_home = ?", [str(copy)])
        assert connection.sql("SELECT home FROM shop.things").fetchall() == [("copy",)]
        attach(connection, original, "before")
        for name in ("shop", "before"):
            with pytest.raises(duckdb.Error, match="of 2 homes"):
                connection.sql(f"SELECT home FROM {name}.things").fetchall()
    with connect(copy) as connection:
        attach(connection, original, "before")
        with pytest.raises(duckdb.Error, match="of 2 homes"):
            connection.sql("SELECT home FROM before.things").fetchall()


def test_no_place_of_this_machine_is_in_it(copied):
    original, _ = copied
    assert str(original.parent).encode() not in (original / CATALOGUE).read_bytes()
