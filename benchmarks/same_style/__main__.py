"""Measure same-style retrieval against its goals; every figure is one JSON line.

python -m benchmarks.same_style                  # all figures
python -m benchmarks.same_style --quick          # the same on little data, to see that it runs
python -m benchmarks.same_style --only mining

Each part is a module of this package with `measure(*, quick, rounds, threads)`, which prints its lines.
"""

import argparse
import importlib
import os

PARTS = ("mining",)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="little data and one round: the ratios mean nothing")
    parser.add_argument("--rounds", type=int, help="runs of each side (each part's own number)")
    parser.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))), help="of each side (2)")
    arguments = parser.parse_args()
    for part in arguments.only:
        module = importlib.import_module(f"benchmarks.same_style.{part}")
        module.measure(quick=arguments.quick, rounds=arguments.rounds, threads=arguments.threads)


if __name__ == "__main__":
    main()
