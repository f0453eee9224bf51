"""Terminate, as a program on the instance of DAGSTER_HOME: of a run whose process is there, and of one that died."""

import signal
import subprocess
import sys

import dagster as dg
from dagster._core.events import EngineEventData

from pipelines.workers import worker_of


@dg.op
def train():
    """Nothing: its run only has to exist."""


@dg.job
def training():
    train()


def start(instance):
    """A run, and its process, which sleeps."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    run = instance.create_run_for_job(training)
    instance.report_engine_event("Started", run, EngineEventData.in_process(process.pid))
    return run, process


def status(instance, run):
    return instance.get_run_by_id(run.run_id).status


def main():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whatever this process was started with: its children inherit it
    with dg.DagsterInstance.get() as instance:
        run, process = start(instance)
        assert worker_of(instance, run.run_id).process()
        assert instance.run_launcher.terminate(run.run_id)
        assert process.wait(10) == -signal.SIGTERM
        assert status(instance, run) == dg.DagsterRunStatus.CANCELING
        dead, process = start(instance)
        process.kill()
        process.wait()
        assert instance.run_launcher.terminate(dead.run_id)
        assert status(instance, dead) == dg.DagsterRunStatus.CANCELED
        assert not instance.run_launcher.terminate(dead.run_id)


if __name__ == "__main__":
    main()
