"""The loss of same-style pairs: every view of a trigger against every view of its positive, and a consistency term.

Each term is CLIP's symmetric cross entropy over the pairs of a batch, on cosines. Two pairs may share a product: its
other appearances are no negatives of it. Data parallelism is as in `eiclip.model.losses`.

Shape suffixes: B own pairs, G pairs of the global batch, D embedding width, K candidates kept.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from eiclip.model.losses import NO_CANDIDATE, Gather
from eiclip.settings.training import StyleLossSettings


class Views(NamedTuple):
    """The views of some products, unit length: i, t and m in the names of view pairs."""

    image_BD: Tensor
    text_BD: Tensor
    joint_BD: Tensor


class StylePairs(NamedTuple):
    """A batch of pairs: row by row a trigger and its positive, and which products they are."""

    trigger: Views
    positive: Views
    trigger_product_B: Tensor
    positive_product_B: Tensor
    augmented: Views | None = None
    """The triggers seen otherwise (another crop of the photo), where the consistency term is on."""


def style_terms(
    own: StylePairs, scale: Tensor, settings: StyleLossSettings, gather: Gather | None = None, first: int = 0
) -> tuple[Tensor, dict[str, Tensor]]:
    """Every term that the settings give a weight.

    Args:
        own: this process's pairs.
        scale: the learned inverse temperature.
        settings: which terms, and their weights.
        gather: rows of all processes from this one's; None: it is alone.
        first: row of this process's first pair among everyone's.

    Returns:
        the loss, which is the weighted mean of the view pairs plus the other terms by their weights; the terms by name.
    """
    mine, everyone = (own.trigger_product_B, own.positive_product_B), own
    if gather is not None:
        trigger, positive = (Views(*map(gather, views)) for views in (own.trigger, own.positive))
        products = (product_B[:, None].double() for product_B in mine)  # which hold them exactly
        trigger_B, positive_B = (gather(product_B1)[:, 0].long() for product_B1 in products)
        everyone = StylePairs(trigger, positive, trigger_B, positive_B)
    # Which other pairs hold a product of the pair: no negatives of it.
    others = (everyone.trigger_product_B, everyone.positive_product_B)
    shared_BG = torch.stack([a[:, None] == b[None, :] for a in mine for b in others]).any(dim=0)
    rows_B = torch.arange(len(shared_BG), device=shared_BG.device)
    shared_BG[rows_B, rows_B + first] = False
    share = sum(settings.view_pairs.values())
    weights: dict[str, float] = {name: weight / share for name, weight in settings.view_pairs.items() if weight}
    if settings.caption:
        weights["caption"] = settings.caption
    terms = {
        name: _cross_entropy(_sides(name, own), _sides(name, everyone), scale, shared_BG, first) for name in weights
    }
    if own.augmented is not None:
        weights["consistency"] = settings.consistency
        terms["consistency"] = _consistency(own.trigger, own.augmented, everyone.positive, scale, settings)
    return torch.stack([term * weights[name] for name, term in terms.items()]).sum(), terms


def _sides(name: str, pairs: StylePairs) -> tuple[Tensor, Tensor]:
    """The two views that a term compares; `caption` is CLIP's own loss over the triggers' photos and texts."""
    if name == "caption":
        return pairs.trigger.image_BD, pairs.trigger.text_BD
    return pairs.trigger["itm".index(name[0])], pairs.positive["itm".index(name[2])]


def _cross_entropy(
    own: tuple[Tensor, Tensor], everyone: tuple[Tensor, Tensor], scale: Tensor, shared_BG: Tensor, first: int
) -> Tensor:
    """Mean of the cross entropy from the first view to the second and back."""
    target_B = torch.arange(first, first + len(own[0]), device=own[0].device)
    losses = [
        F.cross_entropy((scale * query_BD @ candidate_GD.T).masked_fill(shared_BG, NO_CANDIDATE), target_B)
        for query_BD, candidate_GD in ((own[0], everyone[1]), (own[1], everyone[0]))
    ]
    return (losses[0] + losses[1]) / 2


def _consistency(plain: Views, augmented: Views, positive: Views, scale: Tensor, settings: StyleLossSettings) -> Tensor:
    """How far an augmented trigger ranks its best candidates from how the plain one does: mean KL divergence.

    Over the photo and the joint view: the plain trigger's best positives, its distribution over them the target.
    """
    losses = []
    for view in (0, 2):
        candidate_GD = positive[view].detach()
        plain_BG = (scale * plain[view] @ candidate_GD.T).detach()
        best_BK = plain_BG.topk(min(settings.consistency_top, plain_BG.shape[1]), dim=1)
        seen_BG = scale * augmented[view] @ candidate_GD.T
        found_BK = seen_BG.gather(1, best_BK.indices).log_softmax(dim=1)
        target_BK = best_BK.values.log_softmax(dim=1)
        losses.append(F.kl_div(found_BK, target_BK, reduction="batchmean", log_target=True))
    return torch.stack(losses).mean()
