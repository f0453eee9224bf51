"""What the report asks of the ablations' tables."""

from collections.abc import Sequence
from typing import Any

import duckdb

from eiclip.report.queries import select

RESULTS = """
SELECT *
FROM ablation_results
WHERE dataset = $dataset AND ablation = $ablation
"""
"""In the order of the plan, in which each file was written."""

SUMMARY = """
SELECT *
FROM seed_study_summary
WHERE dataset = $dataset
ORDER BY "row"
"""

Row = dict[str, Any]


def results(connection: duckdb.DuckDBPyConnection, dataset: str, ablation: str) -> list[Row]:
    """The results of an ablation; none where it has not been run."""
    return select(connection, RESULTS, dataset=dataset, ablation=ablation)


def where(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows whose columns have these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def one(rows: Sequence[Row], **wanted: Any) -> Row | None:
    """The only such row; None where there is none, or more than one."""
    found = where(rows, **wanted)
    return found[0] if len(found) == 1 else None
