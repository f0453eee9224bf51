"""The process that executes a run, on this machine: which it is, and whether it is still running.

Dagster notes its number in the run's events. That a run's process has gone is a fact only where all runs of an instance
execute on one machine (and see each other: in one container, or with one space of process numbers), as they do with
the storage this project ships, SQLite.
"""

from dataclasses import dataclass

import dagster as dg
import psutil

from eiclip.system.processes import has_ended

SLACK = 60.0
"""Seconds by which the clocks of events and of processes may differ: clocks are set right now and then, and a number is
not given to another process so soon."""
EVENTS = 50
"""Events of the engine to look through: the number is among the first."""


@dataclass(frozen=True)
class Worker:
    """The process that executes a run, noted at a time (seconds since the epoch)."""

    pid: int
    noted: float

    def process(self) -> psutil.Process | None:
        """Return the process; None: it has ended, whatever other process has its number since."""
        try:
            process = psutil.Process(self.pid)
            same = process.create_time() <= self.noted + SLACK
        except psutil.NoSuchProcess:
            return None
        return process if same and not has_ended(process) else None

    def interrupt(self) -> bool:
        """Ask it to end its run, as Ctrl-C does; returns whether it was there and could be asked."""
        process = self.process()
        try:
            if process is not None:
                process.terminate()
        except psutil.Error:
            return False
        return process is not None


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
    """Whether the process of a run that is under way has ended; False where none is noted."""
    worker = worker_of(instance, run.run_id)
    return worker is not None and worker.process() is None
