"""CLIP as transformers saves it (`CLIPModel`), in open_clip's names: its configuration, preprocessing and weights."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eiclip.errors import WeightsError
from eiclip.model.sources import TOKENS, read_json
from eiclip.model.tokenizer import clip_encoder

VOCABULARIES = ("tokenizer.json", "vocab.json")
"""The files that tell which tokenizer it is."""
VISION = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
}  # fmt: skip
TEXT = {
    "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8,
    "max_position_embeddings": 77, "vocab_size": TOKENS, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    "eos_token_id": TOKENS - 1,
}  # fmt: skip
"""transformers' own values, which older configurations leave out."""
PROJECTION = 512
LEGACY_END = 2
"""End mark of older configurations: it is none, and the highest id of a text is where its embedding is taken."""

RESAMPLE = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers."""

NAMES = (
    (r"^vision_model\.embeddings\.class_embedding$", "visual.class_embedding"),
    (r"^vision_model\.embeddings\.patch_embedding\.weight$", "visual.conv1.weight"),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "visual.positional_embedding"),
    (r"^vision_model\.pre_layrnorm\.", "visual.ln_pre."),
    (r"^vision_model\.post_layernorm\.", "visual.ln_post."),
    (r"^vision_model\.encoder\.layers\.", "visual.transformer.resblocks."),
    (r"^text_model\.embeddings\.token_embedding\.", "token_embedding."),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.final_layer_norm\.", "ln_final."),
    (r"^text_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"\.layer_norm(\d)\.", r".ln_\1."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"\.self_attn\.out_proj\.", ".attn.out_proj."),
)
"""Their names, and open_clip's; each is looked for in every name."""


def clip_config(
    config: Mapping[str, Any], processor: Mapping[str, Any], vocabulary: Path | None, name: str
) -> dict[str, Any]:
    """The configuration of a CLIPModel as open_clip writes it: `model_cfg` and `preprocess_cfg`.

    Args:
        config: the `config.json`.
        processor: the `preprocessor_config.json`.
        vocabulary: the file of `VOCABULARIES` beside it; None: it reads with CLIP's own tokenizer.
        name: what messages call the model, and where its tokenizer lies.

    Raises:
        WeightsError: open_clip's configuration cannot express something in it.
    """
    try:
        towers = {}
        for side, usual in (("vision", VISION), ("text", TEXT)):
            # Old files have both; transformers lets the second overrule the first.
            given = {**(config.get(f"{side}_config") or {}), **(config.get(f"{side}_config_dict") or {})}
            towers[side] = usual | given
        vision, text = towers["vision"], towers["text"]
        model: dict[str, Any] = {
            "embed_dim": config.get("projection_dim", PROJECTION),
            "quick_gelu": vision["hidden_act"] == "quick_gelu",
            "vision_cfg": {
                "image_size": vision["image_size"],
                "patch_size": vision["patch_size"],
                "head_width": vision["hidden_size"] // vision["num_attention_heads"],
                **_tower(vision),
            },
            "text_cfg": {
                "context_length": text["max_position_embeddings"],
                "vocab_size": text["vocab_size"],
                "heads": text["num_attention_heads"],
                **_tower(text),
                **_tokenizer(vocabulary, text["eos_token_id"], name),
            },
        }
        if (vision["hidden_act"] == "quick_gelu") != (text["hidden_act"] == "quick_gelu"):
            raise ValueError(f"its towers have different GELUs ({vision['hidden_act']}, {text['hidden_act']})")
        return {"model_cfg": model, "preprocess_cfg": _preprocess(processor, vision["image_size"])}
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{name}: transformers' CLIP cannot be described to open_clip: {error}") from error


def _tower(given: Mapping[str, Any]) -> dict[str, Any]:
    """What both towers have in common."""
    found: dict[str, Any] = {
        "width": given["hidden_size"],
        "layers": given["num_hidden_layers"],
        "mlp_ratio": given["intermediate_size"] / given["hidden_size"],
    }
    if given["layer_norm_eps"] != TEXT["layer_norm_eps"]:
        found["norm_kwargs"] = {"eps": given["layer_norm_eps"]}
    if given["hidden_act"] in ("gelu_new", "gelu_pytorch_tanh"):
        found["act_kwargs"] = {"approximate": "tanh"}
    elif given["hidden_act"] not in ("gelu", "quick_gelu"):
        raise ValueError(f"hidden_act {given['hidden_act']!r}")
    return found


def _tokenizer(vocabulary: Path | None, end: int, name: str) -> dict[str, Any]:
    """The tokenizer, where it is not CLIP's own, and where a text's embedding is then taken."""
    if vocabulary is None or _is_clips(vocabulary):
        return {}
    return {"hf_tokenizer_name": name} | ({} if end == LEGACY_END else {"pool_type": "eos", "eos_id": end})


def _preprocess(processor: Mapping[str, Any], image_size: int) -> dict[str, Any]:
    """How its photos are prepared: open_clip's `preprocess_cfg`."""
    processor = processor.get("image_processor", processor)  # as transformers 5 saves it with a tokenizer
    size, crop = processor.get("size", image_size), processor.get("crop_size", image_size)
    sides = {size} if isinstance(size, int) else set(size.values())
    is_cropped = processor.get("do_center_crop", True)
    sides |= {crop} if isinstance(crop, int) else set(crop.values()) if is_cropped else set()
    if sides != {image_size}:
        raise ValueError(
            f"its preprocessing resizes to {size} and crops to {crop}, its photos have {image_size} pixels"
        )
    is_whole = isinstance(size, Mapping) and "shortest_edge" not in size
    return {
        "mean": list(processor["image_mean"]),
        "std": list(processor["image_std"]),
        "interpolation": RESAMPLE[processor.get("resample", 3)],
        "resize_mode": "squash" if is_whole else "shortest",
    }


def clip_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a CLIPModel under open_clip's names."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith("position_ids"):  # numbers from 0 on, kept by older versions
            continue
        if name in ("text_projection.weight", "visual_projection.weight"):
            found["text_projection" if name.startswith("text") else "visual.proj"] = value.T.contiguous()
            continue
        if part := re.fullmatch(r"(.*\.self_attn)\.q_proj\.(weight|bias)", name):
            value = torch.cat([state[f"{part[1]}.{which}_proj.{part[2]}"] for which in "qkv"])
            name = f"{part[1].removesuffix('self_attn')}attn.in_proj_{part[2]}"
        elif re.search(r"\.self_attn\.[kv]_proj\.", name):
            continue
        for theirs, ours in NAMES:
            name = re.sub(theirs, ours, name)
        found[name] = value
    return found


def _is_clips(vocabulary: Path) -> bool:
    """Whether a vocabulary is that of CLIP's own tokenizer; its two marks are spelt otherwise there."""
    found = read_json(vocabulary)
    ids = found.get("model", {}).get("vocab", {}) if vocabulary.name == "tokenizer.json" else found
    own = clip_encoder().encoder
    marks = sorted(own.values())[-2:]
    return isinstance(ids, dict) and {t for t in ids.items() if t[1] not in marks} == {
        t for t in own.items() if t[1] not in marks
    }
