"""What stands behind the results: trainings, single queries, words with other meanings, and the data."""

from collections.abc import Sequence

from eiclip.report import plots, profile_plots, profile_tables, tables
from eiclip.report.document import Block, Text, kept
from eiclip.report.gallery import gallery
from eiclip.report.source import Source, fold, pair


def training(source: Source) -> Sequence[Block]:
    """Losses over the steps, and what each training took."""
    losses = source.picture(
        plots.loss_plot,
        "Training loss of each variant over steps",
        "Running mean of L(photo, text), the one term that every row has; rows 4 to 6 minimise two more. "
        "Dashed: what guessing gives, the logarithm of the batch.",
    )
    return kept(source.sentence(tables.outcomes), pair(losses, source.table(tables.trainings)))


def queries_that_changed(source: Source) -> Sequence[Block]:
    """The gallery, or a text that says what it waits for."""
    shown = gallery(source.connection, source.home, source.dataset)
    return (Text(shown),) if isinstance(shown, str) else (shown,)


def confounded(source: Source) -> Sequence[Block]:
    """Entities whose words are used without the tag."""
    return kept(
        Text(
            "How often training descriptions use an entity’s words although the product does not carry that tag. For a "
            "brand with an ordinary word for its name this is another meaning, which gets in the way; for a material "
            "it is mostly the same meaning, where the tag is a longer composition. Shares under “tagged as” are the "
            "semantic prior of an entity with several meanings."
        ),
        source.table(tables.confounded),
    )


def data(source: Source) -> Sequence[Block]:
    """Splits, entities, duplicates and quarantine; the profile of the data behind a fold."""
    splits, known = source.table(tables.splits), source.table(tables.duplicates)
    quarantined = source.table(tables.quarantine)
    return kept(
        splits,
        source.table(tables.entity_coverage),
        known,
        Text(
            "Products that share a photo, or alike photos of one brand under alike titles. A group lies wholly in one "
            "split; what duplicates a test product of the raw files is left out of training.",
            quiet=True,
        )
        if known
        else None,
        Text("No duplicates are known.", quiet=True) if splits and not known else None,
        quarantined,
        Text("No raw row is in quarantine.", quiet=True) if splits and not quarantined else None,
        fold("The data profile", *_profile(source)),
    )


def _profile(source: Source) -> Sequence[Block | None]:
    return (
        source.table(profile_tables.splits),
        source.table(profile_tables.entities),
        pair(
            source.picture(
                profile_plots.entity_plot,
                "Share of products that each entity group tags, and how many entities it has, beside the paper’s; the "
                "numbers are in the table",
            ),
            source.picture(
                profile_plots.confounded_plot,
                "The entities of each group whose words are mentioned most often without the tag",
            ),
            source.picture(
                profile_plots.token_plot,
                "Products by the number of tokens of their description",
                "What is longer than the context is cut.",
            ),
            source.picture(profile_plots.photo_plot, "Photos by their smaller side in pixels"),
            source.picture(profile_plots.quarantine_plot, "Raw rows in quarantine by reason"),
        ),
        source.table(profile_tables.compositions),
        source.table(profile_tables.quarantine),
    )
