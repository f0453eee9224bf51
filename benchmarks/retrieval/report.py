"""How long the report of a finished home takes, and how large it is."""

import json
import tempfile
from pathlib import Path

from benchmarks.measure import Work, interleaved, line, median, say

SECONDS, MEGABYTES = 15.0, 8.0
VIEW = "leaderboard"


def measure(home: Path, rounds: int) -> None:
    """Print both figures, or why there are none."""
    datasets = _datasets(home)
    if not datasets:
        note = f"no result in {home}: `make full_eval` makes one; EICLIP_HOME or --home names another"
        print(json.dumps({"name": "report", "skipped": note}), flush=True)
        return
    runs = interleaved({"ours": (prepare, [(str(home), datasets)])}, rounds)["ours"]
    note = f"{', '.join(datasets)}; peer: the goal"
    seconds, cpu = (median([getattr(run, name) for run in runs]) for name in ("wall", "cpu"))
    say(line("report (s)", seconds, SECONDS, 1.0, at_most=True, note=f"{note}; CPU seconds {cpu}"))
    size = median([run.facts["bytes"] / 1e6 for run in runs])
    say(line("report's size (MB)", size, MEGABYTES, 1.0, at_most=True, note=note))


def _datasets(home: Path) -> list[str]:
    """Datasets that have a result."""
    import duckdb

    from eiclip.errors import EiclipError
    from eiclip.storage.catalogue import connect

    try:
        with connect(home) as connection:
            return [row[0] for row in connection.execute(f"SELECT DISTINCT dataset FROM {VIEW} ORDER BY 1").fetchall()]
    except (EiclipError, duckdb.Error):
        return []


def prepare(home: str, datasets: list[str]) -> Work:
    """Everything the asset does in a new process, imports included."""

    def work() -> dict[str, float]:
        from eiclip.report.about import About
        from eiclip.report.write import write_report
        from eiclip.system.hardware import hardware

        with tempfile.TemporaryDirectory(prefix="eiclip_benchmark_") as folder:
            output = Path(folder) / "report.html"
            facts = write_report(Path(home), output, datasets=datasets, about=About(hardware("cpu")))
        return {"bytes": float(facts["bytes"])}

    return work
