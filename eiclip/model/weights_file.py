"""Weights files from outside: looked at before open_clip opens them, and never unpickled into anything but tensors."""

import json
import pickle
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from eiclip.errors import WeightsError
from eiclip.model.sources import PICKLE_FILE, WEIGHTS_FILE

CONVERT = (
    'import torch, safetensors.torch as s; w = torch.load({file}, map_location="cpu", weights_only=False); '
    'w = w.get("state_dict", w) if isinstance(w, dict) else w.state_dict(); '
    'no = ("input_resolution", "context_length", "vocab_size"); '
    "s.save_file({{k: v.contiguous().clone() for k, v in w.items() if torch.is_tensor(v) and k not in no}}, {made})"
)
"""Python that turns a pickled model, or a TorchScript archive as OpenAI's, into safetensors; it runs what they hold."""


def weights_name(file: Path) -> str:
    """The name by which open_clip reads a file as what it is, whatever it is called (a hub cache's blobs have none)."""
    with file.open("rb") as stream:
        opening = stream.read(9)
    return WEIGHTS_FILE if opening[8:9] == b"{" or file.suffix == ".safetensors" else PICKLE_FILE


def check_weights(file: Path) -> None:
    """Refuse a file that is no whole set of tensors; nothing in it is executed.

    Raises:
        WeightsError: it is damaged, of another form, or would have to be unpickled in full: says how to convert it.
    """
    if file.suffix in {".npz", ".npy"}:
        raise WeightsError(f"{file}: open_clip reads NumPy files of SigLIP models alone, which cannot be used here")
    with file.open("rb") as stream:
        if stream.read(100).startswith(b"version https://git-lfs"):  # what a clone holds in the place of a large file
            raise WeightsError(f"{file}: git-lfs left a pointer here; run `git lfs pull` in that folder")
    try:
        if weights_name(file) == WEIGHTS_FILE:
            with safe_open(file, framework="pt") as weights:
                names = set(weights.keys())
        else:
            names = _pickled_tensors(file)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file}: not a whole weights file ({error}); copy or download it again") from error
    if any(name.startswith("text_model.") for name in names):
        raise WeightsError(
            f"{file}: weights in the form of transformers' CLIPModel; a hub repository for open_clip holds "
            f"{WEIGHTS_FILE} beside it: name that, or the folder"
        )


def _pickled_tensors(file: Path) -> set[str]:
    """Names of the tensors of a pickled state dict, read by torch's unpickler of tensors alone."""
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
    state = found.get("state_dict", found) if isinstance(found, Mapping) else found
    if not isinstance(state, Mapping) or not state or not all(torch.is_tensor(value) for value in state.values()):
        raise WeightsError(f"{file}: holds no model's weights (names and tensors), but a {type(found).__name__}")
    return {str(name) for name in state}
