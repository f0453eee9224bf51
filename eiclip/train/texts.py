"""Token and entity ids of a split's samples, each distinct text read once.

Shape suffixes: B batch, L tokens, K entity groups, N samples, S distinct products' words (description and entities),
T distinct texts.
"""

import itertools
from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from eiclip.model.inputs import ModelInputs
from eiclip.model.towers import text_lengths, tokenizer

AT_ONCE = 4096
"""Texts tokenised between two cuts of their padding."""
Words = tuple[str, tuple[tuple[str, str], ...]]
"""A product's description and its (group, entity) pairs."""
Key = TypeVar("Key", bound=Hashable)


class Texts:
    """What a model reads of the samples of an index, but for their photos.

    Args:
        index: the samples, columns as `eiclip.shards.INDEX_SCHEMA`.
        inputs: how their texts and entities become ids.
    """

    def __init__(self, index: pa.Table, inputs: ModelInputs) -> None:
        words: dict[Words, int] = {}
        pairs = zip(index["description"].to_pylist(), _entities(index["entities"]), strict=True)
        self._words_N = np.array([_number(words, pair) for pair in pairs], dtype=np.int64)
        entities = [dict(pairs) for _, pairs in words]
        texts: dict[str, int] = {}
        numbers = [_number(texts, inputs.text(d, tags)) for (d, _), tags in zip(words, entities, strict=True)]
        self._text_S = torch.tensor(numbers, dtype=torch.int64)
        self._ids_SK = inputs.entity_ids(entities)
        self._tokens_TL = _tokens(list(texts), inputs.context_length)
        self._length_T = text_lengths(self._tokens_TL)

    def of(self, samples_B: np.ndarray) -> tuple[Tensor, Tensor]:
        """Token ids (B, L), cut to the longest text, and entity ids (B, K) of samples, by their numbers."""
        words_B = torch.from_numpy(self._words_N[samples_B])
        text_B = self._text_S[words_B]
        longest = int(self._length_T[text_B].max())
        return self._tokens_TL[text_B, :longest].long(), self._ids_SK[words_B]


def _number(known: dict[Key, int], value: Key) -> int:
    """The value's number, in the order in which values are first met."""
    return known.setdefault(value, len(known))


def _entities(column: pa.ChunkedArray) -> Iterator[tuple[tuple[str, str], ...]]:
    """Entities of each sample: a map's own `to_pylist` takes ten times as long."""
    for chunk in column.chunks:
        pairs = list(zip(chunk.keys.to_pylist(), chunk.items.to_pylist(), strict=True))
        for begin, end in itertools.pairwise(chunk.offsets.to_pylist()):
            yield tuple(pairs[begin:end])


def _tokens(texts: Sequence[str], context_length: int) -> Tensor:
    """Token ids (T, L), int32, cut to the longest text."""
    parts = []
    for first in range(0, len(texts), AT_ONCE):
        tokens_TL = tokenizer()(list(texts[first : first + AT_ONCE]), context_length)
        parts.append(tokens_TL[:, : int(text_lengths(tokens_TL).max())].int())
    length = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, length - part.shape[1])) for part in parts])
