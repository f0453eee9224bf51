"""The DuckDB catalogue and the HTML report: what people open."""

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.ablations import ablation_keys
from assets.common import House
from assets.factory import OWNERS, Recipe, message
from assets.history import seconds_since_start
from assets.outputs import Given, Output, known_content
from assets.same_style import MEASURES
from assets.same_style_study import study_keys
from eiclip.history import installed_versions
from eiclip.storage.cache import CachedOutput, read_record
from eiclip.storage.catalogue import CATALOGUE, connect, refresh_catalogue
from eiclip.storage.code_version import code_version

if TYPE_CHECKING:
    from eiclip.report.about import About

RESULTS = (
    "retrieval_metrics",
    "leaderboard",
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

PROFILE = (
    "splits",
    "descriptions",
    "entities",
    "confounded",
    "token_histogram",
    "photos",
    "quarantine",
    "compositions",
)
SAME_STYLE = ("pair_funnel", *MEASURES)
"""Assets of same-style retrieval that the report shows."""
RESULT_TABLES = (
    *RESULTS,
    *SAME_STYLE,
    *(f"profile_{name}" for name in PROFILE),
    "embeddings",
    "training_log",
    "run_metrics",
    "ablation_results",
    "seed_study_summary",
    "same_style_ablation",
    "typed_query_metrics",
    "typed_query_comparisons",
)
"""Tables that the report reads; what is not there it does without."""

CODE = ("assets.report:_write", "eiclip.storage.catalogue:refresh_catalogue")
CATALOGUE_KEY, REPORT_KEY = dg.AssetKey(["results", "catalogue"]), ("results", "report")


def catalogue(house: House) -> dg.AssetsDefinition:
    """`eiclip.duckdb`: views over every table of the lake."""

    @dg.asset(
        key=CATALOGUE_KEY,
        deps=[
            *([name, table] for name in house.of_table_1() for table in (*RESULTS, "data_profile")),
            *([name, table] for name in house.of_same_style() for table in SAME_STYLE),
        ],
        group_name="results",
        kinds={"duckdb"},
        owners=OWNERS,
        description=f"`{CATALOGUE}`: a view per table, rebuilt and renamed into place; safe to keep open during a run.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        path = refresh_catalogue(house.home.lake)
        with connect(house.home.root) as connection:
            views = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
            counts = {view: connection.table(view).count("*").fetchall()[0][0] for view in views}
        rows = "\n".join(f"| {view} | {count:,} |" for view, count in counts.items())
        table = f"| view | rows |\n|---|---|\n{rows}"
        metadata: dict[str, Any] = {"views": dg.MetadataValue.md(table), "path": str(path)}
        return dg.MaterializeResult(metadata=metadata)

    return asset


def report(house: House) -> dg.AssetsDefinition:
    """The HTML page, and the same content as metadata."""

    @dg.asset(
        key=list(REPORT_KEY),
        deps=[CATALOGUE_KEY, *(list(key) for key in (*ablation_keys(house), *study_keys(house)))],
        code_version=code_version(CODE).digest,
        group_name="results",
        kinds={"html"},
        owners=OWNERS,
        description="One self-contained HTML page: row 5 against row 3 with its interval, tables beside the paper's, "
        "where it wins, gates, interventions, ablations, queries won and lost, the data, and how it was made.",
    )
    def asset(context: dg.AssetExecutionContext, recipe: Recipe) -> dg.MaterializeResult:
        output = page(house, _about(house, recipe), seconds_since_start(context))
        made = output.make_once(house, context)
        message(context, house, output, made)
        context.log.info(_summary(house, made, seconds_since_start(context)))
        texts = json.loads(output.beside[0].read_text(encoding="utf-8"))
        metadata: dict[str, Any] = {name: dg.MetadataValue.md(text) for name, text in texts.items()}
        told = {"reused": made.reused, "reason": made.reason, "path": dg.MetadataValue.path(str(house.home.report))}
        return dg.MaterializeResult(metadata=metadata | told, data_version=dg.DataVersion(made.content))

    return asset


def page(house: House, about: "About", seconds: float = 0.0) -> Output:
    """The page, and the same content as markdown by title beside it.

    Args:
        house: settings and home.
        about: what the run was.
        seconds: from the run's start to here; a page that is not made again keeps those of the run that made it.
    """
    facts = {**about.facts, "job seconds until this report": f"{seconds:.0f}"}
    return Output(
        REPORT_KEY,
        make=_write,
        settings={"about": dataclasses.asdict(about)},
        external={"tables": lambda: _contents(house)},
        code_of=CODE,
        place=house.home.report,
        beside=(house.home.report.with_suffix(".json"),),
        subject=dataclasses.replace(about, facts=facts),
    )


def recorded_page(house: House) -> Output | None:
    """The page as its last run had it, whose configuration and machine are taken as they were; None without one."""
    from eiclip.report.about import About

    known, _ = read_record(house.home.report)
    return page(house, About(**known["inputs"]["parameters"]["about"])) if known else None


def _write(given: Given) -> Mapping[str, Any]:
    from eiclip.report.write import write_report

    root, datasets = given.house.home.root, list(given.house.datasets())
    return write_report(root, given.output, datasets=datasets, about=given.of.subject, metadata=given.beside())


def _contents(house: House) -> dict[str, str]:
    """Contents of every file that the report reads."""
    lake = house.home.lake
    files = [file for name in house.datasets() for table in RESULT_TABLES for file in lake.files(table, name)]
    files += [house.home.shards(name) for name in house.datasets()]
    return {str(file.relative_to(house.home.root)): known_content(file) for file in files if file.exists()}


def _summary(house: House, made: CachedOutput, seconds: float) -> str:
    """What a person on a terminal wants to read last: leaderboards, headlines, where all lies, how long it took."""
    from eiclip.report.tables import leaderboard_markdown

    lines = [""]
    with connect(house.home.root) as connection:
        for name in house.of_table_1():
            for protocol in ("full", "sample100"):
                lines += [f"{name}, {protocol}:", leaderboard_markdown(connection, name, protocol), ""]
    lines += [f"{name}: {sentence}" for name, sentence in made.facts["headline"].items() if sentence]
    lines += [f"report: {house.home.report}", f"DuckDB: {house.home.root / CATALOGUE}", f"job seconds: {seconds:.0f}"]
    return "\n".join(lines)


def _about(house: House, recipe: Recipe) -> "About":
    """Configuration, versions, seed and hardware, as the report's last section shows them."""
    from eiclip.report.about import About, hardware, without_secrets

    settings = house.settings
    sources = {
        f"data of {name}": "embedded catalogue" if entry.embedded else "files given in the settings"
        for name, entry in house.datasets().items()
    }
    trained = {
        name: settings.training.model_dump(mode="json") | entry.training | recipe.training
        for name, entry in house.datasets().items()
    }
    whole = {"settings": settings.model_dump(mode="json"), "training as run, by dataset": trained}
    facts = {"seed": str(settings.seed), "towers start from": without_secrets(str(settings.pretrained)), **sources}
    text = without_secrets(json.dumps(whole, indent=2, ensure_ascii=False))
    return About(facts | hardware(house.step_device()), installed_versions(), text)
