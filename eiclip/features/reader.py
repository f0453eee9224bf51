"""Features by sample: those of a split's photos by image id, those of its texts by text.

Shape suffixes: B batch, N photos, V views, T texts, L tokens, S tokens of all texts, F a feature's own dimensions.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from eiclip.errors import CorruptOutputError
from eiclip.features.patches import PatchStore
from eiclip.features.store import FeatureStore
from eiclip.model.entity_clip import EntityClipModel
from eiclip.shards.read import index_of

Read = Callable[[str, Mapping[str, list[str]]], str]
"""The text that a model reads of a description and entities."""


class IndexedShard(NamedTuple):
    """A shard, and the rows of its index."""

    path: Path
    index: pa.Table


class PhotoRows:
    """Features of the photos of shards (N, V, F).

    Raises:
        CorruptOutputError: a file of features is missing, damaged, or of other towers or photos.
    """

    def __init__(self, store: FeatureStore | PatchStore, shards: Sequence[IndexedShard]) -> None:
        found = [store.photos(shard.path) for shard in shards]
        self.features_NVF = torch.cat([features_NVF for _, features_NVF in found])
        ids = (image_id for some, _ in found for image_id in some)
        self._row = {image_id: row for row, image_id in enumerate(ids)}
        self._place = store.folder

    def rows(self, image_ids: Sequence[str]) -> np.ndarray:
        """Return the rows (B,) of images.

        Raises:
            CorruptOutputError: one has no features.
        """
        try:
            return np.array([self._row[image_id] for image_id in image_ids], dtype=np.int64)
        except KeyError as error:
            raise CorruptOutputError(
                f"{self._place}: no features of photo {error.args[0]!r}; materialise `features` again"
            ) from error

    def of(self, rows_B: np.ndarray, views_B: np.ndarray | int = 0) -> Tensor:
        """Return features (B, F) in float16 of rows, of one view of each."""
        return self.features_NVF[torch.from_numpy(rows_B), torch.as_tensor(views_B)]


class TextRows:
    """Features of the distinct texts that are read of the samples of shards.

    Raises:
        CorruptOutputError: a file of features is damaged.
        NonFiniteError: a feature is NaN or infinite.
    """

    def __init__(self, store: FeatureStore, shards: Sequence[IndexedShard], read: Read) -> None:
        self.row: dict[str, int] = {}
        values: list[Tensor] = []
        lengths: list[int] = []
        kept: list[int] = []
        for shard in shards:
            texts = shard_texts(shard.index, read)
            if not texts:
                continue
            found = store.texts(shard.path, texts)
            values.append(found.values)
            kept += [self.row.setdefault(text, len(self.row)) for text in texts]
            lengths += [1] * len(texts) if found.lengths_T is None else found.lengths_T.tolist()
        self._values, self.by_token = torch.cat(values), found.lengths_T is not None
        begins = np.concatenate([[0], np.cumsum(lengths)])
        first = np.unique(np.array(kept), return_index=True)[1]  # where each distinct text stands first
        self._begin_T = torch.from_numpy(begins[first])
        self._length_T = torch.tensor(lengths)[torch.from_numpy(first)]

    def of(self, rows_B: Tensor) -> Tensor:
        """Return features in float16: (B, F), or (B, L, F) of texts with as many as the longest has, then zeros."""
        begin_B, length_B = self._begin_T[rows_B], self._length_T[rows_B]
        if not self.by_token:
            return self._values[begin_B]
        place_BL = torch.arange(int(length_B.max())).expand(len(rows_B), -1)
        inside_BL = place_BL < length_B[:, None]
        return self._values[torch.where(inside_BL, begin_B[:, None] + place_BL, 0)] * inside_BL[..., None]


class SplitFeatures:
    """Features of a split's photos and texts, as far as the towers have frozen parts.

    Raises:
        CorruptOutputError: as `PhotoRows`.
    """

    def __init__(self, store: FeatureStore | PatchStore, shards: Sequence[IndexedShard]) -> None:
        self._store, self._shards = store, shards
        self.rows = PhotoRows(store, shards) if store.has_photos else None

    def photos(self, image_ids: Sequence[str]) -> Tensor | None:
        """Return features (B, F) of images; None where they are to be read from pixels."""
        return None if self.rows is None else self.rows.of(self.rows.rows(image_ids))

    def texts(self, read: Read) -> TextRows | None:
        """Return the features of the texts that are read of the samples; None where they are to be read from tokens."""
        if not isinstance(self._store, FeatureStore) or not self._store.has_texts:
            return None
        return TextRows(self._store, self._shards, read)


def feature_store(
    model: EntityClipModel, features: Path | None, shards: Path, device: str = "cpu"
) -> FeatureStore | None:
    """Return where a model's features lie; None where both towers are trained as a whole, or there are no features.

    Without features, photos and texts go through the whole towers: slower, and otherwise the same.

    Args:
        features: the folder that holds them, if there is one.
        shards: the folder of the shards that they are of.

    Raises:
        SettingsError: photos are to be augmented, and one plain view of each is kept.
    """
    if features is None or (model.image_parts is None and model.text_parts is None):
        return None
    return FeatureStore(features, shards, model, device)


def features_of(store: FeatureStore | PatchStore | None, paths: Sequence[Path]) -> SplitFeatures | None:
    """Return the features of shards; None without a store. Raises CorruptOutputError as `PhotoRows`."""
    if store is None:
        return None
    return SplitFeatures(store, [IndexedShard(path, index_of(path)) for path in paths])


def shard_texts(index: pa.Table, read: Read) -> list[str]:
    """Return the distinct texts that are read of the samples of an index, in the order in which they are first met."""
    entities = (dict(pairs) for pairs in index["entities"].to_pylist())
    pairs = zip(index["description"].to_pylist(), entities, strict=True)
    return list(dict.fromkeys(read(description, tags) for description, tags in pairs))
