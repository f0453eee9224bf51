"""One writer of an output at a time: an advisory lock beside it, which the kernel frees when its holder ends.

`<output>.lock` names the holder (process, machine, since when). It is removed when the work is done; the file that a
killed holder leaves behind holds no lock, and the next writer takes it over.

Over a network file system the lock holds between machines only where the file system passes it on: NFS 4 does, and
NFS 3 with its lock daemon; object stores mounted as folders, and mounts with `nolock` or `local_lock=flock`, do not.
There, give each machine an output of its own.
"""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from eiclip.errors import LockedError


def exclusive(path: Path) -> FileLock:
    """Return a lock on the file `path`, to be held in a `with` block by one process at a time; the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, fallback_to_soft=False)  # without flock: an error, not a file that outlives its holder


@contextlib.contextmanager
def held(output: Path, patience: float = 20.0) -> Iterator[None]:
    """Be the only process that writes the file or folder `output`, until the end of the block.

    Args:
        patience: seconds to wait for another holder; by default longer than a trainer takes to save its state.

    Raises:
        LockedError: another process still holds the lock; names it and says what to do.
    """
    path = output.with_name(f"{output.name}.lock")
    lock = exclusive(path)
    try:
        lock.acquire(patience)
    except Timeout as error:
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            holder = f"process {known['process']} of {known['machine']}, since {known['since']}"
        except (OSError, ValueError, KeyError):  # it has just ended, or just begun
            holder = "it has not said which"
        raise LockedError(
            f"{output}: another process is writing it ({holder}); wait for its end, or end it, and run this again"
        ) from error
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        path.write_text(json.dumps({"process": os.getpid(), "machine": socket.gethostname(), "since": since}))
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever waits for it sees that the file has gone
        lock.release()
