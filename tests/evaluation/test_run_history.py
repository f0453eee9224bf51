"""Kept runs: a result of its own adds a run, the same result none, and two runs can be compared query by query."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.evaluation.protocols import RANKS_SCHEMA
from eiclip.evaluation.run_history import Run, keep_run
from eiclip.storage.catalogue import connect, refresh_catalogue
from eiclip.storage.files import digest
from eiclip.storage.lake import Lake
from eiclip.storage.sql import read_sql

RUN = Run("run-1", "shop", 0, {"epochs": 3}, {"shards": "s1"}, "code", "cpu", 12.5)


def results(lake, first_rank=1):
    """Two queries a way for rows 3 and 5; row 5's first query has this rank."""
    rows = [
        {"dataset": "shop", "variant": variant, "protocol": "full", "draw": 0, "direction": way, "query_id": query}
        | {"product_id": query, "rank": rank, "rank_text_equal": rank, "ndcg10": 0.5}
        for variant, ranks in (("clip_entities_text", (4, 12)), ("eiclip", (first_rank, 2)))
        for way in ("i2t", "t2i")
        for query, rank in zip("ab", ranks, strict=True)
    ]
    place = lake.write(pa.Table.from_pylist(rows, schema=RANKS_SCHEMA), "retrieval_ranks", "shop")
    lake.query("evaluation/retrieval_metrics", lake.path("retrieval_metrics", "shop"), {"retrieval_ranks": [place]}, {})


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    results(lake)
    return lake


def kept(lake, table="runs"):
    return [row for file in lake.files(table, "shop") for row in pq.read_table(file).to_pylist()]


def test_a_run_is_kept_with_its_hashes_and_its_ranks(lake):
    assert keep_run(lake, RUN) == ("run-1", True)
    [row] = kept(lake)
    assert (row["config_hash"], row["data_fingerprint"]) == (digest(RUN.settings), digest(RUN.data))
    assert json.loads(row["settings"]) == RUN.settings
    assert set(json.loads(row["versions"])) >= {"python", "torch", "duckdb"}
    for table, source in (("run_ranks", "retrieval_ranks"), ("run_metrics", "retrieval_metrics")):
        rows = kept(lake, table)
        assert {row.pop("run_id") for row in rows} == {"run-1"}
        assert rows == pq.read_table(lake.path(source, "shop")).to_pylist()


def test_the_same_result_is_kept_once(lake):
    keep_run(lake, RUN)
    assert keep_run(lake, replace(RUN, run_id="run-2", seconds=99.0)) == ("run-1", False)
    assert len(kept(lake)) == 1


@pytest.mark.parametrize("change", [{"seed": 1}, {"settings": {"epochs": 4}}, {"data": {"shards": "s2"}}])
def test_another_seed_configuration_or_catalogue_is_another_run(lake, change):
    keep_run(lake, RUN)
    assert keep_run(lake, replace(RUN, run_id="run-2", **change)) == ("run-2", True)


def test_another_result_is_another_run_and_both_can_be_compared(lake):
    keep_run(lake, RUN)
    results(lake, first_rank=3)
    assert keep_run(lake, replace(RUN, run_id="run-2")) == ("run-2", True)
    refresh_catalogue(lake)
    with connect(lake.home) as connection:
        moved = connection.execute("""
            SELECT one.variant, one.query_id, one.rank, other.rank FROM run_ranks AS one
            JOIN run_ranks AS other USING (dataset, variant, protocol, draw, direction, query_id)
            WHERE one.run_id = 'run-1' AND other.run_id = 'run-2' AND one.rank <> other.rank AND direction = 'i2t'
            """).fetchall()
        assert moved == [("eiclip", "a", 1, 3)]
        summary = connection.execute(read_sql("report/run_summary"), {"dataset": "shop", "shown": 5}).fetchall()
    assert [row[0] for row in summary] == ["run-2", "run-1"]
    assert [row[-2:] for row in summary] == [(200.0, 400.0), (200.0, 500.0)]


def test_a_run_cut_short_while_it_is_kept_is_not_in_runs(lake, monkeypatch):
    def stop(self, rows, table, *place):
        if table == "run_metrics":
            raise KeyboardInterrupt
        return write(self, rows, table, *place)

    write = Lake.write
    monkeypatch.setattr(Lake, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        keep_run(lake, RUN)
    assert kept(lake) == []
    monkeypatch.undo()
    assert keep_run(lake, RUN) == ("run-1", True)
