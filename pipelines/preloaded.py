"""Imported by the process that steps are forked from, and nowhere else: a step ends when its run does.

Dagster ends the steps of a run that ends by itself or is told to; those of one that is killed would go on, unseen, and
the process they are forked from with them. So each step watches for the end of its run's process, and of the one it
was forked from; then it gets SIGTERM, as if its run had been told to end.
"""

import multiprocessing
import os
import signal
import threading
import time

from eiclip.system.processes import die_with_parent

SERVER = os.getpid()


def _tie() -> None:
    if os.getppid() == SERVER:  # a step; what a step forks is its own business
        die_with_parent(signal.SIGTERM, SERVER)
        threading.Thread(target=_watch, name="end-of-run", daemon=True).start()


def _watch() -> None:
    while (run := multiprocessing.parent_process()) is None:  # it is known a moment after the fork
        time.sleep(0.05)
    run.join()
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


os.register_at_fork(after_in_child=_tie)
