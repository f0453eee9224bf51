"""The HTML report: what it reads, and when it is made again."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.common import Project
from assets.outputs import Given, Output
from assets.profile import TABLES as PROFILE
from assets.same_style import MEASURES
from assets.sources import known_content
from eiclip.storage.cache import content_digest, read_record
from eiclip.storage.left_out import LeftOut
from eiclip.storage.sql import SQL_FOLDER

if TYPE_CHECKING:
    from eiclip.report.about import About

RESULTS = (
    "retrieval_metrics",
    "leaderboard",
    "chance_recalls",
    "retrieval_ranks",
    "metric_intervals",
    "row_comparisons",
    "recall_breakdowns",
    "gate_weights",
    "gate_report",
    "entity_shuffles",
    "interventions",
    "intervention_summary",
    "protocols",
    "semantic_prior",
    "entity_vocabulary",
    "product_entities",
    "products",
    "product_groups",
    "quarantine",
    "runs",
)
"""Assets that the report shows and that every run makes."""

SAME_STYLE = ("pair_funnel", *MEASURES)
"""Assets of same-style retrieval that the report shows."""
RESULT_TABLES = (
    *RESULTS,
    *SAME_STYLE,
    *(f"profile_{name}" for name in PROFILE),
    "embeddings",
    "training_log",
    "training_outcomes",
    "run_metrics",
    "cross_modal_intervals",
    "cross_modal_comparisons",
    "ablation_results",
    "seed_study_summary",
    "same_style_ablation",
    "judged_query_metrics",
    "judged_query_results",
    "typed_query_metrics",
    "typed_query_comparisons",
    "images",
    "conflicting_ids",
)
"""Tables that the report reads; what is not there it does without."""

CODE = ("assets.report:_write", "eiclip.storage.catalogue:refresh_catalogue")
FILES_NAMED = 3
"""Raw files that the report names."""
REPORT_KEY = ("results", "report")


def page(project: Project, about: "About", seconds: float = 0.0, left_out: Sequence[LeftOut] = ()) -> Output:
    """The page.

    Args:
        project: settings and home.
        about: what the run was.
        seconds: from the run's start to here; a page that is not made again keeps those of the run that made it.
        left_out: files that are not shown, since they were made with other settings, data or code.
    """
    facts = {**about.facts, "job seconds until this report": f"{seconds:.0f}"}
    return Output(
        REPORT_KEY,
        make=_write,
        settings={"about": dataclasses.asdict(about)},
        external={
            "tables": lambda: _contents(project, left_out),
            "tables left out": lambda: {f"{one.dataset}/{one.name}": one.reasons for one in left_out},
            "templates": _templates,
        },
        code_of=CODE,
        place=project.paths.report,
        subject=(dataclasses.replace(about, facts=facts), left_out),
    )


def provenance_of(project: Project, name: str) -> str:
    """Where a dataset's raw files are from, for the report's readers; empty where they have not been looked at."""
    if project.datasets()[name].embedded:
        return f"Drawn by this project, seed {project.settings.seed}: not real products."
    listed = project.paths.place((name, "raw_files")) / "files.json"
    if not listed.is_file():
        return ""
    files = sorted(Path(file).name for file in json.loads(listed.read_text(encoding="utf-8")))
    more = f" and {len(files) - FILES_NAMED} more files" if len(files) > FILES_NAMED else ""
    return f"From {', '.join(files[:FILES_NAMED])}{more}."


def recorded_page(project: Project, left_out: Sequence[LeftOut] = ()) -> Output | None:
    """The page as its last run had it, whose configuration and machine are taken as they were; None without one."""
    from eiclip.report.about import About

    known, _ = read_record(project.paths.report)
    about = known and About(**known["inputs"]["parameters"]["about"])
    return page(project, about, left_out=left_out) if about else None


def _write(given: Given) -> Mapping[str, Any]:
    from eiclip.report.write import write_report

    root, datasets, (about, left_out) = given.project.paths.root, list(given.project.datasets()), given.of.subject
    return write_report(root, given.output, datasets=datasets, about=about, left_out=left_out)


def _templates() -> dict[str, str]:
    """Contents of the page's templates and of the queries that they name."""
    from eiclip.report.source import TEMPLATES

    return {folder.name: content_digest(folder) for folder in (TEMPLATES, SQL_FOLDER / "report")}


def _contents(project: Project, left_out: Sequence[LeftOut]) -> dict[str, str]:
    """Contents of every file that the report reads."""
    lake = project.paths.lake
    files = [file for name in project.datasets() for table in RESULT_TABLES for file in lake.files(table, name)]
    unread = {lake.path(one.table, one.dataset, one.part) for one in left_out}
    files = [file for file in files if file not in unread]
    files += [project.paths.shards(name) for name in project.datasets()]
    return {str(file.relative_to(project.paths.root)): known_content(file) for file in files if file.exists()}
