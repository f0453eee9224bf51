"""Whole trainings, loader and all, as programs: ours beside open_clip's own, on the same shards from the same weights.

Both are given the same model, batch, precision, threads and loader processes, and run as a user runs them; the figure
is the median rate of the steps after the first ones, by each program's own log.
"""

import itertools
import os
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.training.data import job
from eiclip.settings.training import HardwareSettings, TrainingSettings
from eiclip.shards import read_manifest
from eiclip.storage.cache import LOG_FILE
from eiclip.storage.files import write_json

SKIPPED = 2
"""Lines of a log that are not counted: they hold the start of workers and caches."""
RATE = re.compile(r"Train Epoch: (\d+) .* Batch \(t\): [\d.]+, ([\d.e+]+)/s,")


@dataclass(frozen=True)
class Setting:
    """What both sides are given."""

    folder: Path
    """With `shards` and `initial`."""
    batch: int
    epochs: int
    threads: int
    workers: int
    device: str = "cpu"
    log_every: int = 5


def ours(setting: Setting, variant: str) -> float:
    """Pairs a second of `python -m eiclip.train`."""
    output = setting.folder / "out" / variant
    training = TrainingSettings(epochs=setting.epochs, batch_size=setting.batch, log_every=setting.log_every)
    hardware = HardwareSettings(workers=setting.workers, checkpoint_every=10**6)
    path = setting.folder / f"{variant}.json"
    task = job(setting.folder, setting.folder / "initial", output, variant, training, hardware)
    write_json(path, task.model_copy(update={"threads": setting.threads}).model_dump(mode="json"))
    _run([sys.executable, "-m", "eiclip.train", str(path)], setting)
    rows = pq.read_table(output / LOG_FILE).to_pylist()
    regular = [row for row in rows if row["step"] % setting.log_every == 0]
    seconds = [later["seconds"] - row["seconds"] for row, later in itertools.pairwise(regular)]
    return statistics.median(setting.log_every * setting.batch / one for one in seconds[SKIPPED:])


def theirs(setting: Setting) -> float:
    """Pairs a second of `python -m open_clip_train.main`."""
    manifest = read_manifest(setting.folder / "shards")
    shards = [str(setting.folder / "shards" / shard["name"]) for shard in manifest["shards"]]
    flags = {
        "train-data": "::".join(shards),
        "train-num-samples": manifest["samples"]["train"],
        "dataset-type": "webdataset",
        "model": f"local-dir:{setting.folder / 'initial'}",
        "batch-size": setting.batch,
        "epochs": setting.epochs,
        "workers": setting.workers,
        "precision": "amp_bf16" if setting.device.startswith("cuda") else "fp32",
        "log-every-n-steps": setting.log_every,
        "save-frequency": 10**6,
        "logs": setting.folder / "out",
        "name": f"peer-{os.urandom(4).hex()}",
        "aug-cfg": "scale=(1.0,1.0)",  # as ours: photos as they are
    }
    if setting.device.startswith("cuda"):
        flags |= {"local-loss": "", "gather-with-grad": ""}
    command = [part for name, value in flags.items() for part in (f"--{name}", str(value)) if part]
    said = _run([sys.executable, "-m", "benchmarks.training.open_clip_program", *command], setting)
    rates = [float(rate) for _, rate in RATE.findall(said)]
    if len(rates) <= SKIPPED:
        raise RuntimeError(f"open_clip_train logged no rates:\n{said[-3000:]}")
    return statistics.median(rates[SKIPPED:])


def _run(command: list[str], setting: Setting) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": str(setting.threads), "EICLIP_DEVICE": setting.device}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed:\n{done.stderr[-3000:]}")
    return done.stdout + done.stderr
