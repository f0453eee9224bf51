"""EntityClip: a trained checkpoint folder as a shop serves it, photos and texts in, embeddings out.

    model = EntityClip.from_folder("data/models/fashiongen/eiclip")
    images = model.encode_image(["shoe.jpg", "coat.png"])
    texts = model.encode_text(["a leather sneaker"], [{"brand": "golden goose"}])
    similarities = texts @ images.T

Embeddings are NumPy arrays, float32, of length one, so that a dot product is a cosine: those of the table `embeddings`.
Shape suffixes: N items, K entity groups, D embedding width.
"""

import functools
import io
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps

from eiclip.errors import RawDataError, SettingsError, did_you_mean
from eiclip.model.description import Description
from eiclip.model.variants import Variant
from eiclip.model.vocabulary import UNKNOWN_ID, Vocabulary
from eiclip.readers.base import UnusablePhotoError
from eiclip.readers.cells import MAX_TEXT
from eiclip.readers.photo_files import decode_rgb, photo_bytes, rgb_on_white
from eiclip.readers.texts import clean_description, match_key, normalise_entities
from eiclip.shards import PhotoForm, Sample, encode_photo

if TYPE_CHECKING:  # torch comes with the weights, at the first encoding
    from eiclip.model.entity_clip import EntityClipModel

Photo = Image.Image | Path | str | bytes | np.ndarray
"""An image of Pillow, a file's path, a file's bytes (JPEG, PNG, WEBP), or RGB pixels: uint8 (H, W, 3)."""
Entities = Mapping[str, str | Sequence[str | None] | None]
"""One entity by group (`{"brand": "diesel"}`) or several (`{"colour": ["black", "white"]}`).

Groups may be absent, and values None or a placeholder such as "n/a"."""


class EntityClip:
    """A variant's model behind plain inputs; everything takes one item, which counts as a list of one, or several.

    Rows 1 and 2 read no entities, row 3 reads them as words of the text, rows 4 to 6 by their encoders.
    """

    def __init__(self, model: "EntityClipModel | Path", device: str | None = None) -> None:
        """Take a model, or the folder of one: its description is read now, its weights when they are first needed.

        Raises:
            WeightsError: a file of the description is missing or damaged.
        """
        self._given, self._device, self._loading = model, device, threading.Lock()
        described = Description.read(model) if isinstance(model, Path) else model
        self.variant: Variant = described.variant
        self.vocabulary: Vocabulary = described.vocabulary
        self.width: int = described.width
        """D, the width of the embeddings."""

    @property
    def model(self) -> "EntityClipModel":
        """The model with its weights, on its device. Threads that ask at once load it once.

        Raises:
            WeightsError: a file of its folder is missing, damaged or of another shape.
        """
        with self._loading:
            return self._model

    @functools.cached_property
    def _model(self) -> "EntityClipModel":
        from eiclip.model.entity_clip import load_checkpoint

        model = load_checkpoint(self._given) if isinstance(self._given, Path) else self._given
        return model.eval().to(self.device)

    @functools.cached_property
    def device(self) -> str:
        """Where it encodes: `cpu`, `cuda` ..."""
        from eiclip.system.devices import pick_device

        return self._device or pick_device()

    @classmethod
    def from_folder(cls, folder: Path | str, device: str | None = None) -> Self:
        """The model of a checkpoint folder, `<home>/models/<dataset>/<variant>`; nothing in it is unpickled.

        Without a device (`cpu`, `cuda`, `cuda:1`) a GPU where there is one.

        Raises:
            WeightsError: a file is missing, damaged or of another shape.
        """
        from eiclip.model.entity_clip import load_checkpoint

        return cls(load_checkpoint(Path(folder)), device)

    @property
    def groups(self) -> tuple[str, ...]:
        """The entity groups that the model was trained with."""
        return self.vocabulary.groups

    def encode_image(self, photos: Photo | Iterable[Photo]) -> np.ndarray:
        """Unit-length embeddings (N, D) of photos, made square as the model's shards were, through JPEG.

        Raises:
            RawDataError: an item is no photo that can be read; says which, counted from 0.
        """
        if isinstance(photos, Image.Image | Path | str | bytes) or getattr(photos, "ndim", 0) == 3:
            photos = [photos]  # type: ignore[list-item]
        if not (photos := list(photos)):
            return np.zeros((0, self.width), dtype=np.float32)
        from eiclip.evaluation.embed import embed_images

        return embed_images(self.model, self.photo_samples(photos), self.device).numpy()

    def photo_samples(self, photos: Sequence[Photo]) -> list[Sample]:
        """Photos as the model's shards would hold them.

        Raises:
            RawDataError: an item is no photo that can be read; says which, counted from 0.
        """
        from eiclip.model.towers import photo_form

        form = photo_form(self.model.towers)
        return [Sample(str(n), str(n), "", {}, _jpeg(photo, n, form)) for n, photo in enumerate(photos)]

    def encode_text(
        self, texts: str | Sequence[str], entities: Entities | Sequence[Entities] | None = None
    ) -> np.ndarray:
        """Unit-length embeddings (N, D) of texts with their entities; what exceeds the model's context is cut.

        Texts are cleaned as the catalogue's are, entities put into the form they are counted by (lower case, single
        spaces); one that training did not see is read as `<unk>`.

        Raises:
            SettingsError: a group the model does not have, or entities that are not as many as texts.
            RawDataError: an item is not a text.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        tags = [{} for _ in texts] if entities is None else self.normalised(entities)
        if len(tags) != len(texts):
            raise SettingsError(f"{len(texts)} texts with {len(tags)} entities: give one mapping for each text")
        samples = []
        for number, (text, own) in enumerate(zip(texts, tags, strict=True)):
            if not isinstance(text, str):
                raise RawDataError(f"text {number}: {text!r} is not a text")
            samples.append(Sample(str(number), str(number), clean_description(text[:MAX_TEXT]), own))
        if not samples:
            return np.zeros((0, self.width), dtype=np.float32)
        from eiclip.evaluation.embed import embed_texts

        return embed_texts(self.model, samples, self.device).numpy()

    def encode_joint(self, image_ND: np.ndarray, text_ND: np.ndarray) -> np.ndarray:
        """Joint views (N, D) of products, of `encode_image`'s and `encode_text`'s embeddings, row by row.

        Same-style rows learned how to join the two; for the others it is their mean.

        Raises:
            SettingsError: the two are not of one shape (N, D).
        """
        shapes = image_ND.shape, text_ND.shape
        if shapes[0] != shapes[1] or image_ND.ndim != 2 or image_ND.shape[1] != self.width:
            raise SettingsError(f"photos {shapes[0]} and texts {shapes[1]}: give embeddings (N, {self.width}) of both")
        import torch

        from eiclip.evaluation.embedding_tables import joint_of

        image, text = (torch.from_numpy(np.ascontiguousarray(view, np.float32)) for view in (image_ND, text_ND))
        return joint_of(self.model, image, text, self.device).numpy()

    def gates(self, entities: Entities | Sequence[Entities]) -> list[dict[str, float]]:
        """Weight of each group in the sum that a text becomes, for each item; absent groups are left out.

        A gate reads the group's entity alone, of several the mean of their embeddings: the text does not change it.
        Row 4's weights are all the same.

        Raises:
            SettingsError: a group the model does not have, or the model has no gates (rows 1 to 3).
        """
        if self.variant.gates == "none":
            raise SettingsError(f"{self.variant.name} has no gates: rows 4 to 6 do (eiclip_equal, eiclip, eiclip_plus)")
        if not (tags := self.normalised(entities)):
            return []
        import torch

        from eiclip.model.inputs import ModelInputs

        assert self.model.fusion is not None
        with torch.inference_mode():
            ids_NKM = ModelInputs.of(self.model).entity_ids(tags).to(self.device)
            weight_NK = self.model.fusion(ids_NKM).weight_BK.tolist()
        return [
            {group: weight for group, weight in zip(self.groups, row, strict=True) if group in own}
            for row, own in zip(weight_NK, tags, strict=True)
        ]

    def unknown(self, entities: Entities | Sequence[Entities]) -> list[dict[str, list[str]]]:
        """For each item the entities by group, in their normalised form, that are read as `<unk>`.

        Raises:
            SettingsError: a group the model does not have.
        """
        id_of, found = self.vocabulary.entity_id, []
        for own in self.normalised(entities):
            unseen = {group: [e for e in names if id_of(group, e) == UNKNOWN_ID] for group, names in own.items()}
            found.append({group: names for group, names in unseen.items() if names})
        return found

    def normalised(self, entities: Entities | Sequence[Entities]) -> list[dict[str, list[str]]]:
        """Entities of each item as training has them, by group; those that say nothing are left out.

        A name that training does not have stands for the one of the same `match_key`.

        Raises:
            SettingsError: a group the model does not have.
            RawDataError: an entity is not a text.
        """
        found = []
        for number, own in enumerate([entities] if isinstance(entities, Mapping) else entities):
            if odd := [group for group in own if group not in self.groups]:
                there = (", ".join(self.groups) or "none") + did_you_mean(odd[0], self.groups)
                raise SettingsError(f"item {number}: no entity group {odd[0]!r}; the model's groups are: {there}")
            given = {
                group: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
                for group, value in own.items()
            }
            if wrong := [
                group for group, values in given.items() if not all(isinstance(v, str | None) for v in values)
            ]:
                raise RawDataError(
                    f"item {number}: its {wrong[0]} is {own[wrong[0]]!r}, neither a text nor a list of them"
                )
            named = {
                group: [self._spelled(group, name) for name in normalise_entities(v[:MAX_TEXT] for v in values if v)]
                for group, values in given.items()
            }
            found.append({group: names for group, names in named.items() if names})
        return found

    def _spelled(self, group: str, entity: str) -> str:
        """The name of an entity in the vocabulary: its own, else the one of its key."""
        if self.vocabulary.entity_id(group, entity) != UNKNOWN_ID:
            return entity
        return self._keyed[group].get(match_key(entity), entity)

    @functools.cached_property
    def _keyed(self) -> dict[str, dict[str, str]]:
        """Names by group and match key, the commonest where several have one key."""
        names = self.vocabulary.names
        keyed = {group: [(match_key(name), name) for name in own[:0:-1]] for group, own in names.items()}
        return {group: {key: name for key, name in pairs if key} for group, pairs in keyed.items()}


def _jpeg(photo: object, number: int, form: PhotoForm) -> bytes:
    """A photo as a shard would hold it."""
    name = str(photo) if isinstance(photo, str | Path) else ""
    try:
        if isinstance(photo, str | Path):
            photo = photo_bytes(Path(photo), name)
        if isinstance(photo, bytes):
            decoded = decode_rgb(photo, name or f"its {len(photo):,} bytes")
            with Image.open(io.BytesIO(photo)) as found:  # an upright sRGB JPEG of the right size can stand as it is
                plain = found.getexif().get(ExifTags.Base.Orientation, 1) == 1 and "icc_profile" not in found.info
                fits = (found.format, found.mode, found.size, plain) == ("JPEG", "RGB", (form.size, form.size), True)
            return photo if fits else encode_photo(decoded, form)
        if isinstance(photo, Image.Image):
            return encode_photo(rgb_on_white(ImageOps.exif_transpose(photo)), form)
    except (UnusablePhotoError, ImageCms.PyCMSError, OSError, ValueError) as error:
        raise RawDataError(f"photo {number}: {error}") from error
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8 or photo.shape[2:] != (3,) or not photo.size:
        what = f"{photo.dtype} {photo.shape}" if isinstance(photo, np.ndarray) else type(photo).__name__
        raise RawDataError(
            f"photo {number}: {what} is no photo: give an image of Pillow, a path, the bytes of a JPEG, PNG or WEBP, "
            "or RGB pixels as uint8 (H, W, 3)"
        )
    return encode_photo(np.ascontiguousarray(photo), form)
