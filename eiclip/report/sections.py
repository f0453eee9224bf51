"""The questions a report answers about a dataset, in their order; `templates/sections/<key>.md` answers each."""

from dataclasses import dataclass

from markupsafe import Markup

from eiclip.report.html import as_html
from eiclip.report.source import Source, render


@dataclass(frozen=True)
class Question:
    """A question of the report.

    Attributes:
        key: short and stable, for anchors and facts.
        short: for the table of contents.
        missing: what makes the answer where there is none yet; empty where nobody need be told.
    """

    key: str
    title: str
    short: str
    missing: str = ""


@dataclass(frozen=True)
class Section:
    """A question and its answer; empty where there is none yet."""

    question: Question
    html: Markup


ROWS = (
    Question(
        "verdict", "Does EI-CLIP beat CLIP that reads the same tags as text?", "Verdict",
        "materialise row_comparisons",
    ),
    Question("rows", "How do the rows compare?", "The rows", "materialise retrieval_metrics and leaderboard"),
    Question("cross_modal", "Do models that read photo and text together do better?", "Cross-encoders"),
    Question("where", "Where does it win, and why?", "Where it wins", "materialise recall_breakdowns"),
    Question("gates", "What did the gates learn?", "Gates", "materialise gate_weights and gate_report"),
    Question(
        "interventions", "What does a ranking do when one tag is changed?", "Interventions",
        "materialise interventions and entity_shuffles",
    ),
    Question("ablations", "What does each part contribute?", "Ablations"),
)  # fmt: skip
SEARCH = (
    Question("same_style", "Do products of one style find each other?", "Same style"),
    Question("judged_queries", "How much of what is relevant does search find?", "Judged queries"),
    Question("typed_queries", "Does finding entities in typed words help?", "Typed queries"),
)
BEHIND = (
    Question("training", "How did training go?", "Training", "materialise training_log: train a row"),
    Question("gallery", "Which queries changed the most?", "Queries", "materialise the embeddings of rows 3 and 5"),
    Question("confounded", "Which words mislead?", "Words", "materialise semantic_prior"),
    Question("data", "What is the data?", "Data", "materialise products"),
)
QUESTIONS = (*ROWS, *SEARCH, *BEHIND)


def sections(source: Source) -> tuple[Section, ...]:
    """Every question with its answer, as far as there is one.

    A dataset that serves same-style retrieval alone has what is asked of search first, and nothing of what else could
    be made of it.
    """
    found = [Section(question, _answer(question.key, source)) for question in QUESTIONS]
    search = [section for section in found if section.html and section.question in SEARCH]
    if search and not next(section.html for section in found if section.question.key == "rows"):
        return (*search, *(section for section in found if section.html and section not in search))
    return tuple(section for section in found if section.html or section.question.missing)


def _answer(key: str, source: Source) -> Markup:
    before = source.shown
    text = render(f"sections/{key}.md", **source.names)
    return as_html(text, source.pictures) if source.shown > before else Markup("")
