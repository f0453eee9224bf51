"""Image and text towers, by open_clip: made small, saved, loaded again, and how they read a text.

A folder is open_clip's own `local-dir:` form (`open_clip_config.json` + `open_clip_model.safetensors`), so that
`open_clip.create_model("local-dir:<folder>")` loads any tower this project saves. Where the text tower is one of
transformers, its `config.json` and its tokenizer's files lie in the folder too.
"""

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.transformer import text_global_pool
from safetensors.torch import save_file
from torch import Tensor, nn

from eiclip.errors import WeightsError
from eiclip.model.sources import CONFIG_FILE, PADDED, PICKLE_FILE, WEIGHTS_FILE, read_config, short
from eiclip.model.text_files import files_beside, link
from eiclip.model.tokenizer import Tokenizer, clip_tokenizer
from eiclip.model.weights_file import Weights, weights_name
from eiclip.shards import PhotoForm

SIGLIP_START = {"scale": 10.0, "bias": -10.0}
"""Inverse temperature and logit bias that SigLIP starts from."""


def new_towers(config: dict[str, Any], seed: int) -> nn.Module:
    """Untrained towers of an open_clip model configuration, the same for the same seed."""
    torch.manual_seed(seed)
    model: nn.Module = open_clip.CLIP(**config)
    model.config = config  # type: ignore[assignment]
    model.tokenizer = Tokenizer(config)  # type: ignore[assignment]
    return model


def load_towers(folder: Path) -> nn.Module:
    """Load towers from a folder that `save_towers` wrote, without pickle.

    Raises:
        WeightsError: the folder or a file of it is missing, unreadable or of another shape.
    """
    try:
        config = read_config(folder / CONFIG_FILE)
        if not (folder / WEIGHTS_FILE).is_file():
            raise WeightsError(f"{folder}: no {WEIGHTS_FILE} in it")
        return open_towers(config, folder / WEIGHTS_FILE, files_beside(folder, config["model_cfg"]))
    except Exception as error:  # open_clip and timm let whatever they meet pass through
        raise WeightsError(
            f"{folder}: cannot load open_clip weights ({short(error)}); it must hold {CONFIG_FILE} and {WEIGHTS_FILE}"
        ) from error


def open_towers(config: Mapping[str, Any], weights: Weights, text_files: Iterable[Path]) -> nn.Module:
    """Let open_clip make a model of a configuration and load its weights.

    Args:
        config: as in `open_clip_config.json`.
        weights: a file, or tensors.
        text_files: those of a tokenizer or a text tower of transformers. Whatever the configuration names need not be
            there any more: folders are moved.
    """
    with tempfile.TemporaryDirectory() as place:  # configuration, weights and the rest as open_clip wants them
        model_config = located(config["model_cfg"], Path(place))
        link(text_files, Path(place))
        (Path(place) / CONFIG_FILE).write_text(json.dumps({**config, "model_cfg": model_config}), encoding="utf-8")
        if isinstance(weights, Path):
            (Path(place) / weights_name(weights)).symlink_to(weights.absolute())
        else:
            torch.save(weights, Path(place) / PICKLE_FILE)
        model: nn.Module = open_clip.create_model(f"local-dir:{place}", require_pretrained=True, weights_only=True)
        model.tokenizer = Tokenizer(model_config, Path(place))  # type: ignore[assignment]
    model.config = config["model_cfg"]
    _require_its_tokenizer(model)
    return model


def _require_its_tokenizer(model: nn.Module) -> None:
    """Refuse a tokenizer with ids that the text tower has not, or with less than half of those that it has."""
    text: Any = getattr(model, "text", model)
    embedding = text.transformer.get_input_embeddings() if isinstance(text, HFTextEncoder) else text.token_embedding
    held, known = embedding.num_embeddings, tokenizer_of(model).vocabulary_size
    if not held / 2 <= known <= held:
        raise WeightsError(f"the tokenizer has {known:,} tokens and the text tower {held:,}: they are of two models")


def located(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A model's configuration, its text tower's files in `folder`; the same object where it is none of transformers."""
    text = config["text_cfg"]
    return {**config, "text_cfg": {**text, "hf_model_name": str(folder)}} if text.get("hf_model_name") else config


def save_towers(model: nn.Module, folder: Path, place: Path | None = None) -> None:
    """Write towers into `folder` as open_clip's `local-dir:` form.

    Args:
        place: where the folder will lie in the end: open_clip finds a text tower of transformers by an absolute path.
    """
    model_config = located(model.config, (place or folder).absolute())  # type: ignore[arg-type]
    config = {"model_cfg": model_config, "preprocess_cfg": preprocessing(model)}
    if isinstance(text := getattr(model, "text", None), HFTextEncoder):
        text.config.save_pretrained(folder)
    tokenizer_of(model).save(folder)
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / WEIGHTS_FILE)


def tokenizer_of(model: nn.Module) -> Tokenizer:
    """The tokenizer that the text tower reads."""
    found = getattr(model, "tokenizer", None)
    return found if isinstance(found, Tokenizer) else clip_tokenizer(context_length(model))


def give_bias(model: nn.Module) -> None:
    """Give towers that were trained without one the logit bias of the sigmoid loss, and the scale that goes with it."""
    scale: Any = model.logit_scale
    with torch.no_grad():
        scale.fill_(math.log(SIGLIP_START["scale"]))
    model.logit_bias = nn.Parameter(torch.full_like(scale, SIGLIP_START["bias"]))
    model.config = {**model.config, "init_logit_bias": SIGLIP_START["bias"]}  # type: ignore[assignment, dict-item]


def image_size(model: nn.Module) -> int:
    """Side of the square photos that the image tower takes, in pixels."""
    size: Any = model.visual.image_size  # type: ignore[union-attr]
    return int(size[0] if isinstance(size, tuple | list) else size)


def preprocessing(model: nn.Module) -> dict[str, Any]:
    """How photos are prepared for the image tower, as open_clip's `preprocess_cfg` has it."""
    mean, deviation = pixel_statistics(model)
    known = getattr(model.visual, "preprocess_cfg", None) or PADDED
    own = {name: known.get(name, PADDED[name]) for name in PADDED}
    return {"size": image_size(model), "mode": "RGB", "mean": mean, "std": deviation, **own}


def photo_form(model: nn.Module) -> PhotoForm:
    """How photos are made square for the image tower."""
    found = preprocessing(model)
    return PhotoForm(found["size"], **{name: found[name] for name in PADDED})


def pad_photos(model: nn.Module) -> None:
    """Have photos prepared whole, on white, whatever way the image tower was trained with."""
    model.visual.preprocess_cfg = preprocessing(model) | PADDED  # type: ignore[union-attr]


def context_length(model: nn.Module) -> int:
    """Number of tokens that the text tower takes, its start and end marks included."""
    if isinstance(found := getattr(model, "tokenizer", None), Tokenizer):
        return found.context_length
    text: Any = getattr(model, "text", model)  # CoCa's own number is its decoder's
    return int(text.context_length)


def embedding_width(model: nn.Module) -> int:
    """D, the width of the space that both towers end in."""
    return int(model.config["embed_dim"])  # type: ignore[index]


def pixel_statistics(model: nn.Module) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, by which the image tower wants its pixels normalised."""
    visual: Any = model.visual
    mean = getattr(visual, "image_mean", None) or open_clip.OPENAI_DATASET_MEAN
    deviation = getattr(visual, "image_std", None) or open_clip.OPENAI_DATASET_STD
    return list(mean), list(deviation)


def encode_text(model: nn.Module, tokens_BL: Tensor) -> Tensor:
    """E_D: text embeddings (B, D), not normalised, of ids (B, L) with L at most the context length."""
    return by_length(model, lambda rows_BL: encode_cut_text(model, rows_BL), tokens_BL)


def by_length(model: nn.Module, encode: Callable[..., Tensor], tokens_BL: Tensor, *features_BLF: Tensor) -> Tensor:
    """What `encode` makes (B, D) of texts and of features of their tokens, if there are any.

    On a CPU texts of like length go through it together, each group cut to its longest, which is less than twice its
    shortest: the padding that one long text would cost all others is most of the work. On a GPU one large batch is
    faster.
    """
    if tokens_BL.device.type != "cpu" or len(tokens_BL) <= 1 or not can_be_cut(model):
        return encode(tokens_BL, *features_BLF)
    groups = length_groups(tokenizer_of(model).lengths(tokens_BL), tokens_BL.device)
    parts = [
        encode(tokens_BL[rows, :longest], *(one[rows, :longest] for one in features_BLF)) for rows, longest in groups
    ]
    return torch.cat(parts)[torch.cat([rows for rows, _ in groups]).argsort()]


def length_groups(length_B: Tensor, device: torch.device) -> list[tuple[Tensor, int]]:
    """Rows of like length, and the longest of each group, which is less than twice its shortest; on a GPU all at once.

    Of a batch most is padding where a few texts are long: on a CPU that is most of the work.
    """
    if device.type != "cpu" or len(length_B) < 2:
        return [(torch.arange(len(length_B), device=device), int(length_B.max()) if len(length_B) else 0)]
    order_B = length_B.argsort(stable=True)
    sizes = torch.unique(torch.frexp(length_B.float()).exponent, return_counts=True)[1].tolist()
    return [(rows, int(length_B[rows].max())) for rows in order_B.split(sizes)]


def can_be_cut(model: nn.Module) -> bool:
    """Whether what follows a text's last token changes nothing, and the tower takes any number of tokens.

    CLIP's own class does where its mask is causal and no fixed place is pooled, transformers' towers by their mask.
    """
    if isinstance(text := getattr(model, "text", None), HFTextEncoder):
        return tokenizer_of(model).cut and tokenizer_of(model).padding == text.config.pad_token_id
    return isinstance(model, open_clip.CLIP) and model.attn_mask is not None and model.text_pool_type != "last"


def encode_cut_text(model: nn.Module, tokens_BL: Tensor) -> Any:
    """open_clip's own `CLIP.encode_text` insists on the full context; this is it with its constants cut to L."""
    clip: Any = model
    length = tokens_BL.shape[1]
    if not can_be_cut(model):
        padding = getattr(tokenizer_of(model), "padding", 0)
        return clip.encode_text(nn.functional.pad(tokens_BL, (0, context_length(model) - length), value=padding))
    if not isinstance(model, open_clip.CLIP):
        return clip.encode_text(tokens_BL)
    x_BLW = clip.token_embedding(tokens_BL) + clip.positional_embedding[:length]
    x_BLW = clip.ln_final(clip.transformer(x_BLW, attn_mask=clip.attn_mask[:length, :length]))
    pooled_BW = text_global_pool(x_BLW, tokens_BL, clip.text_pool_type, eos_token_id=clip.text_eos_id)
    projection = clip.text_projection
    if isinstance(projection, nn.Linear):
        return projection(pooled_BW)
    return pooled_BW if projection is None else pooled_BW @ projection
