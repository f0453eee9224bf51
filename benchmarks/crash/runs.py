"""The runs: a training or a Dagster job in processes of its own, in a folder of its own, ended by a fuse or not."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.crash.compare import processes_of
from benchmarks.crash.fuse import Fuse
from benchmarks.crash.points import Kind
from eiclip.train.job import TrainJob

FOLDER = "CRASH_FOLDER"
LIMIT = 240.0
"""Seconds after which a run is taken for hung."""
TRAINER = ["-m", "benchmarks.crash.victim"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


class Runs:
    """Runs of one kind in copies of a prepared folder."""

    def __init__(self, kind: Kind, prepared: Path) -> None:
        self.kind = kind
        self.prepared = prepared

    def copy(self, folder: Path) -> Path:
        """A copy of the prepared folder, whose job, if it holds one, lies and ends there."""
        shutil.copytree(self.prepared, folder)
        path = folder / "job.json"
        if path.is_file():
            text = path.read_text(encoding="utf-8").replace(f"{self.prepared}/", f"{folder}/")
            path.write_text(TrainJob.model_validate_json(text).model_dump_json(), encoding="utf-8")
        return folder

    def run(self, folder: Path, fuse: Fuse | None = None) -> int:
        """Run to the end, one's own or the fuse's; the exit status."""
        process = start(self.command(folder), folder, fuse.in_environment() if fuse else {})
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            for left in processes_of(FOLDER, str(folder)):
                left.kill()
            process.wait()
            raise

    def command(self, folder: Path) -> list[str]:
        """What is run."""
        if self.kind in ("step", "run"):
            return dagster_job("trained")
        if self.kind == "trainer":
            return [sys.executable, *TRAINER, str(folder / "job.json")]
        launcher = ["-m", "pipelines.launch", str(os.getpid())]
        return [sys.executable, *launcher, sys.executable, *TORCHRUN, *TRAINER, str(folder / "job.json")]

    def kill_while_training(self, folder: Path) -> None:
        """Start the run and kill its own process once its trainer has saved a state."""
        process = start(self.command(folder), folder, {})
        deadline = time.monotonic() + LIMIT
        while not list(folder.glob("models/*/*.resume/*/step-*")) and process.poll() is None:
            time.sleep(0.01)
            if time.monotonic() > deadline:
                break
        process.kill()
        process.wait()
        (folder / "mark0").touch()


def dagster_job(name: str) -> list[str]:
    """The command that executes a job of the small project."""
    return [sys.executable, "-m", "dagster", "job", "execute", "-m", "benchmarks.crash.location", "-j", name]


def start(command: list[str], folder: Path, more: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start a run whose home is the folder; what it says goes to `folder/output`."""
    environment = {
        FOLDER: str(folder),
        "EICLIP_HOME": str(folder),
        "EICLIP_DAGSTER_STORAGE": str(folder / "dagster"),
        "DAGSTER_HOME": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": "1",
    }
    (folder / "dagster").mkdir(exist_ok=True)
    with (folder / "output").open("a", encoding="utf-8") as output:
        output.write(f"{json.dumps(more)}\n")
        output.flush()
        return subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment, **more})
