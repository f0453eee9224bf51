"""Model cards: a README.md beside each exported model, outside the folder's manifest as the step log is."""

import functools
from collections.abc import Collection, Mapping
from typing import Any

from assets.common import Project
from assets.outputs import Given, Output
from assets.sources import prefixed
from assets.steps import Step
from eiclip.evaluation.run_history import RUNS
from eiclip.model.variants import VARIANTS, get_variant
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import content_digest
from eiclip.storage.files import write_json, write_text
from eiclip.storage.left_out import LeftOut, connect_without

CARD = "README.md"
SOURCES = (
    "products",
    "leaderboard",
    "chance_recalls",
    "metric_intervals",
    "row_comparisons",
    "recall_breakdowns",
    "entity_shuffles",
    "gate_report",
    "data_profile",
    "runs",
)
"""Assets whose tables a card reads."""
READ = (
    *(name for name in SOURCES if name != "data_profile"),
    "profile_descriptions",
    "seed_study_summary",
    "training_outcomes",
    "entity_vocabulary",
    "product_entities",
    "product_groups",
)
SHOWN = ("eiclip", "eiclip_rerank")
"""Rows whose card is shown with the asset."""


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """The cards of a dataset's models, rows 1 to 6."""
    return [cards_step(project, name, dataset, "model_cards", VARIANTS, SOURCES, READ, f"{name}/evaluation")]


def cards_step(
    project: Project, name: str, dataset: DatasetSettings, key: str, variants: Collection[str],
    after: tuple[str, ...], read: tuple[str, ...], group: str,
) -> Step:  # fmt: skip
    """The step that writes the cards of some rows' models.

    Args:
        key: of the asset.
        variants: the rows.
        after: what it comes after in the graph beside their checkpoints.
        read: tables that a card reads.
    """

    def outputs(recipe: Mapping[str, Any]) -> list[Output]:
        folders = {variant: project.paths.checkpoint(name, variant) for variant in variants}
        there = [variant for variant, folder in folders.items() if folder.exists()]
        left_out = functools.cache(lambda: stale_results(project, name, recipe, read))
        return [
            Output(
                (name, key),
                f"`{CARD}` beside each model that is there: what it is, code that loads it, training data and "
                "settings, results with intervals, gates, known limits, licence, versions. Results of other models "
                "than these, or made with other settings, are left out.",
                frozenset({"markdown"}),
                make=_write,
                sources=prefixed("checkpoint/", there),
                optional=read,
                after=(*prefixed("checkpoint/", variants), *after),
                settings={"pretrained": str(project.settings.pretrained), "embedded": dataset.embedded},
                external={"tables left out": lambda: {one.name: one.reasons for one in left_out()}},
                uses=("eiclip.storage.catalogue:refresh_catalogue",),
                place=project.paths.root / "models" / name / f"{key}.json",
                beside=tuple(folders[variant] / CARD for variant in there),
                subject=left_out,
            )
        ]

    return Step(f"{name}__{key}", group, outputs)


def stale_results(
    project: Project, name: str, recipe: Mapping[str, Any], read: tuple[str, ...] = READ
) -> list[LeftOut]:
    """The files of tables that the cards of a dataset leave out: all that is not of the models and settings of now.

    Kept runs are history, which a card has no place for: without results of now there is no run to name.
    """
    from assets.current import left_out, statuses

    found = statuses(project, recipe, tables=read, datasets=[name])
    stale = left_out(project, found, read, lambda _: "full_eval", [name])
    if any(one.table == "leaderboard" for one in stale):
        runs = project.paths.lake.files(RUNS, name)
        stale += [LeftOut(name, RUNS, file.stem, ("of earlier results",)) for file in runs]
    return stale


def _write(given: Given) -> Mapping[str, Any]:
    from huggingface_hub import ModelCard

    from eiclip.report.model_card import Origin, model_card

    origin, root = Origin(given.parameters["pretrained"], given.parameters["embedded"]), given.project.paths.root
    folders = {source.partition("/")[2]: given.path(source) for source in given.of.sources}
    with connect_without(root, given.of.subject()) as connection:
        cards = {v: model_card(connection, folder, given.dataset, v, origin) for v, folder in folders.items()}
    for variant, text in cards.items():
        write_text(folders[variant] / CARD, text)
    write_json(given.output, {variant: content_digest(folders[variant] / CARD) for variant in cards})
    # Without the metadata, which Dagster shows as headings.
    shown = {f"row_{get_variant(v).row}": ModelCard(cards[v]).text for v in SHOWN if v in cards}
    return {"cards": [str((folder / CARD).relative_to(root)) for folder in folders.values()]} | shown
