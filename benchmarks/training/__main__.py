"""Measure training against its goals; every figure is one JSON line.

python -m benchmarks.training                          # all figures on this machine's CPU, some 15 minutes on 2 cores
python -m benchmarks.training --quick                  # few steps, one round: that it runs; the ratios mean nothing
python -m benchmarks.training --only rows program
python -m benchmarks.training --card                   # on a GPU: ViT-B/32 and ViT-B/16, batch 128 and 1,024
"""

import argparse
import os

from benchmarks.training import card
from benchmarks.training.figures import FIGURES, Plan, measure
from benchmarks.training.steps import Case
from eiclip.system.devices import pick_device


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(FIGURES), default=list(FIGURES))
    parser.add_argument("--quick", action="store_true", help="few steps and one round: the ratios mean nothing")
    parser.add_argument("--rounds", type=int, help="runs of each side (5)")
    parser.add_argument("--model", default="small", help="`small`, or open_clip's name of a model")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1, help="of each side")
    parser.add_argument("--workers", type=int, default=1, help="loader processes of each side, in `program`")
    parser.add_argument("--card", action="store_true", help="the table of a GPU")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    if arguments.card:
        card.measure(rounds, quick=arguments.quick)
        return
    device = os.environ.get("EICLIP_DEVICE") or pick_device()
    steps = 2 if arguments.quick else 8
    case = Case(model=arguments.model, batch=arguments.batch, threads=arguments.threads, device=device, steps=steps)
    plan = Plan(rounds, case, workers=arguments.workers)
    measure(arguments.only, plan if not arguments.quick else Plan(1, case, products=300, epochs=3))


if __name__ == "__main__":
    main()
