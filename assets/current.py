"""What the next run would make again, and why: every output, looked at and left alone.

An output is `made` or `reused` (by the run that looked at it last) where the next run would reuse it; `stale` where it
would make it again; `upstream` where something it is made from is stale, so that it is made again if that comes out
otherwise; `not made` where it never was. The report and the cards show what is `made` or `reused`, and nothing else.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import duckdb

from assets.common import Project
from assets.datasets import declared
from assets.outputs import Output
from assets.sources import Key, key_of
from assets.steps import PartedStep, Step
from eiclip.errors import EiclipError
from eiclip.evaluation.run_history import RUN_METRICS, RUN_RANKS, RUNS
from eiclip.storage.cache import differences, read_record, recorded
from eiclip.storage.left_out import WHOLE, LeftOut

NOT_MADE, UNUSABLE = "not made yet", "a source cannot be used"
UNDECLARED = "nothing in the settings makes it"
CURRENT = ("made", "reused")
NAMED = 3
HISTORY = frozenset({RUNS, RUN_METRICS, RUN_RANKS})
"""Tables of what earlier runs came to, each row with its own configuration: never left out."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


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
    writes: tuple[Key, ...] = ()
    """The tables, or parts of tables, that it is about."""
    causes: tuple[tuple[Key, str], ...] = ()
    """The outputs because of which it would be made again, each with its own reason."""

    @property
    def name(self) -> str:
        """As assets are written in the UI."""
        return "/".join(self.key)

    @property
    def is_current(self) -> bool:
        """Whether the next run would reuse it."""
        return self.state in CURRENT


def statuses(
    project: Project,
    recipe: Mapping[str, Any] = NOTHING,
    *,
    tables: Collection[str] = (),
    datasets: Collection[str] = (),
    outcomes: Mapping[str, str] = NOTHING,
    data_alone: bool = False,
) -> Iterator[Status]:
    """Yield the status of every output, in an order in which they can be made.

    Args:
        project: settings and home.
        recipe: what a run's configuration changes of trainings: its results are compared with that.
        tables: of these alone, and of what they are made from; all without.
        datasets: whose tables those are; all without.
        outcomes: by name, whether it was `made` or `reused` by the run that looked at it last.
        data_alone: whether code and settings may be others: only what an output is made from counts.
    """
    changing: dict[Key, Status] = {}
    for step in _leading_to(declared(project), tables, datasets):
        if isinstance(step, PartedStep):
            found = [
                (
                    _of_parts(project, step, recipe, outcomes, data_alone),
                    [key_of(step.key[0], s) for s in step.upstream],
                )
            ]
        else:
            found = [
                (status_of(project, one, outcomes, data_alone), one.upstream(followed=True))
                for one in step.declared(recipe)
            ]
        for status, upstream in found:
            behind = [changing[key] for key in upstream if key in changing]
            if behind and (status.is_current or status.reason.startswith(UNUSABLE)):
                reason = _some([f"{one.name} {_becomes(one)}" for one in behind])
                causes = tuple(dict.fromkeys(cause for one in behind for cause in one.causes))
                status = replace(status, state="upstream", reason=reason, causes=causes)
            if not status.is_current:
                for key in (status.key, *status.writes):
                    changing[key] = status
            yield status


def _becomes(status: Status) -> str:
    return "may change" if status.state == "upstream" else f"is {status.state}"


def _leading_to(
    steps: Sequence[Step | PartedStep], tables: Collection[str], datasets: Collection[str]
) -> list[Step | PartedStep]:
    """Of steps in their order, those that make some tables or what these are made from; all of them without tables."""
    if not tables:
        return list(steps)
    needed, wanted = list[Step | PartedStep](), set[Key]()
    for step in reversed(steps):
        written = (
            [key for output in step.declared() for key in output.writes] if isinstance(step, Step) else step.writes
        )
        asked = any(key[1] in tables and (not datasets or key[0] in datasets) for key in written)
        if asked or not wanted.isdisjoint(step.assets()):
            needed.append(step)
            wanted.update(step.upstream_keys())
    return needed[::-1]


def status_of(
    project: Project, output: Output, outcomes: Mapping[str, str] = NOTHING, data_alone: bool = False
) -> Status:
    """The status of one output, whatever it is made from may be."""
    reason = _why(project, output, data_alone)
    if reason == NOT_MADE:
        return Status(output.key, "not made", writes=output.writes, causes=((output.key, NOT_MADE),))
    state = "stale" if reason else outcomes.get("/".join(output.key), "made")
    record, _ = read_record(output.at(project))
    made, seconds = (str(record.get("made", "")), float(record["seconds"])) if record else ("", None)
    causes = ((output.key, reason),) if reason else ()
    return Status(output.key, state, reason, made, seconds, output.writes, causes)


def _why(project: Project, output: Output, data_alone: bool) -> str:
    """Why the next run would make an output, '' where it would reuse it."""
    known, problem = read_record(output.at(project))
    if problem == NOT_MADE:
        return NOT_MADE
    try:
        if data_alone and known is not None:
            sources = [
                {"sources": side.get("sources")} for side in (known["inputs"], recorded(output.made_from(project)))
            ]
            return "" if sources[0] == sources[1] else "; ".join(differences(*sources))
        return output.why_stale(project) or ""
    except (EiclipError, OSError) as error:
        return f"{UNUSABLE}: {error}"


def _of_parts(
    project: Project, step: PartedStep, recipe: Mapping[str, Any], outcomes: Mapping[str, str], data_alone: bool
) -> Status:
    """The status of an asset in parts as one."""
    not_made = Status(step.key, "not made", writes=step.writes, causes=((step.key, NOT_MADE),))
    try:
        parts = {part: step.part(recipe, part) for part in step.plan(recipe)}
        reasons = {part: _why(project, output, data_alone) for part, output in parts.items()}
    except (EiclipError, OSError, duckdb.Error):  # the sources that decide the parts are not there
        return not_made
    stale = {part: reason for part, reason in reasons.items() if reason}
    if not stale:
        records = {part: read_record(output.at(project))[0] for part, output in parts.items()}
        known = {part: str(record["content"]) for part, record in records.items() if record}
        whole = step.whole(recipe, known)
        stale = {"/".join(output.key): why for output in whole if (why := _why(project, output, data_alone))}
    if not stale:
        reused = all(outcomes.get("/".join((*step.key, part))) == "reused" for part in parts)
        return Status(step.key, "reused" if parts and reused else "made", writes=step.writes)
    if len(stale) == len(parts) and set(stale.values()) == {NOT_MADE}:
        return not_made
    some = _some([f"{part}: {reason}" for part, reason in stale.items()])
    causes = tuple((step.key, reason) for reason in dict.fromkeys(stale.values()))
    return Status(step.key, "stale", f"{len(stale)} of {len(parts)} parts: {some}", writes=step.writes, causes=causes)


def _some(found: Sequence[str]) -> str:
    more = [f"{len(found) - NAMED} more"] if len(found) > NAMED else []
    return "; ".join([*found[:NAMED], *more])


def outdated(
    project: Project, table: str, recipe: Mapping[str, Any] = NOTHING, *, data_alone: bool = False
) -> dict[str, str]:
    """Why the next run would make a table again, by dataset; datasets of which it was never made are left out.

    The reasons are those of the outputs that it begins with: raw files that changed, a setting, an edited table.
    Arguments are those of `statuses`.
    """
    found = {}
    for status in statuses(project, recipe, tables=[table], data_alone=data_alone):
        if status.state in ("stale", "upstream") and any(key[1] == table for key in status.writes):
            found[status.key[0]] = _some([f"{'/'.join(key)}: {why}" for key, why in status.causes])
    return found


def left_out(
    project: Project,
    found: Iterable[Status],
    tables: Collection[str],
    job: Callable[[Key], str],
    datasets: Collection[str] = (),
) -> list[LeftOut]:
    """Return the files of some tables that are not as the next run would make them: what no page may show.

    Args:
        project: settings and home.
        found: the statuses of (at least) these tables.
        tables: their names; the history of runs is never left out.
        job: names the job that makes a table, or a part of one, again.
        datasets: whose; all without.
    """
    status_by, told = dict[Key, Status](), dict[str, str]()
    for status in found:
        status_by |= dict.fromkeys(status.writes, status)
        for cause in status.causes:
            told |= {change: text for change, text in _changes(*cause) if change not in told}
    result, lake = [], project.paths.lake
    for name in datasets or project.datasets():
        for table in (one for one in dict.fromkeys(tables) if one not in HISTORY):
            for file in lake.files(table, name):
                key = (name, table) if file.stem == WHOLE else (name, table, file.stem)
                if key not in status_by:  # of an entity group, a study or a row that the settings no longer have
                    result.append(LeftOut(name, table, file.stem, (UNDECLARED,)))
                elif not (status := status_by[key]).is_current:
                    changes = dict.fromkeys(change for cause in status.causes for change, _ in _changes(*cause))
                    result.append(LeftOut(name, table, file.stem, tuple(told[one] for one in changes), job(key)))
    return result


def _changes(key: Key, reason: str) -> Iterator[tuple[str, str]]:
    """What makes a reason another than others, and how people are told: a setting has more than one name."""
    for change in reason.split("; "):
        setting, _, values = change.partition(" ")
        if " -> " in values:
            yield values, f"{setting} {values.replace(' -> ', ', now ')}"
        else:
            yield change, f"{'/'.join(key[1:])}: {change}"
