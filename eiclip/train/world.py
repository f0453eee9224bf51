"""The processes that train together: which of them this one is, and their collectives.

Shape suffixes: B this process's share of the batch, G the global batch, D embedding width.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from eiclip.system.devices import pick_device


class _Gather(torch.autograd.Function):
    """Rows of all processes; backward adds up their gradients of this one's rows (torch's own form is deprecated)."""

    @staticmethod
    def forward(ctx: Any, own_BD: Tensor, rank: int, size: int) -> Tensor:
        ctx.rank, ctx.size = rank, size
        return _all_gather(own_BD.contiguous(), size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total_GD = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total_GD)
        return total_GD.chunk(ctx.size)[ctx.rank], None, None


def _all_gather(own: Tensor, size: int) -> Tensor:
    """Concatenate the tensors of all processes, which are of one shape."""
    found = [torch.empty_like(own) for _ in range(size)]
    dist.all_gather(found, own)
    return torch.cat(found)


@dataclass(frozen=True)
class World:
    """This process's place among those of one training."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def gather(self, own_BD: Tensor) -> Tensor:
        """Rows of all processes (G, D), in their order, through which gradients flow back to each one's own."""
        if self.size == 1:
            return own_BD
        return _Gather.apply(own_BD, self.rank, self.size)

    def mean(self, values_N: Tensor) -> Tensor:
        """Mean (N,) over the processes, without a gradient."""
        if self.size == 1:
            return values_N
        total_N = values_N.detach().clone()
        dist.all_reduce(total_N)
        return total_N / self.size

    def average_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Give every process the mean of all processes' gradients, sparse ones as sparse ones, after the backward pass.

        Not DistributedDataParallel, which would overlap the two: torch 2.12 ends in a deadlock now and then when its
        reducer is the last to hold a gloo group (both want Python's lock).
        """
        if self.size == 1:
            return
        found = [(weight, weight.grad) for weight in weights if weight.grad is not None]
        dense = [gradient for _, gradient in found if not gradient.is_sparse]
        flat = torch.cat([gradient.reshape(-1) for gradient in dense])
        dist.all_reduce(flat)
        parts = (flat / self.size).split([gradient.numel() for gradient in dense])
        for gradient, part in zip(dense, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        for weight, gradient in found:
            if gradient.is_sparse:  # each process has an entry for every entity that its share holds
                entries = [gradient._indices().T.contiguous(), gradient._values() / self.size]
                indices, values = self._gather_entries(entries)
                weight.grad = torch.sparse_coo_tensor(indices.T, values, weight.shape, check_invariants=False)

    def _gather_entries(self, parts: list[Tensor]) -> list[Tensor]:
        """Concatenate all processes' tensors, whose numbers of rows may differ between processes alone."""
        counts = _all_gather(torch.tensor([len(parts[0])], device=parts[0].device), self.size).tolist()
        most = max(counts)
        padded = [nn.functional.pad(part, (0, 0, 0, most - len(part))) for part in parts]
        kept = [place * most + row for place, count in enumerate(counts) for row in range(count)]
        return [_all_gather(part.contiguous(), self.size)[kept] for part in padded]

    def of_first(self, value: float) -> float:
        """The value that the first process gives; on the CPU, so that no GPU is waited for."""
        if self.size == 1:
            return value
        found = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(found, 0)
        return found.item()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; on the CPU, so that no GPU is waited for."""
        if self.size == 1:
            return flag
        found = torch.tensor(int(flag))
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return bool(found)


ALONE = World()


@contextlib.contextmanager
def joined() -> Iterator[World]:
    """The world that torchrun describes in the environment, left at the end; without torchrun, one process."""
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    device = pick_device()
    if device == "cuda":
        device = f"cuda:{local}"
        torch.cuda.set_device(local)
    if size == 1:
        yield World(device=device)
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
