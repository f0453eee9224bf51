"""What torchrun runs for an asset: `eiclip.train` with its progress sent back through Dagster Pipes by rank 0.

    python -m torch.distributed.run --standalone --nproc-per-node 1 -m pipelines.trainer JOB.json

Outside a Dagster step it trains just the same and writes its progress to standard error.
"""

import logging
import os
import sys
from pathlib import Path

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, open_dagster_pipes

from eiclip.train.__main__ import read_job, show_progress
from eiclip.train.loop import train

logger = logging.getLogger("eiclip")


def main() -> None:
    """Train the job named on the command line."""
    show_progress()
    job = read_job(Path(sys.argv[1]))
    if DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ or os.environ.get("RANK", "0") != "0":
        train(job, logger.info)
        return
    with open_dagster_pipes() as pipes:
        pipes.report_custom_message(train(job, pipes.log.info))


if __name__ == "__main__":
    main()
