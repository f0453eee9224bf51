"""Lengths of descriptions in tokens, and the context they are cut at; the rest of the profile is in `sql/profile/`."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.errors import WeightsError
from eiclip.model.sources import CONFIG_FILE, SMALL, STARTER, STARTER_CONFIG
from eiclip.model.tokenizer import clip_encoder

LONGEST_WORD = 500
"""Letters of a word that are merged into byte pairs at once: the time grows with their square."""
BATCH = 50_000
"""Descriptions in memory at a time."""
TOKENS_SCHEMA = pa.schema([("dataset", pa.string()), ("product_id", pa.string()), ("tokens", pa.int32())])


def token_counts(descriptions: Sequence[str]) -> np.ndarray:
    """Count tokens of each description before any cut, with start and end marks: int32 of shape (N,).

    Counts are those of the models' own tokenizer. Equal descriptions are counted once and words are cached: most of the
    time goes to splitting text (about 40 µs for 60 words). Words of more than `LONGEST_WORD` letters are counted in
    pieces.
    """
    counts = {text: _count(text) for text in set(descriptions)}
    return np.fromiter((counts[text] for text in descriptions), np.int32, len(descriptions))


def _count(text: str) -> int:
    encoder = clip_encoder()
    # Cleaning changes nothing in plain text but case, and white space, at which it is split anyway.
    plain = text.isascii() and text.isprintable() and "&" not in text
    clean = text.lower() if plain else encoder.clean_fn(text)
    return 2 + sum(map(_pieces, encoder.pat.findall(clean)))


@functools.lru_cache(maxsize=1_000_000)
def _pieces(word: str) -> int:
    encoder = clip_encoder()
    encoded = "".join(encoder.byte_encoder[byte] for byte in word.encode("utf-8"))
    parts = (encoded[start : start + LONGEST_WORD] for start in range(0, len(encoded), LONGEST_WORD))
    return sum(encoder.bpe(part).count(" ") + 1 for part in parts)


def token_table(products: Path, dataset: str) -> pa.Table:
    """Make one row per product of a `products` file: dataset, product_id, tokens of its description (2 without one).

    Memory grows with the number of products, not with their texts.
    """
    batches = []
    for batch in pq.ParquetFile(products).iter_batches(BATCH, columns=["product_id", "description"]):
        ids = batch.column("product_id").cast(pa.string())
        tokens = token_counts([text or "" for text in batch.column("description").to_pylist()])
        names = pa.array([dataset] * len(ids), pa.string())
        batches.append(pa.record_batch([names, ids, pa.array(tokens)], schema=TOKENS_SCHEMA))
    return pa.Table.from_batches(batches, schema=TOKENS_SCHEMA)


def configured_context_length(model_name: str, pretrained: str) -> int:
    """Return the context length (in tokens, with marks) of the text tower of the settings, without its weights.

    Raises:
        WeightsError: the model's name is unknown, or the folder is not open_clip's.
    """
    if pretrained == "general":
        text: dict[str, Any] = SMALL["text_cfg"]
    elif pretrained == STARTER:
        text = STARTER_CONFIG["text_cfg"]
    elif not Path(pretrained).is_dir():
        known = open_clip.get_model_config(model_name)
        if known is None:
            raise WeightsError(f"EICLIP_MODEL={model_name!r}: open_clip has no such model; see open_clip.list_models()")
        text = known["text_cfg"]
    else:
        try:
            text = dict(
                json.loads((Path(pretrained) / CONFIG_FILE).read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"EICLIP_PRETRAINED={pretrained!r}: cannot read {CONFIG_FILE} in it ({error})"
            ) from error
    return int(text.get("context_length", 77))  # open_clip's own, where the configuration does not say
