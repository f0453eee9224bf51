"""What the numbers say, in sentences computed from them: also where row 5 does not win, or not beyond chance."""

import math
from dataclasses import dataclass
from typing import Any

import duckdb
from scipy.stats import binomtest

from eiclip.report import queries
from eiclip.report.queries import select

BASELINE, EQUAL, OURS = "clip_entities_text", "eiclip_equal", "eiclip"
WAYS = {"i2t": "from photo to text", "t2i": "from text to photo"}
MEASURES = ("i2t_r1", "t2i_r1", "sum_r")
CHANCE = 0.05
"""A difference that chance gives more often than this is not called one."""


@dataclass(frozen=True)
class Headline:
    """The outcome (`wins`, `close`, `mixed` or `loses`), the sentence that says it, and sentences that qualify it."""

    outcome: str
    sentence: str
    remarks: tuple[str, ...] = ()


def headline(connection: duckdb.DuckDBPyConnection, dataset: str) -> Headline | None:
    """Row 5 against rows 3 and 4 over all candidates; None where row 3 or row 5 has no numbers yet."""
    found = select(connection, queries.LEADERBOARD, dataset=dataset, protocol="full")
    rows = {row["variant"]: row for row in found if all(row[name] is not None for name in MEASURES)}
    if BASELINE not in rows or OURS not in rows:
        return None
    metrics = select(connection, queries.METRICS, dataset=dataset, protocol="full")
    counts = {row["direction"]: row["queries"] for row in metrics if row["variant"] == OURS}
    outcome = compare(rows[OURS], rows[BASELINE])
    if outcome != "loses" and len(_close(rows[OURS], rows[BASELINE], counts)) == len(WAYS):
        outcome = "close"
    remarks = [
        _paired_test(connection, dataset),
        _within_error_of_baseline(rows[OURS], rows[BASELINE], counts),
        _against_equal_gates(rows[OURS], rows[EQUAL], counts) if EQUAL in rows else "",
    ]
    return Headline(outcome, _sentence(outcome, rows[OURS], rows[BASELINE]), tuple(filter(None, remarks)))


def compare(ours: dict[str, Any], baseline: dict[str, Any]) -> str:
    """`wins` if R@1 both ways and SumR are all higher, `loses` if none is, else `mixed`."""
    higher = [ours[name] > baseline[name] for name in MEASURES]
    return "wins" if all(higher) else "mixed" if any(higher) else "loses"


def relative(new: float, old: float) -> str:
    """The change from `old` to `new`, in percent of `old`.

    >>> relative(25.7, 23.3), relative(10.0, 20.0), relative(1.0, 0.0)
    ('+10.3 %', '−50.0 %', 'from none')
    """
    if old == 0:
        return "from none" if new else "±0 %"
    change = 100 * (new - old) / old
    return f"{'−' if change < 0 else '+'}{abs(change):.1f} %"


def standard_error(percent: float, queries_count: int) -> float:
    """One standard error, in points, of a recall measured on that many queries.

    >>> round(standard_error(50, 100), 1)
    5.0
    """
    return math.sqrt(percent * (100 - percent) / queries_count)


def _sentence(outcome: str, ours: dict[str, Any], baseline: dict[str, Any]) -> str:
    opening = {
        "wins": "EI-CLIP (row 5) beats CLIP with the entities as text (row 3)",
        "close": "EI-CLIP (row 5) and CLIP with the entities as text (row 3) are too close to call",
        "mixed": "EI-CLIP (row 5) beats CLIP with the entities as text (row 3) on some measures only",
        "loses": "EI-CLIP (row 5) does not beat CLIP with the entities as text (row 3)",
    }[outcome]
    pairs = {name: (ours[name], baseline[name]) for name in MEASURES}
    parts = {name: f"{new:.1f} against {old:.1f} ({relative(new, old)})" for name, (new, old) in pairs.items()}
    return (
        f"{opening}: recall@1 {parts['i2t_r1']} {WAYS['i2t']}, {parts['t2i_r1']} {WAYS['t2i']}; SumR {parts['sum_r']}."
    )


def _close(one: dict[str, Any], other: dict[str, Any], counts: dict[str, int]) -> dict[str, float]:
    """Directions in which two rows' recall@1 lie within one standard error, and how much that is in points."""
    close = {}
    for way in WAYS:
        if counts.get(way):
            new, old = one[f"{way}_r1"], other[f"{way}_r1"]
            error = standard_error((new + old) / 2, counts[way])
            if abs(new - old) <= error:
                close[way] = error
    return close


def _errors(close: dict[str, float]) -> str:
    return " and ".join(f"{WAYS[way]} (one is {error:.1f} points)" for way, error in close.items())


def _within_error_of_baseline(ours: dict[str, Any], baseline: dict[str, Any], counts: dict[str, int]) -> str:
    close = _close(ours, baseline, counts)
    return (
        f"Rows 3 and 5 lie within one standard error of recall@1 {_errors(close)}: read that as a tie." if close else ""
    )


def _against_equal_gates(ours: dict[str, Any], equal: dict[str, Any], counts: dict[str, int]) -> str:
    close = _close(ours, equal, counts)
    numbers = "; ".join(f"{equal[f'{way}_r1']:.1f} and {ours[f'{way}_r1']:.1f} {name}" for way, name in WAYS.items())
    if len(close) == len(WAYS):
        return (
            f"Rows 4 (equal gates) and 5 (learned gates) lie close together, within one standard error of recall@1 "
            f"{_errors(close)}: {numbers}. This run cannot tell learned gates from equal ones."
        )
    outcome = compare(ours, equal)
    verdict = {"wins": "is ahead of", "mixed": "is ahead on some measures only of", "loses": "does not beat"}[outcome]
    partly = f" They lie within one standard error {_errors(close)}." if close else ""
    return f"Row 5 (learned gates) {verdict} row 4 (equal gates): recall@1 of rows 4 and 5 is {numbers}.{partly}"


def _paired_test(connection: duckdb.DuckDBPyConnection, dataset: str) -> str:
    """An exact sign test over the texts, each a different product (photos of one product are not independent)."""
    found = select(connection, queries.PAIRED_FIRST_PLACES, dataset=dataset, one=OURS, other=BASELINE)
    if not found or not found[0]["only_one"] + found[0]["only_other"]:
        return ""
    ours, theirs, total = (found[0][name] for name in ("only_one", "only_other", "queries"))
    p = float(binomtest(ours, ours + theirs, 0.5).pvalue)
    probability = "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < CHANCE else f"p = {p:.2f}"
    verdict = "a difference larger than chance explains" if p < CHANCE else "chance alone could explain the difference"
    return (
        f"Of {total:,} texts, row 5 alone puts a right photo first for {ours:,}, row 3 alone for {theirs:,}: "
        f"{verdict} (exact sign test, {probability})."
    )
