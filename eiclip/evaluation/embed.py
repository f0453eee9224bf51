"""Embeddings of a split's photos and texts by a trained variant.

Shape suffixes: B batch, N photos, P products, L tokens, K entity groups, M entities of one,
D embedding width.
"""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from eiclip.evaluation.chance import expected_measures
from eiclip.evaluation.ranking import full_ranks, recall_at, require_finite
from eiclip.evaluation.relevance import Relevance
from eiclip.features.reader import SplitFeatures
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.inputs import ModelInputs, normalise
from eiclip.model.towers import image_size
from eiclip.shards import Sample
from eiclip.system.devices import mixed_precision

BATCH = 128


@dataclass(frozen=True)
class EmbeddedSplit:
    """Unit-length embeddings of a split: every photo, and every product's text once."""

    image_ids: list[str]
    image_products: list[str]
    image_ND: Tensor
    product_ids: list[str]
    text_PD: Tensor

    def image_owners(self) -> Tensor:
        """Return the product numbers of the photos (N,), which are those of the texts."""
        numbers = {product: number for number, product in enumerate(self.product_ids)}
        return torch.tensor([numbers[product] for product in self.image_products])

    def product_images(self) -> Tensor:
        """Return the mean of each product's photos, scaled to length one again (P, D)."""
        sum_PD = self.image_ND.new_zeros(self.text_PD.shape).index_add_(0, self.image_owners(), self.image_ND)
        return F.normalize(sum_PD, dim=-1)

    def ranks(self) -> dict[str, Tensor]:
        """Return ranks of both directions over all candidates: of the photos (N,), and of the texts (P,)."""
        image_owner_N, text_owner_P = self.image_owners(), torch.arange(len(self.product_ids))
        return {
            "i2t": full_ranks(self.image_ND, self.text_PD, Relevance.of(image_owner_N, text_owner_P)),
            "t2i": full_ranks(self.text_PD, self.image_ND, Relevance.of(text_owner_P, image_owner_N)),
        }

    def recalls(self) -> dict[str, float]:
        """Return R@1/5/10 of both directions over all candidates, in percent, and their sum `sum_r`."""
        values = {f"{way}_r{k}": recall_at(ranks, k) for way, ranks in self.ranks().items() for k in (1, 5, 10)}
        return values | {"sum_r": sum(values.values())}

    def chance(self) -> float:
        """Return the `sum_r` of a random order of the same candidates."""
        photos, products = len(self.image_ids), len(self.product_ids)
        ways = [(products, 1)] * photos, [(photos, n) for n in Counter(self.image_products).values()]
        return sum(value for kinds in ways for name, value in expected_measures(kinds).items() if name != "mrr")


def normalised_pixels(model: EntityClipModel, samples: Sequence[Sample], device: str) -> Tensor:
    """Return photos of samples as the image tower takes them: float (B, 3, H, W)."""
    size = image_size(model.towers)
    pixels_BHWC = torch.from_numpy(np.stack([sample.pixels(size) for sample in samples]))
    return normalise(model, pixels_BHWC.to(device))


def embed_texts(
    model: EntityClipModel,
    samples: Sequence[Sample],
    device: str = "cpu",
    excluded_group: str = "",
    features: SplitFeatures | None = None,
) -> Tensor:
    """Return unit-length E_T (P, D) of samples' texts and entities, on the CPU; from features where there are any.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    inputs = ModelInputs.of(model)
    read = functools.partial(inputs.text, excluded_group=excluded_group)
    known = None if features is None else features.texts(read)

    def embed(batch: Sequence[Sample]) -> Tensor:
        texts = [read(sample.description, sample.entities) for sample in batch]
        given = None
        if known is not None and known.row.keys() >= set(texts):  # others are texts that somebody has changed
            given = known.of(torch.tensor([known.row[text] for text in texts])).to(device)
        with mixed_precision(device):
            tokens_BL, ids_BKM = inputs.of_texts(batch, excluded_group)
            text = model.encode_text(tokens_BL.to(device), ids_BKM.to(device), given)
        return text.joint()

    return _embedded("text", samples, embed)


def embed_images(
    model: EntityClipModel, samples: Sequence[Sample], device: str = "cpu", features: SplitFeatures | None = None
) -> Tensor:
    """Return unit-length E_I (N, D) of samples' photos, on the CPU; from features where there are any.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """

    def embed(batch: Sequence[Sample]) -> Tensor:
        known = None if features is None else features.photos([sample.image_id for sample in batch])
        with mixed_precision(device):
            if known is not None:
                return model.encode_image_features(known.to(device))
            return model.encode_image(normalised_pixels(model, batch, device))

    return _embedded("image", samples, embed)


@torch.inference_mode()
def _embedded(name: str, samples: Sequence[Sample], embed: Callable[[Sequence[Sample]], Tensor]) -> Tensor:
    batches = (samples[start : start + BATCH] for start in range(0, len(samples), BATCH))
    embedding_ND = torch.cat([F.normalize(embed(batch).float(), dim=-1).cpu() for batch in batches])
    require_finite(name, embedding_ND)
    return embedding_ND


def first_of_product(samples: Sequence[Sample]) -> list[Sample]:
    """Return one sample a product, its first: products share their text among their photos."""
    return list({sample.product_id: sample for sample in reversed(samples)}.values())[::-1]


def embed_samples(
    model: EntityClipModel, samples: Sequence[Sample], device: str = "cpu", features: SplitFeatures | None = None
) -> EmbeddedSplit:
    """Embed photos and, once a product, its text; from features of frozen towers where there are any."""
    products = first_of_product(samples)
    return EmbeddedSplit(
        image_ids=[sample.image_id for sample in samples],
        image_products=[sample.product_id for sample in samples],
        image_ND=embed_images(model, samples, device, features),
        product_ids=[sample.product_id for sample in products],
        text_PD=embed_texts(model, products, device, features=features),
    )
