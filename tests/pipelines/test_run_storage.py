"""A run of the command line belongs to the code location, where the UI looks for it."""

from pathlib import Path

import dagster as dg
import yaml
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG

ROOT = Path(__file__).resolve().parents[2]


@dg.job(name="ingest")
def ingest():
    """Nothing to do."""


def test_runs_of_the_command_line_are_those_of_the_location_that_the_workspace_names(tmp_path, monkeypatch):
    monkeypatch.setenv("EICLIP_DAGSTER_STORAGE", str(tmp_path))
    [location] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    label = f"__repository__@{location['python_module']['location_name']}"
    with dg.DagsterInstance.from_config(str(ROOT)) as instance:
        run_id = ingest.execute_in_process(instance=instance).run_id
        of_the_job = dg.RunsFilter(job_name="ingest", tags={REPOSITORY_LABEL_TAG: label})  # as the job's page asks
        assert [run.run_id for run in instance.get_runs(of_the_job)] == [run_id]
    with dg.DagsterInstance.from_config(str(ROOT)) as again:
        assert again.get_run_by_id(run_id).is_success, "another process reads it"
