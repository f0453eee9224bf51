"""A catalogue without some of its files: what is left out is in no view, and everything else is as it was."""

import pyarrow as pa
import pytest

from eiclip.storage.catalogue import connect, refresh_catalogue
from eiclip.storage.lake import Lake
from eiclip.storage.left_out import LeftOut, connect_without


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "it's [home]")
    for dataset, part, epochs in (("a", "x", 3), ("a", "y", 5), ("b", "x", 5)):
        rows = {"dataset": [dataset], "variant": [part], "epochs": [epochs]}
        lake.write(pa.table(rows), "training_log", dataset, part)
    lake.write(pa.table({"dataset": ["a"], "note": ["only here"]}), "leaderboard", "a")
    vectors = pa.array([[0.6, 0.8]], pa.list_(pa.float32(), 2))
    for part in ("x", "y"):
        table = pa.table({"dataset": ["a"], "variant": [part], "embedding": vectors})
        lake.write(table, "embeddings", "a", part)
    refresh_catalogue(lake)
    return lake


def rows(connection, table):
    return sorted(connection.execute(f"SELECT * FROM {table}").fetchall())


def without(*names):
    return [LeftOut(dataset, table, part, ("epochs 3, now 5",), "full_eval") for dataset, table, part in names]


def test_files_that_are_left_out_are_in_no_row(lake):
    with connect_without(lake.home, without(("a", "training_log", "x"))) as connection:
        assert rows(connection, "training_log") == [("a", "y", 5), ("b", "x", 5)]
        assert len(rows(connection, "leaderboard")) == 1
    with connect(lake.home) as connection:
        assert len(rows(connection, "training_log")) == 3, "the catalogue itself is what it was"


def test_a_table_of_which_all_is_left_out_has_its_columns_and_no_rows(lake):
    with connect_without(lake.home, without(("a", "leaderboard", "data"))) as connection:
        found = connection.execute("SELECT note FROM leaderboard WHERE dataset = 'a'")
        assert found.fetchall() == []


def test_vectors_keep_their_type(lake):
    with connect_without(lake.home, without(("a", "embeddings", "y"))) as connection:
        text = "SELECT variant, array_inner_product(embedding, embedding) FROM embeddings"
        assert connection.execute(text).fetchall() == [("x", pytest.approx(1))]


def test_columns_that_only_left_out_files_have_are_still_there(lake):
    lake.write(pa.table({"dataset": ["b"], "note": ["b"], "newer": [1.5]}), "leaderboard", "b")
    refresh_catalogue(lake)
    with connect_without(lake.home, without(("b", "leaderboard", "data"))) as connection:
        assert rows(connection, "leaderboard") == [("a", "only here", None)]


def test_what_the_catalogue_does_not_have_is_left_out_already(lake):
    with connect_without(lake.home, without(("a", "row_comparisons", "data"))) as connection:
        assert len(rows(connection, "training_log")) == 3


def test_a_file_is_named_by_its_part_where_there_are_several():
    [log, board] = without(("a", "training_log", "x"), ("a", "leaderboard", "data"))
    assert (log.name, board.name) == ("training_log/x", "leaderboard")
