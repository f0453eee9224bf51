"""Memory that a process gave back to its allocator, kept for the next step."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""glibc's names of them, from malloc.h."""
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees; returns whether that could be set (glibc alone knows it).

    A training step on a CPU takes and frees the same hundreds of megabytes again and again. By default glibc returns
    large pieces to the kernel each time, which then clears every page before it is used again: writing normalised
    photos takes some six times as long. Only for processes that do this all their life.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))
