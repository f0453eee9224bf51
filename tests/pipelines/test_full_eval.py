"""The whole job, small, in one process (its trainers are real processes), and what a second run of it does."""

import ast
import json
import os
import shutil
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.tables import rewritten
from eiclip.evaluation.protocols import PROTOCOLS
from eiclip.evaluation.run_history import Run, keep_run
from eiclip.model.variants import VARIANTS
from eiclip.settings.load import FASHIONGEN, load_settings
from eiclip.storage.catalogue import connect, refresh_catalogue
from eiclip.storage.lake import Lake
from pipelines.definitions import build_definitions
from tests.pages import blocks

from .conftest import require_descriptions

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("docs/queries.md", "docs/uncertainty.md", "docs/interventions.md")
PROTOCOL_NAMES = [protocol.name for protocol in PROTOCOLS]
SIZES = {"fashiongen_train": 120, "fashiongen_test": 40, "general_images": 128, "pretraining_epochs": 1}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return load_settings(
        home=tmp_path_factory.mktemp("home"),
        datasets={"fashiongen": FASHIONGEN},
        pretrained="general",
        embedded=SIZES,
        training={"epochs": 1, "batch_size": 32},
    )


def run(settings):
    job = build_definitions(settings).resolve_job_def("full_eval")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance)
        events = result.get_asset_materialization_events()
        return {
            event.asset_key.to_user_string(): event.materialization.metadata
            for event in events
            if event.asset_key is not None
        }


@pytest.fixture(scope="module")
def first(settings):
    return run(settings)


def query(settings, text):
    with duckdb.connect(str(settings.home / "eiclip.duckdb"), read_only=True) as connection:
        return connection.execute(text).fetchall()


def test_everything_is_made(settings, first):
    assert (settings.home / "report.html").stat().st_size > 50_000
    for variant in VARIANTS:
        assert (settings.home / "models" / "fashiongen" / variant / "open_clip_model.safetensors").is_file()
    assert first["fashiongen/products"]["dagster/row_count"].value == 160
    columns = first["fashiongen/products"]["dagster/column_schema"].value.columns
    assert all(column.description for column in columns), "as the catalogue's comments have it"
    assert "dagster/column_lineage" in first["fashiongen/products"]


def test_leaderboard_has_every_row_under_every_protocol(settings, first):
    rows = query(settings, "SELECT protocol, paper_row, variant FROM leaderboard ORDER BY ALL")
    assert rows == [(p, v.row, v.name) for p in sorted(PROTOCOL_NAMES) for v in VARIANTS.values()]


def test_ranks_cover_every_query_once(settings, first):
    photos = query(settings, "SELECT count(*) FROM images WHERE split = 'test'")[0][0]
    products = query(settings, "SELECT count(*) FROM products WHERE split = 'test'")[0][0]
    text = """
        SELECT DISTINCT protocol, direction, count(*), count(DISTINCT query_id)
        FROM retrieval_ranks GROUP BY direction, variant, protocol, draw"""
    queries = {"i2t": photos, "t2i": products}
    assert sorted(query(settings, text)) == sorted(
        (name, way, asked, asked)
        for name in PROTOCOL_NAMES
        for way, asked in (dict.fromkeys(queries, products) if name.endswith("_product") else queries).items()
    )


def test_metrics_are_the_ranks(settings, first):
    assert query(
        settings,
        """
        SELECT count(*) FROM retrieval_metrics JOIN (
            SELECT dataset, variant, protocol, direction, 100.0 * count(*) FILTER (WHERE rank <= 5) / count(*) AS again
            FROM retrieval_ranks GROUP BY ALL
        ) USING (dataset, variant, protocol, direction) WHERE abs(r5 - again) < 1e-9""",
    ) == [(2 * len(VARIANTS) * len(PROTOCOLS),)]


def test_gates_and_embeddings_are_in_range(settings, first):
    assert query(settings, "SELECT count(*) FROM gate_weights WHERE weight NOT BETWEEN 0 AND 1") == [(0,)]
    assert query(
        settings, "SELECT count(*) FROM embeddings WHERE abs(array_inner_product(embedding, embedding) - 1) > 1e-3"
    ) == [(0,)]


def test_every_view_and_column_is_described(settings, first):
    require_descriptions(settings.home)
    views = query(settings, "SELECT view_name FROM duckdb_views() WHERE NOT internal")
    found = query(settings, "SELECT name, grain, job FROM tables")
    assert sorted((name,) for name, _, _ in found) == sorted(views)
    assert {job for _, _, job in found} == {"full_eval", "refresh"}
    assert all(grain.startswith("one row per ") for _, grain, _ in found)


def test_nothing_is_lost(settings, first):
    found = query(settings, "SELECT (SELECT count(*) FROM images) + (SELECT count(*) FROM quarantine)")
    assert found[0][0] == first["fashiongen/records"]["rows_in"].value


def test_the_run_is_kept_with_its_hashes(settings, first):
    [(run_id, config_hash, fingerprint)] = query(settings, "SELECT run_id, config_hash, data_fingerprint FROM runs")
    assert first["fashiongen/runs"]["run_id"].value == run_id
    assert len(config_hash) == len(fingerprint) == 16
    for kept, present in (("run_ranks", "retrieval_ranks"), ("run_metrics", "retrieval_metrics")):
        counts = f"SELECT (SELECT count(*) FROM {kept} WHERE run_id = '{run_id}'), (SELECT count(*) FROM {present})"
        [(ours, theirs)] = query(settings, counts)
        assert ours == theirs > 0


@pytest.fixture(scope="module")
def two_runs(settings, first, tmp_path_factory):
    """A catalogue as after a second run with other weights: two results are kept."""
    home = tmp_path_factory.mktemp("two_runs")
    shutil.copytree(settings.home / "lake", home / "lake")
    lake = Lake(home)
    ranks = pq.read_table(lake.path("retrieval_ranks", "fashiongen"))
    worse = pa.compute.add(ranks["rank"], 1)
    lake.write(ranks.set_column(ranks.column_names.index("rank"), "rank", worse), "retrieval_ranks", "fashiongen")
    sources = {"retrieval_ranks": lake.files("retrieval_ranks", "fashiongen")}
    lake.query("evaluation/retrieval_metrics", lake.path("retrieval_metrics", "fashiongen"), sources, {})
    keep_run(lake, Run("second", "fashiongen", 0, {}, {}, "code", "cpu", 1.0))
    refresh_catalogue(lake)
    with connect(home) as connection:
        yield connection


DOCUMENTED = [block for page in PAGES for block in blocks(page, "sql") if block.run]


@pytest.mark.parametrize("block", DOCUMENTED, ids=[f"{block.page}:{block.line}" for block in DOCUMENTED])
def test_documented_queries_answer(two_runs, block):
    result = two_runs.execute(block.text)
    names, rows = [column[0] for column in result.description], result.fetchall()
    assert len(set(names)) == len(names)
    assert rows


def test_the_tables_of_the_docs_are_those_of_a_catalogue(two_runs):
    connection = two_runs.cursor()
    page, outcomes = rewritten((DOCS / "tables.md").read_text(encoding="utf-8"), connection)
    assert "table_1: 21 rows" in outcomes, "three protocols of one dataset, with chance"
    assert [line.partition(" first")[0] for line in outcomes if line.startswith("seeds_of_rows")] == [
        "seeds_of_rows: kept, run `make seed_study`"
    ]
    assert rewritten(page, connection)[0] == page
    assert "| fashiongen | full | 5 `eiclip` |" in page
    assert "amazon | full" not in page


def test_documented_search_by_words_answers(settings, first, monkeypatch, capsys):
    monkeypatch.setenv("EICLIP_HOME", str(settings.home))
    [block] = blocks("docs/queries.md", "python")
    exec(compile(block.text, "docs/queries.md", "exec"), {})
    found = ast.literal_eval(capsys.readouterr().out)
    assert len(found) == 5
    assert [row[2] for row in found] == sorted((row[2] for row in found), reverse=True)


def test_second_run_reuses_everything(settings, first):
    weights = settings.home / "models" / "fashiongen" / "eiclip" / "open_clip_model.safetensors"
    before = weights.stat().st_mtime_ns
    again = run(settings)
    not_reused = [key for key, metadata in again.items() if "reused" in metadata and not metadata["reused"].value]
    assert not_reused == []
    assert weights.stat().st_mtime_ns == before


def flip_a_byte(settings):
    shard = next((settings.home / "shards" / "fashiongen").glob("*/train-*.tar"))
    before = shard.stat()
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    return shard, before


def test_an_edited_shard_is_made_again_and_nothing_after_it(settings, first):
    shard, _ = flip_a_byte(settings)
    told = run(settings)
    assert [key for key, metadata in told.items() if "reason" in metadata] == [], "they are the same bytes as before"
    outcomes = [json.loads(line) for line in (settings.home / "outputs.jsonl").read_text().splitlines()]
    part = f"fashiongen/shards/{shard.parent.name}"
    assert [line["outcome"] for line in outcomes if line["output"] == part] == ["made", "reused", "made"]
    assert outcomes[-1]["outcome"] == "reused"
    [again] = [line for line in outcomes if line["output"] == part and "edited" in line["reason"]]
    assert again["reason"] == f"{shard.name} was edited after it was made"


def test_a_shard_that_rots_on_the_disk_stops_the_run(settings, first):
    """Nobody wrote to it, so that its size and time are as they were: the check reads it whole."""
    shard, before = flip_a_byte(settings)
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    job = build_definitions(settings).resolve_job_def("full_eval")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not result.success
        failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [check.check_name for check in failed] == ["shards_match_manifest"]
    assert shard.name in str(failed[0].metadata["problems"].value)


def test_chance_stands_beside_the_rows(settings, first):
    [(products, sum_r)] = query(
        settings,
        """SELECT (SELECT count(*) FROM products WHERE split = 'test'), sum_r
        FROM chance_recalls WHERE protocol = 'full_product'""",
    )
    assert sum_r == pytest.approx(2 * (1 + 5 + 10) * 100 / products)
    together = "FROM leaderboard UNION ALL BY NAME FROM chance_recalls"
    assert query(settings, f"SELECT count(*) FROM ({together}) WHERE sum_r IS NULL OR i2t_ndcg10 IS NULL") == [(0,)]
    assert " chance " in first["fashiongen/leaderboard"]["table_full"].value


def test_what_came_of_each_training_is_a_table(settings, first):
    found = query(settings, "SELECT variant, batch_size, verdict, message FROM training_outcomes")
    assert {variant for variant, *_ in found} == set(VARIANTS) - {"clip_pretrained"}
    for variant, batch_size, verdict, message in found:
        described = json.loads((settings.home / "models" / "fashiongen" / variant / "eiclip.json").read_text())
        assert (described["outcome"]["verdict"], described["outcome"]["message"]) == (verdict, message)
        assert batch_size == 32
        card = (settings.home / "models" / "fashiongen" / variant / "README.md").read_text()
        assert f"Outcome, {verdict}: {message}." in card.replace("\\", "")


def test_training_log_is_a_table(settings, first):
    log = pq.read_table(settings.home / "lake" / "training_log" / "folder=fashiongen" / "eiclip.parquet").to_pylist()
    assert [row["step"] for row in log] == sorted(row["step"] for row in log)
    assert set(dict(log[-1]["gates"])) == set(FASHIONGEN.entity_groups)
