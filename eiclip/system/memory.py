"""What becomes of memory that a process frees: kept for the next step, or returned to the kernel (glibc alone)."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
"""glibc's names of the settings, from malloc.h."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees; returns whether that could be set.

    A training step on a CPU takes and frees the same hundreds of megabytes again and again. By default glibc returns
    large pieces to the kernel each time, which then clears every page before it is used again: 8 ms of kernel time in a
    step of 210 ms, where 1 ms is left with this.
    """
    return _set(M_MMAP_MAX, 0) and _set(M_TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> bool:
    """Let this process return large pieces to the kernel as soon as they are free; returns whether that could be set.

    For work that is done in chunks to save memory: by default glibc soon keeps pieces up to 32 MiB, and what lies
    between them is lost, so that many chunks take several times the memory of one.
    """
    return _set(M_MMAP_THRESHOLD, 64 * 1024)  # bytes of a piece that is worth a call of the kernel


def _set(option: int, value: int) -> bool:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and bool(mallopt(option, value))
