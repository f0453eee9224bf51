"""Runs cases, each in a process of its own that is killed at a limit: what a case does cannot hurt the next one.

A host is a child process that has imported the readers, has one thread and does nothing but fork: a fork costs
milliseconds where a start costs half a second. Memory is measured, not limited: with a limit on the address space
DuckDB and Arrow do not start, and a reader that survives a failed allocation would hide that it asked for too much.
A limit on the data segment at three times the cap is a backstop for what grows faster than it is looked at.
"""

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fuzz.case import HOME, OUTSIDE
from eiclip.settings.load import DatasetSettings

SECONDS = 10.0
MEBIBYTES = 1024
_POLL = 0.01  # seconds
_IN_OPEN = 0x20
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}


@dataclass(frozen=True)
class Outcome:
    """How a case's process ended."""

    status: str  # done | refused | error (another exception) | crash | timeout | memory
    message: str
    seconds: float
    mebibytes: int  # most that was resident
    opened: tuple[str, ...]  # files outside the dataset


class Host:
    """The child process that forks; cases are run one after the other."""

    def __init__(self) -> None:
        self._process = self._start()

    def run(self, root: Path, dataset: DatasetSettings) -> Outcome:
        """Ingest the raw files of a case's folder. A host that died is replaced, and its case counts as a crash."""
        request = json.dumps({"root": str(root), "dataset": dataset.model_dump(mode="json", exclude_unset=True)})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if answer:
            found = json.loads(answer)
            return Outcome(**found | {"opened": tuple(found["opened"])})
        code = self._process.wait()
        self._process = self._start()
        return Outcome("crash", f"the host itself ended with {code}", 0.0, 0, ())

    def close(self) -> None:
        """End the child process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    @staticmethod
    def _start() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fuzz.host"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | _ENVIRONMENT, cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the host of the cases did not start; it ended with {process.wait()}")
        return process


def _serve() -> None:
    from benchmarks.fuzz import ingest

    for module in ("pandas", "scipy.fftpack"):  # what Arrow and the perceptual hash import when first used
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    assert "torch" not in sys.modules
    threads = [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    # A fork keeps one thread alone, and whatever the others had locked; jemalloc, Arrow's allocator, sees to its own.
    assert len([name for name in threads if not name.startswith("jemalloc")]) == 1, threads
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_forked(ingest.ingest, Path(request["root"]), request["dataset"])), flush=True)


def _forked(ingest: Any, root: Path, dataset: dict[str, Any]) -> dict[str, Any]:
    watch = _Watch(root / OUTSIDE)
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        _run_and_exit(ingest, root, dataset)
    ended, peak = _wait(child, begin)
    seconds = time.monotonic() - begin
    found = _answer(root, ended)
    peak = max(peak, found.pop("mebibytes", 0))
    if peak > MEBIBYTES:
        found = {"status": "memory", "message": f"{peak} MiB; {found['message']}"}
    return found | {"seconds": seconds, "mebibytes": peak, "opened": watch.opened()}


def _wait(child: int, begin: float) -> tuple[str, int]:
    """Wait for a child, or kill it at a limit; returns how it ended and the most MiB it was seen with."""
    peak = 0
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return ("" if status == 0 else f"crash: wait status {status}, signal {status & 0x7F}"), peak
        peak = max(peak, _resident(child))
        late = time.monotonic() - begin > SECONDS
        if late or peak > MEBIBYTES:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "timeout" if late else "memory", peak
        time.sleep(_POLL)


def _answer(root: Path, ended: str) -> dict[str, Any]:
    log = root / "log.txt"
    if ended:
        said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        return {"status": ended.split(":")[0], "message": f"{ended}\n{said}"}
    found: dict[str, Any] = json.loads((root / "answer.json").read_text())
    return found


def _run_and_exit(ingest: Any, root: Path, dataset: dict[str, Any]) -> None:
    """In the fork: never returns."""
    code = 1
    try:
        log = os.open(root / "log.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (3 * MEBIBYTES * 2**20, 3 * MEBIBYTES * 2**20))
        answer = ingest(root / HOME, DatasetSettings.model_validate(dataset)) | {"mebibytes": _peak()}
        (root / "answer.json").write_text(json.dumps(answer))
        code = 0
    finally:
        os._exit(code)


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize() >> 20
    except (OSError, IndexError):
        return 0


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))


class _Watch:
    """Which files of a folder are opened, by whatever library (inotify)."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._queue = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._queue < 0 or libc.inotify_add_watch(self._queue, os.fsencode(folder), _IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def opened(self) -> list[str]:
        """Names, each once; ends the watch."""
        names, content = set(), b""
        with contextlib.suppress(BlockingIOError):
            content = os.read(self._queue, 2**20)
        os.close(self._queue)
        while content:
            length = struct.unpack_from("iIII", content)[3]
            names.add(content[16 : 16 + length].rstrip(b"\0").decode())
            content = content[16 + length :]
        return sorted(names - {""})


if __name__ == "__main__":
    _serve()
