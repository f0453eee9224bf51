"""Gathers a home's results and lays them out as one HTML page that needs no network and no JavaScript."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eiclip.files import write_text
from eiclip.lake import connect
from eiclip.report import paper, plots, tables
from eiclip.report.gallery import LOST, TOP, WON, Gallery, gallery
from eiclip.report.headline import Headline, headline
from eiclip.report.theme import DARK, LIGHT, Theme, data_uri

TEMPLATES = Path(__file__).parent / "templates"

Plot = Callable[[duckdb.DuckDBPyConnection, str, Theme], bytes | None]

SECTIONS = {
    "rows": "The five rows",
    "gates": "What the gates learned",
    "usefulness": "What each entity group is worth",
    "training": "Training",
    "gallery": "Queries that changed",
    "confounded": "Confounded entities",
    "data": "Data",
}


@dataclass(frozen=True)
class Picture:
    """A plot in both themes, as data URIs."""

    light: str
    dark: str


@dataclass(frozen=True)
class DatasetPart:
    """All that the page says about one dataset."""

    name: str
    anchor: str
    headline: Headline | None
    boards: dict[str, list[tables.LeaderboardLine]]
    pictures: dict[str, Picture | None]
    tables: dict[str, tables.Table | None]
    gallery: Gallery | str
    missing: dict[str, str]
    """By section: what to materialise, where the section has nothing to show."""


def write_report(home: Path, output: Path, *, datasets: Sequence[str], about: Mapping[str, str]) -> dict[str, Any]:
    """Write the report of a home's datasets to `output`, whole or not at all.

    Args:
        home: an EICLIP_HOME with a catalogue.
        datasets: which datasets, in this order.
        about: what the run was: settings, versions, seed, hardware, run time.

    Returns:
        Facts: `bytes`, and by dataset `sections` (filled ones), `missing`, `headline` and `gallery` (won, lost).

    Raises:
        EiclipError: the home has no catalogue yet.
    """
    with connect(home) as connection:
        parts = [_part(connection, home, name, f"d{place}") for place, name in enumerate(datasets, start=1)]
    write_text(output, render(parts, about))
    return {"bytes": output.stat().st_size} | _facts(parts)


def render(parts: Sequence[DatasetPart], about: Mapping[str, str]) -> str:
    """The page as HTML; every value is escaped by the template."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    template = environment.get_template("report.html")
    limits = {"won": WON, "lost": LOST, "top": TOP}
    return template.render(
        parts=parts, about=about, sections=SECTIONS, headings=tables.HEADINGS, paper_note=paper.NOTE, limits=limits
    )


def _part(connection: duckdb.DuckDBPyConnection, home: Path, name: str, anchor: str) -> DatasetPart:
    boards = {protocol: tables.leaderboard(connection, name, protocol) for protocol in ("full", "sample100")}
    made: dict[str, Plot] = {
        "recall": plots.recall_plot,
        "gates": plots.gate_plot,
        "gate_history": plots.gate_history_plot,
        "usefulness": plots.usefulness_plot,
        "loss": plots.loss_plot,
    }
    pictures = {key: _picture(plot, connection, name) for key, plot in made.items()}
    texts = {
        "gates": tables.gate_extremes(connection, name),
        "usefulness": tables.shuffles(connection, name),
        "training": tables.trainings(connection, name),
        "confounded": tables.confounded(connection, name),
        "splits": tables.splits(connection, name),
        "entities": tables.entity_coverage(connection, name),
        "duplicates": tables.duplicates(connection, name),
        "duplicates_effect": tables.duplicates_effect(connection, name),
        "quarantine": tables.quarantine(connection, name),
    }
    shown = gallery(connection, home, name)
    missing = _missing(boards, pictures, texts, shown)
    return DatasetPart(name, anchor, headline(connection, name), boards, pictures, texts, shown, missing)


def _picture(plot: Plot, connection: duckdb.DuckDBPyConnection, dataset: str) -> Picture | None:
    made = [plot(connection, dataset, theme) for theme in (LIGHT, DARK)]
    light, dark = (data_uri(image, "image/png") if image else "" for image in made)
    return Picture(light, dark) if light else None


def _missing(
    boards: Mapping[str, object], pictures: Mapping[str, object], texts: Mapping[str, object], shown: Gallery | str
) -> dict[str, str]:
    """What each empty section waits for."""
    waits = {
        "rows": (any(boards.values()), "retrieval_metrics and leaderboard"),
        "gates": (pictures["gates"] or pictures["gate_history"], "gate_weights (row 5, EI-CLIP)"),
        "usefulness": (pictures["usefulness"], "entity_shuffles (row 5, EI-CLIP)"),
        "training": (pictures["loss"], "training_log: train at least one variant"),
        "confounded": (
            texts["confounded"],
            "semantic_prior (or no description mentions an entity it is not tagged with)",
        ),
        "data": (texts["splits"], "catalog and products"),
    }
    told = {section: f"Materialise {names}." for section, (filled, names) in waits.items() if not filled}
    return told | ({"gallery": shown} if isinstance(shown, str) else {})


def _facts(parts: Sequence[DatasetPart]) -> dict[str, Any]:
    return {
        "sections": {part.name: [name for name in SECTIONS if name not in part.missing] for part in parts},
        "missing": {part.name: part.missing for part in parts},
        "headline": {part.name: part.headline.sentence if part.headline else None for part in parts},
        "gallery": {part.name: _gallery_sizes(part.gallery) for part in parts},
    }


def _gallery_sizes(shown: Gallery | str) -> dict[str, int]:
    return {"won": 0, "lost": 0} if isinstance(shown, str) else {"won": len(shown.won), "lost": len(shown.lost)}
