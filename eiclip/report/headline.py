"""What the numbers say, in sentences computed from them: also where row 5 does not win, or not beyond chance.

The verdict rests on the 95 % intervals of `row_comparisons` (bootstrap over products): without them there is none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from eiclip.model.variants import VARIANTS
from eiclip.report.numbers import listed, number, probability, signed
from eiclip.report.paper import TABLE_1, paper_row
from eiclip.report.queries import select
from eiclip.report.standing import chance, no_verdict, undertrained

BASELINE, EQUAL, OURS, PLUS = "clip_entities_text", "eiclip_equal", "eiclip", "eiclip_plus"
WAYS = {"i2t": "from photo to text", "t2i": "from text to photo"}
MEASURES = {
    "i2t_r1": "recall@1 from photo to text",
    "t2i_r1": "recall@1 from text to photo",
    "sum_r": "SumR",
}
"""What the verdict is about, by column of the leaderboard."""
UNLEARNED = "unlearned"
"""The outcome where rows are at chance or have not learned."""
ROW_3, ROW_5 = "CLIP with the entities as text (row 3)", "EI-CLIP (row 5)"
ROW_6 = "EI-CLIP+ (row 6), our own and not in the paper,"


@dataclass(frozen=True)
class Figure:
    """One measure of a comparison, as text; `state`: `ahead`, `behind`, or `open` where the interval has zero."""

    measure: str
    state: str
    change: str
    interval: str
    values: str
    chance: str
    paper: str = ""

    def phrase(self) -> str:
        """The figure within a sentence."""
        sure = [self.interval, self.chance, self.paper and f"the paper: {self.paper}"]
        return f"{self.measure} {self.values}, {self.change} ({', '.join(filter(None, sure))})"


@dataclass(frozen=True)
class Headline:
    """The outcome (`wins`, `close`, `mixed`, `loses` or `unlearned`), who is ahead in what, and what qualifies it; of
    rows that have not learned: why there is no verdict.
    """

    outcome: str
    verdict: str
    sentence: str
    """The verdict with its numbers."""
    figures: tuple[Figure, ...] = ()
    remarks: tuple[str, ...] = ()
    brief: tuple[str, ...] = ()
    """What the first screen says: row 5 against rows 3 and 4 in SumR, and what chance reaches."""
    own: str = ""
    """Row 6, which is not the paper's, against row 5; empty where one of the two is not there or has not learned."""


def headline(connection: duckdb.DuckDBPyConnection, dataset: str) -> Headline | None:
    """Row 5 against rows 3 and 4, and row 6 against row 5, over all candidates; None without figures of 3 and 5."""
    board = {row["variant"] for row in select(connection, "board", dataset=dataset, protocol="full")}
    if {OURS, BASELINE} <= board and (reason := no_verdict(connection, dataset, OURS, BASELINE)) is not None:
        return Headline(UNLEARNED, reason, reason, brief=(reason,))
    found = figures(connection, dataset, OURS, BASELINE)
    if not found:
        return None
    verdict = _qualified(connection, dataset, verdict_of(found, ROW_5, ROW_3), (OURS, BASELINE))
    against_equal, figures_of_equal = _against_equal_gates(connection, dataset)
    remarks = (f"{against_equal}. {_phrases(figures_of_equal)}." if figures_of_equal else against_equal,
               _basis(connection, dataset))  # fmt: skip
    brief = (
        _in_sum(found, "row 3"),
        _in_sum(figures_of_equal, "row 4, whose gates are all alike,") if figures_of_equal else against_equal,
        _floor(connection, dataset),
        undertrained(connection, dataset, OURS, BASELINE, EQUAL),
    )
    return Headline(
        outcome_of(found),
        verdict,
        f"{verdict}. {_phrases(found)}.",
        figures=found,
        remarks=tuple(filter(None, remarks)),
        brief=tuple(filter(None, brief)),
        own=_own(connection, dataset),
    )


def advice(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """Which row to use and how sure that is, for who has not read the paper; None without a leaderboard."""
    board = {row["variant"]: row for row in select(connection, "board", dataset=dataset, protocol="full")}
    usable = [name for name in board if no_verdict(connection, dataset, name) is None]
    if not board or not usable:
        return "Use none of these models yet: none has learned." if board else None
    best = max(usable, key=lambda name: board[name]["sum_r"] or 0.0)
    states = {name: _state_of_sum(connection, dataset, best, name) for name in board if name != best}
    named = {name: f"row {VARIANTS[name].row}" for name in board}
    ahead, equal = ([named[name] for name in states if states[name] == state] for state in ("ahead", "open"))
    told = [f"Use {VARIANTS[best].title} ({named[best]}): it has the highest SumR, {board[best]['sum_r']:.1f}"]
    if ahead:
        told.append(f"It is ahead of {listed(ahead)} by more than other test products would change")
    if equal:
        told.append(f"It cannot be told from {listed(equal)}: either will do")
    return ". ".join([*told, *filter(None, [undertrained(connection, dataset, best)])]) + "."


def _state_of_sum(connection: duckdb.DuckDBPyConnection, dataset: str, one: str, other: str) -> str:
    """How one row's SumR stands to another's: `ahead`, `behind`, `open`, or empty where they are not compared."""
    if no_verdict(connection, dataset, one, other) is not None:
        return ""
    if found := figures(connection, dataset, one, other):
        return found[-1].state
    turned = figures(connection, dataset, other, one)
    return {"behind": "ahead", "ahead": "behind", "open": "open"}[turned[-1].state] if turned else ""


def comparison(connection: duckdb.DuckDBPyConnection, dataset: str, variant: str, baseline: str) -> str | None:
    """One variant against another over all candidates, in a sentence; None where the two are not compared."""
    found = figures(connection, dataset, variant, baseline)
    if not found:
        return None
    if (reason := no_verdict(connection, dataset, variant, baseline)) is not None:
        return reason
    titles = [f"{VARIANTS[name].title} (row {VARIANTS[name].row})" for name in (variant, baseline)]
    verdict = _qualified(connection, dataset, verdict_of(found, *titles), (variant, baseline))
    return f"{verdict}. {_phrases(found)}."


def _qualified(connection: duckdb.DuckDBPyConnection, dataset: str, verdict: str, variants: Sequence[str]) -> str:
    """A verdict, and that it is on undertrained rows where it is."""
    return ". ".join(filter(None, [verdict, undertrained(connection, dataset, *variants)]))


def figures(connection: duckdb.DuckDBPyConnection, dataset: str, variant: str, baseline: str) -> tuple[Figure, ...]:
    """The three measures of one variant against another; none unless all three are there."""
    rows = select(connection, "row_comparison", dataset=dataset, variant=variant, baseline=baseline)
    found = {"sum_r" if r["measure"] == "sum_r" else f"{r['direction']}_{r['measure']}": r for r in rows}
    if not all(name in found for name in MEASURES):
        return ()
    printed = _printed(dataset) if (variant, baseline) == (OURS, BASELINE) else {}
    return tuple(_figure(name, found[name], printed.get(name, "")) for name in MEASURES)


def _figure(name: str, row: Mapping[str, Any], printed: str) -> Figure:
    state = "ahead" if row["low"] > 0 else "behind" if row["high"] < 0 else "open"
    percents = [row[name] for name in ("relative", "relative_low", "relative_high")]
    if all(value is not None and math.isfinite(value) for value in percents):
        (change, low, high), unit = percents, " %"
    else:  # there are no percents of a row that finds nothing
        change, low, high, unit = row["difference"], row["low"], row["high"], " points"
    interval = f"95 % interval {signed(low)} to {signed(high)}{unit}"
    values = f"{row['value']:.1f} against {row['baseline_value']:.1f}"
    chance = "" if row["p_value"] is None else probability(row["p_value"])
    return Figure(MEASURES[name], state, signed(change, unit), interval, values, chance, printed)


def _printed(dataset: str) -> dict[str, str]:
    """What the paper's Table 1 says of row 5 against row 3, where it says anything."""
    if paper_row(dataset, "full", 5) is None:
        return {}
    ours, theirs = TABLE_1[5].numbers(), TABLE_1[3].numbers()
    return {name: signed(100 * (ours[name] / theirs[name] - 1), " %") for name in MEASURES}


def outcome_of(found: Sequence[Figure]) -> str:
    """What a headline calls these figures together."""
    states = {figure.state for figure in found}
    if len(states) == 1:
        return {"ahead": "wins", "behind": "loses", "open": "close"}[states.pop()]
    return "loses" if "ahead" not in states else "mixed"


def verdict_of(found: Sequence[Figure], one: str, other: str) -> str:
    """Who is ahead, in which measures, and where that cannot be told."""
    named = {
        state: " and ".join(figure.measure for figure in found if figure.state == state)
        for state in ("ahead", "behind", "open")
    }
    ahead, behind, unknown = (named[state] for state in ("ahead", "behind", "open"))
    untold = f"; in {unknown} the interval has zero in it" if unknown else ""
    if ahead and behind:
        return f"{one} beats {other} in {ahead} and does worse in {behind}{untold}"
    if ahead or behind:
        verb = "beats" if ahead else "does worse than"
        return f"{one} {verb} {other}" + (f" in {ahead or behind}{untold}" if unknown else "")
    return f"{one} and {other} cannot be told apart: every interval has zero in it"


def _phrases(found: Sequence[Figure]) -> str:
    text = "; ".join(figure.phrase() for figure in found)
    return text[0].upper() + text[1:]


def _against_equal_gates(connection: duckdb.DuckDBPyConnection, dataset: str) -> tuple[str, Sequence[Figure]]:
    """Row 5 against row 4: the verdict and its figures; why there is none, and no figures."""
    found = figures(connection, dataset, OURS, EQUAL)
    if not found:
        return "", ()
    if (reason := no_verdict(connection, dataset, OURS, EQUAL)) is not None:
        return reason, ()
    if outcome_of(found) == "close":
        opening = "This run cannot tell learned gates (row 5) from equal ones (row 4): every interval has zero in it"
    else:
        opening = verdict_of(found, "EI-CLIP with learned gates (row 5)", "EI-CLIP with equal gates (row 4)")
    return _qualified(connection, dataset, opening, (OURS, EQUAL)), found


def _in_sum(found: Sequence[Figure], other: str) -> str:
    """Row 5 against another in SumR alone."""
    figure = found[-1]
    stands = {"ahead": "is ahead of", "behind": "is behind", "open": "cannot be told from"}[figure.state]
    return f"Row 5, EI-CLIP, {stands} {other} in {figure.phrase()}."


def _floor(connection: duckdb.DuckDBPyConnection, dataset: str) -> str:
    """Row 5's SumR beside that of a random order, where it is known."""
    rows = {row["variant"]: row for row in select(connection, "board", dataset=dataset, protocol="full")}
    floor = chance(connection, dataset)
    if floor is None or OURS not in rows:
        return ""
    return f"A random order reaches SumR {number(floor['sum_r'])}, row 5 {number(rows[OURS]['sum_r'])}; 600 is perfect."


def _own(connection: duckdb.DuckDBPyConnection, dataset: str) -> str:
    """Row 6 against row 5, with SumR alone: the table has the rest."""
    found = figures(connection, dataset, PLUS, OURS)
    if not found or no_verdict(connection, dataset, PLUS, OURS) is not None:
        return ""
    verdict = _qualified(connection, dataset, verdict_of(found, ROW_6, ROW_5), (PLUS, OURS))
    return f"{verdict}. {found[-1].phrase()}."


def _basis(connection: duckdb.DuckDBPyConnection, dataset: str) -> str:
    """What the intervals are of, and what they leave out."""
    row = select(connection, "row_comparison", dataset=dataset, variant=OURS, baseline=BASELINE)[0]
    return (
        f"All {row['products']:,} test products are candidates. Intervals: {row['resamples']:,} bootstrap draws of "
        f"products; p: rows exchanged product by product at random. They say how far other test products would move "
        f"the numbers, not how far another training would: that is what the seeds are for."
    )
