"""What the next run would make again, and why: every output, looked at and left alone.

An output is `made` or `reused` (by the run that looked at it last) where the next run would reuse it; `stale` where it
would make it again; `upstream` where something it is made from is stale, so that it is made again if that comes out
otherwise; `not made` where it never was.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from assets.common import Project
from assets.datasets import declared
from assets.outputs import Output, PartedStep, Step
from assets.report import recorded_page
from assets.sources import Key
from eiclip.errors import CorruptOutputError, EiclipError, SettingsError
from eiclip.settings.load import load_settings
from eiclip.storage.cache import read_record
from eiclip.storage.home import Paths
from pipelines.outcomes import last_outcomes

NOT_MADE, UNUSABLE = "not made yet", "a source cannot be used"
NAMED = 3


@dataclass(frozen=True)
class Status:
    """Of one output."""

    key: Key
    state: str
    reason: str = ""
    made: str = ""
    """When (UTC)."""
    seconds: float | None = None
    """That it took."""

    @property
    def name(self) -> str:
        """As assets are written in the UI."""
        return "/".join(self.key)


def statuses(project: Project) -> Iterator[Status]:
    """Every output, in an order in which they can be made."""
    last = last_outcomes(project.paths)
    said: dict[Key, str] = {}
    steps: list[Step | PartedStep] = [*declared(project)]
    if (page := recorded_page(project)) is not None:
        steps.append(Step("results__report", "results", [page]))
    for step in steps:
        found = (
            _of_parts(project, step, last)
            if isinstance(step, PartedStep)
            else (_of(project, o, last) for o in step.declared())
        )
        for status, upstream in found:
            behind = [f"{'/'.join(key)} {said[key]}" for key in upstream if key in said]
            if behind and (status.state in ("made", "reused") or status.reason.startswith(UNUSABLE)):
                status = Status(status.key, "upstream", _some(behind), status.made, status.seconds)
            if status.state not in ("made", "reused"):
                said[status.key] = "may change" if status.state == "upstream" else f"is {status.state}"
            yield status


def _of(project: Project, output: Output, last: dict[str, dict[str, Any]]) -> tuple[Status, Sequence[Key]]:
    reason = _why(project, output)
    known, _ = read_record(output.at(project))
    made, seconds = (str(known.get("made", "")), float(known["seconds"])) if known else ("", None)
    outcome = last.get("/".join(output.key), {}).get("outcome", "made")
    state = "not made" if reason == NOT_MADE else "stale" if reason else str(outcome)
    return Status(output.key, state, "" if state == "not made" else reason, made, seconds), output.upstream()


def _why(project: Project, output: Output) -> str:
    if read_record(output.at(project))[1] == NOT_MADE:
        return NOT_MADE
    try:
        return output.why_stale(project) or ""
    except CorruptOutputError as error:
        return f"{UNUSABLE}: {error}"


def _of_parts(
    project: Project, step: PartedStep, last: dict[str, dict[str, Any]]
) -> Iterator[tuple[Status, Sequence[Key]]]:
    """An asset in parts, as one line."""
    upstream = [(step.key[0], *source.split("/")) for source in step.upstream]
    try:
        parts = step.plan({})
        reasons = {part: _why(project, step.part({}, part)) for part in parts}
    except (EiclipError, OSError, duckdb.Error):  # what tells the parts is not there
        yield Status(step.key, "not made"), upstream
        return
    stale = {part: reason for part, reason in reasons.items() if reason}
    if not stale:
        contents = {part: read_record(step.part({}, part).at(project))[0] for part in parts}
        known = {part: str(record["content"]) for part, record in contents.items() if record}
        stale = {"/".join(output.key): why for output in step.whole({}, known) if (why := _why(project, output))}
    if not stale:
        outcomes = {last.get("/".join((*step.key, part)), {}).get("outcome") for part in parts}
        yield Status(step.key, "reused" if outcomes == {"reused"} else "made"), upstream
    elif len(stale) == len(parts) and set(stale.values()) == {NOT_MADE}:
        yield Status(step.key, "not made"), upstream
    else:
        told = [f"{part}: {reason}" for part, reason in stale.items()]
        yield Status(step.key, "stale", f"{len(stale)} of {len(parts)} parts: {_some(told)}"), upstream


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
        raise SettingsError(f"no dataset {dataset!r}: there are {', '.join(settings.datasets)}")
    found = [status for status in statuses(project) if dataset in (None, status.key[0])]
    shown = [status for status in found if not only_stale or status.state not in ("made", "reused")]
    width = max((len(status.name) for status in shown), default=0)
    for status in shown:
        seconds = "" if status.seconds is None else f"{status.seconds:.1f} s"
        line = f"{status.name:{width}}  {status.state:8}  {status.made[:19]:19}  {seconds:>8}  {status.reason}"
        sys.stdout.write(line.rstrip() + "\n")
    counts = Counter(status.state for status in found)
    told = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    sys.stdout.write(f"{settings.home}: {told or 'nothing declared'}\n")
