"""Measure the loader against its goals; every figure is one JSON line.

python -m benchmarks.loader                 # all figures, some 10 minutes on 2 cores
python -m benchmarks.loader --quick         # the same on few photos, to see that it runs
python -m benchmarks.loader --only flips
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.loader import data, flips, speed

FIGURES = ("bare", "plain", "start", "flips")
PHOTOS = 2560


def main() -> None:
    """Make the photos, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--quick", action="store_true", help="few photos and one round: the ratios mean nothing")
    parser.add_argument("--rounds", type=int, help="runs of each side (5)")
    parser.add_argument("--folder", type=Path, help="where the photos lie meanwhile (the system's temporary folder)")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    photos = 2 * speed.BATCH if arguments.quick else PHOTOS
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        data.make(Path(folder), photos)
        speed.measure(arguments.only, Path(folder), rounds)
        if "flips" in arguments.only:
            flips.measure(Path(folder) / "shards")


if __name__ == "__main__":
    main()
