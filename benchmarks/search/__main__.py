"""Measure search against its goals; every figure is one JSON line.

    python -m benchmarks.search                                  # what the home of EICLIP_HOME can answer, and speed
    python -m benchmarks.search --home DIR DIR --only judged
    python -m benchmarks.search --only speed --quick             # on little data, to see that it runs

`judged`: judged queries of each dataset with a served model, hybrid search beside words and vectors alone.
`same_style`: products as queries, hybrid search beside each single score, with texts as they are and without colours.
`speed`: time to an answer of 20,000 and of a million products made by repetition, and over HTTP.
"""

import argparse
import importlib
import os
from pathlib import Path

PARTS = ("judged", "same_style", "speed")


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = Path(os.environ.get("EICLIP_HOME", "data"))
    parser.add_argument("--home", nargs="+", type=Path, default=[home], help="homes with trained models (EICLIP_HOME)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="little data: the figures mean nothing")
    given = parser.parse_args()
    for part in given.only:
        importlib.import_module(f"benchmarks.search.{part}").measure(given.home, quick=given.quick)


if __name__ == "__main__":
    main()
