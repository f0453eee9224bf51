"""The tokenizer of a model's text tower: CLIP's own byte pairs, or one of transformers' in the model's folder.

Shape suffixes: B texts, L tokens.
"""

import functools
import importlib.util
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor

from eiclip.errors import WeightsError
from eiclip.model.sources import TOKENIZER_FILES, short

CONTEXT_LENGTH = 77
"""open_clip's own, where a configuration does not say."""
KEPT = 200_000
"""Texts whose ids are kept: texts repeat every epoch."""


class Tokenizer:
    """Texts to token ids as the text tower of a model configuration reads them.

    Args:
        config: a model's configuration as open_clip writes it (`model_cfg`).
        folder: where the files of a tokenizer of transformers lie; CLIP's own needs none.

    Raises:
        WeightsError: the folder holds no tokenizer, or one whose ids the text tower does not have.
    """

    def __init__(self, config: Mapping[str, Any], folder: Path | None = None) -> None:
        text = config["text_cfg"]
        self.context_length = int(text.get("context_length", CONTEXT_LENGTH))
        self.is_clip = not text.get("hf_tokenizer_name")
        options = text.get("tokenizer_kwargs") or {}
        if self.is_clip:
            self._encode: Any = clip_encoder(json.dumps(options))
            self.vocabulary_size, self.padding, self.cut = int(self._encode.vocab_size), 0, True
        else:
            self._encode = _of_transformers(folder, text, self.context_length, options)
            found = self._encode.tokenizer
            self.vocabulary_size, self.padding = found.vocab_size, found.pad_token_id
            if self.padding is None:
                raise WeightsError(f"{folder}: its tokenizer has no padding token (pad_token in tokenizer_config.json)")
            self.cut = found.padding_side == "right" and not text.get("tokenizer_mode")
            # A tower that reads padding too may take its embedding at the first padding token: one is kept.
            self._kept = 0 if text.get("hf_model_name") else 1
        self._known: dict[str, Tensor] = {}

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Token ids (B, context length) as open_clip has them, padded."""
        ids_BL: Tensor = self._encode(list(texts), self.context_length)
        return ids_BL

    def lengths(self, tokens_BL: Tensor) -> Tensor:
        """Tokens of each text (B,): what follows is padding.

        CLIP: up to its last end mark, which is counted; L where a text has no end mark. Zeros cannot tell where a text
        ends: the padding is of id 0, but so is the "!" of "!™". Nor can its first end mark: a text may spell
        `<end_of_text>` out, and what follows that is still read by towers without a causal mask. Transformers: up to
        the last id that is not padding's, and one more for towers that do not know padding; L where padding stands
        before the text.
        """
        if not self.cut:
            return torch.full(tokens_BL.shape[:1], tokens_BL.shape[1], device=tokens_BL.device)
        last_BL = tokens_BL == self._encode.eot_token_id if self.is_clip else tokens_BL != self.padding
        # One byte each: quicker to search than ids.
        lengths_B = tokens_BL.shape[1] - last_BL.view(torch.uint8).flip(1).argmax(dim=1)
        return lengths_B if self.is_clip else (lengths_B + self._kept).clamp(max=tokens_BL.shape[1])

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Token ids (B, L), cut to the longest of the texts."""
        known = self._known if len(self._known) < KEPT else {}
        if missing := [text for text in dict.fromkeys(texts) if text not in known]:
            known.update(zip(missing, self.ids(missing), strict=True))
        self._known = known
        tokens_BL = torch.stack([known[text] for text in texts])
        return tokens_BL[:, : int(self.lengths(tokens_BL).max())]

    def count(self, text: str) -> int:
        """Number of tokens of a text as long as it is, without start and end marks."""
        if self.is_clip:
            return len(self._encode.encode(text))
        return len(self._encode.tokenizer(self.clean(text), add_special_tokens=False).input_ids)

    @property
    def is_plain(self) -> bool:
        """Whether it is CLIP's own as it comes, without options."""
        return self._encode is clip_encoder()

    def clean(self, text: str) -> str:
        """A text as it is before it is split into tokens."""
        return str(self._encode.clean_fn(text))

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text as long as it is, with start and end marks."""
        if self.is_clip:
            return [self.count(text) + 2 for text in texts]
        return list(map(len, self._encode.tokenizer(list(map(self.clean, texts))).input_ids))

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files, from which open_clip makes it again; CLIP's own has none."""
        if not self.is_clip:
            self._encode.save_pretrained(folder)


@functools.cache
def clip_encoder(options: str = "{}") -> Any:
    """open_clip's byte-pair tokenizer, made with options in JSON; its table takes a while to read."""
    logging.getLogger("open_clip").setLevel(logging.WARNING)
    return open_clip.SimpleTokenizer(**json.loads(options))


@functools.cache
def clip_tokenizer(context_length: int = CONTEXT_LENGTH) -> Tokenizer:
    """CLIP's own tokenizer, which most towers read."""
    return Tokenizer({"text_cfg": {"context_length": context_length}})


def _of_transformers(folder: Path | None, text: Mapping[str, Any], length: int, options: Mapping[str, Any]) -> Any:
    if folder is None or not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise WeightsError(f"its tokenizer {text['hf_tokenizer_name']!r} is not beside its weights (tokenizer.json)")
    if importlib.util.find_spec("transformers") is None:
        raise WeightsError(
            f"its tokenizer {text['hf_tokenizer_name']!r} is one of transformers, which is not installed; "
            "pip install 'eiclip[transformers]'"
        )
    try:
        return open_clip.tokenizer.HFTokenizer(
            str(folder), context_length=length, tokenizer_mode=text.get("tokenizer_mode"), **options
        )
    except Exception as error:  # transformers lets whatever it meets pass through
        raise WeightsError(f"{folder}: its tokenizer cannot be read ({short(error)})") from error
