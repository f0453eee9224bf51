"""A file of features: tensors by name, with what they are of and a checksum, written whole and never unpickled."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from eiclip.errors import CorruptOutputError, NonFiniteError
from eiclip.storage.files import whole_file

OF, CHECKSUM = "of", "sha256"
MAKE_AGAIN = "materialise `features` again"


def write_features(path: Path, tensors: Mapping[str, Tensor], of: str) -> None:
    """Write tensors as float16 (bytes as they are), with what they are `of`.

    Raises:
        NonFiniteError: a feature is NaN, infinite or too large for float16; nothing is written.
    """
    kept = {}
    for name, value in tensors.items():
        kept[name] = value.detach().cpu().contiguous() if value.dtype in (torch.uint8, torch.int32) else half(value)
        if kept[name].is_floating_point() and not bool(torch.isfinite(kept[name]).all()):
            raise NonFiniteError(f"{path.name}: {name}: a feature is NaN or infinite; the tower's weights are damaged")
    with whole_file(path) as part:
        save_file(kept, part, {OF: of, CHECKSUM: _checksum(kept)})


def half(value: Tensor) -> Tensor:
    """A tensor on the CPU in float16."""
    return value.detach().to("cpu", torch.float16).contiguous()


def read_features(
    path: Path, of: Callable[[dict[str, Tensor]], str] | None = None, way_out: str = MAKE_AGAIN
) -> dict[str, Tensor]:
    """Return the tensors of a file.

    Args:
        of: what they are to be of, which may depend on themselves; None: whatever they are of.
        way_out: what an error says to do.

    Raises:
        CorruptOutputError: it is missing, half written, changed, or of something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CorruptOutputError(f"{path}: its features are missing or half written ({error}); {way_out}") from error
    if facts.get(CHECKSUM) != _checksum(tensors):
        raise CorruptOutputError(f"{path}: its features are not as they were written; {way_out}")
    if of is not None and facts.get(OF) != of(tensors):
        raise CorruptOutputError(f"{path}: features of other towers, settings or photos; {way_out}")
    return tensors


def read_of(path: Path) -> str:
    """What the features of a file are of; empty where it does not say."""
    with safe_open(path, framework="pt") as file:
        return str((file.metadata() or {}).get(OF, ""))


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype}".encode())
        found.update(_bytes(tensors[name]))
    return found.hexdigest()


def _bytes(value: Tensor) -> bytes:
    return value.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def as_bytes(texts: Sequence[str]) -> Tensor:
    """Texts without line ends as one tensor of bytes."""
    return torch.frombuffer(bytearray("\n".join(texts).encode()) or bytearray(b"\n"), dtype=torch.uint8)


def as_texts(value: Tensor) -> list[str]:
    """Return the texts again."""
    return bytes(value.numpy()).decode().split("\n")
