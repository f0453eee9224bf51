"""Loss and gradients of jobs' first batches, as a program for torchrun; the first process writes them.

python -m torch.distributed.run --nproc-per-node 2 tests/train/gradients.py JOB.json... : JOB.safetensors beside each
"""

import sys
from pathlib import Path

from safetensors.torch import save_file

from eiclip.system.devices import use_threads
from eiclip.train.__main__ import read_job
from eiclip.train.loop import start
from eiclip.train.objective import objective
from eiclip.train.world import joined


def write_gradients(jobs: list[Path], ending: str) -> None:
    """Write loss and gradients of the jobs' first batches, those of all processes together."""
    with joined() as world:
        use_threads(1)
        for path in jobs:
            job = read_job(path)
            run = start(job, world, lambda _: None)
            loss = objective(run.encoder, next(run.loader.epoch(0)), job, world).loss
            loss.backward()
            world.average_gradients(run.model.parameters())
            found = {name: p.grad.to_dense() for name, p in run.model.named_parameters() if p.grad is not None}
            found["loss"] = world.mean(loss.detach()[None])
            if world.first:
                save_file(found, path.with_suffix(ending))


if __name__ == "__main__":
    write_gradients([Path(path) for path in sys.argv[1:]], ".two")
