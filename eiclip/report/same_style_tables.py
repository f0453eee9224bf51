"""Tables and sentences about same-style retrieval; None without the tables they show."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from eiclip.model.variants import SAME_STYLE_ROWS
from eiclip.report.numbers import probability, signed
from eiclip.report.queries import select
from eiclip.report.standing import TITLE, chance_of_styles, no_verdict
from eiclip.report.tables import Table
from eiclip.report.numbers import interval, number
from eiclip.same_style import VIEW_PAIRS
from eiclip.same_style.uncertainty import JOINT, PAIRS

OURS, UNCONSTRAINED, PLAIN = "same_style", "same_style_unconstrained", "same_style_plain"
BASELINE_TITLES = {
    "phash": "Perceptual hash of the photo",
    "pixels": "Photo as 16 × 16 pixels",
    "words": "Words of the text",
}
"""Rows without a model."""
TITLES = BASELINE_TITLES | {name: variant.title for name, variant in SAME_STYLE_ROWS.items()}
TITLES["hybrid"] = "Hybrid search: vectors, words and entities"
"""In the order of the tables."""
MEASURE_TITLES = {"mrr": "MRR", "r1": "R@1", "r10": "R@10"}
PUBLISHED = {
    "mrr": {"i-i": 90.3, "t-t": 64.3, "i-m": 84.1, "t-m": 57.5, "m-m": 92.0},
    "r1": {"i-i": 87.8, "t-t": 56.0, "i-m": 79.0, "t-m": 48.2, "m-m": 88.7},
    "r10": {"i-i": 95.1, "t-t": 81.7, "i-m": 94.0, "t-m": 77.7, "m-m": 97.6},
}
"""Offline results of arXiv 2302.05093, in percent; i-t and t-i are not printed there."""
VIEW_TITLES = {"i": "photo", "t": "text", "m": "photo and text"}

Row = Mapping[str, Any]


def title(variant: str) -> str:
    """A row's name for readers; its own where it is none of those known."""
    return TITLES.get(variant, variant)


def ordered(variants: Sequence[str]) -> list[str]:
    """Rows without a model, then the models in their order, then any others."""
    order = list(TITLES)
    return sorted(set(variants), key=lambda name: (order.index(name) if name in order else len(order), name))


def figures(connection: duckdb.DuckDBPyConnection, dataset: str, measure: str) -> dict[tuple[str, str], Row]:
    """`value`, and `low` and `high` where intervals are made, by variant and pair of views."""
    rows = [row for row in select(connection, "same_style_intervals", dataset=dataset) if row["measure"] == measure]
    if not rows:
        plain = select(connection, "same_style_means", dataset=dataset)
        rows = [row | {"value": row[measure], "low": None, "high": None, "seeds": 1} for row in plain]
    return {(row["variant"], row["view_pair"]): row for row in rows}


def measure_table(connection: duckdb.DuckDBPyConnection, dataset: str, measure: str) -> Table | None:
    """One measure of every row in every pair of views with intervals, and what was published below."""
    found = figures(connection, dataset, measure)
    if not found:
        return None
    lines = [
        (title(variant), *(_cell(found.get((variant, pair))) for pair in VIEW_PAIRS))
        for variant in ordered([variant for variant, _ in found])
    ]
    if (floor := chance_of_styles(connection, dataset)) is not None:
        lines.insert(0, (TITLE, *(number(floor[measure]) for _ in VIEW_PAIRS)))
    printed = PUBLISHED[measure]
    lines.append(("Published, on other data", *(number(printed.get(pair)) for pair in VIEW_PAIRS)))
    some = next(iter(found.values()))
    counted = f"{some['queries']:,} queries" + (f" of {some['styles']:,} styles" if "styles" in some else "")
    seeds = max(row["seeds"] for row in found.values())
    over = f", means over up to {seeds} seeds" if seeds > 1 else ""
    caption = f"{MEASURE_TITLES[measure]} in percent, by query view and candidate view; {counted}{over}"
    return Table(caption, ("Model", *VIEW_PAIRS), (False,) + (True,) * len(VIEW_PAIRS), lines)


def _cell(row: Row | None) -> str:
    return "–" if row is None else f"{number(row['value'])}\n{interval(row['low'], row['high'])}".strip()


def comparisons(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[dict[str, Any]]:
    """Differences in MRR and R@1."""
    return select(connection, "same_style_comparisons", dataset=dataset)


def comparisons_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Differences between rows, view pair by view pair, with intervals and p-values."""
    rows = [row for row in comparisons(connection, dataset) if row["variant"] != row["baseline"]]
    by_place = {(row["variant"], row["baseline"], row["view_pair"], row["measure"]): row for row in rows}
    lines = [
        (f"{title(variant)} − {title(baseline)}", pair, *(reason or _both(by_place, variant, baseline, pair)))
        for variant, baseline in PAIRS
        for reason in [_not_learned(connection, dataset, variant, baseline)]
        for pair in VIEW_PAIRS
        if (variant, baseline, pair, "mrr") in by_place
    ]
    caption = "Differences between rows: points, 95 % interval over styles (and seeds), paired test over styles"
    header = ("Rows", "Views", "MRR", "p", "R@1", "p")
    return Table(caption, header, (False, False) + (True,) * 4, lines) if lines else None


def joint_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """What photo and text together (m-m) gain over the better single view, by variant."""
    rows = [row for row in comparisons(connection, dataset) if row["variant"] == row["baseline"]]
    by_place = {(row["variant"], row["baseline"], row["view_pair"], row["measure"]): row for row in rows}
    lines = [
        (
            title(variant),
            by_place[variant, variant, JOINT, "mrr"]["baseline_view_pair"],
            *(_not_learned(connection, dataset, variant) or _both(by_place, variant, variant, JOINT)),
        )
        for variant in ordered([row["variant"] for row in rows])
    ]
    caption = "Photo and text together (m-m) less the better single view of the same model, in points"
    header = ("Model", "Best single (MRR)", "MRR", "p", "R@1", "p")
    return Table(caption, header, (False, False) + (True,) * 4, lines) if lines else None


def _not_learned(connection: duckdb.DuckDBPyConnection, dataset: str, *variants: str) -> list[str]:
    """What stands in place of differences between rows that have not learned; nothing where they have."""
    reason = no_verdict(connection, dataset, *variants, styles=True)
    return ["not learned", *["–"] * 3] if reason else []


def _both(rows: Mapping[Any, Row], variant: str, baseline: str, pair: str) -> list[str]:
    cells = []
    for measure in ("mrr", "r1"):
        row = rows.get((variant, baseline, pair, measure))
        chance = None if row is None else row["p_value"]
        cells.append(
            "–" if row is None else f"{signed(row['difference'])}\n[{signed(row['low'])}, {signed(row['high'])}]"
        )
        cells.append("–" if chance is None else probability(chance).removeprefix("p ").removeprefix("= "))
    return cells


def precision_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Average precision of duplicate detection by row and view."""
    rows = select(connection, "average_precisions", dataset=dataset)
    found = {(row["variant"], row["view"]): row["average_precision"] for row in rows}
    percent = {key: 100 * value for key, value in found.items()}
    lines = [
        (title(variant), *(number(percent.get((variant, view))) for view in VIEW_TITLES))
        for variant in ordered([variant for variant, _ in found])
    ]
    if lines and (floor := chance_of_styles(connection, dataset)) is not None:
        lines.insert(0, (TITLE, *(number(floor["pair_share"]) for _ in VIEW_TITLES)))
    caption = "Average precision of finding pairs of one style among all pairs of test products, percent, by view"
    return Table(caption, ("Model", *VIEW_TITLES.values()), (False, True, True, True), lines) if lines else None


def funnel_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """What each step of mining kept and lost."""
    rows = select(connection, "mining_funnel", dataset=dataset)
    lines = [
        (row["name"], row["unit"], number(row["kept"], 0), number(row["lost"], 0), row["why"] or "") for row in rows
    ]
    header = ("Step", "Counted in", "Kept", "Lost", "Why")
    return Table("From clicks to pairs", header, (False, False, True, True, False), lines) if lines else None


def ablation_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """MRR, and R@1 below it, of every trial in every pair of views."""
    rows = select(connection, "same_style_ablation", dataset=dataset)
    trials: dict[str, dict[str, Row]] = {}
    for row in rows:
        trials.setdefault(row["label"], {})[row["view_pair"]] = row
    lines = []
    for label, by_pair in trials.items():
        cells = [
            f"{number(by_pair[p]['mrr'])}\n{number(by_pair[p]['r1'])}" if p in by_pair else "–" for p in VIEW_PAIRS
        ]
        lines.append((label, str(max(row["seeds"] for row in by_pair.values())), *cells))
    if lines and (floor := chance_of_styles(connection, dataset)) is not None:
        lines.insert(0, (TITLE, "–", *(f"{number(floor['mrr'])}\n{number(floor['r1'])}" for _ in VIEW_PAIRS)))
    caption = "What each part of the training contributes: MRR, and R@1 below it, percent, means over seeds"
    header = ("Training", "Seeds", *VIEW_PAIRS)
    return Table(caption, header, (False,) + (True,) * (1 + len(VIEW_PAIRS)), lines) if lines else None
