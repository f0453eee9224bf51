"""The DuckDB catalogue and the HTML report: what people open."""

import os
import platform
import time
from typing import Any

import dagster as dg

from assets.common import OWNERS, House, Recipe, result, say
from eiclip.files import source_version
from eiclip.lake import CATALOGUE, connect
from eiclip.stage import content_of, make_once
from eiclip.variants import VARIANTS

RESULT_TABLES = (
    "leaderboard",
    "retrieval_ranks",
    "gate_weights",
    "entity_shuffles",
    "semantic_prior",
    "quarantine",
    "product_groups",
)
CATALOGUE_KEY = dg.AssetKey(["results", "catalogue"])


def catalogue(house: House) -> dg.AssetsDefinition:
    """`eiclip.duckdb`: views over every table of the lake."""

    @dg.asset(
        key=CATALOGUE_KEY,
        deps=[[name, table] for name in house.datasets() for table in RESULT_TABLES],
        group_name="results",
        kinds={"duckdb"},
        owners=OWNERS,
        description=f"`{CATALOGUE}`: a view per table, rebuilt and renamed into place; safe to keep open during a run.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        path = house.home.lake.refresh_catalogue()
        with connect(house.home.root) as connection:
            views = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
            counts = {view: connection.table(view).count("*").fetchall()[0][0] for view in views}
        rows = "\n".join(f"| {view} | {count:,} |" for view, count in counts.items())
        table = f"| view | rows |\n|---|---|\n{rows}"
        metadata: dict[str, Any] = {"views": dg.MetadataValue.md(table), "path": str(path)}
        return dg.MaterializeResult(metadata=metadata)

    return asset


def report(house: House) -> dg.AssetsDefinition:
    """The HTML page, and its plots as metadata."""

    @dg.asset(
        key=["results", "report"],
        deps=[CATALOGUE_KEY],
        group_name="results",
        kinds={"html"},
        owners=OWNERS,
        description="One self-contained HTML page: the five rows beside the paper's, gates, losses, queries won and "
        "lost.",
    )
    def asset(context: dg.AssetExecutionContext, recipe: Recipe) -> dg.MaterializeResult:
        output, names = house.home.report, list(house.datasets())
        lake = house.home.lake
        files = [lake.path(table, name) for name in names for table in RESULT_TABLES]
        about = _about(house, recipe)
        inputs = {"code": source_version("eiclip.report"), "about": about, "tables": _contents(house, files)}

        def make() -> dict[str, Any]:
            from eiclip.report.write import write_report

            return write_report(house.home.root, output, datasets=names, about=about)

        made = make_once(output, inputs, make)
        say(context, made, output)
        context.log.info(_summary(house, _job_seconds(context)))
        return result(made, output, metadata=_plots(house))

    return asset


def _job_seconds(context: dg.AssetExecutionContext) -> float:
    """Seconds since the run began; this step is its last."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return time.time() - (record.start_time if record and record.start_time else time.time())


def _summary(house: House, seconds: float) -> str:
    """What a person on a terminal wants to read last: the leaderboards, where the report lies, how long it took."""
    from eiclip.report.tables import leaderboard_markdown

    lines = [""]
    with connect(house.home.root) as connection:
        for name in house.datasets():
            for protocol in ("full", "sample100"):
                lines += [f"{name}, {protocol}:", leaderboard_markdown(connection, name, protocol), ""]
    lines += [f"report: {house.home.report}", f"DuckDB: {house.home.root / CATALOGUE}", f"job seconds: {seconds:.0f}"]
    return "\n".join(lines)


def _contents(house: House, files: list[Any]) -> dict[str, str]:
    checkpoints = [house.home.checkpoint(name, variant) for name in house.datasets() for variant in VARIANTS]
    return {
        str(file.relative_to(house.home.root)): content_of(file)
        for file in [*files, *checkpoints]
        if file.with_name(f"{file.name}.made.json").is_file()
    }


def _plots(house: House) -> dict[str, Any]:
    from eiclip.report.plots import (
        as_markdown_image,
        gate_history_plot,
        gate_plot,
        loss_plot,
        recall_plot,
        usefulness_plot,
    )

    metadata = {}
    with connect(house.home.root) as connection:
        for name in house.datasets():
            for plot in (recall_plot, gate_plot, gate_history_plot, usefulness_plot, loss_plot):
                picture = plot(connection, name)
                if picture is not None:
                    title = f"{name}_{plot.__name__}"
                    metadata[title] = dg.MetadataValue.md(as_markdown_image(picture, title))
    return metadata


def _about(house: House, recipe: Recipe) -> dict[str, str]:
    """Configuration, versions, seed and hardware, as the report's last table."""
    import torch

    settings = house.settings
    training = settings.training.model_dump() | recipe.training
    sources = {
        f"data: {name}": "embedded catalogue" if entry.embedded else "files given in the settings"
        for name, entry in house.datasets().items()
    }
    return {
        "seed": str(settings.seed),
        "pretrained": str(settings.pretrained),
        **sources,
        **{f"training: {name}": str(value) for name, value in training.items()},
        "device": house.step_device(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
    }
