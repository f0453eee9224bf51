"""Which device work runs on, with how many threads, and in which precision."""

import contextlib
import os
from contextlib import AbstractContextManager

import torch


def pick_device() -> str:
    """`cuda` where a GPU can be used, else `cpu`; `EICLIP_DEVICE` overrides."""
    return os.environ.get("EICLIP_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")


def use_threads(count: int) -> None:
    """Let torch use `count` CPU threads in this process."""
    torch.set_num_threads(max(1, count))


def mixed_precision(device: str) -> AbstractContextManager[None]:
    """bf16 autocast on a GPU; on the CPU full precision, so that results repeat."""
    if device.startswith("cuda"):
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()
