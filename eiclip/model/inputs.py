"""What a model reads of a product: its text as ids, its entities as ids, its photo as normalised pixels.

Shape suffixes: B batch, H height, W width, C channels, L tokens, K entity groups, M entities of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eiclip.model.description import compose_text
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.tokenizer import Tokenizer
from eiclip.model.towers import image_size, pixel_statistics, tokenizer_of
from eiclip.model.variants import Variant
from eiclip.model.vocabulary import MISSING_ID, Vocabulary
from eiclip.shards import Sample


@dataclass(frozen=True)
class ModelInputs:
    """What a model's inputs are made by, without the model's weights."""

    variant: Variant
    vocabulary: Vocabulary
    entities_first: bool
    photo_size: int
    """Side of the square photos, in pixels."""
    tokenizer: Tokenizer

    @classmethod
    def of(cls, model: EntityClipModel) -> "ModelInputs":
        """Those of a model."""
        first, towers = model.training_settings.entities_first, model.towers
        return cls(model.variant, model.vocabulary, first, image_size(towers), tokenizer_of(towers))

    def text(self, description: str, entities: Mapping[str, list[str]], excluded_group: str = "") -> str:
        """The text that the variant reads: row 3's has the entities too, but for those of `excluded_group`."""
        if not self.variant.entities_as_text:
            return description
        groups, first = self.vocabulary.groups, self.entities_first
        return compose_text(description, entities, groups, entities_first=first, excluded_group=excluded_group)

    def token_ids(self, texts: Sequence[str]) -> Tensor:
        """Token ids (B, L), cut to the longest of the texts."""
        return self.tokenizer(texts)

    def entity_ids(self, entities: Sequence[Mapping[str, list[str]]], excluded_group: str = "") -> Tensor:
        """Entity ids (B, K, M): 0 where training never saw one, -1 for none; M is 1 where no product has several."""
        encoded = [self.vocabulary.encode(tags, excluded_group) for tags in entities]
        most = max((len(ids) for groups in encoded for ids in groups), default=1) or 1
        padded = [[ids + [MISSING_ID] * (most - len(ids)) for ids in groups] for groups in encoded]
        return torch.tensor(padded, dtype=torch.int64).reshape(len(entities), len(self.vocabulary.groups), most)

    def of_texts(self, samples: Sequence[Sample], excluded_group: str = "") -> tuple[Tensor, Tensor]:
        """Token ids (B, L) and entity ids (B, K, M) of samples."""
        texts = [self.text(sample.description, sample.entities, excluded_group) for sample in samples]
        return self.token_ids(texts), self.entity_ids([sample.entities for sample in samples], excluded_group)


def normalise(model: EntityClipModel, pixels_BHWC: Tensor) -> Tensor:
    """Photos as the image tower wants them, float (B, C, H, W), of uint8 RGB pixels on the model's device.

    They lie in memory as they came, channels innermost. R is a row of all its channels: over an inner dimension of
    three the same arithmetic takes five times as long.
    """
    mean_C, deviation_C = (torch.tensor(s, device=pixels_BHWC.device) for s in pixel_statistics(model.towers))
    width = pixels_BHWC.shape[2]
    scale_R, shift_R = (1 / (255 * deviation_C)).repeat(width), (-mean_C / deviation_C).repeat(width)
    pixels_BHR = pixels_BHWC.flatten(2)
    scaled_BHR = torch.empty(pixels_BHR.shape, device=pixels_BHR.device)
    # A CPU takes so many photos at a time as stay in its cache between one pass over them and the next.
    photos_at_once = 2**17 // pixels_BHR.shape[1:].numel() if pixels_BHR.device.type == "cpu" else len(pixels_BHR)
    for photos, scaled in zip(*(part.split(max(1, photos_at_once)) for part in (pixels_BHR, scaled_BHR)), strict=True):
        torch.addcmul(shift_R, scaled.copy_(photos), scale_R, out=scaled)
    return scaled_BHR.view(pixels_BHWC.shape).permute(0, 3, 1, 2)
