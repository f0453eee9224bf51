"""One forward pass over a batch, as a module that data parallelism can wrap; in chunks, if memory is short.

Shape suffixes: B batch, H height, W width, L tokens, K entity groups, D embedding width.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from eiclip.model.entities import FusedEntities
from eiclip.model.entity_clip import EntityClipModel, TextParts
from eiclip.model.inputs import normalise
from eiclip.settings.training import HardwareSettings


class Encoded(NamedTuple):
    """What the loss is made of."""

    image_BD: Tensor
    text: TextParts
    scale: Tensor


class Encoder(nn.Module):
    """The model over a batch, as the hardware settings have it run.

    With `chunk_size` each tower sees so many pairs at a time and keeps of each chunk its embeddings alone: the backward
    pass runs the chunk again (gradient caching, by torch's checkpointing of whole chunks). The loss still sees the
    whole batch, and its gradients are those of the whole batch.
    """

    def __init__(self, model: EntityClipModel, hardware: HardwareSettings) -> None:
        super().__init__()
        self.model = model
        self.chunk_size = hardware.chunk_size
        self.channels_last = hardware.channels_last
        towers: Any = model.towers
        if hardware.gradient_checkpointing:
            towers.set_grad_checkpointing(True)
        if hardware.channels_last:
            towers.visual.to(memory_format=torch.channels_last)
        if hardware.compile:
            towers.visual.compile()
            text = towers.transformer if hasattr(towers, "transformer") else towers.text
            text.compile(dynamic=True)  # texts differ in length from batch to batch

    def forward(self, pixels_BHWC: Tensor, tokens_BL: Tensor, ids_BK: Tensor) -> Encoded:
        """Embeddings of a batch: uint8 photos, token ids, entity ids."""
        if self.chunk_size is None or len(pixels_BHWC) <= self.chunk_size:
            image_BD, description_BD = self._images(pixels_BHWC), self._descriptions(tokens_BL)
        else:
            image_BD = torch.cat([self._kept_short(self._images, part) for part in pixels_BHWC.split(self.chunk_size)])
            texts = tokens_BL.split(self.chunk_size)
            description_BD = torch.cat([self._kept_short(self._descriptions, part) for part in texts])
        return Encoded(image_BD, TextParts(description_BD, self._entities(ids_BK)), self.model.scale)

    def _images(self, pixels_BHWC: Tensor) -> Tensor:
        pixels_BCHW = normalise(self.model, pixels_BHWC)
        return self.model.encode_image(pixels_BCHW if self.channels_last else pixels_BCHW.contiguous())

    def _descriptions(self, tokens_BL: Tensor) -> Tensor:
        return self.model.encode_description(tokens_BL)

    def _entities(self, ids_BK: Tensor) -> FusedEntities | None:
        return None if self.model.fusion is None else self.model.fusion(ids_BK)

    @staticmethod
    def _kept_short(encode: Any, part: Tensor) -> Tensor:
        output: Tensor = checkpoint(encode, part, use_reentrant=False)
        return output
