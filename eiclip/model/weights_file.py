"""Weights files from outside: looked at before open_clip opens them, and never unpickled into anything but tensors."""

import json
import pickle
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from eiclip.errors import WeightsError
from eiclip.model.sources import PICKLE_FILE, TOWER_CONFIG, WEIGHTS_FILE

CONVERT = (
    'import torch, safetensors.torch as s; w = torch.load({file}, map_location="cpu", weights_only=False); '
    'w = w.get("state_dict", w) if isinstance(w, dict) else w.state_dict(); '
    'no = ("input_resolution", "context_length", "vocab_size"); '
    "s.save_file({{k: v.contiguous().clone() for k, v in w.items() if torch.is_tensor(v) and k not in no}}, {made})"
)
"""Python that turns a pickled model, or a TorchScript archive as OpenAI's, into safetensors; it runs what they hold."""


PREFIXES = ("module.", "_orig_mod.", "model.")
"""What data parallelism, `torch.compile` and training programs put before the names of a model's weights."""
WRAPPED = ("state_dict", "model_state_dict", "model")
"""Under which of these a training program's checkpoint holds the weights, beside its optimizer's."""
NUMBERS = {"input_resolution", "context_length", "vocab_size"}
"""What OpenAI's own state dicts hold beside the weights."""

Weights = Path | dict[str, Tensor]
"""A file that open_clip can read, or tensors under its names."""


def weights_name(file: Path) -> str:
    """The name by which open_clip reads a file as what it is, whatever it is called (a hub cache's blobs have none)."""
    with file.open("rb") as stream:
        opening = stream.read(9)
    return WEIGHTS_FILE if opening[8:9] == b"{" or file.suffix == ".safetensors" else PICKLE_FILE


def read_weights(file: Path, convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None) -> Weights:
    """Look into a file of weights, of which nothing is executed; what open_clip could not read by itself is read here.

    Args:
        convert: puts the names of another library into open_clip's.

    Returns:
        the file, where open_clip can read it; else its tensors, under open_clip's names.

    Raises:
        WeightsError: it is damaged, of another form, or would have to be unpickled in full: says how to convert it.
    """
    if file.suffix in {".npz", ".npy"}:
        raise WeightsError(f"{file}: NumPy's files are not read; take the model's safetensors (hf-hub:timm/...)")
    with file.open("rb") as stream:
        if stream.read(100).startswith(b"version https://git-lfs"):  # what a clone holds in the place of a large file
            raise WeightsError(f"{file}: git-lfs left a pointer here; run `git lfs pull` in that folder")
    try:
        if weights_name(file) == WEIGHTS_FILE:
            with safe_open(file, framework="pt") as weights:
                names = list(weights.keys())
            prefix = common_prefix(names)
            if convert is None and not prefix and not _is_transformers(names):
                return file
            state: Mapping[str, Tensor] = load_file(file)
        else:
            state = _pickled_tensors(file)
            prefix = common_prefix(list(state))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file}: not a whole weights file ({error}); copy or download it again") from error
    state = {name[len(prefix) :]: value for name, value in state.items() if name not in NUMBERS}
    if convert is None and _is_transformers(state):
        raise WeightsError(
            f"{file}: weights of transformers' CLIPModel, without the {TOWER_CONFIG} that says how large it is; name "
            "the folder that holds both"
        )
    return state if convert is None else convert(state)


def weight_shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    """Shapes of weights that `read_weights` returned, by name."""
    if not isinstance(weights, Path):
        return {name: tuple(value.shape) for name, value in weights.items()}
    with safe_open(weights, framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def common_prefix(names: Sequence[str]) -> str:
    """What wrappers of a model put before each of its names.

    >>> common_prefix(["module._orig_mod.visual.proj", "module._orig_mod.logit_scale"])
    'module._orig_mod.'
    """
    found = ""
    while more := next((p for p in PREFIXES if all(name.startswith(found + p) for name in names)), ""):
        found += more
    return found


def _is_transformers(names: Iterable[str]) -> bool:
    return any(name.startswith("text_model.") for name in names)


def _pickled_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a pickled state dict, read by torch's unpickler of tensors alone."""
    try:
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or hostile pickle raises is anybody's guess
        is_script = "TorchScript" in str(error)
        if not is_script and not isinstance(error, pickle.UnpicklingError):
            reason = str(error).partition("\n")[0]
            raise WeightsError(f"{file}: not a whole weights file ({reason}); copy or download it again") from error
        what, other = "more than tensors, or damaged: a pickle can run code", ""
        if is_script:
            what, other = "a TorchScript archive: a program", " (EICLIP_PRETRAINED=openai fetches OpenAI's)"
        names = {"file": json.dumps(str(file)), "made": json.dumps(str(file.with_suffix(".safetensors")))}
        command = shlex.quote(CONVERT.format(**names))  # a file's name may be made to be pasted into a shell
        raise WeightsError(
            f"{file}: {what}, and only tensors are read here. Look for the model as .safetensors{other}. Only if you "
            f"trust its origin, convert it where it may run code: python -c {command}"
        ) from error
    within = (found[key] for key in WRAPPED if isinstance(found, Mapping) and isinstance(found.get(key), Mapping))
    state = next(within, found)
    if not isinstance(state, Mapping) or not state or not all(torch.is_tensor(value) for value in state.values()):
        raise WeightsError(f"{file}: holds no model's weights (names and tensors), but a {type(found).__name__}")
    return {str(name): value for name, value in state.items()}
