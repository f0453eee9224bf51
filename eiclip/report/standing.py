"""Which rows a verdict can be given on: none that is at chance, and none whose training has not learned."""

from collections.abc import Mapping, Sequence

import duckdb

from eiclip.evaluation.chance import PERFECT_RECALL, PERFECT_SUM, at_chance
from eiclip.model.variants import get_variant
from eiclip.report.numbers import NUMBERED, listed
from eiclip.report.queries import Row, one, select, where
from eiclip.train.outcome import ADVICE, LONGER, UNLEARNED

TITLE = "chance"
"""What a random order is called in tables and plots."""


def chance(connection: duckdb.DuckDBPyConnection, dataset: str, protocol: str = "full") -> Row | None:
    """What a random order reaches under a protocol, in the leaderboard's columns; None where it is not computed."""
    return one(select(connection, "chance", dataset=dataset), protocol=protocol)


def chance_of_styles(connection: duckdb.DuckDBPyConnection, dataset: str) -> Row | None:
    """What a random order reaches in same-style retrieval; None where it is not computed."""
    return one(select(connection, "chance_of_styles", dataset=dataset))


def no_verdict(connection: duckdb.DuckDBPyConnection, dataset: str, *variants: str, styles: bool = False) -> str | None:
    """Why these rows cannot be compared, and what to do; None where they can. `styles`: in same-style retrieval.

    A row that is not trained may be at chance, unless all are: that a training takes it from there is a finding.
    """
    wrong = {name: why for name, why in _unlearned(connection, dataset, styles=styles).items() if name in variants}
    if not any(get_variant(name).trained for name in wrong) and set(wrong) != set(variants):
        return None
    told = ". ".join(f"{_named(name, first=True)}: {wrong[name]}" for name in dict.fromkeys(variants) if name in wrong)
    advice = "" if ADVICE in told else f" What to do: {ADVICE}."
    return f"No verdict on {_listed(variants)}: not every row has learned. {told}.{advice}"


def undertrained(connection: duckdb.DuckDBPyConnection, dataset: str, *variants: str) -> str:
    """That a comparison is of undertrained rows, and what to do; empty where none still rose."""
    rising = where(select(connection, "outcomes", dataset=dataset), verdict="still rising")
    names = [name for name in dict.fromkeys(variants) if where(rising, variant=name)]
    if not names:
        return ""
    return f"This compares undertrained rows: {_listed(names)} still rose when training ended; {LONGER}"


def _unlearned(connection: duckdb.DuckDBPyConnection, dataset: str, *, styles: bool) -> Mapping[str, str]:
    """What is wrong with each row that is at chance on the test split, or whose training has not learned."""
    found = {}
    floor = chance_of_styles(connection, dataset) if styles else chance(connection, dataset)
    if floor is not None and styles:
        means = where(select(connection, "same_style_means", dataset=dataset), view_pair="m-m")
        by_variant = {row["variant"]: row["mrr"] for row in means}
        found = _at_chance(by_variant, floor["mrr"], "MRR (product → product)", PERFECT_RECALL)
    elif floor is not None:
        board = select(connection, "board", dataset=dataset, protocol="full")
        found = _at_chance({row["variant"]: row["sum_r"] for row in board}, floor["sum_r"], "SumR", PERFECT_SUM)
    outcomes = select(connection, "outcomes", dataset=dataset)
    return found | {row["variant"]: row["message"] for row in outcomes if row["verdict"] in UNLEARNED}


def _at_chance(values: Mapping[str, float | None], floor: float, measure: str, perfect: float) -> dict[str, str]:
    return {
        name: f"{measure} is {value:.1f} where a random order reaches {floor:.1f}"
        for name, value in values.items()
        if value is not None and at_chance(value, floor, perfect)
    }


def _named(name: str, *, first: bool = False) -> str:
    """A row within a sentence, or at its beginning.

    >>> _named("eiclip"), _named("same_style", first=True)
    ('row 5', 'Model `same_style`')
    """
    told = f"row {NUMBERED[name].row}" if name in NUMBERED else f"model `{name}`"
    return told[0].upper() + told[1:] if first else told


def _listed(variants: Sequence[str]) -> str:
    return listed([_named(name) for name in dict.fromkeys(variants)])
