"""Towers of every kind that people start from, small and random, as the hub's repositories of open_clip hold them."""

import json
from collections.abc import Sequence
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, PreTrainedTokenizerFast, RobertaConfig

from eiclip.model.sources import CONFIG_FILE, SMALL, WEIGHTS_FILE

VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
SENTENCES = [
    "a long sleeve denim jacket in black with silver tone hardware", "golden goose deluxe brand sneaker, white",
    "hot! bag & belt", "wool coat: 100% wool, made in italy",
] * 2  # fmt: skip
SIGLIP = {
    "embed_dim": 24,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": VISION,
    "text_cfg": {
        "context_length": 20, "vocab_size": 300, "hf_tokenizer_name": "shop/words", "width": 32, "heads": 2,
        "layers": 2, "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6},
        "tokenizer_kwargs": {"clean": "canonicalize"},
    },
}  # fmt: skip
SIGLIP_TIMM = SIGLIP | {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "none"},
}
TRANSFORMERS = {
    "embed_dim": 24,
    "custom_text": True,
    "vision_cfg": VISION,
    "text_cfg": {
        "hf_model_name": "shop/words", "hf_tokenizer_name": "shop/words", "hf_proj_type": "mlp",
        "hf_pooler_type": "mean_pooler", "context_length": 20,
    },
}  # fmt: skip
CAUSAL = {
    "embed_dim": 24,
    "vision_cfg": VISION,
    "text_cfg": {
        "context_length": 20, "vocab_size": 300, "hf_tokenizer_name": "shop/words", "width": 32, "heads": 2,
        "layers": 2, "pool_type": "eos", "eos_id": 1,
    },
}  # fmt: skip
SIZES = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "vocab_size": 300,
    "max_position_embeddings": 40,
}  # fmt: skip
KINDS = {
    "clip": SMALL,
    "siglip": SIGLIP,
    "siglip of timm": SIGLIP_TIMM,
    "bert": TRANSFORMERS,
    "roberta": TRANSFORMERS | {"text_cfg": TRANSFORMERS["text_cfg"] | {"hf_pooler_type": "cls_pooler"}},
    "own end": CAUSAL,
}
MARKS = {
    "bert": ["<pad>", "</s>", "<s>"],
    "roberta": ["<s>", "<pad>", "</s>"],
} | {kind: ["<unk>", "</s>", "<s>"] for kind in ("siglip", "siglip of timm", "own end")}
"""Marks by their ids. SigLIP's padding is its end mark."""


def make(kind: str, folder: Path) -> torch.nn.Module:
    """Write a repository's files and return its towers."""
    config = KINDS[kind]
    folder.mkdir(parents=True)
    text = config["text_cfg"]
    if text.get("hf_tokenizer_name"):
        write_tokenizer(folder, marks=MARKS[kind], padding="<pad>" if "<pad>" in MARKS[kind] else "</s>")
    if text.get("hf_model_name"):
        made = RobertaConfig if kind == "roberta" else BertConfig
        made(**SIZES, pad_token_id=1 if kind == "roberta" else 0).save_pretrained(folder)
        config = config | {"text_cfg": text | {"hf_model_name": str(folder), "hf_model_pretrained": False}}
    torch.manual_seed(0)
    custom = config.get("custom_text")
    towers = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(
        **{name: value for name, value in config.items() if name != "custom_text"}
    )
    (folder / CONFIG_FILE).write_text(json.dumps({"model_cfg": KINDS[kind], "preprocess_cfg": {}}))
    save_file({name: value.contiguous() for name, value in towers.state_dict().items()}, folder / WEIGHTS_FILE)
    return towers.eval()


def write_tokenizer(folder: Path, *, marks: Sequence[str], padding: str, size: int = 300) -> None:
    """A tokenizer of byte pairs, made here of a few sentences: every text has ids, most of them bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(marks),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    pairs = [(mark, marks.index(mark)) for mark in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=pairs)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=padding, eos_token="</s>", sep_token="</s>", bos_token="<s>"
    ).save_pretrained(folder)
