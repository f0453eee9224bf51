"""Work done in forked processes that read the project from a folder of their own, some at a time."""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

LIBRARIES = (
    "numpy", "torch", "open_clip", "webdataset", "duckdb", "pyarrow.parquet", "scipy.stats", "matplotlib.pyplot",
    "jinja2", "simplejpeg", "PIL.Image", "h5py", "imagehash", "rapidfuzz.process", "httpx", "dagster",
    "pydantic_settings", "fsspec", "huggingface_hub",
)  # fmt: skip
"""What the project takes seconds to import: done once, before there are processes."""
PROJECT = ("eiclip", "assets", "pipelines", "benchmarks")
LIMIT = 120.0
"""Seconds a process may take: a changed loop may never end."""


def run_each(
    work: Callable[[Any], Any], jobs: Sequence[tuple[Path, Any]], scratch: Path, at_once: int
) -> Iterator[tuple[int, Any]]:
    """`work` on each (root of the project, argument), in a process of its own; yields (number, result) as they end.

    A result is JSON: nothing of the project is to be imported in this process. That of one that ended otherwise is an
    exception.
    """
    waiting, running = list(enumerate(jobs)), dict[int, tuple[int, float]]()
    try:
        yield from _run(work, waiting, running, scratch, at_once)
    finally:
        for pid in running:  # of who needs no more results
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _run(
    work: Callable[[Any], Any],
    waiting: list[tuple[int, tuple[Path, Any]]],
    running: dict[int, tuple[int, float]],
    scratch: Path,
    at_once: int,
) -> Iterator[tuple[int, Any]]:
    while waiting or running:
        while waiting and len(running) < at_once:
            number, (root, argument) = waiting.pop(0)
            running[_start(work, root, argument, scratch / f"{number}.json")] = (number, time.monotonic())
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if not pid:
            for late in [pid for pid, (_, began) in running.items() if time.monotonic() - began > LIMIT]:
                os.kill(late, signal.SIGKILL)
            time.sleep(0.05)
        elif pid in running:
            number, _ = running.pop(pid)
            yield number, _result(scratch / f"{number}.json")


def _start(work: Callable[[Any], Any], root: Path, argument: Any, answer: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.chdir(root)
        sys.path.insert(0, str(root))
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        result: dict[str, Any] = {"result": work(argument)}
    except BaseException:
        result = {"error": traceback.format_exc()[-2000:]}
    part = answer.with_suffix(".part")
    part.write_text(json.dumps(result))
    part.replace(answer)
    os._exit(0)


def _result(answer: Path) -> Any:
    if not answer.is_file():
        return RuntimeError("it did not end")
    result = json.loads(answer.read_text())
    answer.unlink()
    return RuntimeError(result["error"]) if "error" in result else result["result"]
