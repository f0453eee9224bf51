"""The benchmark of mining runs, and both sides write the same; what it measures is not a test's business."""

import json
import subprocess
import sys


def test_the_mining_benchmark_prints_a_line_a_figure():
    command = [sys.executable, "-m", "benchmarks.same_style", "--quick", "--only", "mining"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["times polars" in figures[0]["name"], "peak memory" in figures[1]["name"]] == [True, True]
    assert all({"name", "ours", "peer", "ratio", "goal", "met"} <= set(figure) for figure in figures)
    assert "equal on both sides" in figures[0]["note"]
