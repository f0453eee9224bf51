"""Gathers a home's results and lays them out as one HTML page that needs no network and no JavaScript."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eiclip.report import tables
from eiclip.report.about import About
from eiclip.report.about_section import about_blocks
from eiclip.report.document import Block, Section
from eiclip.report.gallery import LOST, TOP, WON, Gallery
from eiclip.report.headline import Headline, headline
from eiclip.report.left_out import left_out_line
from eiclip.report.markdown import as_markdown
from eiclip.report.same_style_verdicts import same_style_headline
from eiclip.report.sections import sections
from eiclip.report.source import Source
from eiclip.storage.files import write_json, write_text
from eiclip.storage.left_out import LeftOut, connect_without

TEMPLATES = Path(__file__).parent / "templates"
NO_BREAK = "\u00a0"


@dataclass(frozen=True)
class DatasetPart:
    """All that the page says about one dataset."""

    name: str
    anchor: str
    headline: Headline | None
    sections: Sequence[Section]
    left_out: str | None = None
    """What is not shown, and the job that makes it again."""


@dataclass(frozen=True)
class Report:
    """All that the page says."""

    parts: Sequence[DatasetPart]
    about: Sequence[Block]


def write_report(
    home: Path,
    output: Path,
    *,
    datasets: Sequence[str],
    about: About,
    metadata: Path | None = None,
    left_out: Sequence[LeftOut] = (),
) -> dict[str, Any]:
    """Write the report of a home's datasets to `output`, whole or not at all.

    Args:
        home: an EICLIP_HOME with a catalogue.
        datasets: which datasets, in this order.
        about: what the run was: settings, versions, seed, hardware, run time.
        metadata: where to write the same content as JSON, markdown by title, for Dagster's UI.
        left_out: what was made with other settings, data or code: it is said to be there, and not shown.

    Returns:
        Facts: `bytes`, and by dataset `sections` (filled ones), `missing`, `headline` and `gallery` (won, lost).

    Raises:
        EiclipError: the home has no catalogue yet.
    """
    report = gather(home, datasets, about, left_out)
    if metadata is not None:
        write_json(metadata, as_metadata(report))
    write_text(output, render(report))
    return {"bytes": output.stat().st_size} | _facts(report.parts)


def gather(home: Path, datasets: Sequence[str], about: About, left_out: Sequence[LeftOut] = ()) -> Report:
    """Everything there is to say, before it is laid out."""
    parts = []
    with connect_without(home, left_out) as connection:
        for place, name in enumerate(datasets, start=1):
            found = headline(connection, name)
            shown = found or same_style_headline(connection, name)
            filled, told = sections(found, Source(connection, name, home)), left_out_line(left_out, name)
            parts.append(DatasetPart(name, f"d{place}", shown, filled, told))
        return Report(parts, about_blocks(connection, datasets, about))


def render(report: Report) -> str:
    """The page as HTML; every value is escaped by the template."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"kind": lambda block: type(block).__name__, "unbroken": unbroken}
    template = environment.get_template("report.html")
    return template.render(
        parts=report.parts,
        about=report.about,
        headings=tables.HEADINGS,
        limits={"won": WON, "lost": LOST, "top": TOP},
    )


def unbroken(text: str) -> str:
    """Text with no line break between a number and its unit, or what it numbers.

    >>> unbroken("+5 % (row 5), p < 0.1").split(" ")
    ['+5\\xa0%', '(row\\xa05),', 'p\\xa0<\\xa00.1']
    """
    return re.sub(
        r"(?<=\d) (?=%)|(?<=\b[Rr]ow) (?=\d)|(?<=\b[Rr]ows) (?=\d)|(?<=\bp) (?=[<=])|(?<=\bp.[<=]) ", NO_BREAK, text
    )


def as_metadata(report: Report) -> dict[str, str]:
    """The same content for Dagster's UI: markdown by dataset and section, with plots in the light theme."""
    found = {}
    for part in report.parts:
        found |= {f"{part.name}_not_shown": part.left_out} if part.left_out else {}
        for section in part.sections:
            found[f"{part.name}_{section.key}"] = as_markdown(section)
    return found


def _facts(parts: Sequence[DatasetPart]) -> dict[str, Any]:
    return {
        "sections": {part.name: [s.key for s in part.sections if not s.missing] for part in parts},
        "missing": {part.name: {s.key: s.missing for s in part.sections if s.missing} for part in parts},
        "headline": {part.name: part.headline.sentence if part.headline else None for part in parts},
        "not_shown": {part.name: part.left_out for part in parts if part.left_out},
        "gallery": {part.name: _gallery_sizes(part.sections) for part in parts},
    }


def _gallery_sizes(sections: Sequence[Section]) -> Mapping[str, int]:
    shown = [block for section in sections for block in section.blocks if isinstance(block, Gallery)]
    return {"won": sum(len(found.won) for found in shown), "lost": sum(len(found.lost) for found in shown)}
