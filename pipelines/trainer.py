"""What torchrun runs for an asset: `eiclip.train` with its progress sent back through Dagster Pipes by rank 0.

    python -m pipelines.torchrun --standalone --nproc-per-node 1 -m pipelines.trainer JOB.json

Outside a Dagster step it trains just the same and writes its progress to standard error. It exits with 128 + N where
signal N has stopped it (its state is saved), with 1 on an error; what the error says goes to standard error and, as the
message {"error": ..., "diverged": ...}, through Pipes.
"""

import contextlib
import logging
import os
import sys
from pathlib import Path

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, PipesContext, open_dagster_pipes

from eiclip.errors import EiclipError, NonFiniteError
from eiclip.system.processes import die_with_parent

logger = logging.getLogger("eiclip")


def main() -> None:
    """Train the job named on the command line."""
    if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun is the parent: without it, nobody waits for this process
        die_with_parent()
    reports = DAGSTER_PIPES_CONTEXT_ENV_VAR in os.environ and os.environ.get("RANK", "0") == "0"
    with open_dagster_pipes() if reports else contextlib.nullcontext() as pipes:
        status = _train(Path(sys.argv[1]), pipes)
    sys.exit(status)


def _train(path: Path, pipes: PipesContext | None) -> int:
    """Train and report; the exit status."""
    # Here, not above: torch takes seconds to import, and the tie to the parent comes first.
    from eiclip.train.__main__ import arrange_memory, read_job, show_progress
    from eiclip.train.loop import train
    from eiclip.train.stopping import StoppedError

    show_progress()
    try:
        job = read_job(path)
        arrange_memory(job)
        facts = train(job, pipes.log.info if pipes else logger.info)
    except StoppedError as stopped:
        logger.warning("%s", stopped)
        return 128 + stopped.number
    except EiclipError as error:
        logger.error("error: %s", error)
        if pipes:
            pipes.report_custom_message({"error": str(error), "diverged": isinstance(error, NonFiniteError)})
        return 1
    if pipes:
        pipes.report_custom_message(facts)
    return 0


if __name__ == "__main__":
    main()
