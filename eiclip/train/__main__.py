"""Train one variant from a job file, by itself or under torchrun.

    python -m eiclip.train data/jobs/fashiongen-eiclip.json
    python -m eiclip.train data/jobs/fashiongen-eiclip.json --output /tmp/mine --epochs 6 --seed 1

The job files are what the pipeline itself writes and runs; each names its shards, its vocabulary and its settings.
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from eiclip.errors import EiclipError, SettingsError
from eiclip.settings.training import LENGTHS, TrainingSettings, layered
from eiclip.system.memory import keep_freed_memory, return_freed_memory
from eiclip.system.processes import die_with_parent
from eiclip.train.job import TrainJob
from eiclip.train.loop import train
from eiclip.train.stopping import StoppedError

logger = logging.getLogger("eiclip")


def read_job(path: Path) -> TrainJob:
    """Read a job file; SettingsError says what is wrong in it, or that it is missing."""
    try:
        return TrainJob.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise SettingsError(f"{path}: not a training job: {error}") from error


def arrange_memory(job: TrainJob) -> None:
    """Keep freed memory for the next step, or return it where chunks are to need little; before there are threads."""
    if job.hardware.chunk_size is None:
        keep_freed_memory()
    else:
        return_freed_memory()


def show_progress() -> None:
    """Write this library's progress to standard error, without the libraries' below it."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("eiclip").setLevel(logging.INFO)


def main() -> None:
    """Read the job, apply the flags, train, print the facts as JSON; 128 + N where signal N has stopped it."""
    if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun is the parent: without it, nobody waits for this process
        die_with_parent()
    show_progress()
    parser = argparse.ArgumentParser("python -m eiclip.train", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("job", type=Path, help="job file (JSON)")
    parser.add_argument("--output", type=Path, help="write the checkpoint folder here instead")
    for flag in ("seed", "epochs", "steps", "batch-size"):
        parser.add_argument(f"--{flag}", type=int, help="in place of the job's")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    try:
        job = read_job(given.pop("job"))
        arrange_memory(job)
        changes = {name: given.pop(name) for name in {*LENGTHS, "batch_size"} & given.keys()}
        training = TrainingSettings.model_validate(layered(job.training.model_dump(), changes))
        # By hand the code may be another by now than when the job was written.
        facts = train(job.model_copy(update=given | {"training": training, "code": ""}))
    except StoppedError as stopped:
        logger.warning("%s", stopped)
        sys.exit(128 + stopped.number)
    except (EiclipError, ValidationError) as error:
        sys.exit(f"error: {error}")
    if facts:  # the first process's
        print(json.dumps(facts, indent=2))  # noqa: T201 - the result, on standard output


if __name__ == "__main__":
    main()
