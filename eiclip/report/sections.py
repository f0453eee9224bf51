"""The questions a report answers about a dataset, in their order, and the blocks that answer each.

Results come first, then what explains them, then what they were made from (`background`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from eiclip.report import background, breakdown, intervention_plots, intervention_tables, paper, plots, readings, tables
from eiclip.report.ablation_section import ablations
from eiclip.report.document import Block, Board, Section, Text, evidence, kept, titled
from eiclip.report.headline import Headline
from eiclip.report.judged_queries import judged_queries
from eiclip.report.same_style import same_style
from eiclip.report.source import Source, fold, pair
from eiclip.report.typed_queries import typed_queries

Build = Callable[[Source], Sequence[Block]]

RECALL_ALT = (
    "Bars of recall at 1, 5 and 10 for each row, from photo to text and from text to photo, with 95 % intervals; the "
    "numbers are in the first table"
)


SAMPLE_100 = "One right item among 101, of its subcategory where there are as many (sample-100)"


def verdict(found: Headline | None, source: Source) -> Section:
    """Row 5 against row 3: the sentence, what qualifies it, row 6 against row 5, and the other pairs of rows."""
    section = Section("verdict", "Does EI-CLIP beat CLIP that reads the same tags as text?", "Verdict")
    if found is None:
        return replace(section, missing="It needs the recalls of rows 3 and 5: materialise leaderboard.")
    differences = source.picture(
        breakdown.comparison_plot,
        "Differences between pairs of rows in recall at 1 and in SumR, with 95 % intervals; the numbers are "
        "in the table",
        "A line that does not cross zero is a difference beyond chance.",
    )
    blocks = kept(
        pair(*map(Text, filter(None, (found.sentence, found.own, *found.remarks))), differences),
        source.table(breakdown.comparisons_table),
    )
    return replace(section, blocks=blocks)


def _rows(source: Source) -> Sequence[Block]:
    boards = {name: tables.leaderboard(source.connection, source.dataset, name) for name in readings.PROTOCOL_TITLES}
    peers = tables.peer_lines(source.dataset, "sample100") if boards["sample100"] else []
    printed, own = (any(getattr(line, name) for line in boards["full"]) for name in ("paper", "own"))
    return kept(
        Board("All test items are candidates", boards["full"]),
        Text(paper.NOTE, quiet=True) if printed else None,
        Text(paper.OWN_NOTE, quiet=True) if own else None,
        pair(
            source.picture(plots.recall_plot, RECALL_ALT, "Recall over all candidates. Whiskers: 95 % intervals."),
            source.table(readings.quality_table),
        ),
        Board(SAMPLE_100, [*boards["sample100"], *peers]),
        source.sentence(readings.list_note, quiet=True) if boards["sample100"] else None,
        Text(paper.PEERS_NOTE, quiet=True) if peers else None,
        source.table(readings.sums_table),
        fold(
            "Other readings: product level, equal descriptions",
            Board("All candidates, the photos of a product averaged", boards["full_product"]),
            Board("Sample-100, the photos of a product averaged", boards["sample100_product"]),
            source.table(readings.text_equal_table),
        ),
        fold("What each protocol asks", source.table(readings.protocols_table)),
    )


def _where(source: Source) -> Sequence[Block]:
    return kept(
        source.sentence(breakdown.where_it_wins),
        pair(
            source.picture(
                breakdown.facet_plot,
                "Gain of row 5 over row 3 in recall at 1 by kind of product, with 95 % intervals; the numbers are in "
                "the table",
                "By how often texts use the brand’s words without the tag, by whether the tag was seen in training, "
                "and by whether it has one meaning or several. In brackets: test products.",
            ),
            source.picture(
                breakdown.brand_plot,
                "Gain of row 5 over row 3 for the brands with most test products, beside the share of mentions of the "
                "brand’s words that carry no tag",
                "The brands with most test products, most confounded first.",
            ),
        ),
        fold("All kinds of products, with numbers", source.table(breakdown.facet_table)),
    )


def _gates(source: Source) -> Sequence[Block]:
    return kept(
        pair(
            Text(
                "A gate is the weight, between 0 and 1, with which an entity is added to the description. It is "
                "learned for each entity."
            ),
            source.sentence(intervention_tables.what_gates_say),
            source.picture(
                plots.gate_history_plot,
                "Mean gate weight of each entity group over training steps",
                "Mean gate over each batch while row 5 was trained. Gates are held still at first.",
            ),
        ),
        source.table(intervention_tables.gate_report_table),
        pair(
            source.picture(
                plots.gate_plot,
                "Distribution of learned gate weights in each entity group",
                "One dot an entity. Bar: the middle half; tick: the median; diamond and number: the mean, each entity "
                "counted as often as training products carry it.",
            ),
            source.picture(
                intervention_plots.gate_usefulness_plot,
                "Mean gate of each entity group against the recall at 1 it is worth; the numbers are in the table",
                "Does the gate know what a group is worth? Pale: groups of the other datasets.",
            ),
        ),
        fold(
            "Gates entity by entity",
            source.picture(
                intervention_plots.gate_support_plot,
                "Learned gate of every entity against the number of training products that carry it, a panel a group",
                "Named: the lowest and the highest gate of each group among entities of some support.",
            ),
            source.table(intervention_tables.gate_entities_table),
            source.table(tables.gate_extremes),
        ),
    )


def _interventions(source: Source) -> Sequence[Block]:
    return kept(
        Text(
            "One tag of a test product is removed, swapped for another of its group, or written into the text, and all "
            "test photos are ranked again. Shuffled: the tags of one group change places among all test products at "
            "once; what recall@1 then loses is what row 5 gets from that group."
        ),
        pair(
            source.picture(
                intervention_plots.intervention_plot,
                "How many times further down the right photo falls when a tag is removed, swapped or written as text, "
                "by group, for rows 3 and 5; the numbers are in the table",
                "Dot: mean over the sampled products with its 95 % interval; pale bar: the middle half of them.",
            ),
            source.picture(
                intervention_plots.swap_plot,
                "Share of the ten best photos that carry the old and the new entity, before and after a swap",
                "Whether the ranking follows the tag: photos of the new entity should take the place of the old one’s.",
            ),
        ),
        source.table(intervention_tables.intervention_table),
        *titled("Single queries", source.table(intervention_tables.intervention_examples)),
        *titled(
            "All tags of a group shuffled",
            pair(
                source.picture(
                    plots.usefulness_plot,
                    "Points of recall at 1 lost when each group’s entities are shuffled; the numbers are in the table",
                    "Longer bars: the group matters more.",
                ),
                source.table(tables.shuffles),
            ),
        ),
    )


SECTIONS: dict[str, tuple[str, str, Build, str]] = {
    "rows": (
        "How do the rows compare?",
        "The rows",
        _rows,
        "Materialise retrieval_metrics and leaderboard.",
    ),
    "where": ("Where does it win, and why?", "Where it wins", _where, "Materialise recall_breakdowns."),
    "gates": (
        "What did the gates learn?",
        "Gates",
        _gates,
        "Materialise gate_weights and gate_report (row 5, EI-CLIP).",
    ),
    "interventions": (
        "What does a ranking do when one tag is changed?",
        "Interventions",
        _interventions,
        "Materialise interventions and entity_shuffles.",
    ),
    "ablations": ("What does each part contribute?", "Ablations", ablations, ""),
    "training": (
        "How did training go?",
        "Training",
        background.training,
        "Materialise training_log: train at least one variant.",
    ),
    "gallery": ("Which queries changed the most?", "Queries", background.queries_that_changed, ""),
    "confounded": (
        "Which words mislead?",
        "Words",
        background.confounded,
        "Materialise semantic_prior (or no description mentions an entity it is not tagged with).",
    ),
    "data": ("What is the data?", "Data", background.data, "Materialise catalog and products."),
}
"""By key: the question, its short name, what answers it, and what to do where nothing does."""


def sections(found: Headline | None, source: Source) -> tuple[Section, ...]:
    """All sections of a dataset; those on same-style retrieval and queries where there is anything to say.

    A dataset that serves same-style retrieval alone, without results of Table 1's rows, has those first and does not
    say what else could be made of it.
    """
    of_rows = (verdict(found, source), *(_section(key, source) for key in SECTIONS))
    of_search = (same_style(source), judged_queries(source), typed_queries(source))
    search = tuple(section for section in of_search if section is not None)
    if search and next(section for section in of_rows if section.key == "rows").missing:
        return (*search, *(section for section in of_rows if not section.missing and section.key != "ablations"))
    place = 1 + [section.key for section in of_rows].index("ablations")
    return (*of_rows[:place], *search, *of_rows[place:])


def _section(key: str, source: Source) -> Section:
    title, short, build, wanting = SECTIONS[key]
    blocks = build(source)
    if key == "ablations" or any(True for _ in evidence(blocks)):
        return Section(key, title, short, blocks)
    told = [block.text for block in blocks if isinstance(block, Text)]
    return Section(key, title, short, (), wanting or " ".join(told))
