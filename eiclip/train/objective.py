"""The loss that a step minimises: EI-CLIP's terms over a batch of products, or the terms of same-style pairs.

Shape suffixes: B own share of the batch or its pairs, H height, W width, C channels, K entity groups, D width.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from eiclip.features.augment import moved
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.losses import unit
from eiclip.model.style_loss import StylePairs, Views, style_terms
from eiclip.system.devices import mixed_precision
from eiclip.train.cross_objective import matching, re_ranking
from eiclip.train.encoder import Encoder
from eiclip.train.job import TrainJob
from eiclip.train.loader import Batch, Loader
from eiclip.train.negatives import HardNegatives
from eiclip.train.world import World


class Objective(NamedTuple):
    """The loss of a step, its terms by name, and the weights (B, K) of this share's entities."""

    loss: Tensor
    terms: dict[str, Tensor]
    weight_BK: Tensor | None


def objective(
    encoder: Encoder,
    batch: Batch,
    job: TrainJob,
    world: World,
    loader: Loader | None = None,
    negatives: HardNegatives | None = None,
) -> Objective:
    """The loss over the global batch; where the model has a fusion of views, over its pairs.

    A cross-encoder's is over this share of the batch: `cross_objective`. Row 14 draws wrong answers from the loader.
    """
    batch = batch.to(world.device)
    model, style = encoder.model, job.training.style
    if model.cross is not None:
        with mixed_precision(world.device, job.hardware.precision):
            if negatives is None or loader is None:
                return Objective(*matching(model, batch), None)
            return Objective(*re_ranking(model, batch, loader, negatives), None)
    gather = world.gather if world.size > 1 else None
    paired = model.views is not None
    pairs = len(batch.product_B) // 2 if paired else len(batch.product_B)
    images = batch.images
    if paired and style.consistency > 0 and not images.is_floating_point():  # features come with another view
        images = torch.cat([images, moved(images[:pairs])])
    with mixed_precision(world.device, job.hardware.precision):
        encoded = encoder(images, batch.tokens_BL, batch.ids_BKM, batch.text_features)
    weight_BK = None if encoded.text.entities is None else encoded.text.entities.weight_BK
    if not paired:
        terms = model.loss(encoded.image_BD, encoded.text, encoded.scale, gather, world.rank * pairs)
        return Objective(terms.total(model.loss_terms), terms._asdict(), weight_BK)
    image_BD, text_BD = unit(encoded.image_BD), unit(encoded.text.joint())
    sides = [(image_BD[:pairs], text_BD[:pairs]), (image_BD[pairs : 2 * pairs], text_BD[pairs:])]
    if len(image_BD) > 2 * pairs:  # augmented triggers
        sides.append((image_BD[2 * pairs :], text_BD[:pairs]))
    trigger, positive, *augmented = (Views(i, t, model.encode_joint(i, t)) for i, t in sides)
    products = batch.product_B[:pairs], batch.product_B[pairs:]
    own = StylePairs(trigger, positive, *products, augmented[0] if augmented else None)
    return Objective(*style_terms(own, encoded.scale, style, gather, world.rank * pairs), weight_BK)


def minimised_terms(model: EntityClipModel) -> float:
    """Count the cross entropies whose sum the loss is, by weight: a same-style row's mean over view pairs is one.

    Guessing gives each of them the logarithm of the batch. The consistency term is left out: guessing makes it small.
    """
    return len(model.loss_terms) if model.views is None else 1 + model.training_settings.style.caption
