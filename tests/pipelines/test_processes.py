"""Trees of real processes (step, launcher, torchrun, trainer, loader): whichever is killed, none stays behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import pytest

from assets import training as training_assets
from assets.common import Project
from benchmarks.crash.data import tiny_job
from eiclip.model.variants import VARIANTS
from eiclip.settings.load import load_settings
from eiclip.settings.training import HardwareSettings
from eiclip.storage.home import Paths
from eiclip.system.processes import descendants, has_ended
from eiclip.train.job import TrainJob
from pipelines.factory import build, gpu_pool
from pipelines.launch import GRACE
from pipelines.trainers import TrainerClient

STEP = """
import os, subprocess, sys
command = sys.argv[1:]
command[3] = str(os.getpid())
subprocess.Popen(command).wait()
"""
STUBBORN = """
import os, pathlib, signal, sys, time
from eiclip.system.processes import die_with_parent
signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
for number in signals:
    signal.signal(number, signal.SIG_IGN)
if sys.argv[2] == "tied":
    die_with_parent()
loader = os.fork()
if loader == 0 and sys.argv[2] == "tied":
    die_with_parent()
if loader:
    pathlib.Path(sys.argv[1]).write_text(str(loader))
time.sleep(600)
"""
"""A trainer that hangs, with a loader that does; only the kernel's own signals end them."""


@dataclass
class Tree:
    """A step and what it has started, from the top: step, launcher, torchrun, trainer, loader."""

    step: subprocess.Popen
    processes: list[psutil.Process]

    def left(self) -> list[psutil.Process]:
        """Those that have not ended, but for the step itself."""
        return [process for process in self.processes[1:] if process.is_running() and not has_ended(process)]


def until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


@pytest.fixture
def grow(tmp_path):
    """Start a step; what is left of it is killed in the end."""
    grown = []

    def start(*end, started):
        job = TrainJob(dataset="shop", variant="eiclip", shards=tmp_path, initial=None, output=tmp_path / "model")
        command = TrainerClient().command(job, Path("job.json"))
        command[command.index("-m", 10) :] = end
        log = (tmp_path / f"log{len(grown)}").open("w")
        step = subprocess.Popen([sys.executable, "-c", STEP, *command], stderr=log, stdout=log)
        grown.append((step, started))
        return len(grown) - 1

    def ready(number):
        step, started = grown[number]
        until(started.exists, 60)
        until(lambda: len(descendants(step.pid)) >= 4, 20)
        grown[number] = (step, Tree(step, [psutil.Process(step.pid), *descendants(step.pid)]))
        return grown[number][1]

    yield start, ready
    for step, tree in grown:
        for process in tree.left() if isinstance(tree, Tree) else descendants(step.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        step.kill()
        step.wait()


def test_whatever_is_killed_takes_the_rest_along_even_if_it_hangs(tmp_path, grow):
    """The step, the launcher, torchrun, both of these; and signals that come more than once are passed on once."""
    start, ready = grow
    stub = tmp_path / "stub.py"
    stub.write_text(STUBBORN)
    cases = [((2,), "loose"), ((1, 2), "tied"), ((0,), "loose"), ((1,), "loose"), ((), "loose")]
    files = [tmp_path / f"started{number}" for number in range(len(cases))]
    numbers = [start(str(stub), str(file), how, started=file) for file, (_, how) in zip(files, cases, strict=True)]
    trees = [ready(number) for number in numbers]
    began = time.monotonic()
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        trees[-1].processes[1].send_signal(number)
        time.sleep(0.1)
    for tree, (places, _) in zip(trees, cases, strict=True):
        for place in places:
            tree.processes[place].kill()
    until(lambda: not any(tree.left() for tree in trees[:2]), 5)
    until(lambda: not trees[-1].left(), GRACE + 4)
    assert time.monotonic() - began > GRACE - 1, "a trainer has its time to save"
    until(lambda: not any(tree.left() for tree in trees), GRACE + 4 - time.monotonic() + began)
    for tree in trees:
        tree.step.wait(5)


@pytest.fixture
def job(tmp_path):
    return tiny_job(tmp_path, epochs=1000, checkpoint_every=1000)


def test_a_trainer_that_is_told_to_stop_saves_its_state(tmp_path, job):
    command = TrainerClient().command(job, tmp_path / "job.json")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    for line in process.stderr:
        if "epoch 2 " in line:
            break
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    process.wait(GRACE)
    process.stderr.close()
    assert "stopped by a signal after step" in said
    [state] = (tmp_path / "model.resume").glob("*/step-*")
    assert int(state.name.removeprefix("step-")) >= 6
    assert not (tmp_path / "model.lock").exists()


@dg.op(out=dg.Out(dg.Any))
def train(context):
    job = TrainJob.model_validate_json(Path(os.environ["JOB"]).read_text())
    return TrainerClient().train(context, job, Path(os.environ["JOB"]))


@dg.job(executor_def=dg.in_process_executor)
def training():
    train.with_retry_policy(dg.RetryPolicy(max_retries=1))()


def events(monkeypatch, path):
    monkeypatch.setenv("JOB", str(path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with dg.DagsterInstance.ephemeral() as instance:
        return training.execute_in_process(instance=instance, raise_on_error=False)


def test_an_error_of_the_trainer_is_the_failures_text_and_is_not_tried_again(tmp_path, job, monkeypatch):
    job = job.model_copy(update={"initial": tmp_path / "nowhere"})
    (tmp_path / "job.json").write_text(job.model_dump_json())
    result = events(monkeypatch, tmp_path / "job.json")
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "nowhere" in failure.step_failure_data.user_failure_data.description
    assert not [event for event in result.all_events if event.is_step_up_for_retry]


def test_a_trainer_that_is_killed_is_tried_again_and_goes_on(tmp_path, monkeypatch):
    """Once it has saved a state it is killed; the second try ends what the first began."""
    job = tiny_job(tmp_path, epochs=3, checkpoint_every=2)
    killer = subprocess.Popen([sys.executable, "-c", KILLER, str(tmp_path), str(os.getpid())])
    result = events(monkeypatch, tmp_path / "job.json")
    killer.wait(5)
    assert result.success
    assert [event.event_type_value for event in result.all_events].count("STEP_UP_FOR_RETRY") == 1
    assert result.output_for_node("train")["steps"] == 9
    assert job.output.is_dir()
    assert not job.output.with_name("model.resume").exists()


KILLER = """
import pathlib, sys, time
from eiclip.system.processes import descendants
while not list(pathlib.Path(sys.argv[1]).glob("model.resume/*/step-*")):
    time.sleep(0.005)
trainers = [p for p in descendants(int(sys.argv[2])) if "pipelines.trainer" in p.cmdline()]
trainers[-1].kill()
"""


def test_settings_say_how_many_processes_train_and_where_steps_queue(tmp_path, monkeypatch):
    job = TrainJob(dataset="shop", variant="eiclip", shards=tmp_path, initial=None, output=tmp_path / "model")
    shared = job.model_copy(update={"hardware": HardwareSettings(processes=3)})
    command = TrainerClient().command(shared, Path("job.json"))
    assert command[command.index("--nproc-per-node") + 1] == "3"
    for device, pool in (("cuda", "gpu"), ("cuda:1", "gpu"), ("cpu", None)):
        monkeypatch.setenv("EICLIP_DEVICE", device)
        assert gpu_pool() == pool


def test_what_trains_on_a_gpu_queues_for_it_and_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setenv("EICLIP_DEVICE", "cuda")
    project = Project(load_settings(home=tmp_path, pretrained="general"), Paths(tmp_path))
    made = {"general/pretrained": build(project, training_assets.pretrained(project))}
    checkpoints = training_assets.steps(project, "fashiongen", project.datasets()["fashiongen"])
    made |= {asset.key.path[-1]: asset for asset in (build(project, step) for step in checkpoints)}
    for name, asset in made.items():
        trains = name not in VARIANTS or VARIANTS[name].trained
        assert asset.op.pool == ("gpu" if trains else None)
        assert bool(asset.op.retry_policy) == trains
