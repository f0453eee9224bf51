"""Interventions and gates as tables of text, and what the gates say in a sentence; None without their tables."""

import itertools
from collections.abc import Sequence
from typing import Any

import duckdb
from scipy.stats import spearmanr

from eiclip.model.variants import VARIANTS
from eiclip.report.headline import OURS
from eiclip.report.queries import select
from eiclip.report.standing import no_verdict
from eiclip.report.tables import Table
from eiclip.report.numbers import number, short

DONE = {"removed": "Taken away", "swapped": "Swapped", "as_text": "Written as text"}
TOP = 10
FALLEN, RISEN = 6, 2
"""Examples shown: most interventions make the ranking worse, and some better."""
ENTITIES_SHOWN = 6
MINIMUM_QUERIES = 3
"""Sampled products an entity needs for its mean rank change to be shown."""
TITLE_LENGTH = 40
EXACT_GROUPS = 7
"""Up to so many groups every order of them is tried; beyond, scipy's approximation is good enough."""


def intervention_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """What each intervention does to row 5's ranking, by group."""
    rows = select(connection, "intervention_effects", dataset=dataset, variant=OURS)
    lines = [
        (
            DONE[row["intervention"]],
            row["entity_group"],
            f"{row['queries']:,}",
            _arrow(number(row["r1_before"]), number(row["r1_after"])),
            _arrow(number(row["median_rank_before"], 0), number(row["median_rank_after"], 0)),
            _times(row["mean_log2_rank_change"]),
            number(100 * row["worse_share"], 0),
            number(row["gate_correlation"], 2),
        )
        for row in rows
    ]
    header = ("Entity", "Group", "Queries", "R@1, %", "Median rank", "Mean rank, times", "Fell, %", "With the gate")
    caption = (
        "Text to photo in row 5, before → after; “mean rank, times” is the geometric mean of rank after / rank before, "
        "“with the gate” its rank correlation with the entity’s gate weight"
    )
    return Table(caption, header, (False, False) + (True,) * 6, lines) if lines else None


def intervention_examples(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """The strongest fall of each intervention and group, and the strongest rises, in row 5."""
    rows = select(
        connection, "intervention_examples", dataset=dataset, variant=OURS, top=TOP, fallen=FALLEN, risen=RISEN
    )
    lines = [
        (
            _cut(row["title"] or row["product_id"]),
            _done(row),
            _arrow(f"{row['rank_before']:,}", f"{row['rank_after']:,}"),
            f"{row['entity_group']}: {_arrow(_cut(row['entity_before']), _cut(row['entity_after']))}",
        )
        for row in rows
    ]
    caption = f"The strongest falls from the top {TOP} and rises into it, no two of one intervention and group"
    return (
        Table(caption, ("Product", "Done", "Rank", "Best photo"), (False, False, True, False), lines) if lines else None
    )


def _done(row: dict[str, Any]) -> str:
    subject = f"{row['entity_group']} {_cut(row['entity'])}"
    if row["intervention"] == "swapped":
        return f"{subject} swapped for {_cut(row['replacement'])}"
    return f"{subject} {DONE[row['intervention']].lower()}"


def gate_report_table(connection: duckdb.DuckDBPyConnection, dataset: str, variant: str = OURS) -> Table | None:
    """A row's gates of each group, row 5's unless told otherwise, beside the recall@1 that the group is worth."""
    lines = [
        (
            row["entity_group"],
            f"{row['entities']:,}",
            f"{row['training_products']:,}",
            number(row["mean_weight"], 2),
            f"{number(row['lower_quartile'], 2)} to {number(row['upper_quartile'], 2)}",
            f"{number(row['lowest'], 2)} to {number(row['highest'], 2)}",
            number(row["r1_lost_removed"]),
            number(row["r1_lost_shuffled"]),
        )
        for row in select(connection, "group_gates", dataset=dataset, variant=variant)
    ]
    header = ("Group", "Entities", "Training products", "Mean gate", "Middle half", "Range", "Removed", "Shuffled")
    caption = (
        f"Gates of row {VARIANTS[variant].row} (mean over training products), and points of recall@1 lost, the mean of "
        "both directions"
    )
    return Table(caption, header, (False,) + (True,) * 7, lines) if lines else None


def gate_entities_table(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Gate and training support of each group's most common entities, and what removing them does to the rank."""
    rows = select(connection, "gate_entities", dataset=dataset, variant=OURS, shown=ENTITIES_SHOWN)
    effects = select(connection, "removed_entities", dataset=dataset, variant=OURS, minimum=MINIMUM_QUERIES)
    known = {(row["entity_group"], row["entity"]): row["change"] for row in effects}
    lines = [
        (
            row["entity_group"],
            _cut(row["entity"]),
            f"{row['product_count']:,}",
            number(row["weight"], 2),
            _times(known.get((row["entity_group"], row["entity"]))),
        )
        for row in rows
    ]
    header = ("Group", "Entity", "Training products", "Gate", "Rank without it, times")
    caption = (
        f"The {ENTITIES_SHOWN} most common entities of each group (rank: from {MINIMUM_QUERIES} sampled products on)"
    )
    return Table(caption, header, (False, False, True, True, True), lines) if lines else None


def what_gates_say(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """Whether gates follow usefulness, between groups and within them, and how little a few groups can prove."""
    rows = select(connection, "group_gates", dataset=dataset, variant=OURS)
    rows = [row for row in rows if row["r1_lost_removed"] is not None]
    if not rows:
        return None
    if (reason := no_verdict(connection, dataset, OURS)) is not None:
        return reason
    sentences = [_between(rows), _within(select(connection, "intervention_effects", dataset=dataset, variant=OURS))]
    return " ".join(filter(None, sentences))


def _between(rows: Sequence[dict[str, Any]]) -> str:
    gates, lost = ([float(row[name]) for row in rows] for name in ("mean_weight", "r1_lost_removed"))
    if len(rows) == 1:
        return (
            f"There is one entity group, {rows[0]['entity_group']}: its mean gate is {gates[0]:.2f}, and without it "
            f"recall@1 falls by {number(lost[0])} points. One group says nothing about gates against usefulness."
        )
    listed = "; ".join(
        f"{row['entity_group']} {gate:.2f} and {number(points)}"
        for row, gate, points in zip(rows, gates, lost, strict=True)
    )
    start = f"Mean gate, and points of recall@1 lost when the group is removed: {listed}."
    if len(set(gates)) == 1 or len(set(lost)) == 1:
        return f"{start} They do not differ, so nothing can be said about gates against usefulness."
    correlation, chance = order_agreement(gates, lost)
    verdict = (
        "Gates order the groups as usefulness does"
        if correlation > 0.999
        else "Gates follow usefulness in part"
        if correlation > 0
        else "Gates do not follow usefulness"
    )
    return (
        f"{start} {verdict} (rank correlation {number(correlation, 2)} over {len(rows)} groups; chance alone agrees as "
        f"well in {100 * chance:.0f} % of cases{', so few groups prove little' if chance > 0.05 else ''})."
    )


def order_agreement(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Spearman's correlation, and how often chance gives one at least as high.

    >>> order_agreement([1, 2, 3], [10, 20, 30])  # one order in six
    (1.0, 0.16666666666666666)
    """
    found = spearmanr(one, other, alternative="greater")
    correlation = round(float(found.statistic), 9)
    if len(one) > EXACT_GROUPS:
        return correlation, float(found.pvalue)
    every = [float(spearmanr(order, other).statistic) for order in itertools.permutations(one)]
    return correlation, sum(value >= correlation - 1e-9 for value in every) / len(every)


def _within(summary: Sequence[dict[str, Any]]) -> str:
    found = [row for row in summary if row["intervention"] == "removed" and row["gate_correlation"] is not None]
    if not found:
        return ""
    found.sort(key=lambda row: (-row["gate_correlation"], row["entity_group"]))
    listed = ", ".join(f"{number(row['gate_correlation'], 2)} for {row['entity_group']}" for row in found)
    return f"Within a group, an entity’s gate and the fall in rank without it correlate by {listed} (over queries)."


def _arrow(before: str, after: str) -> str:
    return f"{before} → {after}"


def _times(change: float | None) -> str:
    """A mean log2 change as a factor."""
    return "–" if change is None else f"×{number(2**change, 2)}"


def _cut(text: str | None) -> str:
    return short(text or "none", TITLE_LENGTH)
