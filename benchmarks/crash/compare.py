"""Whether two folders hold the same, but for times and reasons; and whether a process of one is left."""

import json
import os
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow.parquet as pq

from eiclip.readers.known_photos import ENDING
from eiclip.storage.catalogue import CATALOGUE
from eiclip.storage.files import digest, sha256_file
from eiclip.system.processes import has_ended
from pipelines.outcomes import LOG

TIMES = {"seconds", "pairs_per_second", "made", "reason"}
"""What records and logs say of when and why something was made."""
OUTSIDE = {"dagster", "jobs", "job.json", LOG}
"""Not results: Dagster's records of runs, the home's, and job files, which name their own places."""
MARKS = ("mark", "output")
"""Files of the harness."""


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, with a digest of its content without times; hidden ones and empty folders too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.split("/")[0] in OUTSIDE or name.startswith(MARKS):
            continue
        if path.is_file():
            found[name] = _content(path)
        elif not any(path.iterdir()):
            found[name] = "an empty folder"
    return found


def _content(file: Path) -> str:
    if file.suffix == ".parquet" and "training_log" in str(file):
        return digest(_without_times(pq.read_table(file).to_pylist()))
    if file.suffix == ENDING:  # stamps hold times of the photos' files
        return digest(pq.read_table(file).drop_columns("stamp").to_pylist())
    if file.name.endswith(".made.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        sizes = {name: size for name, (size, _) in record.get("stamps", {}).items()}
        return digest(_without_times(record | {"stamps": sizes}))
    if file.name == CATALOGUE:  # DuckDB writes the same views in other bytes
        with duckdb.connect(str(file), read_only=True) as connection:
            views = connection.execute("SELECT view_name, sql FROM duckdb_views() WHERE NOT internal").fetchall()
        return digest(sorted(views))
    return sha256_file(file)


def _without_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_times(one) for one in value]
    if isinstance(value, dict):
        return {name: _without_times(one) for name, one in value.items() if name not in TIMES}
    return value


def differences(folder: Path, reference: dict[str, str]) -> list[str]:
    """What of a folder is not as the reference has it."""
    found = contents(folder)
    missing = [f"missing: {name}" for name in reference.keys() - found.keys()]
    more = [f"left over: {name}" for name in found.keys() - reference.keys()]
    other = [f"other content: {name}" for name in found.keys() & reference.keys() if found[name] != reference[name]]
    return sorted(missing + more + other)


def processes_of(variable: str, value: str) -> list[psutil.Process]:
    """Processes that were started with this in their environment and have not ended."""
    found = [process for process in psutil.process_iter(["environ"]) if process.pid != os.getpid()]
    started = [process for process in found if (process.info["environ"] or {}).get(variable) == value]
    return [process for process in started if not has_ended(process)]


def command_of(process: psutil.Process) -> str:
    """The end of a process's command line; empty where it has just ended."""
    try:
        return " ".join(process.cmdline())[-100:]
    except psutil.Error:
        return ""
