"""How trainings are run: in processes of their own, whose log and facts come back through Dagster Pipes."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import dagster as dg

from eiclip.errors import NonFiniteError
from eiclip.storage.files import write_json
from eiclip.train.job import TrainJob
from eiclip.train.key import training_code

END = 13.0
"""Seconds in which `pipelines.launch` ends a trainer and all that is below it, and a little more."""


StepContext: TypeAlias = dg.AssetExecutionContext | dg.OpExecutionContext


class TrainerFailedError(Exception):
    """The trainer ended with an exit status other than 0; `messages` are those it had sent."""

    def __init__(self, status: int, messages: Sequence[Any]) -> None:
        super().__init__(f"the trainer ended with exit status {status}")
        self.messages = messages


class DivergedError(dg.Failure, NonFiniteError):
    """A training whose numbers are no longer finite: fails its step, unless what trains has another one to try."""


class TrainerClient(dg.PipesSubprocessClient):
    """Dagster's client of subprocesses, which ends them by SIGTERM and keeps the messages of one that failed."""

    def train(self, context: StepContext, job: TrainJob, path: Path) -> dict[str, Any]:
        """Run a training from the job file `path`, which is written here; returns the trainer's facts.

        Raises:
            DivergedError: its numbers are no longer finite.
            dg.Failure: the trainer refused its job, and says why (another try would end the same), or it ended
                without reporting an error (a retry policy may try again).
        """
        write_json(path, job.model_copy(update={"code": training_code().digest}).model_dump(mode="json"))
        # Threads that wait for each other must not spin for long: beside another step's work that halves their speed.
        threads = {"OMP_NUM_THREADS": str(job.threads), "GOMP_SPINCOUNT": "1000", "TORCH_CPP_LOG_LEVEL": "ERROR"}
        try:
            command = self.command(job, path)
            messages = self.run(command=command, context=context, env=threads).get_custom_messages()
        except TrainerFailedError as error:
            messages = error.messages
        facts: dict[str, Any] = messages[-1] if messages else {}
        if "error" in facts:
            raise (DivergedError if facts.get("diverged") else dg.Failure)(facts["error"], allow_retries=False)
        if not facts:
            raise dg.Failure(
                f"{job.dataset}/{job.variant}: the trainer was killed, or failed where no error was foreseen: see its "
                "output. What it had saved is kept, and the next try goes on from there"
            )
        return facts

    def command(self, job: TrainJob, path: Path) -> list[str]:
        """torchrun for a job file, behind a launcher that ties its life to that of this process."""
        launcher = [sys.executable, "-m", "pipelines.launch", str(os.getpid())]
        torchrun = [sys.executable, "-m", "pipelines.torchrun", "--standalone"]
        return [*launcher, *torchrun, "--nproc-per-node", str(processes(job)), "-m", "pipelines.trainer", str(path)]

    def run(  # type: ignore[override]  # no extras, no folder: nobody needs them
        self, *, context: StepContext, command: Sequence[str], env: Mapping[str, str]
    ) -> dg.PipesClientCompletedInvocation:
        """Run the command to its end.

        Raises:
            TrainerFailedError: its exit status was not 0.
            DagsterExecutionInterruptedError: the step was interrupted, and the command with it.
        """
        with dg.open_pipes_session(
            context=context, context_injector=self.context_injector, message_reader=self.message_reader
        ) as session:
            process = subprocess.Popen(command, env={**os.environ, **env, **session.get_bootstrap_env_vars()})
            try:
                status = process.wait()
            except dg.DagsterExecutionInterruptedError:
                _end(process)
                context.log.info("interrupted: the trainer was asked to save its state, and has ended")
                raise
        if status:
            raise TrainerFailedError(status, session.get_custom_messages())
        return dg.PipesClientCompletedInvocation(session)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the launcher to end the command; an interruption that comes twice (Ctrl-C does) is one."""
    process.terminate()
    deadline = time.monotonic() + END
    while process.returncode is None:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except dg.DagsterExecutionInterruptedError:
            continue
        except subprocess.TimeoutExpired:
            process.kill()


def processes(job: TrainJob) -> int:
    """How many processes train a job: what its settings say, else one for each GPU, else one."""
    device = os.environ.get("EICLIP_DEVICE") or "cuda"
    if job.hardware.processes or device != "cuda":
        return job.hardware.processes or 1
    import torch

    return max(1, torch.cuda.device_count())
