"""Token and entity ids of a split's samples, each distinct text read once.

Shape suffixes: B batch, L tokens, K entity groups, M entities of one, N samples, S distinct
descriptions with entities, T distinct texts.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F

from eiclip.features.reader import TextRows
from eiclip.model.inputs import ModelInputs

AT_ONCE = 4096
"""Texts tokenised between two cuts of their padding."""
_Tags = tuple[tuple[str, tuple[str, ...]], ...]  # groups with their entities


class Texts:
    """What a model reads of the samples of an index, but for their photos.

    Args:
        index: the samples, columns as `eiclip.shards.INDEX_SCHEMA`.
        inputs: how their texts and entities become ids.
        features: of the texts by the frozen part of the text tower.
    """

    def __init__(self, index: pa.Table, inputs: ModelInputs, features: TextRows | None = None) -> None:
        # The numbers of distinct words and texts, in the order in which they are first met.
        words: dict[tuple[str, _Tags], int] = {}
        pairs = zip(index["description"].to_pylist(), _entities(index["entities"]), strict=True)
        # (N,): equal where description and entities are.
        self.words_N = np.array([words.setdefault(pair, len(words)) for pair in pairs], dtype=np.int64)
        entities = [{group: list(names) for group, names in tags} for _, tags in words]
        texts: dict[str, int] = {}
        read = [inputs.text(description, tags) for (description, _), tags in zip(words, entities, strict=True)]
        self._text_S = torch.tensor([texts.setdefault(text, len(texts)) for text in read], dtype=torch.int64)
        self._ids_SKM = inputs.entity_ids(entities)
        parts, distinct, tokenizer = [], list(texts), inputs.tokenizer
        for first in range(0, len(distinct), AT_ONCE):
            tokens_TL = tokenizer.ids(distinct[first : first + AT_ONCE])
            parts.append(tokens_TL[:, : int(tokenizer.lengths(tokens_TL).max())].int())
        longest = max(part.shape[1] for part in parts)
        self._tokens_TL = torch.cat(
            [F.pad(part, (0, longest - part.shape[1]), value=tokenizer.padding) for part in parts]
        )
        self._length_T = tokenizer.lengths(self._tokens_TL)
        self._features = features
        self._row_T = None if features is None else torch.tensor([features.row[text] for text in distinct])

    def of(self, samples_B: np.ndarray) -> tuple[Tensor, Tensor, Tensor | None]:
        """Token ids (B, L), cut to the longest text, entity ids (B, K, M), and the texts' features if there are any.

        `samples_B` are the numbers of the samples.
        """
        words_B = torch.from_numpy(self.words_N[samples_B])
        text_B = self._text_S[words_B]
        longest = int(self._length_T[text_B].max())
        features = None
        if self._features is not None and self._row_T is not None:
            features = self._features.of(self._row_T[text_B])
        return self._tokens_TL[text_B, :longest].long(), self._ids_SKM[words_B], features


def _entities(column: pa.ChunkedArray) -> Iterator[_Tags]:
    """Entities of each sample: a map's own `to_pylist` takes ten times as long."""
    for chunk in column.chunks:
        pairs = list(zip(chunk.keys.to_pylist(), map(tuple, chunk.items.to_pylist()), strict=True))
        for begin, end in itertools.pairwise(chunk.offsets.to_pylist()):
            yield tuple(pairs[begin:end])
