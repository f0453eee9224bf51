"""Results of earlier runs: what was run, on which data, and every rank.

Three tables of the lake, a file a run: `runs` (configuration hash, data fingerprint and the rest), `run_metrics` and
`run_ranks`. A run with the same ranks, configuration and data as a kept one adds nothing. `runs` is written last: a run
is in it whole or not at all.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.storage.files import digest
from eiclip.storage.lake import Lake

RUNS, RUN_METRICS, RUN_RANKS = "runs", "run_metrics", "run_ranks"
PACKAGES = ("torch", "open_clip_torch", "numpy", "duckdb", "pyarrow", "dagster")

_TEXTS = ("config_hash", "data_fingerprint", "code_version", "result_hash", "device", "versions", "settings")
SCHEMA = pa.schema(
    [("run_id", pa.string()), ("dataset", pa.string()), ("finished_at", pa.timestamp("ms", tz="UTC"))]
    + [("seed", pa.int64())]
    + [(name, pa.string()) for name in _TEXTS]
    + [("seconds", pa.float64())]
)


@dataclass(frozen=True)
class Run:
    """One run of one dataset."""

    run_id: str
    dataset: str
    seed: int
    settings: Mapping[str, Any]
    """What else decides the result; its digest is the configuration hash."""
    data: Mapping[str, str]
    """Content digests of the training and test data; their digest is the data fingerprint."""
    code_version: str
    device: str
    seconds: float
    """Since the start of the run."""


def installed_versions() -> dict[str, str]:
    """Return versions of Python and of the packages that can change a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def keep_run(lake: Lake, run: Run) -> tuple[str, bool]:
    """Keep the present `retrieval_ranks` and `retrieval_metrics` of a dataset as those of `run`.

    Returns:
        the id under which this result is kept, and whether it was new.
    """
    ranks = pq.read_table(lake.path("retrieval_ranks", run.dataset))
    metrics = pq.read_table(lake.path("retrieval_metrics", run.dataset))
    row = {
        "run_id": run.run_id,
        "dataset": run.dataset,
        "finished_at": datetime.now(UTC),
        "seed": run.seed,
        "config_hash": digest(run.settings),
        "data_fingerprint": digest(run.data),
        "code_version": run.code_version,
        "result_hash": digest(metrics.sort_by([(name, "ascending") for name in metrics.column_names[:4]]).to_pylist()),
        "device": run.device,
        "versions": json.dumps(installed_versions()),
        "settings": json.dumps(run.settings, default=str, sort_keys=True),
        "seconds": run.seconds,
    }
    same = ("config_hash", "data_fingerprint", "seed", "result_hash")
    for file in lake.files(RUNS, run.dataset):
        [kept] = pq.read_table(file).to_pylist()
        if all(kept[name] == row[name] for name in same):
            return str(kept["run_id"]), False
    for name, rows in ((RUN_RANKS, ranks), (RUN_METRICS, metrics)):
        numbered = rows.add_column(0, "run_id", pa.array([run.run_id] * len(rows), pa.string()))
        lake.write(numbered, name, run.dataset, run.run_id)
    lake.write(pa.Table.from_pylist([row], schema=SCHEMA), RUNS, run.dataset, run.run_id)
    return run.run_id, True
