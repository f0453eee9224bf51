"""The page's last section: what the run was, and the runs before it."""

from collections.abc import Mapping, Sequence

import duckdb

from eiclip.report.about import About
from eiclip.report.document import Block, Code, Fold, Text, kept
from eiclip.report.queries import select
from eiclip.report.tables import Table, number

RUNS_SHOWN = 12
RUN_SHOWN = 8
"""Characters of a run's id: enough to tell runs apart, and to find one in the view."""


def about_blocks(connection: duckdb.DuckDBPyConnection, datasets: Sequence[str], about: About) -> Sequence[Block]:
    """The run as a table, versions and settings behind folds, and earlier runs."""
    facts = dict(about.facts) | _trained(connection, datasets)
    versions = [(name, version) for name, version in about.versions.items()]
    earlier = [kept_runs(connection, name) for name in datasets]
    return kept(
        _pairs("This run", facts),
        _newest(connection, datasets),
        Table("Versions", ("Package", "Version"), (False, False), versions) if versions else None,
        Fold("Every setting", (Code(about.settings),)) if about.settings else None,
        *earlier,
        Text(
            "Recalls of runs may be compared where the data fingerprint is the same: otherwise they were measured on "
            "other products. Every rank of every kept run is in the view run_ranks.",
            quiet=True,
        )
        if any(earlier)
        else None,
    )


def _pairs(caption: str, facts: Mapping[str, str]) -> Table | None:
    return Table(caption, ("What", "Value"), (False, False), list(facts.items())) if facts else None


def _trained(connection: duckdb.DuckDBPyConnection, datasets: Sequence[str]) -> dict[str, str]:
    """Minutes that the trainings of a dataset took together."""
    minutes = {
        name: sum(row["seconds"] for row in select(connection, "trainings", dataset=name)) / 60 for name in datasets
    }
    return {f"trainings of {name}": f"{number(value)} minutes together" for name, value in minutes.items() if value}


def _newest(connection: duckdb.DuckDBPyConnection, datasets: Sequence[str]) -> Table | None:
    """The run that each dataset's numbers are from."""
    found = {name: rows[0] for name in datasets if (rows := select(connection, "newest_run", dataset=name))}
    titles = {
        "run_id": "run",
        "finished_at": "finished",
        "seed": "seed",
        "config_hash": "configuration",
        "data_fingerprint": "data",
        "code_version": "code",
        "device": "device",
        "seconds": "seconds to its results",
    }
    lines = [(title, *(_told(row[name]) for row in found.values())) for name, title in titles.items()]
    return Table("Where the numbers are from", ("What", *found), (False,) * (1 + len(found)), lines) if found else None


def _told(value: object) -> str:
    return "–" if value is None else f"{value:.0f}" if isinstance(value, float) else str(value)


def kept_runs(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """The kept runs of a dataset, the newest first, with SumR of rows 3 and 5 over all candidates."""
    rows = select(connection, "run_summary", dataset=dataset, shown=RUNS_SHOWN)
    lines = [
        (
            str(row["run_id"])[:RUN_SHOWN],
            str(row["finished_at"]),
            str(row["seed"]),
            str(row["config_hash"]),
            str(row["data_fingerprint"]),
            number(row["row_3_sum_r"]),
            number(row["row_5_sum_r"]),
        )
        for row in rows
    ]
    header = ("Run", "Finished (UTC)", "Seed", "Configuration", "Data", "SumR row 3", "SumR row 5")
    return Table(f"Kept runs of {dataset}, newest first", header, (False,) * 5 + (True, True), lines) if lines else None
