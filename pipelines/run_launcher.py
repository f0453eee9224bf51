"""Dagster's own run launcher, which can also tell whether a run's process is still running.

Run monitoring (`dagster.yaml`) asks a launcher that; Dagster's own for runs on this machine has no answer, and a run
whose process was killed together with the server that had started it stays STARTED for good. This one looks, for runs
started on the command line too, and Terminate ends those as it ends others.
"""

from contextlib import suppress

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

from pipelines.workers import has_lost_its_worker, worker_of


class LocalRunLauncher(dg.DefaultRunLauncher):
    """Launches runs on this machine, and looks after those it did not launch."""

    supports_check_run_worker_health = True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED where the run's process has ended, else RUNNING."""
        if has_lost_its_worker(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process has ended without reporting an end")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def terminate(self, run_id: str) -> bool:
        """End a run through the server that started it, or by a signal to its process."""
        with suppress(Exception):  # whatever a client says of a server that has gone
            if super().terminate(run_id):
                return True
        run, worker = self._instance.get_run_by_id(run_id), worker_of(self._instance, run_id)
        if run is None or run.is_finished or worker is None:
            return False
        if not worker.interrupt():
            self._instance.report_run_canceled(run, "Its process had ended already.")
        return True
