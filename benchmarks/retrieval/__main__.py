"""Measure ranking and the report against their goals; every figure is one JSON line.

python -m benchmarks.retrieval                 # all figures, some 10 minutes on 2 cores, 8 GiB
python -m benchmarks.retrieval --quick         # the same on few items, to see that it runs
python -m benchmarks.retrieval --only bare memory
"""

import argparse
import os
from pathlib import Path

from benchmarks.retrieval import ranking, report

FIGURES = ("bare", "memory", "naive", "faiss", "report")
PHOTOS, PRODUCTS = 32_528, 7_519
"""Fashion-Gen's test set."""


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--quick", action="store_true", help="few items and one round: the ratios mean nothing")
    parser.add_argument("--rounds", type=int, help="runs of each side (5)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each side (all)")
    home = Path(os.environ.get("EICLIP_HOME", "data"))
    parser.add_argument("--home", type=Path, default=home, help="whose report to write (EICLIP_HOME)")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    photos, products = (400, 100) if arguments.quick else (PHOTOS, PRODUCTS)
    ranking.measure(arguments.only, photos, products, rounds, arguments.threads)
    if "report" in arguments.only:
        report.measure(arguments.home, rounds)


if __name__ == "__main__":
    main()
