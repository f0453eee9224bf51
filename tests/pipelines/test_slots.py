"""Dead runs and the slots they hold, on an instance of its own with real processes."""

import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType, EngineEventData
from dagster._core.launcher import WorkerStatus

from pipelines.run_launcher import LocalRunLauncher
from pipelines.slots import dead_runs, describe, free, main
from pipelines.workers import Worker, worker_of

POOL, STEP = "gpu", "shop__checkpoint__eiclip"
CONFIG = """
storage: {{sqlite: {{base_dir: {place}}}}}
run_launcher: {{module: pipelines.run_launcher, class: LocalRunLauncher}}
concurrency: {{pools: {{default_limit: 1}}}}
telemetry: {{enabled: false}}
"""


@dg.op
def train():
    """Nothing: its run only has to exist."""


@dg.job
def training():
    train()


@pytest.fixture
def instance(tmp_path, monkeypatch):
    (tmp_path / "dagster.yaml").write_text(CONFIG.format(place=tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as found:
        yield found


@pytest.fixture
def start(instance):
    """Start a run whose process is one that sleeps, holding the slot of the pool."""
    processes = []

    def begin(holds=True):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        processes.append(process)
        run = instance.create_run_for_job(training)
        instance.report_engine_event("Started", run, EngineEventData.in_process(process.pid))
        instance.report_dagster_event(DagsterEvent(DagsterEventType.RUN_START.value, training.name), run.run_id)
        if holds:
            claim(instance, run.run_id)
        return run, process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def claim(instance, run_id):
    instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
    return instance.event_log_storage.claim_concurrency_slot(POOL, run_id, STEP).is_claimed


def end(process):
    process.kill()
    process.wait()


def status(instance, run):
    return instance.get_run_by_id(run.run_id).status


def test_a_slot_of_a_living_run_stays_and_that_of_a_dead_one_is_freed(instance, start):
    run, process = start()
    other = instance.create_run_for_job(training)
    assert not claim(instance, other.run_id), "one trainer at a time"
    assert free(instance) == ([], [])
    assert status(instance, run) == dg.DagsterRunStatus.STARTED
    end(process)
    assert not claim(instance, other.run_id), "Dagster itself does not notice"
    assert free(instance) == ([run.run_id], [run.run_id])
    assert status(instance, run) == dg.DagsterRunStatus.FAILURE
    assert claim(instance, other.run_id)


def test_a_slot_that_a_deleted_run_has_left_is_freed(instance, start):
    run, process = start()
    end(process)
    instance.delete_run(run.run_id)
    claim(instance, run.run_id)
    assert free(instance) == ([], [run.run_id])


def test_what_is_listed_says_who_holds_what(instance, start, capsys, monkeypatch):
    run, process = start()
    assert [f"process {process.pid} is there" in line for line in describe(instance)] == [True, False, False]
    end(process)
    text = "\n".join(describe(instance))
    for said in ("has ended", f"pool {POOL}: 1 of 1 slots taken", f"{STEP} of run {run.run_id} (run is over"):
        assert said in text
    monkeypatch.setattr(sys, "argv", ["slots", "--free"])
    main()
    assert capsys.readouterr().out.count(run.run_id) == 2


def test_run_monitoring_is_told_of_a_dead_process_and_of_one_with_its_number(instance, start):
    launcher = instance.run_launcher
    assert isinstance(launcher, LocalRunLauncher)
    assert launcher.supports_check_run_worker_health
    run, process = start(holds=False)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    assert not Worker(process.pid, time.time() - 3600).process(), "noted before this process began: another one"
    end(process)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.FAILED
    assert [dead.run_id for dead in dead_runs(instance)] == [run.run_id]
    waiting = instance.create_run_for_job(training)
    assert worker_of(instance, waiting.run_id) is None
    assert launcher.check_run_worker_health(waiting).status == WorkerStatus.RUNNING


def test_terminate_reaches_a_run_of_the_command_line(instance):
    program = Path(__file__).with_name("terminating.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
