"""Declared outputs as Dagster assets: specs, checks, metadata, and the step that makes them. Written once, for all.

What needs torch or matplotlib is imported where it is used: the code location loads in a second.
"""

import os
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from assets.common import Project
from assets.outputs import Check, Output, Table, described, kinds_of
from assets.sources import Key, key_of, source_files
from assets.steps import PartedStep, Step
from eiclip.storage.cache import CachedOutput, content_of
from eiclip.storage.catalogue import connect, refresh_catalogue
from eiclip.storage.files import digest
from eiclip.storage.lake import count_rows
from eiclip.storage.sql import column_meanings
from pipelines.jobs import FILLED_BY
from pipelines.outcomes import append_outcome

OWNERS = ["team:eiclip"]


class Recipe(dg.ConfigurableResource):
    """Training settings that a run configuration (`-c`) may change for that run; empty: the settings' own."""

    training: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies it


def gpu_pool() -> str | None:
    """The pool of steps that train: on a GPU one at a time (`dagster.yaml` says how many), on CPUs as many as steps.

    EICLIP_DEVICE decides, as it does in the trainer; where it is not set, a driver's device file (torch is not loaded
    here).
    """
    device = os.environ.get("EICLIP_DEVICE") or ("cuda" if Path("/dev/nvidiactl").exists() else "cpu")
    return "gpu" if device.startswith("cuda") else None


def training_step() -> dict[str, Any]:
    """What a step that runs a trainer is made with, an asset or an op: its pool, and when it is tried again.

    Another try can mend what killed a trainer (memory, a lost node): it goes on from the last saved state.
    """
    return {"pool": gpu_pool(), "retry_policy": dg.RetryPolicy(max_retries=2, delay=1)}


def build(project: Project, step: Step | PartedStep) -> dg.AssetsDefinition:
    """The assets of a declared step."""
    return _parted(project, step) if isinstance(step, PartedStep) else _step(project, step)


def _step(project: Project, step: Step) -> dg.AssetsDefinition:
    outputs = step.declared()
    tables = [(output, table) for output in outputs for table in output.tables]
    checks = [_check_spec(check, table.key) for _, table in tables for check in table.checks]

    @dg.multi_asset(
        name=step.name,
        specs=[_whole_spec(step, outputs)] if step.whole else [_spec(*pair, step.group) for pair in tables],
        check_specs=checks,
        can_subset=step.subset,
        required_resource_keys={"recipe", "pipes"} if step.trains or callable(step.outputs) else set(),
        **(training_step() if step.trains else {}),
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        recipe = context.resources.recipe.training if callable(step.outputs) else {}
        trainer = context.resources.pipes if step.trains else None
        selected = context.selected_asset_keys
        wanted = [o for o in step.declared(recipe) if step.whole or dg.AssetKey(o.key) in selected]
        if impossible := [o for o in wanted if not o.is_possible(project)]:
            sources = ", ".join(dict.fromkeys(source for output in impossible for source in output.as_is))
            context.log.info(f"{step.name}: left out, there is no {sources} yet")
            wanted = [output for output in wanted if output not in impossible]
        made, failure = list[tuple[Output, CachedOutput]](), None
        try:
            for output in wanted:
                made.append((output, output.make_once(project, context, trainer)))
                log_outcome(context, project, *made[-1])
        except Exception as error:
            failure = error
        refresh_catalogue(project.paths.lake, FILLED_BY)
        for output, record in made:  # also where a later one failed: they are there to be seen
            if not step.whole:
                yield from _results(project, context, output, record)
        if failure is not None:
            raise failure
        if step.whole:
            yield _whole_result(project, step, made)

    return asset


def _spec(output: Output, table: Table, group: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        list(table.key),
        deps=[list(key) for key in output.upstream()],
        group_name=group,
        kinds=kinds_of(table),
        owners=OWNERS,
        description=described(table),
        code_version=version_of(output),
        skippable=bool(output.as_is),
    )


def _whole_spec(step: Step, outputs: Sequence[Output]) -> dg.AssetSpec:
    """Of several outputs that are one asset."""
    inside = {output.key for output in outputs}
    upstream = dict.fromkeys(key for output in outputs for key in output.upstream() if key not in inside)
    return dg.AssetSpec(
        [outputs[0].dataset, step.whole],
        deps=[list(key) for key in upstream],
        group_name=step.group,
        kinds=set().union(*map(kinds_of, outputs)),
        owners=OWNERS,
        description=step.description,
        code_version=digest([version_of(output) for output in outputs]),
    )


def _whole_result(project: Project, step: Step, made: Sequence[tuple[Output, CachedOutput]]) -> dg.MaterializeResult:
    dataset = made[0][0].dataset
    metadata = {name: value for output, _ in made for name, value in shown(project, dataset, output.shown).items()}
    places = [output.at(project) for output, _ in made]
    tables = {place.parent.parent.name: table_metadata([place]) for place in places if place.suffix == ".parquet"}
    metadata |= {f"columns_of_{name}": facts["dagster/column_schema"] for name, facts in tables.items()}
    outcome = {"reused": all(one.reused for _, one in made), "seconds_to_make": sum(one.seconds for _, one in made)}
    reasons = {output.key[-1]: one.reason for output, one in made if not one.reused}
    return dg.MaterializeResult(
        asset_key=dg.AssetKey([dataset, step.whole]),
        metadata=metadata | outcome | ({"reason": readable(reasons)} if reasons else {}),
        data_version=dg.DataVersion(digest([one.content for _, one in made])),
    )


def version_of(output: Output) -> str:
    """An output's code and settings, as Dagster compares them: what differs there is stale in the UI too."""
    return digest([output.code.digest, {} if callable(output.settings) else output.parameters])


def log_outcome(context: Any, project: Project, output: Output, made: CachedOutput) -> None:
    """One line in the run's log, and one in the home's: what was made and why, or that it was reused."""
    name = "/".join(output.key)
    if made.reused:
        context.log.info(f"{name}: unchanged, reused")
    else:
        trained = f", trained {made.facts['trained']}" if "trained" in made.facts else ""
        taken_over = {"examined": "photos examined", "embedded": "products embedded"}
        told = next((f", {what}: {made.facts[name]:,}, unchanged: {made.facts['taken_over']:,}"
                     for name, what in taken_over.items() if name in made.facts), trained)  # fmt: skip
        context.log.info(f"{name}: made in {made.seconds:.1f} s{told} ({made.reason})")
    append_outcome(project.paths, name, made, context.run.run_id)


def _check_spec(check: Check, key: Key) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(check.name, asset=list(key), blocking=check.blocking, description=check.description)


def _checked(
    project: Project, context: Any, check: Check, key: Key, made: CachedOutput | None, place: Path
) -> dg.AssetCheckResult:
    """The result of a check, of which the run's log has a line where there is something to say."""
    passed, said, facts = check.result(project, key, made, place)
    if said:
        log = context.log.info if passed else context.log.error if check.blocking else context.log.warning
        log(f"{'/'.join(key)}: {said}")
    return dg.AssetCheckResult(
        check_name=check.name,
        asset_key=dg.AssetKey(key),
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
        description=said or None,
        metadata={name: readable(value) for name, value in facts.items()},
    )


def _results(project: Project, context: Any, output: Output, made: CachedOutput) -> Iterator[dg.MaterializeResult]:
    for table in output.tables:
        place = output.at(project) if table is output else project.paths.place(table.key)
        checked = [_checked(project, context, check, table.key, made, place) for check in table.checks]
        metadata = {name: readable(value) for name, value in made.facts.items()}
        metadata |= table_metadata([place], table.key[1]) if place.suffix == ".parquet" else {}
        if isinstance(output.make, str):
            sources = {key_of(output.dataset, s): source_files(project, output.dataset, s)[0] for s in output.sources}
            tables = {key: file for key, file in sources.items() if file.suffix == ".parquet"}
            metadata["dagster/column_lineage"] = column_lineage(place, tables)
        metadata |= shown(project, output.dataset, table.shown) | outcome_metadata(made, place)
        version = dg.DataVersion(content_of(place))
        yield dg.MaterializeResult(
            asset_key=dg.AssetKey(table.key), metadata=metadata, data_version=version, check_results=checked
        )


def outcome_metadata(made: CachedOutput, place: Path) -> dict[str, Any]:
    """What became of an output: reused or made, in how long, where, and why."""
    outcome = {"reused": made.reused, "seconds_to_make": made.seconds, "path": dg.MetadataValue.path(str(place))}
    return outcome | ({} if made.reused else {"reason": made.reason})


def table_metadata(files: Sequence[Path], name: str = "") -> dict[str, Any]:
    """Row count and column schema of a table's Parquet files, under the names that Dagster's UI knows.

    `name` is the table's, where that is not the lake's folder.
    """
    meanings = column_meanings(name or files[0].parent.parent.name)
    columns = [
        dg.TableColumn(field.name, str(field.type), meanings.get(field.name)) for field in pq.read_schema(files[0])
    ]
    return {"dagster/row_count": count_rows(files), "dagster/column_schema": dg.TableSchema(columns=columns)}


def column_lineage(file: Path, sources: Mapping[Key, Path]) -> dg.TableColumnLineage:
    """Columns that keep their name from a source table to the output, which is how the SQL here carries them."""
    names = {dg.AssetKey(key): set(pq.read_schema(source).names) for key, source in sources.items()}
    found = {
        column: [dg.TableColumnDep(key, column) for key in names if column in names[key]]
        for column in pq.read_schema(file).names
    }
    return dg.TableColumnLineage({column: deps for column, deps in found.items() if deps})


def shown(project: Project, dataset: str, functions: Mapping[str, str]) -> dict[str, Any]:
    """What the UI shows of an output: tables, plots and sentences of the report, as far as there is something."""
    if not functions:
        return {}
    from eiclip.report.source import markdown
    from eiclip.report.theme import Figure, as_markdown_image, png

    found = dict[str, Any]()
    with connect(project.paths.root) as connection:
        for title, function in functions.items():
            name, _, argument = function.partition("(")
            arguments = [argument.rstrip(")")] if argument else []
            if ":" not in name:
                value: Any = markdown(connection, dataset, name, *arguments)
            else:
                value = pkgutil.resolve_name(name)(connection, dataset, *arguments)
            if isinstance(value, dict):  # numbers, which the UI plots over materialisations
                found |= {name: dg.MetadataValue.float(number) for name, number in value.items()}
                continue
            if isinstance(value, Figure):
                value = as_markdown_image(png(value), f"{dataset} {title}")
            if value:
                found[title] = dg.MetadataValue.md(value)
    return found


def readable(value: Any) -> Any:
    """A fact as Dagster's UI shows it best."""
    if isinstance(value, str) and "\n" in value:
        return dg.MetadataValue.md(value)
    return dg.MetadataValue.json(value) if isinstance(value, (dict, list)) else value


def _parted(project: Project, step: PartedStep) -> dg.AssetsDefinition:
    """An asset made part by part: a step that lists the parts, a step a part, a step that puts them together.

    The steps are Dagster's own (dynamic outputs), so parts are made in parallel wherever its executor puts steps: in
    processes here, in pods elsewhere. A step that fails, or a part that is deleted, is the only one made again.
    """
    prefix = "__".join(step.key)
    upstream = [key_of(step.key[0], source) for source in step.upstream]
    after = {f"after_{number}": dg.In(dg.Nothing) for number in range(len(upstream))}
    needs: dict[str, Any] = {"required_resource_keys": {"recipe", "pipes"} if step.trains else set()}

    def recipe(context: dg.OpExecutionContext) -> Mapping[str, Any]:
        return context.resources.recipe.training if step.trains else {}

    @dg.op(name=f"{prefix}__parts", ins=after, out=dg.DynamicOut(str), **needs)
    def plan(context: dg.OpExecutionContext) -> Iterator[dg.DynamicOutput[str]]:
        """List the parts."""
        if step.prepare is not None:
            step.prepare(recipe(context), context.log)
        for number, part in enumerate(step.plan(recipe(context))):
            # Dagster's keys know letters, digits and the underscore; the number keeps apart what differs in others.
            yield dg.DynamicOutput(part, mapping_key=f"{re.sub(r'[^A-Za-z0-9]+', '_', part)}__{number}")

    @dg.op(name=f"{prefix}__part", **needs, **(training_step() if step.trains else {}))
    def make(context: dg.OpExecutionContext, part: str) -> dg.Output[tuple[str, str]]:
        """Make one part, unless it is as it would be."""
        output = step.part(recipe(context), part)
        made = output.make_once(project, context, context.resources.pipes if step.trains else None)
        log_outcome(context, project, output, made)
        facts = {fact: readable(value) for fact, value in made.facts.items()} | {"reused": made.reused}
        return dg.Output((part, made.content), metadata=facts)  # a step that used Pipes must say so

    specs = [_check_spec(check, step.key) for check in step.checks]
    outs = [spec.get_python_identifier() for spec in specs]  # what Dagster calls the graph's

    @dg.op(name=f"{prefix}__gather", out=dict.fromkeys(("result", *outs), dg.Out(dg.Nothing)), **needs)
    def gather(context: dg.OpExecutionContext, parts: list[tuple[str, str]]) -> Any:
        """Put the parts together."""
        yield _gathered(project, step, context, recipe(context), dict(sorted(parts)))
        for check in step.checks:
            yield _checked(project, context, check, step.key, None, project.paths.place(step.key))

    @dg.graph_asset(
        key=dg.AssetKey(step.key),
        ins={name: dg.AssetIn(key=dg.AssetKey(key), dagster_type=dg.Nothing)
             for name, key in zip(after, upstream, strict=True)},
        group_name=step.group,
        kinds=set(step.kinds),
        owners=OWNERS,
        description=step.description,
        code_version=step.code.digest,
        check_specs=specs or None,
    )  # fmt: skip
    def asset(**upstream_done: Any) -> Any:
        made = gather(plan(**upstream_done).map(make).collect())
        return {name: getattr(made, name) for name in ("result", *outs)} if outs else made

    return asset


def _gathered(
    project: Project,
    step: PartedStep,
    context: dg.OpExecutionContext,
    recipe: Mapping[str, Any],
    parts: Mapping[str, str],
) -> dg.Output[None]:
    if step.tidy is not None:
        step.tidy(parts)
    made = []
    for output in step.whole(recipe, parts):
        made.append((output.at(project), output.make_once(project, context)))
        log_outcome(context, project, output, made[-1][1])
    refresh_catalogue(project.paths.lake, FILLED_BY)
    metadata: dict[str, Any] = {"parts": len(parts)}
    files = [made[0][0]] if made else source_files(project, step.key[0], step.key[1])
    metadata |= {name: readable(value) for name, value in (made[0][1].facts if made else {}).items()}
    metadata |= table_metadata(files) if files[0].suffix == ".parquet" else {"path": str(files[0])}
    metadata |= shown(project, step.key[0], step.shown)
    version = made[0][1].content if made else digest(dict(parts))
    return dg.Output(None, metadata=metadata, data_version=dg.DataVersion(version))
