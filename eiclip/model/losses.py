"""CLIP's symmetric cross entropy, and EI-CLIP's three terms of it (section 3.3, "Training").

Shape suffixes: B batch, D embedding width.
"""

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from eiclip.training_settings import LossTerm


def contrastive_loss(image_BD: Tensor, text_BD: Tensor, scale: Tensor, keep_B: Tensor | None = None) -> Tensor:
    """L(E_I, E_T): mean of image-to-text and text-to-image cross entropy over the batch's pairs, on cosines.

    Args:
        image_BD: image embeddings, of any length.
        text_BD: text embeddings, of any length; row i belongs to image i.
        scale: the learned inverse temperature.
        keep_B: pairs that take part; others are neither query nor candidate. Fewer than two: the loss is 0.
    """
    if keep_B is not None:
        image_BD, text_BD = image_BD[keep_B], text_BD[keep_B]
    if len(image_BD) < 2:
        return (image_BD.sum() + text_BD.sum()) * 0.0  # keeps the graph, so that every parameter has a gradient
    logits_BB = scale * F.normalize(image_BD, dim=-1) @ F.normalize(text_BD, dim=-1).T
    own_B = torch.arange(len(logits_BB), device=logits_BB.device)
    return (F.cross_entropy(logits_BB, own_B) + F.cross_entropy(logits_BB.T, own_B)) / 2


class LossTerms(NamedTuple):
    """The terms of the loss; without entity encoders the first two are the same and the third is 0."""

    joint: Tensor
    """L(E_I, E_D + E_A^)."""
    description: Tensor
    """L(E_I, E_D)."""
    entities: Tensor
    """L(E_I, E_A^), over the products that have an entity."""

    def total(self, names: Sequence[LossTerm]) -> Tensor:
        """The sum of the named terms: what is minimised."""
        chosen: list[Tensor] = [getattr(self, name) for name in names]
        return functools.reduce(operator.add, chosen)
