"""torchrun, which a signal ends without a stack trace.

    python -m pipelines.torchrun --standalone --nproc-per-node 1 -m pipelines.trainer JOB.json

A signal is how a run is cancelled, and the trainers themselves say in a line what became of their state. One that
fails has said why, too: torchrun's summary would only say that it has.
"""

import logging
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run


def main() -> None:
    """Run torchrun; the exit status is that of the trainer that failed first, 128 + N where signal N has ended it."""
    logging.getLogger("torch.distributed.elastic").setLevel(logging.ERROR)
    try:
        run(parse_args(sys.argv[1:]))
    except SignalException as error:
        sys.exit(128 + error.sigval)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        sys.exit(failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode)


if __name__ == "__main__":
    main()
