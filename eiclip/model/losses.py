"""CLIP's symmetric cross entropy, SigLIP's sigmoid loss, and EI-CLIP's three terms (section 3.3, "Training").

Under data parallelism a process has B pairs of a global batch of G: its pairs are the queries, everybody's the
candidates. The mean over processes of what each one gets here is the loss of the global batch, and so is the gradient.

Shape suffixes: B own pairs, G pairs of the global batch, D embedding width.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from eiclip.settings.training import LossTerm

Gather = Callable[[Tensor], Tensor]
"""Rows of all processes from this one's, through which gradients flow back."""

NO_CANDIDATE = -1e4
"""Score of what is no candidate: its share of the softmax is 0 in every precision."""


class Pairs(NamedTuple):
    """Image and text embeddings of the same products, row by row, of length one."""

    image_BD: Tensor
    text_BD: Tensor


def unit(embedding_BD: Tensor) -> Tensor:
    """Embeddings scaled to length one, in full precision whatever the towers ran in."""
    return F.normalize(embedding_BD.float(), dim=-1)


def contrastive_loss(
    own: Pairs, scale: Tensor, everyone: Pairs | None = None, first: int = 0, keep_G: Tensor | None = None
) -> Tensor:
    """L(E_I, E_T): mean of image-to-text and text-to-image cross entropy over the pairs, on cosines.

    Args:
        own: this process's pairs, the queries.
        scale: the learned inverse temperature.
        everyone: the pairs of all processes, the candidates; None: its own are all there are.
        first: row of this process's first pair among everyone's.
        keep_G: pairs that take part; others are neither query nor candidate. With fewer than two the loss is 0.
    """
    everyone, count = everyone or own, len(own.image_BD)
    logits_BG = scale * own.image_BD @ everyone.text_BD.T
    # Alone, what texts score for images is what images score for texts.
    other_BG = logits_BG.T if everyone is own else scale * own.text_BD @ everyone.image_BD.T
    own_B = torch.arange(first, first + count, device=logits_BG.device)
    if keep_G is None:
        return (F.cross_entropy(logits_BG, own_B) + F.cross_entropy(other_BG, own_B)) / 2
    logits_BG, other_BG = (logits.masked_fill(~keep_G, NO_CANDIDATE) for logits in (logits_BG, other_BG))
    target_B = own_B.masked_fill(~keep_G[first : first + count], -100)  # rows that cross_entropy ignores
    total = F.cross_entropy(logits_BG, target_B, reduction="sum") + F.cross_entropy(other_BG, target_B, reduction="sum")
    # Each process divides by the global count, and the mean over processes by their number.
    processes = len(everyone.image_BD) / count
    return total * processes / (2 * keep_G.sum().clamp(min=1))


def sigmoid_loss(
    own: Pairs,
    scale: Tensor,
    bias: Tensor,
    everyone: Pairs | None = None,
    first: int = 0,
    keep_G: Tensor | None = None,
) -> Tensor:
    """SigLIP's loss: for each photo with each text, whether they belong together; the sum over texts, mean over photos.

    Args:
        own: this process's pairs; its photos are compared with everyone's texts.
        scale: the learned inverse temperature.
        bias: the learned logit of a pair at a cosine of 0.
        everyone: the pairs of all processes; None: its own are all there are.
        first: row of this process's first pair among everyone's.
        keep_G: pairs that take part. With none the loss is 0.
    """
    everyone, count = everyone or own, len(own.image_BD)
    logits_BG = scale * own.image_BD @ everyone.text_BD.T + bias
    belong_BG = torch.zeros_like(logits_BG)
    belong_BG.diagonal(first).fill_(1)
    loss_BG = F.binary_cross_entropy_with_logits(logits_BG, belong_BG, reduction="none")
    if keep_G is None:
        return loss_BG.sum() / count
    kept_BG = keep_G[first : first + count, None] & keep_G
    # Each process divides by the global count, and the mean over processes by their number.
    return (loss_BG * kept_BG).sum() * (len(everyone.image_BD) / count) / keep_G.sum().clamp(min=1)


class LossTerms(NamedTuple):
    """L(E_I, E_D + E_A^), L(E_I, E_D), and L(E_I, E_A^) over the products that have an entity.

    Without entity encoders the first two are the same and the third is 0.
    """

    joint: Tensor
    description: Tensor
    entities: Tensor

    def total(self, names: Sequence[LossTerm]) -> Tensor:
        """The sum of the named terms: what is minimised."""
        first, *others = (getattr(self, name) for name in names)
        return sum(others, start=first)
