"""Gathers a home's results and lays them out as one HTML page that needs no network (JavaScript is for comfort)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from markupsafe import Markup

from eiclip.report.about import About
from eiclip.report.gallery import Gallery
from eiclip.report.headline import Headline, advice, headline
from eiclip.report.history import since_the_run_before
from eiclip.report.html import as_html
from eiclip.report.left_out import left_out_line
from eiclip.report.queries import remembered, select
from eiclip.report.same_style_verdicts import same_style_headline
from eiclip.report.sections import Section, sections
from eiclip.report.source import Source, by, render
from eiclip.storage.files import write_text
from eiclip.storage.left_out import LeftOut, connect_without
from eiclip.studies.trials import ABLATIONS


@dataclass(frozen=True)
class DatasetPart:
    """All that the page says about one dataset."""

    name: str
    anchor: str
    provenance: str
    splits: Mapping[str, Any]
    """Products and photos of each split, and of `all`; empty before there are any."""
    headline: Headline | None
    advice: str | None
    table: Markup
    """Of the headline's figures."""
    examples: Gallery | None
    sections: Sequence[Section]
    studies: Sequence[str]
    """Studies that can be asked of the dataset and have not been run."""

    since: str | None
    """What has changed since the run before."""
    left_out: str | None
    """What is not shown, and the job that makes it again."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been made of it."""
        return not any(section.html for section in self.sections)


def write_report(
    home: Path, output: Path, *, datasets: Sequence[str], about: About, left_out: Sequence[LeftOut] = ()
) -> dict[str, Any]:
    """Write the report of a home's datasets to `output`, whole or not at all.

    Args:
        home: an EICLIP_HOME with a catalogue.
        datasets: which datasets, in this order.
        about: what the run was: settings, versions, seed, hardware, run time, and where each dataset is from.
        left_out: what was made with other settings, data or code: it is said to be there, and not shown.

    Returns:
        Facts: `bytes`, and by dataset `sections` (filled ones), `missing`, `headline`, `not_shown` and `gallery`
        (won, lost).

    Raises:
        EiclipError: the home has no catalogue yet.
    """
    with connect_without(home, left_out) as connection, remembered():
        parts = [
            _part(Source(connection, name, home), f"d{place}", about, left_out_line(left_out, name))
            for place, name in enumerate(datasets, start=1)
        ]
        made = _about(connection, datasets, about)
    write_text(output, render("page.html", parts=parts, about=made).strip() + "\n")
    return {"bytes": output.stat().st_size} | _facts(parts)


def _part(source: Source, anchor: str, about: About, left_out: str | None) -> DatasetPart:
    connection, name = source.connection, source.dataset
    found = sections(source)
    return DatasetPart(
        name=name,
        anchor=anchor,
        provenance=about.provenance.get(name, ""),
        splits=_splits(source),
        headline=headline(connection, name) or same_style_headline(connection, name),
        advice=advice(connection, name),
        table=as_html(source.macro("rows.headline")),
        examples=source.queries if isinstance(source.queries, Gallery) else None,
        sections=found,
        studies=_not_run(source),
        since=since_the_run_before(connection, name),
        left_out=left_out,
    )


def _splits(source: Source) -> Mapping[str, Any]:
    rows = by(source.rows("splits"), "split")
    if "test" not in rows:
        return {}
    return rows | {"all": {name: sum(row[name] for row in rows.values()) for name in ("products", "images")}}


def _not_run(source: Source) -> list[str]:
    groups = tuple(row["entity_group"] for row in source.rows("entity_groups"))
    found = [
        name
        for name, study in ABLATIONS.items()
        if not source.rows("ablation_results", ablation=name) and (not groups or study.fits(groups))
    ]
    has_rows = bool(source.rows("board", protocol="full"))
    asked = source.rows("cross_modal_figures", protocol="sample100")
    return [*found, *(["cross_modal"] if has_rows and not asked else [])]


def _about(connection: duckdb.DuckDBPyConnection, datasets: Sequence[str], about: About) -> Markup:
    """How the run was made: facts, versions, settings, and earlier runs."""
    minutes = {
        name: sum(row["seconds"] for row in select(connection, "trainings", dataset=name)) / 60 for name in datasets
    }
    newest = {name: rows[0] for name in datasets if (rows := select(connection, "newest_run", dataset=name))}
    kept = {name: Source(connection, name, Path()).macro("runs.kept").strip() for name in datasets}
    source = Source(connection, "", Path())
    text = render("sections/about.md", about=about, minutes=minutes, newest=newest, kept=kept, **source.names)
    return as_html(text, source.pictures).strip()


def _facts(parts: Sequence[DatasetPart]) -> dict[str, Any]:
    return {
        "sections": {part.name: [s.question.key for s in part.sections if s.html] for part in parts},
        "missing": {part.name: [s.question.key for s in part.sections if not s.html] for part in parts},
        "headline": {part.name: part.headline.sentence if part.headline else None for part in parts},
        "not_shown": {part.name: part.left_out for part in parts if part.left_out},
        "gallery": {part.name: _sizes(part.examples) for part in parts},
    }


def _sizes(shown: Gallery | None) -> Mapping[str, int]:
    return {"won": len(shown.won), "lost": len(shown.lost)} if shown else {"won": 0, "lost": 0}
