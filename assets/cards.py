"""Model cards: a README.md beside each exported model, outside the folder's manifest as the step log is."""

from collections.abc import Mapping
from typing import Any

from assets.common import Project
from assets.outputs import Given, Output
from assets.sources import prefixed
from assets.steps import Step
from eiclip.model.variants import VARIANTS
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import content_digest
from eiclip.storage.catalogue import connect
from eiclip.storage.files import write_json, write_text

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
)


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """The cards of a dataset's models, rows 1 to 6."""
    checkpoints = prefixed("checkpoint/", VARIANTS)
    cards = Output(
        (name, "model_cards"),
        f"`{CARD}` beside each model: what it is, code that loads it, training data and settings, results with "
        "intervals, gates, known limits, licence, versions.",
        frozenset({"markdown"}),
        make=_write,
        sources=checkpoints,
        optional=READ,
        after=(*checkpoints, *SOURCES),
        settings={"pretrained": str(project.settings.pretrained), "embedded": dataset.embedded},
        uses=("eiclip.storage.catalogue:refresh_catalogue",),
        place=project.paths.root / "models" / name / "model_cards.json",
        beside=tuple(project.paths.checkpoint(name, variant) / CARD for variant in VARIANTS),
    )
    return [Step(f"{name}__model_cards", f"{name}/evaluation", [cards])]


def _write(given: Given) -> Mapping[str, Any]:
    from huggingface_hub import ModelCard

    from eiclip.report.model_card import Origin, model_card

    origin, root = Origin(given.parameters["pretrained"], given.parameters["embedded"]), given.project.paths.root
    folders = {variant: given.path(f"checkpoint/{variant}") for variant in VARIANTS}
    with connect(root) as connection:
        cards = {v: model_card(connection, folder, given.dataset, v, origin) for v, folder in folders.items()}
    for variant, text in cards.items():
        write_text(folders[variant] / CARD, text)
    write_json(given.output, {variant: content_digest(folders[variant] / CARD) for variant in cards})
    shown = ModelCard(cards["eiclip"]).text  # Dagster would lay out the metadata before it as headings
    return {"cards": [str((folder / CARD).relative_to(root)) for folder in folders.values()], "row_5": shown}
