"""A training that is asked to stop ends after its step, with its state saved."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from eiclip.errors import EiclipError


class StoppedError(EiclipError):
    """The training was asked to stop by a signal; its state is saved."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


@contextlib.contextmanager
def noted_signals() -> Iterator[list[int]]:
    """While inside, SIGTERM and SIGINT are put into the list instead of ending the process (in the main thread)."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {
        number: signal.signal(number, lambda came, _: noted.append(came)) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
