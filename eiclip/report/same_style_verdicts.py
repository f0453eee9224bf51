"""What the same-style figures say, in sentences computed from them: also where the joint view is not ahead."""

from dataclasses import dataclass

import duckdb

from eiclip.report.headline import UNLEARNED, Figure, Headline, outcome_of, verdict_of
from eiclip.report.numbers import WITHOUT_MODEL, listed, number, ordered, probability, signed, variant_title, views
from eiclip.report.queries import Row, select, where
from eiclip.report.standing import chance_of_styles, no_verdict, undertrained
from eiclip.same_style.uncertainty import JOINT, SINGLE

OURS = "same_style"
MEASURES = {"mrr": "MRR", "r1": "R@1"}
ASKED = (
    (OURS, "Search by photo and text together", "the better of photo and text alone"),
    ("same_style_unconstrained", "Training on constrained pairs", "training on all clicked pairs"),
    ("same_style_plain", "Training with entities", "training without"),
    ("eiclip", "Training on pairs", "EI-CLIP trained on single products"),
    ("clip_description", "Training on pairs", "fine-tuning on descriptions alone"),
    ("clip_pretrained", "Training on pairs", "CLIP as pretrained"),
)
"""What the served row is compared with, and both sides in words; the first are views of one model, of others the joint
view."""


def verdicts(connection: duckdb.DuckDBPyConnection, dataset: str) -> tuple[str, ...]:
    """Each question of this section, answered by the intervals of MRR and R@1."""
    return tuple(dict.fromkeys(answer.sentence for answer in _answers(connection, dataset)))


def same_style_headline(connection: duckdb.DuckDBPyConnection, dataset: str) -> Headline | None:
    """Whether the joint view is ahead of the better single one, for a dataset without Table 1's rows."""
    for answer in _answers(connection, dataset)[:1]:
        if answer.without:
            return Headline(UNLEARNED, answer.without, answer.without, brief=(answer.without,))
        brief = [f"{answer.verdict}: {answer.figures[0].phrase()}."]
        if floor := chance_of_styles(connection, dataset):
            brief.append(f"A random order reaches MRR {number(floor['mrr'])} of 100.")
        return Headline(outcome_of(answer.figures), answer.verdict, answer.sentence, brief=tuple(brief))
    return None


def basis(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """How many trainings the verdicts rest on."""
    seeds = [row["seeds"] for row in where(_comparisons(connection, dataset), variant=OURS)]
    if not seeds:
        return None
    if max(seeds) == 1:
        return "One training a row: another seed may say otherwise. Intervals are over styles alone."
    return f"Means over {min(seeds)} or more seeds: intervals hold the spread between seeds and between styles."


@dataclass(frozen=True)
class Answer:
    """The figures of a question and the verdict on them; `without`: why there is none."""

    figures: tuple[Figure, ...]
    verdict: str
    without: str | None

    @property
    def sentence(self) -> str:
        """The verdict with its figures, or why there is none."""
        return self.without or f"{self.verdict}: {'; '.join(figure.phrase() for figure in self.figures)}."


def _answers(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[Answer]:
    """An answer to each question that can be asked of the tables."""
    rows = where(_comparisons(connection, dataset), variant=OURS, view_pair=JOINT)
    answers = []
    for baseline, one, other in ASKED:
        found = [row for measure in MEASURES for row in where(rows, baseline=baseline, measure=measure)]
        if found:
            figures_of = tuple(map(_figure, found))
            qualified = [verdict_of(figures_of, one, other), undertrained(connection, dataset, OURS, baseline)]
            reason = no_verdict(connection, dataset, OURS, baseline, styles=True)
            answers.append(Answer(figures_of, ". ".join(filter(None, qualified)), reason))
    return answers


def _comparisons(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[Row]:
    return select(connection, "same_style_comparisons", dataset=dataset)


def _figure(row: Row) -> Figure:
    against = f" ({views(row['baseline_view_pair'])})" if row["view_pair"] != row["baseline_view_pair"] else ""
    return Figure(
        measure=MEASURES[row["measure"]],
        state="ahead" if row["low"] > 0 else "behind" if row["high"] < 0 else "open",
        change=signed(row["difference"], " points"),
        interval=f"95 % interval {signed(row['low'])} to {signed(row['high'])}",
        values=f"{number(row['value'])} against {number(row['baseline_value'])}{against}",
        chance="" if row["p_value"] is None else probability(row["p_value"]),
    )


def figures(connection: duckdb.DuckDBPyConnection, dataset: str, measure: str) -> dict[tuple[str, str], Row]:
    """`value`, and `low` and `high` where intervals are made, by variant (in the tables' order) and pair of views."""
    rows = where(select(connection, "same_style_intervals", dataset=dataset), measure=measure)
    if not rows:
        rows = [
            row | {"value": row[measure], "low": None, "high": None, "seeds": 1, "styles": None}
            for row in select(connection, "same_style_means", dataset=dataset)
        ]
    order = ordered(row["variant"] for row in rows)
    return {(name, row["view_pair"]): row for name in order for row in where(rows, variant=name)}


def without_model(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """What is reached without any model, and which views of the served row do not reach it."""
    found = figures(connection, dataset, "mrr")
    reached, beaten = [], []
    for pair in SINGLE:
        if there := [(found[name, pair]["value"], name) for name in WITHOUT_MODEL if (name, pair) in found]:
            value, name = max(there)
            reached.append(f"{number(value)} from {views(pair)} ({variant_title(name).lower()})")
            if (OURS, pair) in found and found[OURS, pair]["value"] < value:
                beaten.append(views(pair))
    if not reached:
        return None
    tail = f" The model does not reach it from {listed(beaten)}." if beaten else ""
    return f"Without any model MRR is {listed(reached)}.{tail}"
