"""Assets that tell of the run itself: its results kept beside those of earlier runs, the catalogue, the report."""

import json
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.ablations import ablation_keys
from assets.common import Project
from assets.current import left_out, statuses
from assets.report import CODE, REPORT_KEY, RESULT_TABLES, RESULTS, SAME_STYLE, page, provenance_of
from assets.same_style_study import study_keys
from assets.training import recipe_of
from eiclip.evaluation.run_history import RUN_METRICS, RUN_RANKS, RUNS, Run, installed_versions, keep_run
from eiclip.model.variants import VARIANTS
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import CachedOutput, content_of
from eiclip.storage.catalogue import CATALOGUE, connect, refresh_catalogue
from eiclip.storage.code_version import code_version
from eiclip.storage.files import digest
from eiclip.storage.left_out import LeftOut, connect_without
from eiclip.train.key import training_code
from pipelines.factory import OWNERS, Recipe, log_outcome, outcome_metadata, table_metadata
from pipelines.jobs import CATALOGUE_KEY, FILLED_BY, job_of

if TYPE_CHECKING:
    from eiclip.report.about import About

DATA = ("entity_vocabulary", "semantic_prior", "candidate_lists", "products")
OPEN = "open (while make ui runs)"
PLACES = ("folder", "metadata", "images", "reviews", "files", "download", "publish")
"""Where a dataset lies is no part of its configuration: what lies there is in the data fingerprint."""


def runs(project: Project, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """The kept runs of a dataset."""

    @dg.asset(
        key=[name, RUNS],
        deps=[[name, "retrieval_ranks"], [name, "retrieval_metrics"]],
        group_name=f"{name}/evaluation",
        kinds={"parquet"},
        owners=OWNERS,
        description=f"One row per run that came to a result of its own: run id, configuration hash, data fingerprint, "
        f"code, versions, settings. Its recalls and ranks are in `{RUN_METRICS}` and `{RUN_RANKS}`.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from eiclip.report.history import since_the_run_before
        from eiclip.report.source import markdown

        lake = project.paths.lake
        run_id, new = keep_run(lake, _run(project, name, dataset, context))
        context.log.info(f"{name}: {'kept as' if new else 'the same result as'} run {run_id}")
        refresh_catalogue(lake, FILLED_BY)
        with connect(project.paths.root) as connection:
            text, since = markdown(connection, name, "runs.kept"), since_the_run_before(connection, name)
        metadata: dict[str, Any] = {"run_id": run_id, "new": new, "runs": dg.MetadataValue.md(text)}
        metadata |= {"since_the_run_before": since} if since else {}
        return dg.MaterializeResult(metadata=table_metadata(lake.files(RUNS, name)) | metadata)

    return asset


def _run(project: Project, name: str, dataset: DatasetSettings, context: dg.AssetExecutionContext) -> Run:
    records = {variant: project.paths.checkpoint(name, variant) / "eiclip.json" for variant in VARIANTS}
    trained = {variant: json.loads(file.read_text(encoding="utf-8")) for variant, file in records.items()}
    settings = {
        "dataset": dataset.model_dump(mode="json", exclude={*PLACES, "training"}),
        "training": {variant: described["training"] for variant, described in trained.items()},
        "pretrained": content_of(project.paths.pretrained),
        "embedded": project.settings.embedded.model_dump() if dataset.embedded else None,
    }
    data = {table: content_of(project.paths.lake.path(table, name)) for table in DATA}
    return Run(
        run_id=context.run.run_id,
        dataset=name,
        seed=project.settings.seed,
        settings=settings,
        data=data | {"shards": content_of(project.paths.shards(name))},
        code_version=digest([training_code().digest, code_version(("assets.evaluation:_embed",)).digest]),
        device=trained[list(VARIANTS)[-1]]["device"],
        seconds=round(seconds_since_start(context), 1),
    )


def seconds_since_start(context: dg.AssetExecutionContext) -> float:
    """Seconds since the run began."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return time.time() - (record.start_time if record and record.start_time else time.time())


def catalogue(project: Project) -> dg.AssetsDefinition:
    """`eiclip.duckdb`: views over every table of the lake."""

    @dg.asset(
        key=CATALOGUE_KEY,
        deps=[
            *([name, table] for name in project.of_table_1() for table in (*RESULTS, "data_profile")),
            *([name, table] for name in project.of_same_style() for table in SAME_STYLE),
            *(list(key) for key in (*ablation_keys(project), *study_keys(project))),
        ],
        group_name="results",
        kinds={"duckdb"},
        owners=OWNERS,
        description=f"`{CATALOGUE}`: a view per table, rebuilt and renamed into place; safe to keep open during a run.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from eiclip.report.tables import aligned

        path = refresh_catalogue(project.paths.lake, FILLED_BY)
        with connect(project.paths.root) as connection:
            views = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
            counts = {view: connection.table(view).count("*").fetchall()[0][0] for view in views}
        table = aligned([["View", "Rows"], [":--", "--:"], *([view, f"{count:,}"] for view, count in counts.items())])
        metadata: dict[str, Any] = {"views": dg.MetadataValue.md(table), "path": str(path)}
        return dg.MaterializeResult(metadata=metadata)

    return asset


def report(project: Project) -> dg.AssetsDefinition:
    """The HTML page."""

    @dg.asset(
        key=list(REPORT_KEY),
        deps=[CATALOGUE_KEY],  # alone: the UI asks before it makes what depends on studies that nobody has run
        code_version=code_version(CODE).digest,
        group_name="results",
        kinds={"html"},
        owners=OWNERS,
        description="One self-contained HTML page: row 5 against row 3 with its interval, tables beside the paper's, "
        "where it wins, gates, interventions, ablations, queries won and lost, the data, and how it was made.",
    )
    def asset(context: dg.AssetExecutionContext, recipe: Recipe) -> dg.MaterializeResult:
        found = statuses(project, recipe.training, tables=RESULT_TABLES)
        stale = left_out(project, found, RESULT_TABLES, partial(job_of, project))
        output = page(project, _about(project, recipe), seconds_since_start(context), stale)
        made = output.make_once(project, context)
        log_outcome(context, project, output, made)
        context.log.info(_summary(project, made, seconds_since_start(context), stale))
        metadata: dict[str, Any] = {}
        if port := project.settings.report_port:
            metadata[OPEN] = dg.MetadataValue.url(f"http://127.0.0.1:{port}/{project.paths.report.name}")
        metadata |= {name: text for name, text in made.facts["headline"].items() if text}
        metadata |= {f"{name}_not_shown": text for name, text in made.facts["not_shown"].items()}
        metadata |= outcome_metadata(made, project.paths.report)
        return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(made.content))

    return asset


def _summary(project: Project, made: CachedOutput, seconds: float, stale: Sequence[LeftOut] = ()) -> str:
    """What a person on a terminal wants to read last: leaderboards, headlines, where all lies, how long it took."""
    from eiclip.report.tables import leaderboard_text

    lines = [""]
    with connect_without(project.paths.root, stale) as connection:
        for name in project.of_table_1():
            for protocol in ("full", "sample100"):
                lines += [f"{name}, {protocol}:", leaderboard_text(connection, name, protocol), ""]
    lines += [f"{name}: {sentence}" for name, sentence in made.facts["headline"].items() if sentence]
    lines += [f"{name}: {text}" for name, text in made.facts["not_shown"].items()]
    lines += [f"report: {project.paths.report}", f"DuckDB: {project.paths.root / CATALOGUE}"]
    lines.append(f"job seconds: {seconds:.0f}")
    return "\n".join(lines)


def _about(project: Project, recipe: Recipe) -> "About":
    """Configuration, versions, seed and hardware, as the report's last section shows them."""
    from eiclip.report.about import About, without_secrets
    from eiclip.system.hardware import hardware

    settings = project.settings
    trained = {
        name: recipe_of(project, entry, recipe.training).model_dump(mode="json")
        for name, entry in project.datasets().items()
    }
    whole = {"settings": settings.model_dump(mode="json"), "training as run, by dataset": trained}
    facts = {"seed": str(settings.seed), "towers start from": without_secrets(str(settings.pretrained))}
    text = without_secrets(json.dumps(whole, indent=2, ensure_ascii=False))
    provenance = {name: provenance_of(project, name) for name in project.datasets()}
    return About(facts | hardware(project.step_device()), installed_versions(), provenance, text)
