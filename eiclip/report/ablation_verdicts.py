"""What each ablation comes to, in a sentence or two computed from its numbers: no more than their intervals allow.

A gain is one where its 95 % interval excludes zero; two differ where their intervals have nothing in common. Shares of
one gain in another go from the worst to the best that both intervals allow, which is wider than 95 %.
"""

from collections.abc import Callable, Sequence

import duckdb

from eiclip.evaluation.chance import at_chance
from eiclip.report.numbers import gain, listed, signed
from eiclip.report.queries import Row, one, select, where
from eiclip.report.standing import chance
from eiclip.studies.trials import ALL, AS_IT_IS, AS_TEXT, BUDGETS, EQUAL, OURS, PLUS
from eiclip.train.outcome import ADVICE, UNLEARNED

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
    said = VERDICTS[ablation](learned(connection, dataset, rows))
    there = learned(connection, dataset, rows, with_reference=False)
    missing = list(dict.fromkeys(row["trial"] for row in rows if row not in there))
    if not missing:
        return said
    why = f"at chance, or not learned: {listed(missing)}; {ADVICE}."
    return f"{said} Left out, {why}" if said else f"No verdict: {why}"


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
    return gain(row["sum_r_gain"], row["gain_low"], row["gain_high"])


def sign(row: Row) -> int:
    """1 or -1 where the interval of the gain excludes zero, else 0."""
    return int(row["gain_low"] > 0) - int(row["gain_high"] < 0)


def _gained(rows: Sequence[Row]) -> list[Row]:
    """Results that are compared with another."""
    return [row for row in rows if row["sum_r_gain"] is not None]


def _value(row: Row) -> str:
    return str(row["value"])


def _row(row: Row) -> str:
    return f"row {row['row']}"


def _effects(rows: Sequence[Row], name: Callable[[Row], str]) -> str:
    """Who raises SumR, who lowers it, and of whom neither can be said; the largest effects first."""
    clauses = []
    for found, verb in ((1, "raise"), (-1, "lower"), (0, "")):
        those = sorted((row for row in rows if sign(row) == found), key=lambda row: -abs(row["sum_r_gain"]))
        names = listed([f"{name(row)} ({_gain(row)})" for row in those]) if those else ""
        if names:
            clauses.append(f"{names} {verb}{'s'[len(those) > 1 :]} SumR" if verb else f"no change is shown for {names}")
    return "; ".join(clauses)


def _entities(rows: Sequence[Row]) -> str | None:
    openings = {AS_TEXT: "Added to the description as text,", OURS: "As entities of their own,"}
    alone = {variant: [row for row in where(rows, variant=variant) if row["value"] != "all"] for variant in openings}
    return " ".join(f"{openings[name]} {_effects(alone[name], _value)}." for name in openings if alone[name]) or None


def _batch_size(rows: Sequence[Row]) -> str | None:
    ours = where(rows, variant=OURS)
    if len(ours) < 2:
        return None
    leads = listed([f"{_gain(row)} at batch {row['value']}" for row in ours])
    ends = f"batch {ours[0]['value']} and {ours[-1]['value']}"
    smaller, larger = sorted((ours[0], ours[-1]), key=lambda row: row["sum_r_gain"])
    depends = f"Between {ends} the lead differs: it is larger at {larger['value']}."
    if larger["gain_low"] <= smaller["gain_high"]:
        depends = f"The intervals at {ends} overlap: that the lead depends on the batch size is not shown."
    return f"Row 5’s SumR against row 3’s: {leads}. {depends}"


def _losses(rows: Sequence[Row]) -> str | None:
    changed = [row for row in rows if row["value"] in TERMS]
    effects = _effects(changed, lambda row: f"leaving out {TERMS[row['value']]}")
    return f"In row 5, {effects}." if changed else None


def _prior(rows: Sequence[Row]) -> str | None:
    parts = {
        f"over all {row['products']:,} test products"
        if row["subset"] == ALL
        else f"over the {row['products']:,} test products that carry such an entity": row
        for row in _gained(rows)
    }
    if not parts:
        return None
    changes = listed([f"{_gain(row)} {among}" for among, row in parts.items()])
    clear = [among for among, row in parts.items() if sign(row)]
    shown = f"The interval excludes zero {listed(clear)}" if clear else "What the mixture does is not shown here"
    opening = "Without the prior-weighted mixture of entities of several groups row 5’s SumR changes by"
    return f"{opening} {changes}. {shown}."


def shares(part: Row, whole: Row) -> str:
    """The share of one gain in another: from the worst to the best that their intervals allow."""
    found = [
        max(0.0, 100 * part[ours] / whole[theirs])
        for ours, theirs in (("sum_r_gain", "sum_r_gain"), ("gain_low", "gain_high"), ("gain_high", "gain_low"))
    ]
    return "{:.0f} % (between {:.0f} and {:.0f} %)".format(*found)


def _budget(rows: Sequence[Row]) -> str | None:
    base, longest = (one(rows, variant=OURS, budget=budget) for budget in (1, TIMES))
    if base is None or longest is None:
        return None
    opening = (
        f"Row 5 leads row 3 by SumR {_gain(base)} after {base['steps']:,} steps and by {_gain(longest)} after "
        f"{longest['steps']:,}"
    )
    if sign(base) < 1:
        return f"{opening}: there is no sure lead to explain."
    shrunk, left = longest["gain_high"] < base["gain_low"], sign(longest) == 1
    comes_to = {
        (True, True): "So part of the lead is speed; the rest was not caught up within these budgets.",
        (True, False): "The lead has shrunk and may be gone: it was speed, as far as can be told.",
        (False, True): "That training longer closes the lead is not shown within these budgets.",
        (False, False): "What is left may be nothing.",
    }
    return f"{opening}, {shares(longest, base)} of it. {comes_to[shrunk, left]}"


def _ambiguity(rows: Sequence[Row]) -> str | None:
    sentences = []
    for budget in (1, TIMES):
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
    most = 100 * max(0.0, neutral["gain_high"]) / lead["gain_low"]
    closed = shares(neutral, lead) if sign(neutral) == 1 else f"at most {most:.0f} %" if most else "nothing"
    return f"{opening}: they close {closed} of row 5’s lead over it, {_gain(lead)}."


def _group_batches(rows: Sequence[Row]) -> str | None:
    changed = _gained(rows)
    return f"Batches of one {changed[0]['value']} every second epoch: {_effects(changed, _row)}." if changed else None


def _plus(rows: Sequence[Row]) -> str | None:
    of_row_6 = where(_gained(rows), variant=PLUS)
    others = [row for row in _gained(rows) if row["variant"] != PLUS]
    beside = [f"{_row(row)}{_with(row)} ({_gain(row)})" for row in others]
    added = f"Added to row 6: {_effects(of_row_6, _value)}." if of_row_6 else ""
    return " ".join(filter(None, [added, f"Beside it stand {listed(beside)}." if beside else ""])) or None


def _with(row: Row) -> str:
    return "" if row["value"] == AS_IT_IS else f" with {row['value']}"


def _seeds(rows: Sequence[Row]) -> str | None:
    ours = where(rows, variant=OURS)
    if not ours:
        return None
    gains = [row["sum_r_gain"] for row in ours]
    ahead = sum(one_gain > 0 for one_gain in gains)
    told = listed(list(map(signed, gains)))
    sentence = f"Row 5 is ahead of row 3 with {ahead} of {len(ours)} training seeds: SumR {told}."
    equal = {row["seed"]: row["sum_r"] for row in where(rows, variant=EQUAL)}
    over = [row["sum_r"] - equal[row["seed"]] for row in ours if row["seed"] in equal]
    if not over:
        return sentence
    same = "" if min(over) > 0 or max(over) < 0 else ": neither is ahead at every seed"
    return f"{sentence} Against row 4, with equal gates, it differs by {listed(list(map(signed, over)))}{same}."


VERDICTS: dict[str, Callable[[Sequence[Row]], str | None]] = {
    "ablation_entities": _entities,
    "ablation_batch_size": _batch_size,
    "ablation_losses": _losses,
    "ablation_prior": _prior,
    "ablation_budget": _budget,
    "ablation_ambiguity": _ambiguity,
    "ablation_group_batches": _group_batches,
    "ablation_plus": _plus,
    "seed_study": _seeds,
}
