"""What this machine is, in words."""

import os
import platform
from pathlib import Path


def hardware(device: str) -> dict[str, str]:
    """What the run ran on: device, processor, cores and memory."""
    cores = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "device": device_name(device),
        "processor": f"{_processor()}, {cores} core{'s' if cores > 1 else ''}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
    }


def device_name(device: str) -> str:
    """A device's name as people know it: `cuda` and what the card is called."""
    if not device.startswith("cuda"):
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"


def _processor() -> str:
    """Linux knows the processor's name; elsewhere its architecture must do."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
