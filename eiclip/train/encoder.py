"""The forward pass over a batch as the hardware settings have it run; in chunks, if memory is short.

Shape suffixes: B batch, H height, W width, L tokens, K entity groups, M entities of one,
D embedding width.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from eiclip.model.entity_clip import EntityClipModel, TextParts
from eiclip.model.inputs import normalise
from eiclip.settings.training import HardwareSettings


class Encoded(NamedTuple):
    """Embeddings of a batch and the inverse temperature: what the loss is a function of."""

    image_BD: Tensor
    text: TextParts
    scale: Tensor


class Encoder(nn.Module):
    """The model over a batch.

    With `chunk_size` each tower sees so many pairs at a time and keeps of each chunk its embeddings alone: the backward
    pass runs the chunk again (gradient caching). Loss and gradients are those of the whole batch.
    """

    def __init__(self, model: EntityClipModel, hardware: HardwareSettings) -> None:
        super().__init__()
        self.model = model
        self.chunk_size, self.channels_last = hardware.chunk_size, hardware.channels_last
        towers = model.towers
        if hardware.gradient_checkpointing:
            towers.set_grad_checkpointing(True)
        if hardware.channels_last:
            towers.visual.to(memory_format=torch.channels_last)
        if hardware.compile and model.image_parts is None:
            towers.visual.compile()
        if hardware.compile and model.text_parts is None:
            text = towers.transformer if hasattr(towers, "transformer") else towers.text
            text.compile(dynamic=True)  # texts differ in length from batch to batch

    def forward(
        self, images: Tensor, tokens_BL: Tensor, ids_BKM: Tensor, text_features: Tensor | None = None
    ) -> Encoded:
        """Embeddings of a batch: uint8 photos or features of photos, token ids and their features, entity ids."""
        image_BD = self._in_chunks(self._encode_photos, images)
        texts = [tokens_BL] if text_features is None else [tokens_BL, text_features]
        description_BD = self._in_chunks(self.model.encode_description, *texts)
        entities = None if self.model.fusion is None else self.model.fusion(ids_BKM)
        return Encoded(image_BD, TextParts(description_BD, entities), self.model.scale)

    def _encode_photos(self, images: Tensor) -> Tensor:
        if images.is_floating_point():
            return self.model.encode_image_features(images)
        pixels_BCHW = normalise(self.model, images)
        return self.model.encode_image(pixels_BCHW if self.channels_last else pixels_BCHW.contiguous())

    def _in_chunks(self, encode: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        if self.chunk_size is None or len(inputs[0]) <= self.chunk_size:
            return encode(*inputs)
        parts = zip(*(one.split(self.chunk_size) for one in inputs), strict=True)
        return torch.cat([checkpoint(encode, *part, use_reentrant=False) for part in parts])
