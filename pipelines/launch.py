"""Replace this process by a command that dies with its parent.

    python -m pipelines.launch COMMAND...

A step that is killed outright cannot end its trainer; the kernel can (Linux: the parent-death signal).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, then become the command."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the signal was asked for
            sys.exit(1)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - a fixed command, no shell wanted


if __name__ == "__main__":
    main()
