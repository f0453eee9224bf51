"""Features of a folder of shards by the frozen parts of a model's towers: computed a shard at a time, kept, read again.

`<folder>/<shard>.safetensors` is the asset's: its photos' features, and those of the texts that the rows of Table 1
read. Texts that others read (an ablation's, sample-100's) are added when they are first wanted, a file each list of
texts below `<folder>/texts/`. Every file says what its features are of and holds a checksum.

Shape suffixes: B batch, H height, W width, C channels, N photos, V views, T texts, L tokens, S tokens of all texts,
F a feature's own dimensions.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor

from eiclip.errors import SettingsError
from eiclip.features.augment import augmentation, moved, random_states
from eiclip.features.files import as_bytes, as_texts, half, read_features, write_features
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.inputs import ModelInputs, normalise
from eiclip.model.towers import can_be_cut, image_size, preprocessing, tokenizer_of
from eiclip.shards.read import index_of, indexed_samples
from eiclip.storage.files import digest
from eiclip.storage.lock import exclusive
from eiclip.system.devices import mixed_precision

BATCH = 64
IDS, PHOTOS, LEVELS, TEXTS, LENGTHS = "ids", "photos", "levels", "texts/", "lengths/"
FORMAT = 2
"""Version of what a file's features are: part of what they are of."""

Item = TypeVar("Item")


class TextFeatures(NamedTuple):
    """Features of texts: one a text (T, F); or one a token (S, F), with each text's number of tokens (T)."""

    values: Tensor
    lengths_T: Tensor | None


class FeatureStore:
    """The features of a model over the shards that lie below `shards`.

    Raises:
        SettingsError: photos are to be augmented, and one plain view of each is kept.
    """

    def __init__(self, folder: Path, shards: Path, model: EntityClipModel, device: str = "cpu") -> None:
        self.folder, self.shards, self.model, self.device = folder, shards, model, device
        settings, parts = model.training_settings, (model.image_parts, model.text_parts)
        self.views, self.augment = settings.feature_views, settings.augment
        if parts[0] is not None and self.augment is not None and self.views == 1:
            raise SettingsError(
                "EICLIP_TRAINING__AUGMENT: the image tower is frozen and one view of each photo is kept, so nothing "
                "can be augmented; set EICLIP_TRAINING__FEATURE_VIEWS to 2 or more, or leave the augmentation out"
            )
        views = [self.views, self.augment and self.augment.model_dump()] if self.views > 1 else []
        self._image_key = "" if parts[0] is None else digest(
            [FORMAT, parts[0].digest(), preprocessing(model.towers), views]
        )  # fmt: skip
        self._text_key = "" if parts[1] is None else digest([FORMAT, parts[1].digest()])

    @property
    def has_photos(self) -> bool:
        """Whether features of photos are kept."""
        return self.model.image_parts is not None

    @property
    def has_texts(self) -> bool:
        """Whether features of texts are kept."""
        return self.model.text_parts is not None

    def place(self, shard: Path) -> Path:
        """Where the features of a shard lie."""
        return self.folder / shard.relative_to(self.shards).with_suffix(".safetensors")

    def write(
        self, shard: Path, index: pa.Table, texts: Sequence[Sequence[str]], *, plain: bool = False
    ) -> dict[str, int]:
        """Compute and write the features of a shard: its photos', and those of each of these lists of texts.

        Args:
            shard: its tar.
            index: its index.
            texts: those read of its samples, a list a way of reading.
            plain: whether the plain view of each photo is all that is read of it, as outside training.

        Raises:
            CorruptOutputError: a photo cannot be read.
            NonFiniteError: a feature is NaN or infinite.
        """
        ids, facts = index["image_id"].to_pylist(), {}
        tensors = {IDS: as_bytes(ids)}
        if self.model.image_parts is not None:
            tensors |= self._compute_photos(shard, index, range(1, 1 if plain else self.views))
            facts["photos"] = len(ids)
        if self.model.text_parts is not None:
            for some in texts:
                tensors |= self._named(some, self._compute_texts(some))
            facts["texts"] = sum(map(len, texts))
        write_features(self.place(shard), tensors, self._of(index))
        return facts

    def photos(self, shard: Path) -> tuple[list[str], Tensor]:
        """Return the image ids of a shard and its photos' features (N, V, F), at whose end a level head finds levels.

        Raises:
            CorruptOutputError: the file is missing, damaged, or of other towers.
        """
        found = read_features(self.place(shard), lambda _: self._of(index_of(shard)))
        photos = found[PHOTOS]
        if self.model.level_head is not None:
            photos = torch.cat([photos.flatten(2), found[LEVELS]], dim=2)
        return as_texts(found[IDS]), photos

    def texts(self, shard: Path, texts: Sequence[str]) -> TextFeatures:
        """Return the features of texts, in their order: those kept, else they are computed now and kept.

        Raises:
            CorruptOutputError: a file of theirs is damaged.
            NonFiniteError: a feature is NaN or infinite.
        """
        name, place = self._name(texts), self.place(shard)
        if place.is_file():
            found = read_features(place)
            if TEXTS + name in found:
                return TextFeatures(found[TEXTS + name], found.get(LENGTHS + name))
        place = self.folder / "texts" / f"{name}.safetensors"
        with exclusive(place.with_suffix(".lock")):
            if not place.is_file():
                write_features(place, self._named(texts, self._compute_texts(texts)), name)
            found = read_features(place, lambda _: name, "delete it: it is then computed again")
        return TextFeatures(found[TEXTS + name], found.get(LENGTHS + name))

    def _of(self, index: pa.Table) -> str:
        """What the features of a shard are of: of its photos by name and length, whatever texts stand beside them."""
        return digest([self._image_key, *(index[column].to_pylist() for column in ("image_id", "jpeg_bytes"))])

    def _name(self, texts: Sequence[str]) -> str:
        return digest([self._text_key, list(texts)])

    def _named(self, texts: Sequence[str], found: TextFeatures) -> dict[str, Tensor]:
        name = self._name(texts)
        tensors = {TEXTS + name: found.values}
        return tensors if found.lengths_T is None else tensors | {LENGTHS + name: found.lengths_T}

    def _compute_photos(self, shard: Path, index: pa.Table, others: range) -> dict[str, Tensor]:
        parts, size = self.model.image_parts, image_size(self.model.towers)
        assert parts is not None
        self.model.eval().to(self.device)
        self.model.towers.visual.to(memory_format=torch.channels_last)

        def pixels(start: int) -> Tensor:
            batch = index.slice(start, BATCH)
            plain = np.stack([sample.pixels(size) for sample in indexed_samples(shard, batch)])
            return torch.from_numpy(np.stack([plain, *(self._view(plain, view, start) for view in others)]))

        found: dict[str, list[Tensor]] = {PHOTOS: [], LEVELS: []}
        for pixels_VBHWC in ahead(pixels, range(0, len(index), BATCH)):
            views, photos = pixels_VBHWC.shape[:2]
            with torch.inference_mode(), mixed_precision(self.device):  # not around `to`, which makes new weights
                pixels_BCHW = normalise(self.model, pixels_VBHWC.flatten(0, 1).to(self.device))
                with self.model.image_levels.read() as levels:
                    made = {PHOTOS: half(parts.lower(pixels_BCHW))}
                made[LEVELS] = half(self.model.image_levels.of(pixels_BCHW, levels))
            for name, values in made.items():
                found[name].append(values.unflatten(0, (views, photos)).transpose(0, 1))
        return {name: torch.cat(values) for name, values in found.items()}

    def _view(self, plain_BHWC: np.ndarray, view: int, start: int) -> np.ndarray:
        """Return an augmented view of photos: the same for the same view and place in the shard, whatever the seed."""
        with random_states(view, start):
            if self.augment is None:
                return moved(torch.from_numpy(plain_BHWC)).numpy()
            transform = augmentation(self.augment, plain_BHWC.shape[1])
            return np.stack([np.asarray(transform(Image.fromarray(photo))) for photo in plain_BHWC])

    def _compute_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Texts of like length go through the tower together, and each keeps its place."""
        parts, towers = self.model.text_parts, self.model.towers
        assert parts is not None
        self.model.eval().to(self.device)
        tokenizer = tokenizer_of(towers)
        tokens_TL = tokenizer.ids(texts)
        length_T = tokenizer.lengths(tokens_TL)
        found: list[Tensor] = [torch.empty(0)] * len(texts)
        for rows in length_T.argsort(stable=True).split(BATCH):
            tokens_BL = tokens_TL[rows, : int(length_T[rows].max())].to(self.device)
            with torch.inference_mode(), mixed_precision(self.device):
                features_BF = half(parts.lower(tokens_BL))
            for row, count, feature in zip(rows.tolist(), length_T[rows].tolist(), features_BF, strict=True):
                # A tower that reads the whole context needs all of its features.
                found[row] = feature[:count] if parts.by_token and can_be_cut(towers) else feature
        if not parts.by_token:
            return TextFeatures(torch.stack(found), None)
        return TextFeatures(torch.cat(found), torch.tensor([len(one) for one in found], dtype=torch.int32))


def text_forms(model: EntityClipModel, excluded_group: str) -> list[Callable[[str, Mapping[str, list[str]]], str]]:
    """Ways in which the rows of Table 1 read a product's description and entities, by a model of row 3.

    They are the description alone, row 3's text, and where `excluded_group` is one of its groups row 3's without it.
    """
    inputs = ModelInputs.of(model)
    forms = [lambda description, _: description, inputs.text]
    without = [functools.partial(inputs.text, excluded_group=excluded_group)]
    return forms + (without if excluded_group in model.vocabulary.groups else [])


def ahead(make: Callable[[Item], Tensor], items: Sequence[Item]) -> Iterator[Tensor]:
    """Yield what is made of each item, the next one in a thread meanwhile: decoding releases the interpreter's lock."""
    with ThreadPoolExecutor(1, "photos") as pool:
        coming = [pool.submit(make, item) for item in items[:1]]
        for item in [*items[1:], None]:
            current = coming.pop()
            made = current.result()
            if item is not None:
                coming.append(pool.submit(make, item))
            yield made
