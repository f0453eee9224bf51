"""The step of `steps.py` shared by several processes: `torchrun ... -m benchmarks.training.together CASE.json`."""

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.training import steps
from benchmarks.training.steps import Case
from eiclip.settings.training import HardwareSettings
from eiclip.system.devices import use_threads
from eiclip.train.world import joined


def seconds(case: Case, processes: int) -> float:
    """Median seconds of a step of the global batch `case.batch`, shared by so many processes of `case.threads`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.json"
        described = dataclasses.asdict(case) | {"hardware": case.hardware.model_dump()}
        path.write_text(json.dumps(described))
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [*torchrun, "-m", "benchmarks.training.together", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"torchrun failed:\n{done.stderr[-3000:]}")
    return float(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Time the steps, print the first process's median."""
    known = json.loads(Path(sys.argv[1]).read_text())
    known["hardware"] = HardwareSettings.model_validate(known["hardware"])
    known["entities"] = tuple(map(tuple, known["entities"]))
    whole = Case(**known)
    with joined() as world:
        use_threads(whole.threads)
        case = dataclasses.replace(whole, batch=whole.batch // world.size, device=world.device)
        model, encoder, optimizers, batch = steps.built(case)
        found = []
        for _ in range(whole.steps + 2):
            begin = time.perf_counter()
            encoded = encoder(*batch)
            gather = world.gather if world.size > 1 else None
            terms = model.loss(encoded.image_BD, encoded.text, encoded.scale, gather, world.rank * case.batch)
            optimizers.step(terms.total(model.loss_terms), world)
            world.any(False)
            found.append(time.perf_counter() - begin)
        if world.first:
            print(statistics.median(found[2:]), flush=True)


if __name__ == "__main__":
    main()
