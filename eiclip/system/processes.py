"""Processes that do not outlive the one that started them, and those below a process.

What is asked of the kernel (its parent-death signal, orphans) is asked on Linux alone.
"""

import ctypes
import os
import signal
import sys

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(number: signal.Signals = signal.SIGKILL, parent: int | None = None) -> None:
    """Ask the kernel to send this process `number` when its parent ends, however it ends.

    The request outlives `exec`; a process that this one starts must ask for itself. "The parent" is the thread that
    started this process.

    Args:
        number: the signal. SIGKILL cannot be caught: nothing stays behind, not even of a process that hangs.
        parent: whose child this process should be: where it no longer is, `number` is raised at once.
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


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or a zombie: ended, but not yet waited for by its parent."""
    try:
        return process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return True


def descendants(pid: int) -> list[psutil.Process]:
    """Return the processes below one that have not ended: its children, their children, and so on."""
    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [process for process in below if not has_ended(process)]
