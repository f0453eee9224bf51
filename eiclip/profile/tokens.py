"""Lengths of descriptions in tokens of the models' own tokenizer; the rest of the profile is in `sql/profile/`."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.model.tokenizer import Tokenizer, clip_encoder

LONGEST_WORD = 500
"""Letters of a word that are merged into byte pairs at once: the time grows with their square."""
BATCH = 50_000
"""Descriptions in memory at a time."""
TOKENS_SCHEMA = pa.schema([("dataset", pa.string()), ("product_id", pa.string()), ("tokens", pa.int32())])


def token_counts(descriptions: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """Count tokens of each description before any cut, with start and end marks: int32 of shape (N,).

    Equal descriptions are counted once. With CLIP's tokenizer words are cached: most of the time goes to splitting text
    (about 40 µs for 60 words). Words of more than `LONGEST_WORD` letters are counted in pieces.
    """
    distinct = list(set(descriptions))
    found = [_count(text, tokenizer) for text in distinct] if tokenizer.is_clip else tokenizer.counts(distinct)
    counts = dict(zip(distinct, found, strict=True))
    return np.fromiter((counts[text] for text in descriptions), np.int32, len(descriptions))


def _count(text: str, tokenizer: Tokenizer) -> int:
    # Cleaning changes nothing in plain text but case, and white space, at which it is split anyway.
    plain = tokenizer.is_plain and text.isascii() and text.isprintable() and "&" not in text
    clean = text.lower() if plain else tokenizer.clean(text)
    return 2 + sum(map(_pieces, clip_encoder().pat.findall(clean)))


@functools.lru_cache(maxsize=1_000_000)
def _pieces(word: str) -> int:
    encoder = clip_encoder()
    encoded = "".join(encoder.byte_encoder[byte] for byte in word.encode("utf-8"))
    parts = (encoded[start : start + LONGEST_WORD] for start in range(0, len(encoded), LONGEST_WORD))
    return sum(encoder.bpe(part).count(" ") + 1 for part in parts)


def token_table(products: Path, dataset: str, tokenizer: Tokenizer) -> pa.Table:
    """Make one row per product of a `products` file: dataset, product_id, tokens of its description.

    Memory grows with the number of products, not with their texts.
    """
    batches = []
    for batch in pq.ParquetFile(products).iter_batches(BATCH, columns=["product_id", "description"]):
        ids = batch.column("product_id").cast(pa.string())
        tokens = token_counts([text or "" for text in batch.column("description").to_pylist()], tokenizer)
        names = pa.array([dataset] * len(ids), pa.string())
        batches.append(pa.record_batch([names, ids, pa.array(tokens)], schema=TOKENS_SCHEMA))
    return pa.Table.from_batches(batches, schema=TOKENS_SCHEMA)
