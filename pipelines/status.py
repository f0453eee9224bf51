"""What the next run would make again, and why: every output, looked at and left alone.

An output is `made` or `reused` (by the run that looked at it last) where the next run would reuse it; `stale` where it
would make it again; `upstream` where something it is made from is stale, so that it is made again if that comes out
otherwise; `not made` where it never was.
"""

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb

from assets.common import Project
from assets.datasets import declared
from assets.outputs import Output
from assets.report import recorded_page
from assets.sources import GENERAL, Key
from assets.steps import PartedStep, Step
from eiclip.errors import CorruptOutputError, EiclipError, SettingsError, did_you_mean
from eiclip.settings.load import load_settings
from eiclip.storage.cache import differences, read_record, recorded
from eiclip.storage.home import Paths
from pipelines.outcomes import last_outcomes

NOT_MADE, UNUSABLE = "not made yet", "a source cannot be used"
CURRENT = ("made", "reused")
NAMED = 3


@dataclass(frozen=True)
class Status:
    """Status of one output."""

    key: Key
    state: str
    reason: str = ""
    made: str = ""
    """When (UTC)."""
    seconds: float | None = None
    """How long it took."""

    @property
    def name(self) -> str:
        """As assets are written in the UI."""
        return "/".join(self.key)


@dataclass(frozen=True)
class Asked:
    """What outputs are compared with."""

    recipe: Mapping[str, Any] = field(default_factory=dict)
    """What a run's configuration changes of trainings."""
    data_alone: bool = False
    """Whether code and settings may be others: only what an output is made from counts."""


AS_SET = Asked()


def statuses(project: Project, asked: Asked = AS_SET, *, results: Collection[Key] = ()) -> Iterator[Status]:
    """Yield the status of every output, in an order in which they can be made.

    Args:
        project: settings and home.
        asked: what they are compared with.
        results: these alone, and what they are made from.
    """
    outcomes = {name: str(known.get("outcome", "made")) for name, known in last_outcomes(project.paths).items()}
    changing: dict[Key, str] = {}
    steps: list[Step | PartedStep] = [*declared(project)]
    if (page := recorded_page(project)) is not None:
        steps.append(Step("results__report", "results", [page]))
    if results:
        steps = _leading_to(results, steps)
    for step in steps:
        if isinstance(step, PartedStep):
            upstream = [(step.key[0], *name.split("/")) for name in step.upstream]
            found = [(_of_parts(project, step, outcomes, asked), upstream)]
        else:
            outputs = step.declared(asked.recipe)
            found = [(_of_output(project, one, outcomes, asked), one.upstream(followed=True)) for one in outputs]
        for status, upstream in found:
            behind = [f"{'/'.join(key)} {changing[key]}" for key in upstream if key in changing]
            if behind and (status.state in CURRENT or status.reason.startswith(UNUSABLE)):
                status = replace(status, state="upstream", reason=_some(behind))
            if status.state not in CURRENT:
                changing[status.key] = "may change" if status.state == "upstream" else f"is {status.state}"
            yield status


def outdated(project: Project, results: Collection[Key], asked: Asked = AS_SET) -> dict[str, str]:
    """Why the next run would make results again, by dataset; those of a dataset that were never made are left out.

    The reasons are those of the outputs that it begins with: raw files that changed, a setting, an edited table.
    """
    found = list(statuses(project, asked, results=results))
    behind = {one.key[0] for one in found if one.key in results and one.state in ("stale", "upstream")}
    roots = {one.name: one.reason for one in found if one.state == "stale"}
    return {
        name: _some([f"{root}: {why}" for root, why in roots.items() if root.split("/")[0] in (name, GENERAL)])
        or "an output that it is made from is gone"
        for name in sorted(behind)
    }


def _leading_to(results: Collection[Key], steps: Sequence[Step | PartedStep]) -> list[Step | PartedStep]:
    """The steps, in their order, that make these or what they are made from."""
    wanted, needed = set(results), list[Step | PartedStep]()
    for step in reversed(steps):
        if wanted & set(step.assets()):
            needed.append(step)
            wanted |= set(step.upstream_keys())
    return needed[::-1]


def _of_output(project: Project, output: Output, outcomes: Mapping[str, str], asked: Asked) -> Status:
    reason = _why(project, output, asked)
    if reason == NOT_MADE:
        return Status(output.key, "not made")
    state = "stale" if reason else outcomes.get("/".join(output.key), "made")
    record, _ = read_record(output.at(project))
    made, seconds = (str(record.get("made", "")), float(record["seconds"])) if record else ("", None)
    return Status(output.key, state, reason, made, seconds)


def _why(project: Project, output: Output, asked: Asked) -> str:
    """Why the next run would make an output, '' where it would reuse it."""
    known, problem = read_record(output.at(project))
    if problem == NOT_MADE:
        return NOT_MADE
    try:
        if asked.data_alone and known is not None:
            sources = [
                {"sources": side.get("sources")} for side in (known["inputs"], recorded(output.made_from(project)))
            ]
            return "" if sources[0] == sources[1] else "; ".join(differences(*sources))
        return output.why_stale(project) or ""
    except CorruptOutputError as error:
        return f"{UNUSABLE}: {error}"


def _of_parts(project: Project, step: PartedStep, outcomes: Mapping[str, str], asked: Asked) -> Status:
    """The status of an asset in parts as one."""
    try:
        parts = {part: step.part(asked.recipe, part) for part in step.plan(asked.recipe)}
        reasons = {part: _why(project, output, asked) for part, output in parts.items()}
    except (EiclipError, OSError, duckdb.Error):  # the sources that decide the parts are not there
        return Status(step.key, "not made")
    stale = {part: reason for part, reason in reasons.items() if reason}
    if not stale:
        records = {part: read_record(output.at(project))[0] for part, output in parts.items()}
        known = {part: str(record["content"]) for part, record in records.items() if record}
        stale = {"/".join(output.key): why for output in step.whole(asked.recipe, known)
                 if (why := _why(project, output, asked))}  # fmt: skip
    if not stale:
        reused = all(outcomes.get("/".join((*step.key, part))) == "reused" for part in parts)
        return Status(step.key, "reused" if parts and reused else "made")
    if len(stale) == len(parts) and set(stale.values()) == {NOT_MADE}:
        return Status(step.key, "not made")
    some = _some([f"{part}: {reason}" for part, reason in stale.items()])
    return Status(step.key, "stale", f"{len(stale)} of {len(parts)} parts: {some}")


def _some(found: Sequence[str]) -> str:
    more = [f"{len(found) - NAMED} more"] if len(found) > NAMED else []
    return "; ".join([*found[:NAMED], *more])


def print_status(dataset: str | None = None, *, only_stale: bool = False) -> None:
    """Print a line an output, and how many there are of each state.

    Args:
        dataset: of this one alone.
        only_stale: leave out what the next run would reuse.

    Raises:
        SettingsError: no such dataset.
    """
    settings = load_settings()
    project = Project(settings, Paths(settings.home))
    if dataset is not None and dataset not in settings.datasets:
        there = f"{', '.join(settings.datasets)}{did_you_mean(dataset, settings.datasets)}"
        raise SettingsError(f"no dataset {dataset!r}: there are {there}")
    found = [status for status in statuses(project) if dataset in (None, status.key[0])]
    shown = [status for status in found if not only_stale or status.state not in CURRENT]
    width = max((len(status.name) for status in shown), default=0)
    for status in shown:
        seconds = "" if status.seconds is None else f"{status.seconds:.1f} s"
        line = f"{status.name:{width}}  {status.state:8}  {status.made[:19]:19}  {seconds:>8}  {status.reason}"
        sys.stdout.write(line.rstrip() + "\n")
    counts = Counter(status.state for status in found)
    totals = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    sys.stdout.write(f"{settings.home}: {totals or 'nothing declared'}\n")
