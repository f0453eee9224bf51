"""What a run was, as only whoever starts it knows: configuration, versions, seed, hardware."""

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SECRET = re.compile(r"(?<=://)[^/@\s\"]+@")
"""What may stand between a URL's scheme and its host: names and passwords, which are nobody's business here."""


@dataclass(frozen=True)
class About:
    """What the page says of the run beside what its tables hold."""

    facts: Mapping[str, str] = field(default_factory=dict)
    """Seed, device, processor, memory and the like."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of Python and of every package that matters."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Where each dataset's data is from: drawn by this project, or which files."""
    settings: str = ""
    """All settings, as text that can be read and compared."""


def without_secrets(text: str) -> str:
    """Text whose URLs name no user and no password.

    >>> without_secrets('"s3://key:secret@bucket/a"')
    '"s3://bucket/a"'
    """
    return SECRET.sub("", text)


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
