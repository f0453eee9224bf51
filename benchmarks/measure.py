"""Timing in processes of their own, so that the peak of memory is the work's, and the JSON line of a figure."""

import json
import multiprocessing
import os
import re
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

GIB = 2**30
_CONTEXT = multiprocessing.get_context("spawn")
Work = Callable[[], dict[str, float] | None]
Prepare = Callable[..., Work]
"""Makes ready what is not timed and returns the work that is."""


@dataclass(frozen=True)
class Run:
    """One run of some work: wall seconds, CPU seconds of all threads and processes, peak memory of the largest."""

    wall: float
    cpu: float
    peak: int
    facts: dict[str, float]


def run_apart(prepare: Prepare, arguments: Sequence[tuple[Any, ...]]) -> Run:
    """Run `prepare(*one)()` for each of `arguments`, each in its own process, all starting at once when all are ready.

    Raises:
        RuntimeError: a process failed; it has said why.
    """
    barrier = _CONTEXT.Barrier(len(arguments))
    queue = _CONTEXT.SimpleQueue()
    processes = [_CONTEXT.Process(target=_child, args=(barrier, queue, prepare, one)) for one in arguments]
    for process in processes:
        process.start()
    found = []
    for _ in processes:
        found.append(queue.get())
        if found[-1] is None:
            barrier.abort()
            raise RuntimeError(f"{prepare.__module__}.{prepare.__name__} failed in a process of its own")
    for process in processes:
        process.join()
    begin, end = min(one["begin"] for one in found), max(one["end"] for one in found)
    facts = {key: sum(one["facts"][key] for one in found) for key in found[0]["facts"]}
    return Run(end - begin, sum(one["cpu"] for one in found), max(one["peak"] for one in found), facts)


def _child(barrier: Barrier, queue: Any, prepare: Prepare, arguments: tuple[Any, ...]) -> None:
    os.dup2(2, 1)  # DuckDB's bar of progress is not to stand among the lines
    found = None
    try:
        work = prepare(*arguments)
        barrier.wait()
        cpu, begin = _cpu(), time.monotonic()  # a clock that processes share
        facts = work() or {}
        found = {"begin": begin, "end": time.monotonic(), "cpu": _cpu() - cpu, "peak": peak_memory(), "facts": facts}
    finally:
        queue.put(found)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_memory() -> int:
    """Most bytes this process had in memory so far (not `ru_maxrss`, which a new process inherits)."""
    return _status("VmHWM")


def memory_now() -> int:
    """Bytes this process has in memory."""
    return _status("VmRSS")


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def interleaved(works: dict[str, tuple[Prepare, Sequence[tuple[Any, ...]]]], rounds: int) -> dict[str, list[Run]]:
    """Run every one of `works` once a round, so that what else the machine does falls on all alike."""
    runs: dict[str, list[Run]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (prepare, arguments) in works.items():
            runs[name].append(run_apart(prepare, arguments))
    return runs


def median(values: Sequence[float]) -> float:
    """Median, rounded for a line."""
    return round(statistics.median(values), 3)


def line(
    name: str, ours: float, peer: float, goal: float, *, at_most: bool, note: str = "", speed: bool = False
) -> dict[str, object]:
    """A figure: the ratio is ours / peer (`speed`: peer / ours, for seconds where more times faster is better)."""
    ratio = (peer / ours if speed else ours / peer) if ours and peer else float("inf")
    met = ratio <= goal if at_most else ratio >= goal
    numbers = {"ours": round(ours, 3), "peer": round(peer, 3), "ratio": round(ratio, 3), "goal": goal}
    return {"name": name, **numbers, "met": met} | ({"note": note} if note else {})


def say(figure: dict[str, object]) -> None:
    """Print a figure as one JSON line."""
    print(json.dumps(figure), flush=True)
