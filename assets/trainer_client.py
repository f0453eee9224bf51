"""The Pipes client that trainers are run with: what they have said is known even when they fail."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

END = 13.0
"""Seconds in which `pipelines.launch` ends a trainer and all that is below it, and a little more."""


class TrainerFailedError(Exception):
    """The trainer ended with an exit status other than 0; `messages` are those it had sent."""

    def __init__(self, status: int, messages: Sequence[Any]) -> None:
        super().__init__(f"the trainer ended with exit status {status}")
        self.messages = messages


class TrainerClient(dg.PipesSubprocessClient):
    """Dagster's client of subprocesses, with another end: SIGTERM, and the messages of a process that failed."""

    def run(  # type: ignore[override]  # no extras, no folder: nobody needs them
        self,
        *,
        context: dg.AssetExecutionContext | dg.OpExecutionContext,
        command: Sequence[str],
        env: Mapping[str, str],
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
                context.log.info("interrupted: the trainer was told to save its state, and has ended")
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
