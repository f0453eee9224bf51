"""CLIP's towers, by open_clip: made small, by name with released weights, from a local file, or from a folder.

A folder is open_clip's own `local-dir:` form (`open_clip_config.json` + `open_clip_model.safetensors`), so that
`open_clip.create_model("local-dir:<folder>")` loads any tower this project saves.
"""

import functools
import json
import logging
import os
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.transformer import text_global_pool
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from eiclip.errors import WeightsError

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"

LENGTH_GROUPS = 4
"""Groups of like length that a batch of texts is encoded in on a CPU."""

SMALL: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 64, "layers": 4, "width": 128, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 64, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 2},
}
"""The `general` model: open_clip's CLIP at a size that two CPU cores pretrain in minutes."""


def new_towers(config: dict[str, Any], seed: int) -> nn.Module:
    """Untrained towers of an open_clip model configuration, the same for the same seed."""
    torch.manual_seed(seed)
    model: nn.Module = open_clip.CLIP(**config)
    model.config = config  # type: ignore[assignment]
    return model


def load_towers(folder: Path) -> nn.Module:
    """Load towers from a folder that `save_towers` (or open_clip) wrote; weights load without pickle.

    Raises:
        WeightsError: the folder or a file of it is missing, unreadable or of another shape.
    """
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["model_cfg"]
        model: nn.Module = open_clip.create_model(f"local-dir:{folder}", require_pretrained=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise WeightsError(
            f"{folder}: cannot load open_clip weights ({error}); it must hold {CONFIG_FILE} and {WEIGHTS_FILE}"
        ) from error
    model.config = config
    return model


def load_released(model_name: str, pretrained: str) -> nn.Module:
    """Load towers by open_clip's name with released weights (a tag such as `openai`) or a local weights file.

    Raises:
        WeightsError: the name or tag is unknown, the file is of another model, or the download failed.
    """
    config = _named_config(model_name)
    is_file = os.sep in pretrained or Path(pretrained).is_file()
    tags = open_clip.list_pretrained_tags_by_model(model_name)
    if not is_file and pretrained not in tags:
        raise WeightsError(
            f"EICLIP_PRETRAINED={pretrained!r}: neither `general`, nor a local file or folder, nor a released tag of "
            f"{model_name} ({', '.join(tags)})"
        )
    try:
        model: nn.Module = open_clip.create_model(model_name, pretrained=pretrained, require_pretrained=True)
    except Exception as error:  # open_clip lets whatever its downloaders raise pass through
        kind = "read the local weights" if is_file else "download the released weights"
        raise WeightsError(
            f"EICLIP_PRETRAINED={pretrained!r}: could not {kind} of {model_name} ({type(error).__name__}: {error}). "
            "Other choices: EICLIP_PRETRAINED=/path/to/weights.safetensors (or a folder that open_clip saved), or "
            "EICLIP_PRETRAINED=general for the small model this project pretrains itself, with no download"
        ) from error
    # OpenAI's weights were trained with another GELU than open_clip's configuration of that name says.
    used = config | {"quick_gelu": True} if pretrained == "openai" else config
    model.config = used  # type: ignore[assignment]
    return model


def resolve_towers(model_name: str, pretrained: str) -> nn.Module:
    """Load the towers that the settings name: a folder, a local file, or a released tag.

    Raises:
        WeightsError: as `load_towers` and `load_released`.
    """
    return load_towers(Path(pretrained)) if Path(pretrained).is_dir() else load_released(model_name, pretrained)


def configured_image_size(model_name: str, pretrained: str) -> int:
    """Side of the photos that the towers named by the settings take, without loading their weights.

    Raises:
        WeightsError: the model's name is unknown, or the folder is not open_clip's.
    """
    file = Path(pretrained) / CONFIG_FILE
    try:
        config = json.loads(file.read_text())["model_cfg"] if Path(pretrained).is_dir() else _named_config(model_name)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"EICLIP_PRETRAINED={pretrained!r}: cannot read {CONFIG_FILE} in it ({error})") from error
    size = config["vision_cfg"].get("image_size", 224)
    return int(size[0] if isinstance(size, list) else size)


def _named_config(model_name: str) -> dict[str, Any]:
    config: dict[str, Any] | None = open_clip.get_model_config(model_name)
    if config is None:
        raise WeightsError(f"EICLIP_MODEL={model_name!r}: open_clip has no such model; see open_clip.list_models()")
    return config


def save_towers(model: nn.Module, folder: Path) -> None:
    """Write towers into `folder` as open_clip's `local-dir:` form."""
    mean, deviation = (statistic.flatten().tolist() for statistic in pixel_statistics(model))
    preprocess = {"size": image_size(model), "mean": mean, "std": deviation}
    config = {"model_cfg": model.config, "preprocess_cfg": preprocess}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / WEIGHTS_FILE)


def image_size(model: nn.Module) -> int:
    """Side of the square photos that the image tower takes, in pixels."""
    size: Any = model.visual.image_size  # type: ignore[union-attr]
    return int(size[0] if isinstance(size, (tuple, list)) else size)


def context_length(model: nn.Module) -> int:
    """Number of tokens that the text tower takes, its start and end marks included."""
    return int(model.context_length)  # type: ignore[arg-type]


def embedding_width(model: nn.Module) -> int:
    """D, the width of the space that both towers end in."""
    config: Any = model.config
    return int(config["embed_dim"])


def pixel_statistics(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (3, 1, 1) by which the image tower wants its pixels normalised."""
    visual: Any = model.visual
    mean = getattr(visual, "image_mean", None) or open_clip.OPENAI_DATASET_MEAN
    deviation = getattr(visual, "image_std", None) or open_clip.OPENAI_DATASET_STD
    return torch.tensor(mean).view(3, 1, 1), torch.tensor(deviation).view(3, 1, 1)


@functools.cache
def tokenizer() -> Any:
    """CLIP's own byte-pair tokenizer, which every tower here reads."""
    logging.getLogger("open_clip").setLevel(logging.WARNING)
    return open_clip.SimpleTokenizer()


@functools.lru_cache(maxsize=200_000)
def _token_ids(text: str, length: int) -> Tensor:
    tokens: Tensor = tokenizer()(text, context_length=length)[0]
    return tokens


def tokenize(texts: list[str], length: int) -> Tensor:
    """CLIP's lower-cased byte-pair ids (B, L), cut to the longest text of the batch (at most `length`).

    Under a causal mask what follows the end mark changes nothing, so that the cut is exact. Texts repeat every epoch:
    their ids are kept.
    """
    tokens_BL = torch.stack([_token_ids(text, length) for text in texts])
    longest = int((tokens_BL != 0).sum(dim=1).max())
    return tokens_BL[:, :longest]


def encode_text(model: nn.Module, tokens_BL: Tensor) -> Tensor:
    """E_D: text embeddings (B, D), not normalised, of ids (B, L) with L at most the context length.

    On a CPU texts of like length go through the tower together, each group cut to its own longest: the padding that
    one long text would cost all others is most of the work. On a GPU one large batch is faster.
    """
    groups = min(LENGTH_GROUPS, len(tokens_BL)) if tokens_BL.device.type == "cpu" else 1
    if groups <= 1 or not isinstance(model, open_clip.CLIP):
        return _encode_cut_text(model, tokens_BL)
    lengths_B = (tokens_BL != 0).sum(dim=1)
    order_B = lengths_B.argsort(stable=True)
    parts = [_encode_cut_text(model, tokens_BL[rows, : int(lengths_B[rows].max())]) for rows in order_B.chunk(groups)]
    return torch.cat(parts)[order_B.argsort()]


def _encode_cut_text(model: nn.Module, tokens_BL: Tensor) -> Tensor:
    """open_clip's own `CLIP.encode_text` insists on the full context; this is it with its constants cut to L."""
    if not isinstance(model, open_clip.CLIP):
        missing = context_length(model) - tokens_BL.shape[1]
        output: Tensor = model.encode_text(nn.functional.pad(tokens_BL, (0, missing)))  # type: ignore[operator]
        return output
    length = tokens_BL.shape[1]
    x_BLW = model.token_embedding(tokens_BL) + model.positional_embedding[:length]
    mask = model.attn_mask[:length, :length] if model.attn_mask is not None else None
    x_BLW = model.ln_final(model.transformer(x_BLW, attn_mask=mask))
    pooled_BW = text_global_pool(x_BLW, tokens_BL, model.text_pool_type, eos_token_id=model.text_eos_id)
    if isinstance(model.text_projection, nn.Linear):
        return model.text_projection(pooled_BW)
    return pooled_BW @ model.text_projection if model.text_projection is not None else pooled_BW
