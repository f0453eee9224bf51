"""`dagster dev`, which SIGTERM ends: `python -m pipelines.ui --port 3000`.

Dagster does on SIGTERM what it does on SIGINT, and a shell starts the background processes of a script with SIGINT
ignored: nothing but SIGKILL would end it, and its servers would stay.
"""

import os
import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp("dagster", ["dagster", "dev", "--host", "127.0.0.1", *sys.argv[1:]])  # noqa: S606 - no shell
