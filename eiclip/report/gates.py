"""What gates say: whether they follow what entities are worth, between groups and within them."""

import itertools
from collections.abc import Sequence

import duckdb
from scipy.stats import spearmanr

from eiclip.report.headline import OURS
from eiclip.report.numbers import CHANCE, number
from eiclip.report.queries import Row, select, where
from eiclip.report.standing import no_verdict

EXACT_GROUPS = 7
"""Up to so many groups every order of them is tried; beyond, scipy's approximation is good enough."""


def what_gates_say(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """Whether row 5's gates follow usefulness, and how little a few groups can prove; None without its gates."""
    rows = select(connection, "group_gates", dataset=dataset, variant=OURS)
    rows = [row for row in rows if row["r1_lost_removed"] is not None]
    if not rows:
        return None
    if (reason := no_verdict(connection, dataset, OURS)) is not None:
        return reason
    effects = select(connection, "intervention_effects", dataset=dataset, variant=OURS)
    return " ".join(filter(None, [_between(rows), _within(where(effects, intervention="removed"))]))


def _between(rows: Sequence[Row]) -> str:
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
        f"well in {100 * chance:.0f} % of cases{', so few groups prove little' if chance > CHANCE else ''})."
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


def _within(removed: Sequence[Row]) -> str:
    """How gates and falls of rank go together over the queries of a group."""
    found = [(-row["gate_correlation"], row["entity_group"]) for row in removed if row["gate_correlation"] is not None]
    if not found:
        return ""
    listed = ", ".join(f"{number(-value, 2)} for {group}" for value, group in sorted(found))
    return f"Within a group, an entity’s gate and the fall in rank without it correlate by {listed} (over queries)."
