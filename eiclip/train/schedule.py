"""Learning rates over the steps: warm-up, cosine to zero, and gates that wait."""

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from eiclip.settings.training import TrainingSettings


def warmup_cosine(steps: int, warmup: int, frozen: int = 0) -> Callable[[int], float]:
    """Factor of the learning rate at a step: 0 while frozen, then linear warm-up, then cosine to 0 at the end.

    >>> factor = warmup_cosine(steps=100, warmup=10)
    >>> [round(factor(step), 2) for step in (0, 9, 55, 99)]
    [0.1, 1.0, 0.5, 0.0]
    """

    def factor(step: int) -> float:
        if step < frozen:
            return 0.0
        rising = min(1.0, (step - frozen + 1) / max(1, warmup))
        falling = 0.5 * (1 + math.cos(math.pi * max(0, step - warmup) / max(1, steps - warmup)))
        return rising * falling

    return factor


def schedule(optimizer: Optimizer, training: TrainingSettings, steps: int) -> LambdaLR:
    """One factor a parameter group; the warm-up takes at most a tenth of the steps, gates wait for `gate_freeze`."""
    warmup = min(training.warmup_steps, steps // 10)
    frozen = {"gates": round(training.gate_freeze * steps)}
    factors = [warmup_cosine(steps, warmup, frozen.get(group["name"], 0)) for group in optimizer.param_groups]
    return LambdaLR(optimizer, factors)
