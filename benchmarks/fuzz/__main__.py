"""Draw, write, ingest and judge every case; a table of the classes, and in the last line how many passed."""

import argparse
import os
import queue
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.case import FuzzClass, Plan
from benchmarks.fuzz.classes import CLASSES
from benchmarks.fuzz.datasets import make_folders
from benchmarks.fuzz.host import MEBIBYTES, SECONDS, Host, Outcome
from benchmarks.fuzz.judge import faults, quarantined

HEADER = "class                  cases passed accepted refused quarantined worst s    MiB"


@dataclass(frozen=True)
class Verdict:
    """How one case ended."""

    plan: Plan
    outcome: Outcome
    faults: list[str]
    quarantined: int


def run_case(kind: FuzzClass, plan: Plan, root: Path, host: Host) -> Verdict:
    """Write a plan's files below `root` and ingest them; they are kept only where the case fails."""
    make_folders(root)
    case = kind.write(root, plan)
    outcome = host.run(root, case.dataset)
    found = faults(root, case, outcome)
    verdict = Verdict(plan, outcome, found, quarantined(root) if outcome.status == "done" else 0)
    if not found:
        shutil.rmtree(root)
    return verdict


class Hosts:
    """A host for every thread that asks."""

    def __init__(self, count: int) -> None:
        self._free: queue.Queue[Host] = queue.Queue()
        for _ in range(count):
            self._free.put(Host())
        self.count = count

    def run(self, kind: FuzzClass, plans: list[Plan], folder: Path) -> list[Verdict]:
        """Run a class's cases, as many at once as there are hosts."""

        def one(number: int, plan: Plan) -> Verdict:
            host = self._free.get()
            try:
                return run_case(kind, plan, _place(folder, kind, number), host)
            finally:
                self._free.put(host)

        with ThreadPoolExecutor(self.count) as pool:
            return list(pool.map(one, range(len(plans)), plans))

    def close(self) -> None:
        """End the processes."""
        while not self._free.empty():
            self._free.get().close()


def _place(folder: Path, kind: FuzzClass, number: int) -> Path:
    return folder / f"{kind.name.replace(' ', '-')}-{number:03d}"


def summary(name: str, verdicts: list[Verdict]) -> str:
    """A line of the table."""
    statuses = [verdict.outcome.status for verdict in verdicts]
    passed = sum(not verdict.faults for verdict in verdicts)
    rows = sum(verdict.quarantined for verdict in verdicts)
    seconds = max((verdict.outcome.seconds for verdict in verdicts), default=0)
    mebibytes = max((verdict.outcome.mebibytes for verdict in verdicts), default=0)
    return (
        f"{name:22} {len(verdicts):5} {passed:6} {statuses.count('done'):8} {statuses.count('refused'):7} "
        f"{rows:11,} {seconds:7.1f} {mebibytes:6,}"
    )


def _tell(kind: FuzzClass, number: int, verdict: Verdict, folder: Path) -> None:
    print(f"FAILED {kind.name} {number}: {str(verdict.plan)[:600]}")
    for fault in verdict.faults[:3]:
        print(f"    {fault[:3000]}")
    print(f"    kept: {_place(folder, kind, number)}")


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit status: 1 unless every case passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20, help="of each class (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of Hypothesis: the same seed, the same cases")
    parser.add_argument("--only", nargs="*", default=[], help="classes whose names hold one of these words")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="eiclip-fuzz-"))
    chosen = [kind for kind in CLASSES if not options.only or any(word in kind.name for word in options.only)]
    print(f"seed {options.seed}; each case within {SECONDS:.0f} s and {MEBIBYTES:,} MiB")
    print(HEADER)
    begin, cases, passed = time.monotonic(), 0, 0
    hosts = Hosts(options.processes)
    for kind in chosen:
        verdicts = hosts.run(kind, kind.draw(options.cases, options.seed), folder)
        cases, passed = cases + len(verdicts), passed + sum(not verdict.faults for verdict in verdicts)
        print(summary(kind.name, verdicts), flush=True)
        for number, verdict in enumerate(verdicts):
            if verdict.faults:
                _tell(kind, number, verdict, folder)
    hosts.close()
    if passed == cases:
        shutil.rmtree(folder)
    print(f"{len(chosen)} classes in {time.monotonic() - begin:.0f} s")
    print(f"{passed} of {cases}")
    return 0 if cases and passed == cases else 1


if __name__ == "__main__":
    sys.exit(main())
