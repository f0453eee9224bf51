"""Whether row 5 is better, for Dagster's UI: a sentence a question, with intervals, and the numbers behind it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import duckdb

from eiclip.model.variants import VARIANTS
from eiclip.report.headline import BASELINE, EQUAL, OURS, UNLEARNED, comparison
from eiclip.report.queries import select
from eiclip.report.same_style_verdicts import same_style_headline
from eiclip.report.standing import no_verdict

QUESTIONS = {
    BASELINE: ("row 5 or 3?", "Is row 5 (EI-CLIP) better than row 3 (the entities as text)?"),
    EQUAL: ("row 5 or 4?", "Is row 5 (EI-CLIP) better than row 4 (equal gates)?"),
}
"""What is asked of every dataset of Table 1, by the row that row 5 is compared with."""
JOINT = "both views?", "Do photo and text together find more of one style than the better of the two alone?"


@dataclass(frozen=True)
class Answer:
    """What a dataset's results say to one question."""

    short: str
    """The question in a few words."""
    question: str
    job: str
    """The job that makes what it rests on."""
    sentence: str | None
    """With its numbers and intervals; None where there is no result yet."""
    unlearned: bool = False
    """Whether a row that is compared is at chance or has not learned: then the sentence says which."""
    gains: Mapping[str, float] = field(default_factory=dict)
    """Row 5 less the other in SumR, by a name for a plot."""


def answers_of_rows(connection: duckdb.DuckDBPyConnection, dataset: str) -> Iterator[Answer]:
    """Yield what Table 1's rows say to each of `QUESTIONS`."""
    for baseline, (short, question) in QUESTIONS.items():
        sentence = comparison(connection, dataset, OURS, baseline)
        rows = select(connection, "row_comparison", dataset=dataset, variant=OURS, baseline=baseline)
        other = VARIANTS[baseline].row
        gains = {f"{dataset}_{r['measure']}_5_less_{other}": r["difference"] for r in rows if r["measure"] == "sum_r"}
        wrong = sentence is not None and no_verdict(connection, dataset, OURS, baseline) is not None
        yield Answer(short, question, "full_eval", sentence, wrong, gains)


def answer_of_styles(connection: duckdb.DuckDBPyConnection, dataset: str) -> Answer:
    """What same-style retrieval's rows say to `JOINT`."""
    found = same_style_headline(connection, dataset)
    wrong = found is not None and found.outcome == UNLEARNED
    return Answer(*JOINT, "same_style_eval", None if found is None else found.sentence, wrong)


def recalls(connection: duckdb.DuckDBPyConnection, dataset: str) -> dict[str, float]:
    """Measures of every row over all candidates, by `<measure>_<variant>`: what Dagster plots over materialisations."""
    rows = select(connection, "board", dataset=dataset, protocol="full")
    return {
        f"{measure}_{row['variant']}": row[measure]
        for row in rows
        for measure in ("sum_r", "t2i_r1", "i2t_r1")
        if row[measure] is not None
    }
