"""Model cards: a README.md beside each exported model, outside the folder's manifest as the step log is."""

from pathlib import Path
from typing import Any

import dagster as dg

from assets.common import OWNERS, House, result, say
from eiclip.files import source_version, write_json, write_text
from eiclip.storage.catalogue import connect
from eiclip.settings import DatasetSettings
from eiclip.storage.cache import Made, content_digest, content_of, make_once
from eiclip.variants import VARIANTS

CARD = "README.md"
SOURCES = (
    "products",
    "leaderboard",
    "metric_intervals",
    "row_comparisons",
    "recall_breakdowns",
    "entity_shuffles",
    "gate_report",
    "data_profile",
    "runs",
)
"""Assets whose tables a card reads."""
READ = (*(name for name in SOURCES if name != "data_profile"), "profile_descriptions", "seed_study_summary")


def build(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """The cards of a dataset's five models."""

    @dg.asset(
        key=[name, "model_cards"],
        deps=[*([name, "checkpoint", variant] for variant in VARIANTS), *([name, source] for source in SOURCES)],
        group_name=f"{name}/evaluation",
        kinds={"markdown"},
        owners=OWNERS,
        description=f"`{CARD}` beside each model: what it is, code that loads it, training data and settings, results "
        "with intervals, gates, known limits, licence, versions.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        made, output = make_cards(house, name, dataset)
        say(context, made, output)
        card = house.home.checkpoint(name, list(VARIANTS)[-1]) / CARD
        return result(made, output, metadata={"row_5": dg.MetadataValue.md(card.read_text(encoding="utf-8"))})

    return asset


def make_cards(house: House, name: str, dataset: DatasetSettings) -> tuple[Made, Path]:
    """Write the cards, unless models, results and code are as they were; the output lists them."""
    folders = {variant: house.home.checkpoint(name, variant) for variant in VARIANTS}
    output = house.home.root / "models" / name / "model_cards.json"
    if not all((folder / CARD).is_file() for folder in folders.values()):
        output.unlink(missing_ok=True)  # a model trained again has lost its card
    inputs = {
        "code": source_version("eiclip.report", "eiclip.variants"),
        "origin": [str(house.settings.pretrained), dataset.embedded],
        "checkpoints": {variant: content_of(folder) for variant, folder in folders.items()},
        "tables": _contents(house, name),
    }

    def make() -> dict[str, Any]:
        from eiclip.report.model_card import Origin, model_card

        origin = Origin(str(house.settings.pretrained), dataset.embedded)
        with connect(house.home.root) as connection:
            cards = {v: model_card(connection, folder, name, v, origin) for v, folder in folders.items()}
        for variant, text in cards.items():
            write_text(folders[variant] / CARD, text)
        write_json(output, {variant: content_digest(folders[variant] / CARD) for variant in cards})
        return {"cards": [str((folders[v] / CARD).relative_to(house.home.root)) for v in cards]}

    return make_once(output, inputs, make), output


def _contents(house: House, name: str) -> dict[str, str]:
    files = [file for table in READ for file in house.home.lake.files(table, name)]
    return {str(file.relative_to(house.home.root)): content_digest(file) for file in files}
