"""Choose learning rates on the validation split: every trained row gets the same grid, so that none is tuned harder.

    python -m benchmarks.tune                          # after `make full_eval`, below EICLIP_HOME/tune
    python -m benchmarks.tune --dataset fashiongen --tower-lr 5e-4 1e-3 2e-3

The test split is not read. Rows 4 and 5 are also run with other entity rates, row 3 also with its entities last.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from eiclip.model.variants import VARIANTS
from eiclip.settings.load import load_settings
from eiclip.storage.files import write_json
from eiclip.storage.home import Paths
from eiclip.train.__main__ import read_job
from eiclip.train.job import TrainJob

TRAINED = [variant.name for variant in VARIANTS.values() if variant.trained]


def trials(home: Paths, dataset: str, variants: list[str], tower_lrs: list[float]) -> list[tuple[str, TrainJob]]:
    """Every training to run: a label and a job, whose output lies below `HOME/tune`."""
    found: list[tuple[str, dict[str, Any]]] = []
    for variant in variants:
        job = read_job(home.job(dataset, variant))
        for rate in tower_lrs:
            found.append((variant, {"tower_lr": rate}))
        best = tower_lrs[len(tower_lrs) // 2]
        if variant == "clip_entities_text":
            found.append((variant, {"tower_lr": best, "entities_first": False}))
        if variant == "eiclip_equal":
            found.append((variant, {"tower_lr": best, "equal_weight": None}))
        if variant == "eiclip":
            found += [(variant, {"tower_lr": best, "entity_lr": job.training.entity_lr * f}) for f in (0.5, 2)]
    return [_trial(home, dataset, number, *one) for number, one in enumerate(found)]


def _trial(home: Paths, dataset: str, number: int, variant: str, changes: dict[str, Any]) -> tuple[str, TrainJob]:
    job = read_job(home.job(dataset, variant))
    output = home.root / "tune" / dataset / f"{number:02d}-{variant}"
    training = job.training.model_copy(update=changes)
    label = ", ".join(f"{name} {value}" for name, value in changes.items())
    return f"{variant}: {label}", job.model_copy(update={"output": output, "training": training})


def run(job: TrainJob) -> dict[str, Any]:
    """Train in a process of its own; returns the facts it prints."""
    path = job.output.with_suffix(".json")
    write_json(path, job.model_dump(mode="json"))
    command = [sys.executable, "-m", "eiclip.train", str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": str(job.threads)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def main() -> None:
    """Run the grid, two at a time, and print a Markdown table of validation recalls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="fashiongen")
    parser.add_argument("--tower-lr", type=float, nargs="+", default=[5e-4, 1e-3, 2e-3])
    parser.add_argument("--variants", nargs="+", default=TRAINED, choices=TRAINED)
    arguments = parser.parse_args()
    home = Paths(Path(load_settings().home))
    jobs = trials(home, arguments.dataset, arguments.variants, arguments.tower_lr)
    print("| trial | I2T R@1 | T2I R@1 | SumR (validation) |\n|---|---|---|---|")
    with ThreadPoolExecutor(max_workers=2) as pool:
        for (label, _), facts in zip(jobs, pool.map(run, [job for _, job in jobs]), strict=True):
            recalls = facts["validation"]
            print(f"| {label} | {recalls['i2t_r1']} | {recalls['t2i_r1']} | {recalls['sum_r']} |", flush=True)


if __name__ == "__main__":
    main()
