"""The ablations of a report: what each asks, what it came to, and how to run what has not been run."""

from collections.abc import Sequence

from eiclip.report.ablation_plots import PLOTS
from eiclip.report.ablation_tables import ablation_table, seed_table
from eiclip.report.ablation_verdicts import verdict
from eiclip.report.document import Block, Commands, Heading, Text, kept
from eiclip.report.queries import select
from eiclip.report.source import Source, fold, pair
from eiclip.studies.trials import ABLATIONS, Ablation

PRINTED = {
    "ablation_entities": "the paper’s figure 2 and Table 4",
    "ablation_batch_size": "the paper’s figure 5",
}
"""Where the paper asks the same."""
SEED_STUDY = "seed_study"


def ablations(source: Source) -> Sequence[Block]:
    """Every ablation that has been run, then the commands of the others that can be asked of the dataset."""
    blocks: list[Block] = []
    not_run: list[tuple[str, str]] = []
    groups = tuple(row["entity_group"] for row in select(source.connection, "entity_groups", dataset=source.dataset))
    for name, ablation in ABLATIONS.items():
        if found := _answer(source, name):
            blocks += [Heading(_title(name, ablation)), *found]
        elif not groups or ablation.fits(groups):
            not_run.append((ablation.question, f"dagster job execute -j {name}"))
    caption = "Not run on this catalogue yet:" if blocks else "None has been run on this catalogue yet:"
    return kept(*blocks, Commands(caption, not_run))


def _title(name: str, ablation: Ablation) -> str:
    return f"{ablation.question} ({PRINTED[name]})" if name in PRINTED else ablation.question


def _answer(source: Source, name: str) -> Sequence[Block]:
    """Sentence, plot and tables of an ablation; nothing where it has not been run."""
    said = verdict(source.connection, source.dataset, name)
    alt = f"Plot of {name.replace('_', ' ')}; the numbers are in the table"
    table = ablation_table(source.connection, source.dataset, name)
    return kept(
        pair(Text(said) if said else None, source.picture(PLOTS[name], alt) if name in PLOTS else None),
        source.table(seed_table) if name == SEED_STUDY else None,
        fold("Every training of this ablation", table),
    )
