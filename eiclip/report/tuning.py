"""What the job `tune` tried and chose, as the UI shows it."""

import duckdb

from eiclip.model.variants import VARIANTS
from eiclip.report.queries import select
from eiclip.report.tables import Table
from eiclip.report.numbers import number
from eiclip.studies.tuning import RANGES


def tuning_trials(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Every training with its rates and SumR on the validation split, the best first; None before any."""
    lines = [
        (
            str(VARIANTS[row["variant"]].row),
            "the recipe" if row["trial"] == 0 else f"draw {row['trial']}",
            *("–" if row[name] is None else f"{row[name]:.3g}" for name in RANGES),
            "diverged" if row["validation"] is None else number(row["validation"]),
            f"{row['steps']:,}",
            number(row["seconds"] / 60),
            "chosen" if row["chosen"] else "",
        )
        for row in select(connection, "tuning_trials", dataset=dataset)
    ]
    header = ("Row", "Trial", *RANGES, "SumR", "Steps", "Minutes", "")
    numeric = (True, False, *(True for _ in RANGES), True, True, True, False)
    return Table("Validation split, all candidates, percent", header, numeric, lines) if lines else None


def chosen_rates(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """What was chosen for rows 3 and 5; None where it has not been run."""
    rows = select(connection, "tuning_trials", dataset=dataset)
    told = []
    for best in (row for row in rows if row["chosen"]):
        [recipe] = [row for row in rows if row["variant"] == best["variant"] and row["trial"] == 0]
        own = number(recipe["validation"])
        rates = ", ".join(f"{name} {best[name]:.3g}" for name in RANGES if best[name] is not None)
        kept = "the recipe as it is" if best is recipe else f"{rates} (the recipe as it is: {own})"
        told.append(f"Row {VARIANTS[best['variant']].row}: {number(best['validation'])} with {kept}.")
    return " ".join(told) or None
