"""The lake and its catalogue: queries write whole files, analysts and runs do not hinder each other."""

import duckdb
import pyarrow as pa
import pytest

from eiclip.errors import EiclipError
from eiclip.lake import Lake, connect


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "it's home")
    for dataset in ("a", "b"):
        rows = {"dataset": [dataset] * 3, "variant": ["v"] * 3, "protocol": ["full"] * 3, "direction": ["i2t"] * 3}
        lake.write(pa.table(rows | {"query_id": list("xyz"), "rank": [1, 4, 11]}), "retrieval_ranks", dataset)
    return lake


def test_a_query_reads_named_inputs_and_writes_its_rows(lake):
    output = lake.path("retrieval_metrics", "a")
    rows = lake.query("retrieval_metrics", output, {"retrieval_ranks": [lake.path("retrieval_ranks", "a")]}, {})
    assert rows == 1
    found = duckdb.read_parquet(str(output)).project("r1, r5, r10, queries").fetchall()
    assert found == [(pytest.approx(100 / 3), pytest.approx(200 / 3), pytest.approx(200 / 3), 3)]


def test_a_failing_query_is_named_and_leaves_nothing(lake):
    output = lake.path("leaderboard", "a")
    with pytest.raises(EiclipError, match=r"sql/leaderboard\.sql"):
        lake.query("leaderboard", output, {"retrieval_ranks": [lake.path("retrieval_ranks", "a")]}, {})
    assert list(output.parent.iterdir()) == []


def test_the_catalogue_has_a_view_per_table_over_all_datasets(lake):
    lake.refresh_catalogue()
    with connect(lake.home) as connection:
        assert connection.sql("SELECT dataset, count(*) FROM retrieval_ranks GROUP BY 1 ORDER BY 1").fetchall() == [
            ("a", 3),
            ("b", 3),
        ]


def test_an_analyst_keeps_it_open_while_it_is_rebuilt(lake):
    lake.refresh_catalogue()
    with connect(lake.home) as analyst:
        lake.write(pa.table({"dataset": ["c"], "rank": [2]}), "retrieval_ranks", "c")
        lake.refresh_catalogue()
        assert analyst.sql("SELECT count(*) FROM retrieval_ranks").fetchall() == [(7,)], "views see new files"
        with connect(lake.home) as second:
            assert second.sql("SELECT count(*) FROM retrieval_ranks").fetchall() == [(7,)]


def test_embeddings_of_one_width_are_arrays(lake):
    values = pa.FixedSizeListArray.from_arrays(pa.array([0.6, 0.8], pa.float32()), 2)
    lake.write(pa.table({"dataset": ["a"], "embedding": values}), "embeddings", "a")
    lake.refresh_catalogue()
    with connect(lake.home) as connection:
        score = connection.sql("SELECT array_cosine_similarity(embedding, [1, 0]::FLOAT[2]) FROM embeddings").fetchall()
    assert score == [(pytest.approx(0.6),)]


def test_no_catalogue_says_how_to_get_one(tmp_path):
    with pytest.raises(EiclipError, match="make full_eval"):
        connect(tmp_path)
