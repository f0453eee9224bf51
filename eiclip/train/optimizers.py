"""The optimizers of a model, their learning rates over the steps, and the scaler of fp16's loss."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from eiclip.model.entity_clip import EntityClipModel
from eiclip.settings.training import HardwareSettings, TrainingSettings
from eiclip.train.world import ALONE, World


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


class Optimizers:
    """AdamW over all weights; with `sparse_entities` a lazy Adam, without decay, over the entity tables beside it.

    Decoupled decay: Adam's own would shrink every token that a batch lacks by a whole learning rate a step.

    Args:
        model: on its device already.
        steps: of the whole training, for the schedules.
        device: where fp16's loss scaling takes place.
    """

    def __init__(
        self, model: EntityClipModel, training: TrainingSettings, hardware: HardwareSettings, steps: int, device: str
    ) -> None:
        groups, tables = model.parameter_groups(training), []
        if hardware.sparse_entities and model.fusion is not None and model.cross is None:
            tables = [encoder.sparse_table() for encoder in model.fusion.encoders]  # type: ignore[operator]
            for group in groups:
                group["params"] = [weight for weight in group["params"] if all(weight is not table for table in tables)]
        decay, fused = training.weight_decay, hardware.fused_optimizer
        self.each: list[Optimizer] = [torch.optim.AdamW(groups, weight_decay=decay, fused=fused)]
        if tables:
            lazy = [{"name": "tables", "params": tables, "lr": training.entity_lr}]
            self.each.append(torch.optim.SparseAdam(lazy))
        self.schedules = [schedule(optimizer, training, max(1, steps)) for optimizer in self.each]
        self.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=hardware.precision == "fp16")

    @property
    def rates(self) -> dict[str, float]:
        """Learning rate by group, of the step to come."""
        return {group["name"]: group["lr"] for optimizer in self.each for group in optimizer.param_groups}

    def step(self, loss: Tensor, world: World = ALONE) -> None:
        """Take a step down the gradient of the loss, averaged over the processes."""
        for optimizer in self.each:
            optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        groups = [group for optimizer in self.each for group in optimizer.param_groups]
        world.average_gradients(weight for group in groups for weight in group["params"])
        for optimizer in self.each:
            self.scaler.step(optimizer)
        self.scaler.update()
        for each in self.schedules:
            each.step()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Moments and counts by optimizer, number of the weight, and name; and everything else, JSON-able."""
        tensors: dict[str, Tensor] = {}
        states = [optimizer.state_dict() for optimizer in self.each]
        for place, state in enumerate(states):
            for number, kept in state["state"].items():
                tensors |= {f"{place}.{number}.{name}": v for name, v in kept.items() if isinstance(v, Tensor)}
                state["state"][number] = {name: v for name, v in kept.items() if not isinstance(v, Tensor)}
        return tensors, {
            "states": [state["state"] for state in states],
            "groups": [state["param_groups"] for state in states],
            "schedules": [each.state_dict() for each in self.schedules],
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Restore what `state` gave."""
        for place, optimizer in enumerate(self.each):
            state: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in numbers["states"][place].items()}
            for key, value in tensors.items():
                owner, number, name = key.split(".", 2)
                if int(owner) == place:
                    state.setdefault(int(number), {})[name] = value
            optimizer.load_state_dict({"state": state, "param_groups": numbers["groups"][place]})
            # Moments in their weight's memory format: files hold them contiguous, fused kernels want both alike.
            for weight, kept in optimizer.state.items():
                for name, value in kept.items():
                    if isinstance(value, Tensor) and value.shape == weight.shape and weight.dim() == 4:
                        kept[name] = torch.empty_like(weight).copy_(value)
        for each, known in zip(self.schedules, numbers["schedules"], strict=True):
            each.load_state_dict(known)
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(numbers["scaler"])
