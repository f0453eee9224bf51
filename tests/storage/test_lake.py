"""The lake and its catalogue: queries write whole files, analysts and runs do not hinder each other."""

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from eiclip.errors import EiclipError
from eiclip.readers.base import Listing, Rejected
from eiclip.readers.records import write_rows
from eiclip.storage.cache import make_once, read_record
from eiclip.storage.catalogue import connect, refresh_catalogue
from eiclip.storage.lake import Lake, open_views


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "it's home")
    for dataset in ("a", "b"):
        rows = {"dataset": [dataset] * 3, "variant": ["v"] * 3, "protocol": ["full"] * 3, "direction": ["i2t"] * 3}
        rows |= {"query_id": list("xyz"), "rank": [1, 4, 11], "rank_text_equal": [1, 1, 11], "ndcg10": [1.0, 0.4, 0.0]}
        lake.write(pa.table(rows), "retrieval_ranks", dataset)
    return lake


def test_a_query_reads_named_inputs_and_writes_its_rows(lake):
    output = lake.path("retrieval_metrics", "a")
    inputs = {"retrieval_ranks": [lake.path("retrieval_ranks", "a")]}
    assert lake.query("evaluation/retrieval_metrics", output, inputs, {}) == 1
    found = duckdb.read_parquet(str(output)).project("r1, r5, r10, queries").fetchall()
    assert found == [(pytest.approx(100 / 3), pytest.approx(200 / 3), pytest.approx(200 / 3), 3)]


def _spark(folder):
    pyspark = pytest.importorskip("pyspark.sql")
    session = pyspark.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    frame = session.read.parquet(str(folder))
    return frame.columns, [row["dataset"] for row in frame.collect()]


def _hive(folder):
    table = ds.dataset(folder, partitioning="hive").to_table()
    return table.column_names, table["dataset"].to_pylist()


READERS = {
    "pandas": lambda folder: (lambda frame: (list(frame.columns), list(frame["dataset"])))(pd.read_parquet(folder)),
    "pyarrow": lambda folder: (lambda table: (table.column_names, table["dataset"].to_pylist()))(pq.read_table(folder)),
    "pyarrow, by folder": _hive,
    "polars": lambda folder: (lambda frame: (frame.columns, frame["dataset"].to_list()))(pl.read_parquet(folder)),
    "duckdb": lambda folder: (lambda found: (found.columns, [row[0] for row in found.project("dataset").fetchall()]))(
        duckdb.read_parquet(f"{folder}/**/*.parquet", hive_partitioning=True)
    ),
    "spark": _spark,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_table_is_a_dataset_to_other_readers(tmp_path, reader):
    """Records of how the files were made are no files of the table, and the folders' name is no column of the files."""
    lake = Lake(tmp_path)
    for dataset in ("a", "b"):
        rows = pa.table({"dataset": [dataset] * 2, "x": [1, 2]})
        output = lake.path("things", dataset)
        make_once(output, {"code": "1"}, lambda rows=rows, output=output: lake.write_file(rows, output) or {})
        assert read_record(output)[0] is not None
        assert [file.name for file in output.parent.iterdir()] == ["data.parquet"]
    assert lake.tables() == ["things"]
    columns, datasets = READERS[reader](tmp_path / "lake" / "things")
    assert sorted(datasets) == ["a", "a", "b", "b"]
    assert set(columns) - {"folder"} == {"dataset", "x"}


def test_a_failing_query_is_named_and_leaves_nothing(lake):
    output = lake.path("leaderboard", "a")
    with pytest.raises(EiclipError, match=r"sql/evaluation/leaderboard\.sql"):
        lake.query("evaluation/leaderboard", output, {"retrieval_ranks": [lake.path("retrieval_ranks", "a")]}, {})
    assert list(output.parent.iterdir()) == []


def test_the_catalogue_has_a_view_per_table_over_all_datasets(lake):
    refresh_catalogue(lake)
    with connect(lake.home) as connection:
        found = connection.sql("SELECT dataset, count(*) FROM retrieval_ranks GROUP BY 1 ORDER BY 1").fetchall()
    assert found == [("a", 3), ("b", 3)]


def test_views_and_columns_have_comments_and_the_view_tables_lists_them(lake):
    lake.write(pa.table({"dataset": ["a"], "extra": [1]}), "somebody_own", "a")
    refresh_catalogue(lake, {"retrieval_ranks": "the job"})
    with connect(lake.home) as connection:
        listed = connection.sql("SELECT name, grain, job FROM tables ORDER BY name").fetchall()
        columns = connection.sql(
            "FROM duckdb_columns() WHERE table_name = 'retrieval_ranks' AND column_name = 'dataset'"
        )
        assert columns.project("comment").fetchall() == [("name of the dataset in the settings",)]
    assert [name for name, _, _ in listed] == ["retrieval_ranks", "somebody_own", "tables"]
    assert listed[0][1].startswith("one row per variant, protocol")
    assert [job for _, _, job in listed] == ["the job", "", ""]


def test_an_analyst_keeps_it_open_while_it_is_rebuilt(lake):
    refresh_catalogue(lake)
    with connect(lake.home) as analyst:
        lake.write(pa.table({"dataset": ["c"], "rank": [2]}), "retrieval_ranks", "c")
        refresh_catalogue(lake)
        assert analyst.sql("SELECT count(*) FROM retrieval_ranks").fetchall() == [(7,)], "views see new files"
        with connect(lake.home) as second:
            assert second.sql("SELECT count(*) FROM retrieval_ranks").fetchall() == [(7,)]


def test_embeddings_of_one_width_are_arrays(lake):
    values = pa.FixedSizeListArray.from_arrays(pa.array([0.6, 0.8], pa.float32()), 2)
    lake.write(pa.table({"dataset": ["a"], "embedding": values}), "embeddings", "a")
    refresh_catalogue(lake)
    with connect(lake.home) as connection:
        score = connection.sql("SELECT array_cosine_similarity(embedding, [1, 0]::FLOAT[2]) FROM embeddings").fetchall()
    assert score == [(pytest.approx(0.6),)]


def test_no_catalogue_says_how_to_get_one(tmp_path):
    with pytest.raises(EiclipError, match="make full_eval"):
        connect(tmp_path)


def write_records(path, dataset, places):
    """Records of which every third is rejected; a place of None is left to the row's order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [Listing("raw", place, f"p{number}", "x", "", "A coat.", "") for number, place in enumerate(places)]
    rows[2::3] = [Rejected("raw", place, None, "blank line") for place in places[2::3]]
    write_rows(path, dataset, rows)


def test_places_left_to_the_order_of_rows_are_filled_in(lake):
    write_records(lake.path("records", "a"), "a", [0, 1, 7])
    write_records(lake.path("records", "b"), "b", [None] * 4)
    refresh_catalogue(lake)
    query = "SELECT dataset, list(place ORDER BY place) FROM {} GROUP BY dataset ORDER BY dataset"
    with connect(lake.home) as catalogue, duckdb.connect() as connection:
        files = [file for dataset in "ab" for file in lake.files("records", dataset)]
        open_views(connection, {"records": files})
        for asked in (catalogue, connection):
            assert asked.sql(query.format("records")).fetchall() == [("a", [0, 1, 7]), ("b", [1, 2, 3, 4])]
            assert asked.sql(query.format("listings")).fetchall() == [("a", [0, 1]), ("b", [1, 2, 4])]
            assert "file_row_number" not in asked.table("listings").columns


def test_a_table_in_parts_is_read_as_one(lake):
    for part in ("raw-00001", "raw-00000"):
        lake.write(pa.table({"dataset": ["a"], "source": [part]}), "photos", "a", part)
    assert [file.stem for file in lake.files("photos", "a")] == ["raw-00000", "raw-00001"]
    assert lake.files("photos", "b") == []
    refresh_catalogue(lake)
    with connect(lake.home) as connection:
        assert connection.sql("SELECT count(*) FROM photos").fetchall() == [(2,)]
