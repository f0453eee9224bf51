"""The process that executes a run, on this machine: which it is, and whether it is still there.

Dagster notes its number in the run's events. That a run's process has gone is a fact only where all runs of an instance
execute on one machine (and see each other: in one container, or with one space of process numbers), as they do with
the storage this project ships, SQLite.
"""

import os
import signal
from dataclasses import dataclass

import dagster as dg

from eiclip.system.processes import PROC, started_at

SLACK = 60.0
"""Seconds by which the clocks of events and of processes may differ: clocks are set right now and then, and a number is
not given to another process so soon."""
EVENTS = 50
"""Events of the engine to look through: the number is among the first."""

SEES_PROCESSES = (PROC / "stat").is_file()
"""Whether this machine tells which processes there are (Linux)."""


@dataclass(frozen=True)
class Worker:
    """The process that executes a run, noted at a time (seconds since the epoch)."""

    pid: int
    noted: float

    @property
    def alive(self) -> bool:
        """Whether it has not ended; another process that got its number since is not it."""
        started = started_at(self.pid)
        return started is not None and started <= self.noted + SLACK

    def interrupt(self) -> bool:
        """Tell it to end its run, as Ctrl-C does; whether it was there and could be told."""
        if not self.alive:
            return False
        try:
            os.kill(self.pid, signal.SIGTERM)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def worker_of(instance: dg.DagsterInstance, run_id: str) -> Worker | None:
    """The process that executes a run; None where none is noted (it has only been asked for)."""
    events = instance.event_log_storage.get_logs_for_run(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT, limit=EVENTS)
    noted = None
    for event in events:
        metadata = event.get_dagster_event().engine_event_data.metadata
        if "pid" in metadata:
            noted = Worker(int(str(metadata["pid"].value)), event.timestamp)
    return noted


def has_lost_its_worker(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run that is under way has no process any more; False where that cannot be known."""
    worker = worker_of(instance, run.run_id) if SEES_PROCESSES else None
    return worker is not None and not worker.alive
