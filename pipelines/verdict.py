"""`results/verdict`: is row 5 better, for every dataset, and whether that is of the raw files as they are."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.common import Project
from assets.current import NOTHING, outdated
from eiclip.storage.catalogue import connect
from eiclip.storage.files import digest
from pipelines.factory import OWNERS, Recipe, shown
from pipelines.jobs import CATALOGUE_KEY, FRESHNESS, RAW_FILES, VERDICT_KEY

if TYPE_CHECKING:
    from eiclip.report.answers import Answer

PLOT = {"recall by row": "eiclip.report.plots:recall_plot"}
STYLES_PLOT = {"MRR by pair of views": "eiclip.report.same_style_plots:views_plot"}
LEARNED = dg.AssetCheckSpec(
    "rows_have_learned",
    asset=VERDICT_KEY,
    description="No row that the verdict compares is at chance, and the training of each has learned. A warning: such "
    "rows say nothing about the method. What to do is in the message.",
)


RESTS_ON = {"full_eval": "row_comparisons", "same_style_eval": "same_style_comparisons"}
"""The table that the verdict rests on, by the job that makes it."""


def _outdated(
    project: Project, recipe: Mapping[str, Any] = NOTHING, *, data_alone: bool = False
) -> dict[tuple[str, str], str]:
    """Why the next run would make results again, by dataset and by the job that makes them."""
    return {
        (name, job): why
        for job, table in RESTS_ON.items()
        for name, why in outdated(project, table, recipe, data_alone=data_alone).items()
    }


def verdict(project: Project) -> dg.AssetsDefinition:
    """The answer to the question that all is made for."""

    @dg.asset(
        key=VERDICT_KEY,
        deps=[CATALOGUE_KEY],
        check_specs=[LEARNED],
        group_name="results",
        kinds={"markdown"},
        owners=OWNERS,
        description="Is row 5 (EI-CLIP) better than row 3, and than row 4? A sentence for every dataset with 95 % "
        "intervals, recall by row as plots, and what speaks against the answer.",
    )
    def asset(context: dg.AssetExecutionContext, recipe: Recipe) -> dg.MaterializeResult:
        old = _outdated(project, recipe.training)
        answers, text = _answers(project, old)
        given = [one for found in answers.values() for one in found if one.sentence is not None]
        metadata: dict[str, Any] = {"answer": dg.MetadataValue.md(text)}
        metadata |= _advice(project, old)
        metadata |= {f"{name}: {one.short}": one.sentence for name, found in answers.items() for one in found
                     if one.sentence is not None}  # fmt: skip
        metadata |= {f"{name}: not of now": _again(old, name, job) for name, job in old}
        for names, plot in ((project.of_table_1(), PLOT), (project.of_same_style(), STYLES_PLOT)):
            for name in names:
                metadata |= {f"{name}: {title}": value for title, value in shown(project, name, plot).items()}
        metadata |= {name: dg.MetadataValue.float(gain) for one in given for name, gain in one.gains.items()}
        context.log.info(f"\n{text}")
        return dg.MaterializeResult(
            metadata=metadata, data_version=dg.DataVersion(digest(text)), check_results=[_learned(answers)]
        )

    return asset


def _answers(project: Project, old: Mapping[tuple[str, str], str]) -> tuple[dict[str, list["Answer"]], str]:
    """The answers by dataset, and all of it as Markdown."""
    from eiclip.report.answers import answer_of_styles, answers_of_rows

    answers: dict[str, list[Answer]] = {}
    with connect(project.paths.root) as connection:
        for name in project.of_table_1():
            answers[name] = list(answers_of_rows(connection, name))
        for name in project.of_same_style():
            answers[name] = [*answers.get(name, ()), answer_of_styles(connection, name)]
    return answers, as_markdown(answers, old)


def as_markdown(answers: Mapping[str, Sequence["Answer"]], old: Mapping[tuple[str, str], str]) -> str:
    """Answers by dataset as Markdown; `old`: why the next run would make results again, by dataset and job."""
    lines = []
    for dataset, found in answers.items():
        lines.append(f"### {dataset}")
        lines += [f"**{one.question}** {one.sentence or f'No result yet: run `{one.job}`.'}" for one in found]
        jobs = dict.fromkeys(one.job for one in found if one.sentence)
        lines += [again for job in jobs if (again := _again(old, dataset, job))]
    return "\n\n".join(lines)


def _again(old: Mapping[tuple[str, str], str], dataset: str, job: str) -> str:
    """What is said of results that the next run would make again; empty for those of now."""
    why = old.get((dataset, job))
    return f"These are not the results of today's data, settings and code ({why}): run `{job}` again." if why else ""


def _advice(project: Project, old: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """Which row to use, by dataset; of results that are not of now none is advised."""
    from eiclip.report.headline import advice

    with connect(project.paths.root) as connection:
        found = {name: advice(connection, name) for name in project.of_table_1() if (name, "full_eval") not in old}
    return {f"{name}: which model?": text for name, text in found.items() if text}


def _learned(answers: Mapping[str, Sequence["Answer"]]) -> dg.AssetCheckResult:
    wrong = {name: one.sentence for name, found in answers.items() for one in found if one.unlearned}
    without = [name for name, found in answers.items() if not any(one.sentence for one in found)]
    said = [f"{name}: {sentence}" for name, sentence in wrong.items()]
    said += [f"no results yet of {', '.join(without)}"] if without else []
    return dg.AssetCheckResult(
        check_name=LEARNED.name,
        passed=not wrong and len(without) < len(answers),
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(said) or None,
    )


def results_are_of_the_raw_files(project: Project) -> dg.AssetChecksDefinition:
    """Fails where raw files have changed since results were made of them; by itself, it makes nothing."""

    @dg.asset_check(
        asset=VERDICT_KEY,
        name=RAW_FILES,
        description="The results are of the raw files, and of the tables made of them, as they are now; code and "
        f"settings may be others (`make status` tells). The schedule `{FRESHNESS}` looks every morning.",
    )
    def check() -> dg.AssetCheckResult:
        found = _outdated(project, data_alone=True)
        told = [f"{name}: made before its data changed ({why}); run {job} again" for (name, job), why in found.items()]
        return dg.AssetCheckResult(
            passed=not found, severity=dg.AssetCheckSeverity.WARN, description=". ".join(told) or None
        )

    return check
