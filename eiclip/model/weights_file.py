"""Weights files from outside: looked at before open_clip opens them, and never unpickled into anything but tensors."""

import contextlib
import json
import logging
import pickle
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from eiclip.errors import WeightsError
from eiclip.model.sources import ORIGIN, PICKLE_FILE, TOWER_CONFIG, WEIGHTS_FILE, parts_of

logger = logging.getLogger(__name__)

CONVERT = (
    'import torch, safetensors.torch as s; w = torch.load({file}, map_location="cpu", weights_only=False); '
    "f = lambda w: next((f(w[k]) for k in {wrapped} if isinstance(w.get(k), (dict, torch.nn.Module))), w) "
    "if isinstance(w, dict) else w.state_dict(); "
    'no = ("input_resolution", "context_length", "vocab_size"); '
    "w = {{k: v.contiguous().clone() for k, v in f(w).items() if torch.is_tensor(v) and k not in no}}; "
    'assert w, "it holds no weights"; s.save_file(w, {made})'
)
"""Python that turns a pickled model, or a TorchScript archive as OpenAI's, into safetensors; it runs what they hold."""


PREFIXES = ("module.", "model.")
"""What data parallelism and training programs put before the names of a model's weights."""
MARKS = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What `torch.compile` and wrappers of a model's layers put before their names, wherever they are."""
WRAPPED = ("state_dict", "model_state_dict", "model", "module", "state_dict_ema", "model_ema", "ema")
"""Under which of these a training program's checkpoint holds the weights, beside its optimizer's."""
NUMBERS = {"input_resolution", "context_length", "vocab_size"}
"""What OpenAI's own state dicts hold beside the weights."""

FOREIGN = {".npz": "NumPy", ".npy": "NumPy", ".h5": "TensorFlow", ".msgpack": "Flax", ".onnx": "ONNX", ".gguf": "GGUF"}
_SCALE = "logit_scale"

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
    if file.suffix in FOREIGN:
        raise WeightsError(
            f"{file}: {FOREIGN[file.suffix]}'s files are not read; take the model's safetensors (hf-hub:timm/...)"
        )
    parts = parts_of(file)
    for part in parts:
        with part.open("rb") as stream:
            if stream.read(100).startswith(
                b"version https://git-lfs"
            ):  # what a clone holds in the place of a large file
                raise WeightsError(f"{part}: git-lfs left a pointer here; run `git lfs pull` in that folder")
    if convert is None and parts == [file] and weights_name(file) == WEIGHTS_FILE:
        with _readable(file), safe_open(file, framework="pt") as weights:
            names = list(weights.keys())
        if not names:
            raise WeightsError(f"{file}: holds no weights; copy or download it again")
        if not _is_transformers(names) and own_names(names, file) == {name: name for name in names}:
            return file
    held: dict[str, Tensor] = {}
    for part in parts:
        with _readable(part):
            held |= load_file(part) if weights_name(part) == WEIGHTS_FILE else _pickled_tensors(part)
    if not held:
        raise WeightsError(f"{file}: holds no weights; copy or download it again")
    state = {own: held[name] for name, own in own_names(list(held), file).items() if own not in NUMBERS}
    if convert is None and _is_transformers(state):
        raise WeightsError(
            f"{file}: weights of transformers' CLIPModel, without the {TOWER_CONFIG} that says how large it is; copy "
            f"{ORIGIN} beside it"
        )
    return state if convert is None else convert(state)


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file}: not a whole weights file ({error}); copy or download it again") from error


def weight_shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    """Shapes of weights that `read_weights` returned, by name."""
    if not isinstance(weights, Path):
        return {name: tuple(value.shape) for name, value in weights.items()}
    with safe_open(weights, framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def own_names(names: Sequence[str], file: Path) -> dict[str, str]:
    """The names of a model's weights without what programs put before them, by the names that a file has.

    Where the file holds other weights beside the one model that has a `logit_scale`, as every CLIP has, they are left
    out, and told.

    Raises:
        WeightsError: it holds several such models.

    >>> own_names(["module._orig_mod.visual.proj", "module._orig_mod.logit_scale"], Path("epoch.pt"))
    {'module._orig_mod.visual.proj': 'visual.proj', 'module._orig_mod.logit_scale': 'logit_scale'}
    """
    found = {name: MARKS.sub("", name) for name in names}
    prefix = ""
    while found and (
        more := next((p for p in PREFIXES if all(own.startswith(prefix + p) for own in found.values())), "")
    ):
        prefix += more
    found = {name: own[len(prefix) :] for name, own in found.items()}
    models = sorted(own.removesuffix(_SCALE) for own in found.values() if own == _SCALE or own.endswith(f".{_SCALE}"))
    if "" in models or not models:
        return found
    if len(models) > 1:
        raise WeightsError(
            f"{file}: holds several models, under {', '.join(models)}; save the weights of one in a file of their own"
        )
    within = {name: own.removeprefix(models[0]) for name, own in found.items() if own.startswith(models[0])}
    if others := sorted(found.keys() - within.keys()):
        logger.warning(
            "%s: the weights under %r are read; %d others are left out (%s, ...)",
            file,
            models[0],
            len(others),
            others[0],
        )
    return within


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
        made = file.with_suffix(".safetensors")
        names = {"file": json.dumps(str(file)), "made": json.dumps(str(made)), "wrapped": WRAPPED}
        command = shlex.quote(CONVERT.format(**names))  # a file's name may be made to be pasted into a shell
        raise WeightsError(
            f"{file}: {what}, and only tensors are read here. Look for the model as .safetensors{other}. Only if you "
            f"trust its origin, convert it where it may run code, and name {made}: python -c {command}"
        ) from error
    state = found
    while isinstance(state, Mapping) and (keys := [key for key in WRAPPED if isinstance(state.get(key), Mapping)]):
        if len(keys) > 1:
            logger.warning("%s: holds %s; %r is read", file, " and ".join(map(repr, keys)), keys[0])
        state = state[keys[0]]
    if not isinstance(state, Mapping) or not state or not all(torch.is_tensor(value) for value in state.values()):
        raise WeightsError(f"{file}: holds no model's weights (names and tensors), but a {type(found).__name__}")
    return {str(name): value for name, value in state.items()}
