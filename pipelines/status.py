"""What the next run would make again, and why (`assets.current`), as a command prints it."""

import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial

from assets import current
from assets.common import Project
from assets.current import Status, left_out, status_of
from assets.report import RESULT_TABLES, recorded_page
from eiclip.errors import SettingsError, did_you_mean
from eiclip.settings.load import load_settings
from eiclip.storage.home import Paths
from pipelines.jobs import job_of
from pipelines.outcomes import last_outcomes


def statuses(project: Project) -> Iterator[Status]:
    """Yield the status of every output, in an order in which they can be made, and that of the report last."""
    outcomes = {name: str(known.get("outcome", "made")) for name, known in last_outcomes(project.paths).items()}
    found = []
    for status in current.statuses(project, outcomes=outcomes):
        found.append(status)
        yield status
    stale = left_out(project, found, RESULT_TABLES, partial(job_of, project))
    if (page := recorded_page(project, stale)) is not None:
        yield status_of(project, page, outcomes)


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
    shown = [status for status in found if not only_stale or not status.is_current]
    width = max((len(status.name) for status in shown), default=0)
    for status in shown:
        seconds = "" if status.seconds is None else f"{status.seconds:.1f} s"
        line = f"{status.name:{width}}  {status.state:8}  {status.made[:19]:19}  {seconds:>8}  {status.reason}"
        sys.stdout.write(line.rstrip() + "\n")
    counts = Counter(status.state for status in found)
    totals = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    sys.stdout.write(f"{settings.home}: {totals or 'nothing declared'}\n")
