"""One writer of an output at a time: an advisory lock beside it, which the kernel frees when its holder ends.

`<output>.lock` names the holder (process, machine, since when). It is removed when the work is done; what a killed
holder left of it is no lock any more, and the next one takes it over.

Over a network file system the lock holds between machines only where the file system passes it on: NFS 4 does, and
NFS 3 with its lock daemon; object stores mounted as folders, and mounts with `nolock` or `local_lock=flock`, do not.
There, give each machine an output of its own.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from eiclip.errors import LockedError

PATIENCE = 20.0
"""Seconds to wait for the holder: longer than a trainer that was told to stop may take to save its state."""
TICK = 0.1

_held: set[int] = set()


def _forget_in_child() -> None:
    """A forked child (of a loader, say) must not keep a lock that its parent has lost by ending."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


@contextlib.contextmanager
def held(output: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Be the only one who writes `output`, from here to the end of the block.

    Args:
        output: the file or folder that is going to be written.
        patience: seconds to wait for another holder to end.

    Raises:
        LockedError: another process holds it still; names it and says what to do.
    """
    path = output.with_name(f"{output.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquired(path, time.monotonic() + patience)
    if descriptor is None:
        raise LockedError(
            f"{output}: another process is writing it ({_holder(path)}); wait until it has ended, or end it, and run "
            "this again"
        )
    _held.add(descriptor)
    try:
        _write_holder(descriptor)
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever waits for it sees that the file has gone
        _held.discard(descriptor)
        os.close(descriptor)


def _acquired(path: Path, deadline: float) -> int | None:
    """A descriptor of the lock file that holds the lock; None: someone else did until the deadline."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_there(descriptor, path):
                return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(TICK)
        os.close(descriptor)


def _is_still_there(descriptor: int, path: Path) -> bool:
    """Whether the file that was locked is the one that lies there now: its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _write_holder(descriptor: int) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = {"process": os.getpid(), "machine": socket.gethostname(), "since": since}
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(holder).encode())


def _holder(path: Path) -> str:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return f"process {known['process']} of {known['machine']}, since {known['since']}"
    except (OSError, ValueError, KeyError):  # it has just ended, or just begun
        return "it has not said which"
