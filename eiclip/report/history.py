"""What has changed since the run before, in settings, data, code and results."""

import json
from typing import Any

import duckdb

from eiclip.report.about import without_secrets
from eiclip.report.numbers import number
from eiclip.report.queries import Row, select
from eiclip.storage.cache import differences


def since_the_run_before(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """What the newest kept run has otherwise than the one before it; None where fewer than two are kept."""
    rows = select(connection, "last_runs", dataset=dataset)
    if len(rows) < 2:
        return None
    new, old = rows
    before, after = _inputs(old), _inputs(new)
    changed = "; ".join(differences(before, after)) if before != after else "settings, data and code are the same"
    sums = [
        f"SumR of {title} {number(new[name])}, before {number(old[name])}"
        for name, title in (("row_3", "row 3"), ("row_5", "row 5"))
        if new[name] is not None and old[name] is not None
    ]
    told = f"Since the run before ({old['finished']}): {without_secrets(changed)}. {'; '.join(sums)}"
    return told.strip().removesuffix(".") + "."


def _inputs(run: Row) -> dict[str, Any]:
    """A run as the record of an output: its parameters and sources."""
    parameters = json.loads(run["settings"]) | {"seed": run["seed"], "versions": json.loads(run["versions"])}
    return {"parameters": parameters, "sources": {"data": run["data_fingerprint"], "code": run["code_version"]}}
