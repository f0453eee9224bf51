"""A training that is asked to stop ends after its step, with its state saved."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from eiclip.errors import EiclipError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedError(EiclipError):
    """The training was asked to stop by a signal; its state is saved."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


class Stop:
    """Whether a signal has come, and which."""

    number: int | None = None

    def ask(self, number: int, _frame: FrameType | None) -> None:
        """A signal's handler."""
        self.number = number


@contextlib.contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """While inside, SIGTERM and SIGINT are noted instead of ending the process; not outside the main thread."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
