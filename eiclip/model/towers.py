"""CLIP's towers, by open_clip: made small, saved, loaded again, and how they read a text.

A folder is open_clip's own `local-dir:` form (`open_clip_config.json` + `open_clip_model.safetensors`), so that
`open_clip.create_model("local-dir:<folder>")` loads any tower this project saves.
"""

import functools
import json
import logging
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.transformer import text_global_pool
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from eiclip.errors import WeightsError
from eiclip.model.sources import CONFIG_FILE, WEIGHTS_FILE, read_config, short

PHOTOS = {"mode": "RGB", "interpolation": "bicubic", "resize_mode": "longest", "fill_color": 255}
"""In open_clip's words: the whole photo, on white, as `eiclip.shards.fit_square` has it. Towers saved here are
trained on such photos, and `open_clip.create_model_and_transforms` then prepares them so."""


def new_towers(config: dict[str, Any], seed: int) -> nn.Module:
    """Untrained towers of an open_clip model configuration, the same for the same seed."""
    torch.manual_seed(seed)
    model: nn.Module = open_clip.CLIP(**config)
    model.config = config  # type: ignore[assignment]
    return model


def load_towers(folder: Path) -> nn.Module:
    """Load towers from a folder that `save_towers` wrote, without pickle.

    Raises:
        WeightsError: the folder or a file of it is missing, unreadable or of another shape.
    """
    try:
        config = read_config(folder / CONFIG_FILE)["model_cfg"]
        if not (folder / WEIGHTS_FILE).is_file():
            raise WeightsError(f"{folder}: no {WEIGHTS_FILE} in it")
        model: nn.Module = open_clip.create_model(f"local-dir:{folder}", require_pretrained=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, WeightsError) as error:
        raise WeightsError(
            f"{folder}: cannot load open_clip weights ({short(error)}); it must hold {CONFIG_FILE} and {WEIGHTS_FILE}"
        ) from error
    model.config = config
    return model


def save_towers(model: nn.Module, folder: Path) -> None:
    """Write towers into `folder` as open_clip's `local-dir:` form."""
    mean, deviation = pixel_statistics(model)
    preprocess = {"size": image_size(model), "mean": mean, "std": deviation, **PHOTOS}
    config = {"model_cfg": model.config, "preprocess_cfg": preprocess}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / WEIGHTS_FILE)


def image_size(model: nn.Module) -> int:
    """Side of the square photos that the image tower takes, in pixels."""
    size: Any = model.visual.image_size  # type: ignore[union-attr]
    return int(size[0] if isinstance(size, tuple | list) else size)


def context_length(model: nn.Module) -> int:
    """Number of tokens that the text tower takes, its start and end marks included."""
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


@functools.cache
def tokenizer() -> Any:
    """CLIP's own byte-pair tokenizer, which every tower here reads."""
    logging.getLogger("open_clip").setLevel(logging.WARNING)
    return open_clip.SimpleTokenizer()


@functools.lru_cache(maxsize=200_000)
def _token_ids(text: str, length: int) -> Tensor:
    tokens: Tensor = tokenizer()(text, context_length=length)[0]
    return tokens


def text_lengths(tokens_BL: Tensor) -> Tensor:
    """Tokens of each text (B,) up to its last end mark, which is counted; L where a text has no end mark.

    Zeros cannot tell where a text ends: the padding is of id 0, but so is the "!" of "!™". Nor can its first end mark:
    a text may spell `<end_of_text>` out, and what follows that is still read by towers without a causal mask.
    """
    ends_BL = (tokens_BL == tokenizer().eot_token_id).view(torch.uint8)  # one byte each: quicker to search than ids
    return tokens_BL.shape[1] - ends_BL.flip(1).argmax(dim=1)


def tokenize(texts: list[str], length: int) -> Tensor:
    """CLIP's lower-cased byte-pair ids (B, L), cut to the longest text of the batch (at most `length`).

    Under a causal mask what follows the end mark changes nothing, so that the cut is exact. Texts repeat every epoch:
    their ids are kept.
    """
    tokens_BL = torch.stack([_token_ids(text, length) for text in texts])
    return tokens_BL[:, : int(text_lengths(tokens_BL).max())]


def encode_text(model: nn.Module, tokens_BL: Tensor) -> Tensor:
    """E_D: text embeddings (B, D), not normalised, of ids (B, L) with L at most the context length.

    On a CPU texts of like length go through the tower in four groups, each cut to its own longest: the padding that one
    long text would cost all others is most of the work. On a GPU one large batch is faster.
    """
    groups = min(4, len(tokens_BL)) if tokens_BL.device.type == "cpu" else 1
    if groups <= 1 or not _can_be_cut(model):
        return _encode_cut_text(model, tokens_BL)
    lengths_B = text_lengths(tokens_BL)
    order_B = lengths_B.argsort(stable=True)
    parts = [_encode_cut_text(model, tokens_BL[rows, : int(lengths_B[rows].max())]) for rows in order_B.chunk(groups)]
    return torch.cat(parts)[order_B.argsort()]


def _can_be_cut(model: nn.Module) -> bool:
    """Whether what follows a text's end mark changes nothing: the mask is causal, and no fixed place is pooled."""
    return isinstance(model, open_clip.CLIP) and model.attn_mask is not None and model.text_pool_type != "last"


def _encode_cut_text(model: nn.Module, tokens_BL: Tensor) -> Any:
    """open_clip's own `CLIP.encode_text` insists on the full context; this is it with its constants cut to L."""
    clip: Any = model
    length = tokens_BL.shape[1]
    if not _can_be_cut(model):
        padded_BL = nn.functional.pad(tokens_BL, (0, context_length(model) - length))
        return clip.encode_text(padded_BL)
    x_BLW = clip.token_embedding(tokens_BL) + clip.positional_embedding[:length]
    x_BLW = clip.ln_final(clip.transformer(x_BLW, attn_mask=clip.attn_mask[:length, :length]))
    pooled_BW = text_global_pool(x_BLW, tokens_BL, clip.text_pool_type, eos_token_id=clip.text_eos_id)
    projection = clip.text_projection
    if isinstance(projection, nn.Linear):
        return projection(pooled_BW)
    return pooled_BW if projection is None else pooled_BW @ projection
