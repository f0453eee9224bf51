"""The line that says what a report does not show, since it was made with other settings, data or code."""

from collections.abc import Sequence

from eiclip.report.about import without_secrets
from eiclip.storage.left_out import LeftOut

NAMED = 3
"""Tables, and reasons, that are named one by one."""


def left_out_line(left_out: Sequence[LeftOut], dataset: str) -> str | None:
    """What of a dataset is not shown, why, and the jobs that make it again; None where all is shown.

    What the settings no longer have is not spoken of: there is nothing to make again.

    >>> board = LeftOut("shop", "leaderboard", "data", ("training.epochs 3, now 5",), "full_eval")
    >>> left_out_line([board], "shop")
    'Not shown, made with other settings, data or code: leaderboard (training.epochs 3, now 5); \
`dagster job execute -j full_eval` makes it again.'
    """
    by_job: dict[str, list[LeftOut]] = {}
    for one in left_out:
        if one.dataset == dataset and one.job:
            by_job.setdefault(one.job, []).append(one)
    told = []
    for job, found in by_job.items():
        tables = list(dict.fromkeys(one.table for one in found))
        reasons = list(dict.fromkeys(reason for one in found for reason in one.reasons))
        reasons.sort(key=lambda reason: ", now " not in reason)  # settings first: data often changed because of them
        again = f"`dagster job execute -j {job}` makes {'it' if len(tables) == 1 else 'them'} again."
        told.append(f"{_some(tables, ', ', ' and ')} ({without_secrets(_some(reasons, '; ', '; '))}); {again}")
    return f"Not shown, made with other settings, data or code: {' '.join(told)}" if told else None


def _some(names: Sequence[str], between: str, before: str) -> str:
    more = f"{before}{len(names) - NAMED} more" if len(names) > NAMED else ""
    return between.join(names[:NAMED]) + more
