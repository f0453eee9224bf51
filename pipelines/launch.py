"""Run a command as the child of a process, and let nothing of it outlive that process.

    python -m pipelines.launch PARENT COMMAND...

PARENT is the process that starts this. A step that is killed outright cannot end its trainer; the kernel can, and this
process asks for it: it gets SIGTERM when PARENT ends, and its command SIGTERM when it ends itself. It passes SIGTERM,
SIGINT and SIGHUP on once, as SIGTERM: torchrun tells its trainers, which save their state. What has not ended `GRACE`
seconds later is killed, and so is what the command leaves behind when it ends.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import FrameType

import psutil

from eiclip.system.processes import adopt_orphans, descendants, die_with_parent

GRACE = 10
"""Seconds from the signal until torchrun kills its trainers; whatever is left is killed a second later."""


class Launcher:
    """One command, and the signals that end it."""

    child: subprocess.Popen[bytes] | None = None
    stopping = False

    def run(self, command: list[str]) -> int:
        """Run the command to its end; its exit status, 128 + N where signal N has ended it."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` means it
                signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, lambda *_: end_all_below())
        own = os.getpid()
        # A session of its own: Ctrl-C on a terminal is for this process, which passes it on once.
        self.child = subprocess.Popen(
            command,
            env=os.environ | {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(GRACE)},
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM, own),  # safe: this process has one thread
        )
        if self.stopping:  # before there was a process to signal
            self.child.terminate()
        status = self.child.wait()
        signal.alarm(0)
        end_all_below()
        return status if status >= 0 else 128 - status

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopping:
            return
        self.stopping = True
        signal.alarm(GRACE + 1)
        if self.child is not None:
            self.child.terminate()


def end_all_below(seconds: float = 3.0) -> None:
    """Kill every process below this one, until there is none (or the kernel keeps one for longer than `seconds`)."""
    deadline = time.monotonic() + seconds
    while (left := descendants(os.getpid())) and time.monotonic() < deadline:
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.02)


def main() -> None:
    """Tie this process to its parent, then run the command."""
    adopt_orphans()
    die_with_parent(signal.SIGTERM, int(sys.argv[1]))
    sys.exit(Launcher().run(sys.argv[2:]))


if __name__ == "__main__":
    main()
