"""What each ablation comes to, in a sentence or two computed from its numbers: no more than their intervals allow.

A gain is called one where its 95 % interval excludes zero, and two gains differ where their intervals have nothing in
common. Shares of one gain in another go from the worst to the best that the two intervals allow, which is wider than
95 %.
"""

from collections.abc import Callable, Sequence

import duckdb

from eiclip.evaluation.chance import at_chance
from eiclip.report.queries import Row, one, select, where
from eiclip.report.standing import chance
from eiclip.report.numbers import listed
from eiclip.report.numbers import interval, number, signed
from eiclip.studies.trials import ALL, AS_IT_IS, AS_TEXT, BUDGETS, EQUAL, OURS, PLUS
from eiclip.train.outcome import ADVICE, UNLEARNED

SEED_STUDY = "seed_study"
TIMES = int(BUDGETS[-1])
"""How many times the rows' own budget the longest one is."""
TERMS = {
    "without joint": "the joint term",
    "without description": "the description’s term",
    "without entities": "the entities’ term",
}


def verdict(connection: duckdb.DuckDBPyConnection, dataset: str, ablation: str) -> str | None:
    """What an ablation's numbers say, without trainings that have not learned; None where it has not been run."""
    rows = results(connection, dataset, ablation)
    compared = learned(connection, dataset, rows)
    said = VERDICTS[ablation](compared) if compared else None
    there = learned(connection, dataset, rows, with_reference=False)
    if missing := list(dict.fromkeys(row["trial"] for row in rows if row not in there)):
        why = f"at chance, or not learned: {listed(missing)}; {ADVICE}."
        if said is None:
            return f"No verdict: {why}"
        said += f" Left out, {why}"
    if said is None or ablation == SEED_STUDY:
        return said
    summary = one(select(connection, "seed_study", dataset=dataset), variant=OURS)
    if summary is None or summary["sum_r_spread"] is None:
        return f"{said} These are single trainings: the intervals hold for other products, not for another seed."
    spread = number(summary["sum_r_spread"])
    return f"{said} These are single trainings; between seeds alone row 5’s SumR spreads by {spread}."


def results(connection: duckdb.DuckDBPyConnection, dataset: str, ablation: str) -> list[Row]:
    """Return the results of an ablation; none where it has not been run."""
    return select(connection, "ablation_results", dataset=dataset, ablation=ablation)


def learned(
    connection: duckdb.DuckDBPyConnection, dataset: str, rows: Sequence[Row], *, with_reference: bool = True
) -> list[Row]:
    """Those of the results whose training has learned: neither it, nor what it is compared with, is at chance."""
    floor = chance(connection, dataset)
    wrong = {
        row["trial"]
        for row in rows
        if row.get("verdict") in UNLEARNED or (floor is not None and at_chance(row["sum_r"], floor["sum_r"]))
    }
    return [row for row in rows if row["trial"] not in wrong and not (with_reference and row["reference"] in wrong)]


def _gain(row: Row) -> str:
    return f"{signed(row['sum_r_gain'])} {interval(row['gain_low'], row['gain_high'])}"


def sign(row: Row) -> int:
    """1 or -1 where the interval of the gain excludes zero, else 0."""
    return int(row["gain_low"] > 0) - int(row["gain_high"] < 0)


def _apart(one_row: Row, other: Row) -> bool:
    """Whether the intervals of two gains have nothing in common."""
    return bool(one_row["gain_low"] > other["gain_high"] or one_row["gain_high"] < other["gain_low"])


def _effects(rows: Sequence[Row], name: Callable[[Row], str]) -> str:
    """Who raises SumR, who lowers it, and of whom neither can be said; the largest effects first."""
    clauses = []
    for found, verb in ((1, "raise"), (-1, "lower"), (0, "")):
        those = sorted((row for row in rows if sign(row) == found), key=lambda row: -abs(row["sum_r_gain"]))
        names = listed([f"{name(row)} ({_gain(row)})" for row in those]) if those else ""
        if those:
            clauses.append(
                f"{names} {verb}{'s' * (len(those) == 1)} SumR" if verb else f"no change is shown for {names}"
            )
    return "; ".join(clauses)


def _entities(rows: Sequence[Row]) -> str | None:
    sentences = []
    for variant, opening in ((AS_TEXT, "Added to the description as text,"), (OURS, "As entities of their own,")):
        alone = [row for row in where(rows, variant=variant) if row["value"] != "all"]
        if alone:
            sentences.append(f"{opening} {_effects(alone, lambda row: str(row['value']))}.")
    return " ".join(sentences) or None


def _batch_size(rows: Sequence[Row]) -> str | None:
    ours = where(rows, variant=OURS)
    if len(ours) < 2:
        return None
    leads = listed([f"{_gain(row)} at batch {row['value']}" for row in ours])
    first, last = ours[0], ours[-1]
    ends = f"batch {first['value']} and {last['value']}"
    if not _apart(first, last):
        depends = f"The intervals at {ends} overlap: that the lead depends on the batch size is not shown."
    else:
        larger = first if first["sum_r_gain"] > last["sum_r_gain"] else last
        depends = f"Between {ends} the lead differs: it is larger at {larger['value']}."
    return f"Row 5’s SumR against row 3’s: {leads}. {depends}"


def _losses(rows: Sequence[Row]) -> str | None:
    changed = [row for row in rows if row["value"] in TERMS]
    effects = _effects(changed, lambda row: f"leaving out {TERMS[row['value']]}")
    return f"In row 5, {effects}." if changed else None


def _prior(rows: Sequence[Row]) -> str | None:
    changed = [row for row in rows if row["sum_r_gain"] is not None]
    if not changed:
        return None
    parts = {
        f"over {'all' if row['subset'] == ALL else 'the'} {row['products']:,} test products"
        + ("" if row["subset"] == ALL else " that carry such an entity"): row
        for row in changed
    }
    changes = listed([f"{_gain(row)} {where_}" for where_, row in parts.items()])
    clear = [where_ for where_, row in parts.items() if sign(row)]
    shown = f"The interval excludes zero {listed(clear)}" if clear else "What the mixture does is not shown here"
    opening = "Without the prior-weighted mixture of entities of several groups row 5’s SumR changes by"
    return f"{opening} {changes}. {shown}."


def _base_and_longest(rows: Sequence[Row]) -> tuple[int, int] | None:
    """The rows' own budget and the longest, in that of the rows; None unless there are trials of both."""
    return (1, TIMES) if {1, TIMES} <= {row["budget"] for row in rows} else None


def shares(part: Row, whole: Row) -> str:
    """The share of one gain in another: from the worst to the best that their intervals allow."""
    found = [
        max(0.0, 100 * part[ours] / whole[theirs])
        for ours, theirs in (("sum_r_gain", "sum_r_gain"), ("gain_low", "gain_high"), ("gain_high", "gain_low"))
    ]
    return "{:.0f} % (between {:.0f} and {:.0f} %)".format(*found)


def _budget(rows: Sequence[Row]) -> str | None:
    budgets = _base_and_longest(rows)
    if budgets is None:
        return None
    base, longest = (one(rows, variant=OURS, budget=budget) for budget in budgets)
    if base is None or longest is None:
        return None
    opening = (
        f"Row 5 leads row 3 by SumR {_gain(base)} after {base['steps']:,} steps and by {_gain(longest)} after "
        f"{longest['steps']:,}"
    )
    if sign(base) < 1:
        return f"{opening}: there is no sure lead to explain."
    opening += f", {shares(longest, base)} of it."
    speed = longest["gain_high"] < base["gain_low"]
    if sign(longest) < 1:
        return (
            f"{opening} The lead has shrunk and may be gone: it was speed, as far as can be told."
            if speed
            else (f"{opening} What is left may be nothing.")
        )
    if speed:
        return f"{opening} So part of the lead is speed; the rest was not caught up within these budgets."
    return f"{opening} That training longer closes the lead is not shown within these budgets."


def _ambiguity(rows: Sequence[Row]) -> str | None:
    budgets = _base_and_longest(rows)
    sentences = []
    for budget in budgets or ():
        neutral = one(rows, variant=AS_TEXT, value="neutral", budget=budget)
        lead = one(rows, variant=OURS, value="real", budget=budget)
        if neutral is not None and lead is not None:
            sentences.append(_closed(neutral, lead))
    control = one(rows, variant=OURS, value="neutral")
    if control is not None:
        held = "cannot be told from unmoved" if sign(control) == 0 else "moves too, so the rest is to be read with care"
        sentences.append(f"Row 5, the control, {held} ({_gain(control)}).")
    return " ".join(sentences) or None


def _closed(neutral: Row, lead: Row) -> str:
    """What neutral names do to row 3, beside the lead of row 5 that they are to explain."""
    opening = f"After {neutral['steps']:,} steps neutral brand names change row 3’s SumR by {_gain(neutral)}"
    if sign(lead) < 1:
        return f"{opening}; row 5 has no sure lead there ({_gain(lead)})."
    whole = f"row 5’s lead over it, {_gain(lead)}"
    if sign(neutral) == 1:
        return f"{opening}: they close {shares(neutral, lead)} of {whole}."
    most = 100 * max(0.0, neutral["gain_high"]) / lead["gain_low"]
    return f"{opening}: they close {f'at most {most:.0f} %' if most else 'nothing'} of {whole}."


def _group_batches(rows: Sequence[Row]) -> str | None:
    changed = [row for row in rows if row["sum_r_gain"] is not None]
    if not changed:
        return None
    return f"Batches of one {changed[0]['value']} every second epoch: {_effects(changed, _row)}."


def _plus(rows: Sequence[Row]) -> str | None:
    of_row_6 = [row for row in rows if row["variant"] == PLUS and row["sum_r_gain"] is not None]
    others = [row for row in rows if row["variant"] != PLUS and row["sum_r_gain"] is not None]
    sentences = [f"Added to row 6: {_effects(of_row_6, lambda row: str(row['value']))}."] if of_row_6 else []
    if others:
        told = listed([f"{_row(row)} {_with(row)}({_gain(row)})" for row in others])
        sentences.append(f"Beside it stand {told}.")
    return " ".join(sentences) or None


def _with(row: Row) -> str:
    return "" if row["value"] == AS_IT_IS else f"with {row['value']} "


def _row(row: Row) -> str:
    return f"row {row['row']}"


def _seeds(rows: Sequence[Row]) -> str | None:
    ours, equal = where(rows, variant=OURS), where(rows, variant=EQUAL)
    if not ours:
        return None
    ahead = sum(row["sum_r_gain"] > 0 for row in ours)
    gains = listed([signed(row["sum_r_gain"]) for row in ours])
    sentence = f"Row 5 is ahead of row 3 with {ahead} of {len(ours)} training seeds: SumR {gains}."
    over = {row["seed"]: row["sum_r"] for row in equal}
    differences = [row["sum_r"] - over[row["seed"]] for row in ours if row["seed"] in over]
    if not differences:
        return sentence
    same = "" if min(differences) > 0 or max(differences) < 0 else ": neither is ahead at every seed"
    return (
        f"{sentence} Against row 4, with equal gates, it differs by {listed([signed(d) for d in differences])}{same}."
    )


VERDICTS: dict[str, Callable[[Sequence[Row]], str | None]] = {
    "ablation_entities": _entities,
    "ablation_batch_size": _batch_size,
    "ablation_losses": _losses,
    "ablation_prior": _prior,
    "ablation_budget": _budget,
    "ablation_ambiguity": _ambiguity,
    "ablation_group_batches": _group_batches,
    "ablation_plus": _plus,
    SEED_STUDY: _seeds,
}
