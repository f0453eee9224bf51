"""Dagster's own SQLite storage, in which runs of the command line belong to the code location, as those of the UI do.

The UI's Timeline and the pages of jobs leave out a run that does not say where its job comes from, and
`dagster job execute` does not say it.
"""

from typing import Any, Self

import dagster as dg
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

LOCATION = "eiclip"  # as workspace.yaml names it
REPOSITORY = "__repository__"  # Dagster's name of a location's definitions


class LocatedRuns(SqliteRunStorage):
    """Runs, each with the code location that its job is of."""

    def add_run(self, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        """Keep a run; one without a location gets this project's."""
        if dagster_run.remote_job_origin is None:
            repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), REPOSITORY)
            dagster_run = dagster_run.with_job_origin(repository.get_job_origin(dagster_run.job_name))
        return super().add_run(dagster_run)


class LocatedStorage(DagsterSqliteStorage):
    """What `storage: sqlite` is, with `LocatedRuns`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._run_storage = LocatedRuns.from_local(f"{base_dir}/history")

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Make one as `dagster.yaml` says: `base_dir`."""
        return cls.from_local(inst_data=inst_data, **config_value)
