"""Processes that do not outlive the one that started them: the kernel's parent-death signal, and a look at /proc.

Linux; elsewhere what is asked of the kernel is left out, and no process is found.
"""

import ctypes
import os
import signal
import sys
from collections import defaultdict
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PROC = Path("/proc")


def die_with_parent(number: signal.Signals = signal.SIGKILL, parent: int | None = None) -> None:
    """Ask the kernel to send this process `number` when its parent ends, however it ends.

    The request outlives `exec`; a process that this one starts must ask for itself. "The parent" is the thread that
    started this process.

    Args:
        number: what is sent. SIGKILL cannot be caught: nothing stays behind, not even of a process that hangs.
        parent: whose child this process should be: where it is not any more, `number` is raised at once.
    """
    _prctl(PR_SET_PDEATHSIG, number)
    if sys.platform == "linux" and parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), number)


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends, so that none is out of reach."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, argument: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0)


def started_at(pid: int) -> float | None:
    """When a process of this machine started (seconds since the epoch); None: it has ended, or never was.

    The number of a process is given to another some time after it has ended: ask when, too.
    """
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    boot = next(line.split()[1] for line in (PROC / "stat").read_text().splitlines() if line.startswith("btime"))
    return float(boot) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """The processes below one that have not ended: its children, then theirs, and so on."""
    children = defaultdict(list)
    for entry in os.listdir(PROC) if PROC.is_dir() else []:  # noqa: PTH208 - hundreds of names, no need of paths
        fields = _stat(int(entry)) if entry.isdigit() else None
        if fields is not None and fields[0] not in "ZX":
            children[int(fields[1])].append(int(entry))
    found = children[pid].copy()
    for child in found:
        found += children[child]
    return found


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat after the process's name: state, parent, ...; None: there is no such process."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
