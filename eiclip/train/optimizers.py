"""The optimizers of a model, their schedules and the scaler: one thing that steps, and that is saved and restored."""

from typing import Any

import torch
from torch import Tensor, nn

from eiclip.model.entity_clip import EntityClipModel
from eiclip.settings.training import HardwareSettings, TrainingSettings
from eiclip.train.schedule import schedule
from eiclip.train.world import ALONE, World


class Optimizers:
    """AdamW over all weights; with `sparse_entities` a lazy Adam over the entity tables beside it.

    Decoupled decay: Adam's own would shrink every token that a batch lacks by a whole learning rate a step. The lazy
    Adam has none.

    Args:
        model: on its device already.
        steps: of the whole training, for the schedules.
        device: where fp16's loss scaling takes place.
    """

    def __init__(
        self, model: EntityClipModel, training: TrainingSettings, hardware: HardwareSettings, steps: int, device: str
    ) -> None:
        groups, tables = model.parameter_groups(training), []
        if hardware.sparse_entities and model.fusion is not None:
            tables = [encoder.sparse_table() for encoder in model.fusion.encoders]  # type: ignore[operator]
            groups = [_without(group, tables) for group in groups]
        self.each: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, weight_decay=training.weight_decay, fused=hardware.fused_optimizer)
        ]
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
        """One step down the gradient of the loss, in the mean over the processes."""
        for optimizer in self.each:
            optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        world.average_gradients(
            weight for each in self.each for group in each.param_groups for weight in group["params"]
        )
        for optimizer in self.each:
            self.scaler.step(optimizer)
        self.scaler.update()
        for each in self.schedules:
            each.step()

    def tensors(self) -> dict[str, Tensor]:
        """Moments and counts by optimizer, number of the weight, and name."""
        return {
            f"{place}.{number}.{name}": value
            for place, optimizer in enumerate(self.each)
            for number, kept in optimizer.state_dict()["state"].items()
            for name, value in kept.items()
            if isinstance(value, Tensor)
        }

    def numbers(self) -> dict[str, Any]:
        """Everything else of the state, JSON-able."""
        states = [optimizer.state_dict() for optimizer in self.each]
        return {
            "states": [{number: _no_tensors(kept) for number, kept in state["state"].items()} for state in states],
            "groups": [state["param_groups"] for state in states],
            "schedules": [each.state_dict() | {"lr_lambdas": None} for each in self.schedules],
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Take up a state that `tensors` and `numbers` gave."""
        for place, optimizer in enumerate(self.each):
            state: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in numbers["states"][place].items()}
            for key, value in tensors.items():
                owner, number, name = key.split(".", 2)
                if int(owner) == place:
                    state.setdefault(int(number), {})[name] = value
            optimizer.load_state_dict({"state": state, "param_groups": numbers["groups"][place]})
            _laid_out_as_weights(optimizer)
        for each, known in zip(self.schedules, numbers["schedules"], strict=True):
            each.load_state_dict(known | {"lr_lambdas": [None] * len(each.lr_lambdas)})
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(numbers["scaler"])


def _no_tensors(kept: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if not isinstance(value, Tensor)}


def _without(group: dict[str, Any], left_out: list[nn.Parameter]) -> dict[str, Any]:
    known = {id(parameter) for parameter in left_out}
    return group | {"params": [parameter for parameter in group["params"] if id(parameter) not in known]}


def _laid_out_as_weights(optimizer: torch.optim.Optimizer) -> None:
    """Moments in their weight's memory format: files hold them contiguous, fused kernels want both alike."""
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and parameter.dim() == 4:
                kept[name] = torch.empty_like(parameter).copy_(value)
