"""Dagster's own run launcher, which can also tell whether a run's process is still there.

Run monitoring (`dagster.yaml`) asks a launcher that; Dagster's own for runs on this machine has no answer, and a run
whose process was killed together with the server that had started it stays STARTED for good. This one looks, for runs
started on the command line too, and Terminate ends those as it ends others.
"""

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from pipelines.workers import SEES_PROCESSES, has_lost_its_worker, worker_of


class LocalRunLauncher(DefaultRunLauncher):
    """Launches runs on this machine, and looks after those it did not launch."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Where processes can be seen."""
        return SEES_PROCESSES

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED where the run's process has ended, else RUNNING."""
        if has_lost_its_worker(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process has ended without a word")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def terminate(self, run_id: str) -> bool:
        """End a run through the server that started it, or, where none did or it has gone, by telling its process."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if GRPC_INFO_TAG in run.tags and self._terminated_by_server(run_id):
            return True
        worker = worker_of(self._instance, run_id)
        if worker is None:
            return False
        self._instance.report_run_canceling(run)
        if not worker.interrupt():
            self._instance.report_run_canceled(run, "Its process had ended already.")
        return True

    def _terminated_by_server(self, run_id: str) -> bool:
        try:
            return bool(super().terminate(run_id))
        except Exception:  # whatever a client says of a server that has gone
            return False
