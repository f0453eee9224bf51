"""The section on same-style retrieval: a product looks for the other products of its style."""

import functools
from collections.abc import Sequence

from eiclip.report import same_style_plots as plots
from eiclip.report import same_style_tables as tables
from eiclip.report import same_style_verdicts as verdicts
from eiclip.report.document import Block, Section, Text, evidence, kept, titled
from eiclip.report.source import Source, fold, pair

KEY = "same_style"
TITLE, SHORT = "Do products of one style find each other?", "Same style"
WHAT = (
    "Every test product whose style has another test product looks for it among all other test products. Views: i its "
    "photos, t its text with its entities, m both; i-m is a photo that looks for products by both. MRR is the mean of "
    "one over the place of the first product of its style; the product itself does not count, ties count against the "
    "model. Intervals are over styles and, where a model was trained several times, over seeds."
)
PUBLISHED_NOTE = (
    "“Published” is arXiv 2302.05093’s offline evaluation on its own shop’s data. Compare the order of the views, not "
    "the levels."
)
CURVE_NOTE = (
    "All pairs of test products above a threshold on their cosine are called one style. In brackets: average "
    "precision, percent. Of the first seed, where there are several."
)
CURVE_ALT = "Precision over recall of finding pairs of one style, by model; average precisions are in the table"
VIEW_CURVES_ALT = "The same by view, of one model; average precisions are in the table"
VIEWS_ALT = "MRR of each model in each pair of views with 95 % intervals; the numbers are in the table"


def same_style(source: Source) -> Section | None:
    """The section; None for a dataset without any of its tables."""
    blocks = _blocks(source)
    return Section(KEY, TITLE, SHORT, blocks) if any(True for _ in evidence(blocks)) else None


def _blocks(source: Source) -> Sequence[Block]:
    return kept(
        Text(WHAT),
        *map(Text, verdicts.verdicts(source.connection, source.dataset)),
        source.sentence(verdicts.without_model),
        source.sentence(verdicts.basis, quiet=True),
        source.picture(plots.views_plot, VIEWS_ALT),
        source.table(tables.joint_table),
        source.table(functools.partial(tables.measure_table, measure="mrr")),
        source.table(functools.partial(tables.measure_table, measure="r1")),
        Text(PUBLISHED_NOTE, quiet=True),
        fold(
            "R@10, and every difference between rows",
            source.table(functools.partial(tables.measure_table, measure="r10")),
            source.table(tables.comparisons_table),
        ),
        *titled(
            "Duplicate detection",
            pair(
                source.picture(plots.curve_plot, CURVE_ALT, CURVE_NOTE),
                source.picture(plots.view_curves_plot, VIEW_CURVES_ALT, "The views of one model."),
            ),
            source.table(tables.precision_table),
        ),
        *titled("Where the training pairs come from", source.table(tables.funnel_table)),
        *titled("What each part contributes", source.table(tables.ablation_table)),
    )
