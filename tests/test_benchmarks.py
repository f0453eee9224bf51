"""The benchmarks run; what they measure is not a test's business."""

import json
import re
import subprocess
import sys

NAMES = ("/ bare scan", "times pandas", "times polars", "peak memory")


def test_the_ingest_benchmark_prints_a_line_a_figure(tmp_path):
    command = [sys.executable, "-m", "benchmarks.ingest", "--quick", "--folder", tmp_path]
    small = ["--only", "amazon", "--lines", "2000"]  # the other figures start too many processes for a test
    done = subprocess.run([*command, *small], check=True, capture_output=True, text=True)
    figures = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert all({"name", "ours", "peer", "ratio", "goal", "met"} <= set(figure) for figure in figures)
    assert [name for name in NAMES if not any(name in figure["name"] for figure in figures)] == []
    assert list(tmp_path.iterdir()) == []


def test_the_retrieval_benchmark_prints_a_line_a_figure(tmp_path):
    command = [sys.executable, "-m", "benchmarks.retrieval", "--quick", "--home", tmp_path]
    done = subprocess.run([*command, "--only", "faiss", "memory", "report"], check=True, capture_output=True, text=True)
    *figures, skipped = [json.loads(line) for line in done.stdout.splitlines()]
    assert all({"name", "ours", "peer", "ratio", "goal", "met"} <= set(figure) for figure in figures)
    assert ["faiss" in figures[0]["name"], "peak memory" in figures[1]["name"]] == [True, True]
    first = re.search(r"right at the first place (\d+) and (\d+)", figures[0]["note"])
    assert first[1] == first[2], "faiss and we find the same"
    assert "full_eval" in skipped["skipped"]


def test_the_training_benchmark_prints_a_line_a_figure():
    command = [sys.executable, "-m", "benchmarks.training", "--quick", "--batch", "4", "--only", "caching"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (figure,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert figure["name"] == "memory of a batch of 64 in chunks of 4 beside a batch of 4 (MiB)"
    assert figure["ours"] > 0


def test_the_loader_benchmark_finds_every_flip():
    command = [sys.executable, "-m", "benchmarks.loader", "--quick", "--only", "flips"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert figures
    assert all(figure["met"] for figure in figures)
