"""Kill trainings and runs at 20 points drawn by a seed, run them again, and compare with runs never killed.

python -m benchmarks.crash                 # some minutes on 2 cores; a line per point, last "N of N"
python -m benchmarks.crash --seed 7        # at other steps
python -m benchmarks.crash --only checkpoint --keep /tmp/kept
"""

import argparse
import json
import re
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.crash.compare import command_of, contents, differences, processes_of
from benchmarks.crash.data import tiny_job
from benchmarks.crash.points import EPOCHS, EVERY, POINTS, VALIDATIONS, Kind, Point
from benchmarks.crash.runs import FOLDER, Runs, dagster_job, start

GONE = 15.0
"""Seconds in which all processes of a killed run must have ended."""


def main() -> None:
    """Make what is trained on, the runs never killed, then the killed ones; exit with 1 unless all are equal."""
    arguments = _arguments()
    points = [point for point in POINTS if arguments.only in point.name]
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(arguments.at_once) as pool:
        root = (arguments.keep or Path(temporary)).absolute()
        runs = {kind: Runs(kind, root / _place(kind)) for kind in dict.fromkeys(point.kind for point in points)}
        list(pool.map(lambda place: _prepare(root, place), dict.fromkeys(map(_place, runs))))
        wanted = dict(zip(runs, pool.map(lambda one: _never_killed(root, one), runs.values()), strict=True))

        def outcome(point: Point) -> bool:
            return _try(root, point, arguments.seed, runs[point.kind], wanted[point.kind])

        equal = list(pool.map(outcome, points))
    print(f"{sum(equal)} of {len(points)}")
    sys.exit(not all(equal))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the steps at which they are killed")
    parser.add_argument("--only", default="", help="points whose name holds this")
    parser.add_argument("--at-once", type=int, default=2, help="runs at a time")
    parser.add_argument("--keep", type=Path, help="do it in this new folder, and keep it")
    return parser.parse_args()


def _place(kind: Kind) -> str:
    return "prepared-home" if kind in ("step", "run") else "prepared-job"


def _prepare(root: Path, place: str) -> None:
    if place == "prepared-job":
        tiny_job(root / place, epochs=EPOCHS, validations=VALIDATIONS, checkpoint_every=EVERY)
        return
    (root / place).mkdir(parents=True)
    status = start(dagster_job("prepared"), root / place, {}).wait()
    if status:
        sys.exit(f"the small home could not be made: see {root / place / 'output'} (--keep FOLDER keeps it)")


def _never_killed(root: Path, runs: Runs) -> dict[str, str]:
    folder = runs.copy(root / f"never-killed-{runs.kind.replace(' ', '-')}")
    status = runs.run(folder)
    if status:
        sys.exit(f"the run that nobody killed failed: {(folder / 'output').read_text()[-2000:]}")
    return contents(folder)


def _try(root: Path, point: Point, seed: int, runs: Runs, wanted: dict[str, str]) -> bool:
    """Kill, run again, compare, and print what came of it."""
    began = time.monotonic()
    folder = runs.copy(root / f"point-{POINTS.index(point) + 1}")
    fuses = point.fuses(seed, folder)
    problems = []
    for fuse in fuses:
        status = runs.run(folder, fuse)
        problems += _not_killed(point, fuse.number, status, Path(fuse.mark)) + _left(folder)
    if point.kind == "run":
        runs.kill_while_training(folder)
        problems += _left(folder)
    saved = _states(folder)
    if point.kind != "step":  # a step is tried again by the run itself
        status = runs.run(folder)
        problems += [f"the run after it ended with exit status {status}"] if status else []
    problems += _left(folder) + differences(folder, wanted)
    calls = [fuse.call for fuse in fuses]
    seconds = round(time.monotonic() - began, 1)
    went_on = [int(step) for step in re.findall(r"goes on after step (\d+)", (folder / "output").read_text())]
    if saved and saved[-1] not in went_on:
        problems.append(f"there was a state after step {saved[-1]}, and nothing went on from it")
    line = {"point": point.name, "calls": calls, "went_on_after": went_on, "equal": not problems, "seconds": seconds}
    print(json.dumps(line | ({"problems": problems[:5]} if problems else {})), flush=True)
    return not problems


def _states(folder: Path) -> list[int]:
    """Steps of the states that lie in a folder; the newest last."""
    return sorted(int(state.name.removeprefix("step-")) for state in folder.rglob("*.resume/*/step-*"))


def _not_killed(point: Point, number: int, status: int, mark: Path) -> list[str]:
    """Whether the process ended otherwise than it was to."""
    if not mark.exists():
        return ["the point was never reached"]
    statuses = {signal.SIGKILL: -9, signal.SIGTERM: 143}
    expected = {"trainer": statuses[signal.Signals(number)], "two trainers": 1}.get(point.kind, 0)
    return [] if status == expected else [f"the killed run ended with exit status {status}, not {expected}"]


def _left(folder: Path) -> list[str]:
    """Processes of a run that has ended that are still there after a while."""
    deadline = time.monotonic() + GONE
    while (left := processes_of(FOLDER, str(folder))) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [f"process {process.pid} is still there: {command_of(process)}" for process in left]


if __name__ == "__main__":
    main()
