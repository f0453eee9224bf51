"""Token and entity ids of a split's samples, each distinct text read once.

Shape suffixes: B batch, L tokens, K entity groups, M entities of a group and product, N samples, S distinct
descriptions with entities, T distinct texts.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F

from eiclip.model.inputs import ModelInputs
from eiclip.model.towers import text_lengths, tokenizer

AT_ONCE = 4096
"""Texts tokenised between two cuts of their padding."""
_Tags = tuple[tuple[str, tuple[str, ...]], ...]  # groups with their entities


class Texts:
    """What a model reads of the samples of an index, but for their photos.

    Args:
        index: the samples, columns as `eiclip.shards.INDEX_SCHEMA`.
        inputs: how their texts and entities become ids.
    """

    def __init__(self, index: pa.Table, inputs: ModelInputs) -> None:
        # The numbers of distinct words and texts, in the order in which they are first met.
        words: dict[tuple[str, _Tags], int] = {}
        pairs = zip(index["description"].to_pylist(), _entities(index["entities"]), strict=True)
        self._words_N = np.array([words.setdefault(pair, len(words)) for pair in pairs], dtype=np.int64)
        entities = [{group: list(names) for group, names in tags} for _, tags in words]
        texts: dict[str, int] = {}
        read = [inputs.text(description, tags) for (description, _), tags in zip(words, entities, strict=True)]
        self._text_S = torch.tensor([texts.setdefault(text, len(texts)) for text in read], dtype=torch.int64)
        self._ids_SKM = inputs.entity_ids(entities)
        parts, distinct = [], list(texts)
        for first in range(0, len(distinct), AT_ONCE):
            tokens_TL = tokenizer()(distinct[first : first + AT_ONCE], inputs.context_length)
            parts.append(tokens_TL[:, : int(text_lengths(tokens_TL).max())].int())
        longest = max(part.shape[1] for part in parts)
        self._tokens_TL = torch.cat([F.pad(part, (0, longest - part.shape[1])) for part in parts])
        self._length_T = text_lengths(self._tokens_TL)

    def of(self, samples_B: np.ndarray) -> tuple[Tensor, Tensor]:
        """Token ids (B, L), cut to the longest text, and entity ids (B, K, M) of samples, by their numbers."""
        words_B = torch.from_numpy(self._words_N[samples_B])
        text_B = self._text_S[words_B]
        longest = int(self._length_T[text_B].max())
        return self._tokens_TL[text_B, :longest].long(), self._ids_SKM[words_B]


def _entities(column: pa.ChunkedArray) -> Iterator[_Tags]:
    """Entities of each sample: a map's own `to_pylist` takes ten times as long."""
    for chunk in column.chunks:
        pairs = list(zip(chunk.keys.to_pylist(), map(tuple, chunk.items.to_pylist()), strict=True))
        for begin, end in itertools.pairwise(chunk.offsets.to_pylist()):
            yield tuple(pairs[begin:end])
