"""The model card beside an exported model: what it is, how to load it, what it learned from, how good, its limits.

Every figure comes from the catalogue or from the checkpoint's own `eiclip.json`; what is not there is left out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from eiclip.errors import CorruptOutputError
from eiclip.evaluation.comparisons import PAIRS
from eiclip.model.variants import VARIANTS, Variant
from eiclip.report import readings, tables
from eiclip.report.headline import MEASURES, comparison
from eiclip.report.intervention_tables import gate_report_table
from eiclip.report.model_card_limits import limits
from eiclip.report.model_card_texts import (
    LOAD_MODEL,
    LOAD_TAGS,
    LOAD_TEXTS,
    LOAD_TOWERS,
    NOTHING_MEASURED,
    WHAT,
    start_of,
)
from eiclip.report.paper import TABLE_1
from eiclip.report.queries import select
from eiclip.report.standing import TITLE
from eiclip.report.tables import Table, board_markdown, markdown

FILE, LEVELS = "README.md", "levels.safetensors"
PAPER = "EI-CLIP, CVPR 2022, doi 10.1109/CVPR52688.2022.01752"
BOARDS = {
    "full": "All test items are candidates",
    "sample100": "One right item among 101, of its subcategory where there are as many (sample-100)",
}


@dataclass(frozen=True)
class Origin:
    """Where a model comes from, as only the settings know it."""

    pretrained: str
    """What its towers started from."""
    embedded: bool
    """Whether it was trained on the drawn catalogue."""


def model_card(connection: duckdb.DuckDBPyConnection, folder: Path, dataset: str, variant: str, origin: Origin) -> str:
    """The card of the checkpoint in `folder`, as Markdown.

    Raises:
        CorruptOutputError: the folder lacks the files that say what the model is.
    """
    row, described = VARIANTS[variant], _read(folder / "eiclip.json")
    parts = [
        f"# {row.title} (row {row.row}), {'trained' if row.trained else 'as it stands'} for `{dataset}`",
        *_what(row, folder, described),
        *_loading(row, folder),
        *_data(connection, dataset),
        *_training(row, described),
        *_results(connection, dataset, variant),
        *_gates(connection, dataset, row, described),
        "## Known limits",
        "\n".join(f"- {limit}" for limit in limits(connection, dataset, row, embedded=origin.embedded)),
        "## Licence",
        start_of(origin.pretrained, embedded=origin.embedded),
        *_versions(connection, dataset, described),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _read(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptOutputError(f"{file}: cannot be read ({error}); materialise the checkpoint again") from error
    return found


def _what(row: Variant, folder: Path, described: Mapping[str, Any]) -> list[str]:
    config = _read(folder / "open_clip_config.json")["model_cfg"]
    vision, text = config["vision_cfg"], config["text_cfg"]
    names = _read(folder / "vocabulary.json")["names"]
    groups = ", ".join(f"{group} ({len(entities) - 1:,})" for group, entities in names.items())
    facts = {
        "Row of the paper’s Table 1": f"{row.row} ({PAPER})"
        if row.row in TABLE_1
        else f"none: row {row.row} is our own",
        "Width of the embeddings": f"{config['embed_dim']:,}",
        "Image tower": _tower(vision) + f", photos of {vision.get('image_size', 224)} pixels",
        "Text tower": _tower(text) + f", {text.get('context_length', 77)} tokens",
    }
    if row.has_entities or row.entities_as_text:
        facts["Entity groups (entities known)"] = groups
    return ["## What it is", WHAT[row.name], _facts(facts)]


def _tower(config: Mapping[str, Any]) -> str:
    known = {name: config[name] for name in ("layers", "width", "patch_size", "heads") if name in config}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in known.items()) or "open_clip’s default"


def _facts(facts: Mapping[str, str]) -> str:
    return markdown(Table("", ("What", "Value"), (False, False), list(facts.items())))


def _loading(row: Variant, folder: Path) -> list[str]:
    """Code that can be run as it stands, in the folder of the card."""
    named = (row.has_entities or row.entities_as_text) and _read(folder / "vocabulary.json")["names"]
    has_levels = (folder / LEVELS).is_file()
    towers = "The two towers, with open_clip alone"
    if has_levels:
        towers += f", whose photo embeddings are then the tower’s own, without what the head in `{LEVELS}` adds to them"
    parts = ["## How to load it", f"{towers}:", f"```python\n{LOAD_TOWERS}```"]
    more = [
        "" if not named else "entity encoders and gates" if row.has_entities else "entities written before the text",
        "the head over the image tower’s levels" if has_levels else "",
    ]
    if told := " and ".join(filter(None, more)):
        code = LOAD_MODEL + (LOAD_TAGS if named else LOAD_TEXTS)
        parts += [f"The whole model, with {told}, by this project’s package (`eiclip`):", f"```python\n{code}```"]
    return parts


def _data(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[str]:
    made = (tables.splits(connection, dataset), tables.entity_coverage(connection, dataset))
    shown = [text for table in made if table for text in (f"{table.caption}:", markdown(table))]
    runs = select(connection, "newest_run", dataset=dataset)
    shown += [f"Fingerprint of the data: `{run['data_fingerprint']}`." for run in runs]
    return ["## Training data", *shown] if shown else []


def _training(row: Variant, described: Mapping[str, Any]) -> list[str]:
    if not row.trained:
        return ["## Training", "None here: the towers are as they were pretrained."]
    taken = {"seed": "seed", "steps": "steps taken", "best_step": "kept: the state after step", "device": "device"}
    facts = {title: str(described[name]) for name, title in taken.items() if name in described}
    facts |= {name.replace("_", " "): _told(value) for name, value in described["training"].items()}
    parts = ["## Training", "Adam with linear warm-up and a cosine to zero.", _facts(facts)]
    validation = described.get("validation")
    if validation:
        told = "; ".join(f"{title} {validation[name]:.1f}" for name, title in MEASURES.items())
        parts.append(f"On the validation split, all its items as candidates: {told}.")
    if found := described.get("outcome"):
        parts.append(f"Outcome, {found['verdict']}: {found['message']}.")
    return parts


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name.replace('_', ' ')} {_told(part)}" for name, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else "none" if value is None else str(value)


def _results(connection: duckdb.DuckDBPyConnection, dataset: str, variant: str) -> list[str]:
    """The model's own lines of both leaderboards, and what it is compared with."""
    parts: list[str] = []
    for protocol, title in BOARDS.items():
        lines = [
            replace(line, cells=tuple(replace(cell, best=False) for cell in line.cells))
            for line in tables.leaderboard(connection, dataset, protocol)
            if line.variant in (variant, "")  # and chance
        ]
        if any(line.variant for line in lines):
            parts += [f"{title}:", board_markdown(lines, with_intervals=True)]
    quality = readings.quality_table(connection, dataset)
    if quality:
        short = readings.short_title(VARIANTS[variant].row, variant)
        own = [line for line in quality.rows if line[0] in (TITLE, short)]
        parts.append(markdown(Table("", quality.header, quality.numeric, own)))
    told = [comparison(connection, dataset, *pair) for pair in PAIRS if pair[0] == variant]
    parts += [sentence for sentence in told if sentence]
    opening = (
        "Test split, percent, with 95 % intervals over products where they are known. Ties count against the model."
    )
    return ["## Results", *([opening, *parts] if parts else [NOTHING_MEASURED])]


def _gates(
    connection: duckdb.DuckDBPyConnection, dataset: str, row: Variant, described: Mapping[str, Any]
) -> list[str]:
    if row.gates == "equal":
        weight = described["training"].get("equal_weight")
        told = "one over the number of groups" if weight is None else f"{weight:g}"
        return ["## Gates", f"Equal for every entity: {told}."]
    table = gate_report_table(connection, dataset, row.name) if row.gates == "learned" else None
    return ["## Gates by group", f"{table.caption}:", markdown(table)] if table else []


def _versions(connection: duckdb.DuckDBPyConnection, dataset: str, described: Mapping[str, Any]) -> list[str]:
    rows = select(connection, "newest_run", dataset=dataset)
    facts: dict[str, str] = {}
    if rows:
        run = rows[0]
        titles = {
            "run_id": "run",
            "finished_at": "finished",
            "config_hash": "configuration",
            "code_version": "code",
        }
        facts = {title: str(run[name]) for name, title in titles.items() if run[name] is not None}
        facts |= {name: str(version) for name, version in json.loads(run["versions"] or "{}").items()}
    if "torch" in described:
        facts["torch"] = str(described["torch"])
    return ["## Run and versions", _facts(facts)] if facts else []
