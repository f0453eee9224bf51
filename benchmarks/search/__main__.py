"""Measure search against its goals; every figure is one JSON line.

    python -m benchmarks.search                                  # what the home of EICLIP_HOME can answer, and speed
    python -m benchmarks.search --home DIR DIR --only judged
    python -m benchmarks.search --only speed --quick             # on little data, to see that it runs

`judged`: judged queries of each dataset with a served model, hybrid search beside words and vectors alone.
`same_style`: products as queries, hybrid search beside each single score, with texts as they are and without colours.
`rerank`: milliseconds of an answer with its first products re-ranked and without, where a home has `eiclip_rerank`.
`speed`: time to a hybrid answer among 20,000 products, and among a million made of them by repetition with noise.
`page`: answers over HTTP, of a model of ViT-B-32's size, to one user and to several at once.
"""

import argparse
import importlib
import os
from pathlib import Path

OF_HOMES, OF_SPEED = ("judged", "same_style", "rerank"), ("speed", "page")


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = Path(os.environ.get("EICLIP_HOME", "data"))
    parser.add_argument("--home", nargs="+", type=Path, default=[home], help="homes with trained models (EICLIP_HOME)")
    parser.add_argument("--only", nargs="+", choices=(*OF_HOMES, *OF_SPEED), default=[*OF_HOMES, *OF_SPEED])
    parser.add_argument("--quick", action="store_true", help="little data: the figures mean nothing")
    parser.add_argument("--rounds", type=int, help="runs of each side (each part's own number)")
    parser.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))), help="of each side (2)")
    given = parser.parse_args()
    for part in given.only:
        module = importlib.import_module(f"benchmarks.search.{part}")
        if part in OF_HOMES:
            module.measure(given.home, quick=given.quick)
        else:
            module.measure(quick=given.quick, rounds=given.rounds, threads=given.threads)


if __name__ == "__main__":
    main()
