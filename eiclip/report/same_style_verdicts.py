"""What the same-style figures say, in sentences computed from them: also where the joint view is not ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from eiclip.report.headline import UNLEARNED, Figure, Headline, outcome_of, verdict_of
from eiclip.report.numbers import number, probability, signed
from eiclip.report.same_style_tables import (
    BASELINE_TITLES,
    MEASURE_TITLES,
    OURS,
    PLAIN,
    UNCONSTRAINED,
    comparisons,
    figures,
    title,
)
from eiclip.report.standing import no_verdict, undertrained
from eiclip.same_style.uncertainty import JOINT, SINGLE

ASKED = (
    (OURS, "Photo and text together (m-m)", "the better of photo and text alone"),
    (UNCONSTRAINED, "Training on constrained pairs", "training on all clicked pairs"),
    (PLAIN, "Training with entities", "training without"),
    ("eiclip", "Training on pairs", "EI-CLIP trained on single products"),
    ("clip_description", "Training on pairs", "fine-tuning on descriptions alone"),
    ("clip_pretrained", "Training on pairs", "CLIP as pretrained"),
)
"""What the served row is compared with, and both sides in words; the first are views of one model, the others m-m."""

Row = Mapping[str, Any]


def verdicts(connection: duckdb.DuckDBPyConnection, dataset: str) -> tuple[str, ...]:
    """Each question of this section, answered by the intervals of MRR and R@1."""
    return tuple(dict.fromkeys(
        answer.without or f"{answer.verdict}: {'; '.join(f.phrase() for f in answer.figures)}."
        for answer in _answers(connection, dataset)
    ))  # fmt: skip


def same_style_headline(connection: duckdb.DuckDBPyConnection, dataset: str) -> Headline | None:
    """Whether the joint view is ahead of the better single one, for a dataset without Table 1's rows."""
    for answer in _answers(connection, dataset)[:1]:
        if answer.without:
            return Headline(UNLEARNED, answer.without, answer.without, brief=(answer.without,))
        phrases = "; ".join(figure.phrase() for figure in answer.figures)
        sentence = f"{answer.verdict}. {phrases}."
        return Headline(outcome_of(answer.figures), answer.verdict, sentence, brief=(sentence,))
    return None


def basis(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """How many trainings the verdicts rest on."""
    seeds = [row["seeds"] for row in comparisons(connection, dataset) if row["variant"] == OURS]
    if not seeds:
        return None
    if min(seeds) == max(seeds) == 1:
        return "One training a row: another seed may say otherwise. Intervals are over styles alone."
    return f"Means over {min(seeds)} or more seeds: intervals hold the spread between seeds and between styles."


@dataclass(frozen=True)
class Answer:
    """The figures of a question and the verdict on them; `without`: why there is none."""

    figures: tuple[Figure, ...]
    verdict: str
    without: str | None


def _answers(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[Answer]:
    """An answer to each question that can be asked of the tables."""
    rows = {
        (row["baseline"], row["measure"]): row
        for row in comparisons(connection, dataset)
        if (row["variant"], row["view_pair"]) == (OURS, JOINT)
    }
    answers = []
    for baseline, one, other in ASKED:
        found = [rows[baseline, measure] for measure in ("mrr", "r1") if (baseline, measure) in rows]
        if found:
            figures_of = tuple(_figure(row) for row in found)
            qualified = [verdict_of(figures_of, one, other), undertrained(connection, dataset, OURS, baseline)]
            reason = no_verdict(connection, dataset, OURS, baseline, styles=True)
            answers.append(Answer(figures_of, ". ".join(filter(None, qualified)), reason))
    return answers


def _figure(row: Row) -> Figure:
    against = f" ({row['baseline_view_pair']})" if row["view_pair"] != row["baseline_view_pair"] else ""
    return Figure(
        measure=MEASURE_TITLES[row["measure"]],
        state="ahead" if row["low"] > 0 else "behind" if row["high"] < 0 else "open",
        change=signed(row["difference"], " points"),
        interval=f"95 % interval {signed(row['low'])} to {signed(row['high'])}",
        values=f"{number(row['value'])} against {number(row['baseline_value'])}{against}",
        chance="" if row["p_value"] is None else probability(row["p_value"]),
    )


def without_model(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """What is reached without any model, and which views of the served row do not reach it."""
    found = figures(connection, dataset, "mrr")
    best = _best_without_model(found)
    if not best:
        return None
    reached = [f"{number(value)} in {pair} ({title(name).lower()})" for pair, (value, name) in best.items()]
    beaten = [pair for pair, (value, _) in best.items() if (OURS, pair) in found and found[OURS, pair]["value"] < value]
    tail = f" The model does not reach it in {' and '.join(beaten)}." if beaten else ""
    return f"Without any model MRR is {' and '.join(reached)}.{tail}"


def _best_without_model(found: Mapping[tuple[str, str], Row]) -> dict[str, tuple[float, str]]:
    """The highest value and its row, by pair of single views."""
    values: Sequence[tuple[str, float, str]] = [
        (pair, row["value"], name) for (name, pair), row in found.items() if name in BASELINE_TITLES
    ]
    there = [single for single in SINGLE if any(pair == single for pair, *_ in values)]
    return {single: max((value, name) for pair, value, name in values if pair == single) for single in there}
