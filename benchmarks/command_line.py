"""Measure `eiclip` as a process beside a bare `python -c "import torch"`; every figure is one JSON line.

python -m benchmarks.command_line --home data --dataset fashiongen      # some 2 minutes on 2 cores

The caches on disk are warm: one search has been made. `CPU` is the process's own, all threads; on a machine with other
work it says more than the wall time.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import line, median, say
from eiclip.search import Query, SearchEngine
from eiclip.search.sources import trained_variants
from eiclip.storage.home import Paths

ANSWER_S = 2.0
TEXT = "golden goose leather sneaker in white"
EICLIP = (sys.executable, "-c", "import sys, pipelines.cli; sys.exit(pipelines.cli.main())")


def commands(where: Sequence[str], product_id: str) -> dict[str, tuple[str, ...]]:
    """What is measured, by name; a word that no query had before makes a text new."""
    search = (*EICLIP, "search", *where)
    new = f"{TEXT} {uuid.uuid4().hex[:8]}"
    return {
        "import torch": (sys.executable, "-c", "import torch"),
        "an error": (*search, "--text", TEXT, "--variant", "nope"),
        "like a product": (*search, "--like", product_id),
        "words asked before, other filters": (*search, "--text", TEXT, "--filter", "brand=golden goose"),
        "new words": (*search, "--text", new),
    }


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a process and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Traceback" not in done.stderr, done.stderr
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = Path(os.environ.get("EICLIP_HOME", "data"))
    parser.add_argument("--home", type=Path, default=home, help="whose models and products (EICLIP_HOME)")
    parser.add_argument("--dataset", help="of the home (the first)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command (5)")
    given = parser.parse_args()
    trained = trained_variants(Paths(given.home))
    dataset = given.dataset or next(iter(trained))
    variant = trained[dataset][0]
    engine = SearchEngine.open(given.home, dataset, variant, keep=True)
    engine.search(Query(text=TEXT))
    where = ("--home", str(given.home), "--dataset", dataset)
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(given.rounds):  # by turns, so that what else the machine does falls on all alike
        for name, command in commands(where, engine.index.product_ids[0]).items():
            found.setdefault(name, []).append(timed(command))
    wall = {name: median([run[0] for run in runs]) for name, runs in found.items()}
    cpu = {name: median([run[1] for run in runs]) for name, runs in found.items()}
    for name in wall:
        note = f"CPU {cpu[name]} s, of a bare import torch {cpu['import torch']} s (wall {wall['import torch']} s); "
        note += f"{len(engine.index):,} products of {dataset} by {variant}; peer: the goal"
        named = name if name == "import torch" else f"eiclip search, {name}"
        say(line(f"{named} (s)", wall[name], ANSWER_S, 1.0, at_most=True, note=note))


if __name__ == "__main__":
    main()
