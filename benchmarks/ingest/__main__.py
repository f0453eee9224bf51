"""Measure ingestion against its goals; every figure is one JSON line.

python -m benchmarks.ingest                    # all figures, some 15 minutes on 2 cores
python -m benchmarks.ingest --quick            # the same on little data, to see that it runs
python -m benchmarks.ingest --only amazon --lines 500000
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.ingest import amazon, growth, photos

FIGURES = ("photos", "amazon", "growth")


def main() -> None:
    """Make raw files, measure, print, remove them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--quick", action="store_true", help="little data and one round: the ratios mean nothing")
    parser.add_argument("--lines", type=int, help="lines of Amazon metadata (2,000,000)")
    parser.add_argument("--photos", type=int, help="products of Fashion-Gen (4,000)")
    parser.add_argument("--rounds", type=int, help="runs of each side (5)")
    parser.add_argument("--products", type=int, nargs="+", help="sizes at which growth is measured")
    parser.add_argument("--folder", type=Path, help="where raw files and results go for a while (the system's)")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    work = Path(tempfile.mkdtemp(prefix="eiclip_benchmark_", dir=arguments.folder))
    try:
        if "photos" in arguments.only:
            photos.measure(work, arguments.photos or (200 if arguments.quick else 4_000), rounds)
        if "amazon" in arguments.only:
            amazon.measure(work, arguments.lines or (20_000 if arguments.quick else 2_000_000), rounds)
        if "growth" in arguments.only:
            sizes = arguments.products or (growth.QUICK_SIZES if arguments.quick else growth.SIZES)
            growth.measure(work, sizes, plot=None if arguments.quick else growth.PLOT)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
