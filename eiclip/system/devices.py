"""Which device work runs on, with how many threads, and in which precision."""

import contextlib
import os
from contextlib import AbstractContextManager

import torch

from eiclip.settings.training import Precision


def pick_device() -> str:
    """`cuda` where a GPU can be used, else `cpu`; `EICLIP_DEVICE` overrides."""
    return os.environ.get("EICLIP_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")


def use_threads(count: int) -> None:
    """Let torch use `count` CPU threads in this process."""
    torch.set_num_threads(max(1, count))


def mixed_precision(device: str, precision: Precision = "auto") -> AbstractContextManager[None]:
    """Autocast to a precision; auto: bf16 on a GPU, on the CPU full precision, so that results repeat."""
    if precision == "auto":
        precision = "bf16" if device.startswith("cuda") else "fp32"
    if precision == "fp32":
        return contextlib.nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(torch.device(device).type, dtype=dtype)
