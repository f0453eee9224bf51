"""The line that says what a report does not show, since it was made with other settings, data or code."""

from collections.abc import Sequence

from eiclip.report.about import without_secrets
from eiclip.storage.left_out import LeftOut

NAMED = 3
"""Tables of one reason that are named one by one."""


def left_out_line(left_out: Sequence[LeftOut], dataset: str) -> str | None:
    """What of a dataset is not shown, why, and the jobs that make it again; None where all is shown.

    >>> board = LeftOut("shop", "leaderboard", "data", "checkpoint/eiclip: epochs 3 -> 5", "full_eval")
    >>> left_out_line([board], "shop")
    'Not shown, made with other settings, data or code: leaderboard (checkpoint/eiclip: epochs 3 -> 5). \
`dagster job execute -j full_eval` makes it again.'
    """
    by_job: dict[str, dict[str, list[str]]] = {}
    for one in left_out:
        if one.dataset == dataset:
            by_job.setdefault(one.job, {}).setdefault(one.reason, []).append(one.name)
    if not by_job:
        return None
    told = []
    for job, reasons in by_job.items():
        tables = "; ".join(f"{_some(names)} ({without_secrets(reason)})" for reason, names in reasons.items())
        it = "it" if sum(map(len, reasons.values())) == 1 else "them"
        told.append(f"{tables}. `dagster job execute -j {job}` makes {it} again.")
    return f"Not shown, made with other settings, data or code: {' '.join(told)}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
