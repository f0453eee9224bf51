"""Losses of cross-encoders.

Shape suffixes: B batch, N hidden words or patches, V tokens of the vocabulary, C channels, J losses, M candidates.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def word_loss(logits_NV: Tensor, word_N: Tensor) -> Tensor:
    """Masked language modelling: mean cross entropy of the hidden words; 0 where there are none."""
    return F.cross_entropy(logits_NV, word_N) if len(word_N) else logits_NV.sum() * 0.0


def patch_loss(predicted_NC: Tensor, patch_NC: Tensor) -> Tensor:
    """Masked patch modelling: mean KL(softmax(features) || softmax(prediction)); 0 where no patch is hidden.

    A patch's features are read as logits of a distribution (arXiv 2005.09801, section 3.2).
    """
    if not len(patch_NC):
        return predicted_NC.sum() * 0.0
    return F.kl_div(predicted_NC.log_softmax(-1), patch_NC.log_softmax(-1), reduction="batchmean", log_target=True)


def match_loss(score_B: Tensor, belongs_B: Tensor) -> Tensor:
    """Text-image alignment: mean binary cross entropy of whether photo and text belong together."""
    return F.binary_cross_entropy_with_logits(score_B, belongs_B.float())


def adaptive_weights(losses: Sequence[Tensor]) -> Tensor:
    """Weights (J,) of FashionBERT's adaptive loss, whose sum is 1: w_i = 1 / (J - g_i) over the sum of those.

    The paper (section 3.3) takes the squared norm of each task's gradient for g_i; its published code takes the square
    of the losses' softmax, and so does this. The larger a loss, the more it counts; no gradient passes through.
    """
    loss_J = torch.stack([loss.detach().float() for loss in losses])
    weight_J = 1 / (len(losses) - loss_J.softmax(0).square())
    return weight_J / weight_J.sum()


def listwise_loss(score_BM: Tensor, allowed_BM: Tensor | None = None) -> Tensor:
    """Mean cross entropy of each row's first candidate, which belongs, among its others; some may not count."""
    if allowed_BM is not None:
        score_BM = score_BM.masked_fill(~allowed_BM, -1e4)
    return F.cross_entropy(score_BM, score_BM.new_zeros(len(score_BM), dtype=torch.int64))
