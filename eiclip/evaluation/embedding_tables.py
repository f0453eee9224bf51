"""Embeddings of a trained variant as a table.

Shape suffixes: P products, N photos, K entity groups, D embedding width.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F

from eiclip.evaluation.embed import embed_images, embed_texts, first_of_product
from eiclip.model.entity_clip import EntityClipModel
from eiclip.shards import read_samples

IMAGE, PRODUCT, TEXT, TEXT_SAMPLE100 = "image", "product", "text", "text_sample100"
"""Kinds of embeddings: a photo, the mean of a product's photos, its text, and its text without the entity group that
sample-100's negatives share."""


def embeddings_table(
    model: EntityClipModel, dataset: str, shards: Sequence[Path], *, excluded_group: str, device: str = "cpu"
) -> pa.Table:
    """Embeddings of the photos and texts of a split: dataset, variant, kind, item_id, product_id, embedding.

    Args:
        excluded_group: the entity group that sample-100's queries do without.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    samples = list(read_samples(shards))
    products = first_of_product(samples)
    text_PD = embed_texts(model, products, device)
    sample100_PD = (
        embed_texts(model, products, device, excluded_group) if excluded_group in model.vocabulary.groups else text_PD
    )
    product_ids = [sample.product_id for sample in products]
    owners, image_ND = [sample.product_id for sample in samples], embed_images(model, samples, device)
    parts = [
        (IMAGE, [sample.image_id for sample in samples], owners, image_ND),
        (PRODUCT, product_ids, product_ids, mean_by_product(image_ND, owners, product_ids)),
        (TEXT, product_ids, product_ids, text_PD),
        (TEXT_SAMPLE100, product_ids, product_ids, sample100_PD),
    ]
    return pa.concat_tables(_embedding_part(dataset, model.variant.name, *part) for part in parts)


def mean_by_product(image_ND: Tensor, owners: Sequence[str], products: Sequence[str]) -> Tensor:
    """The mean of each product's photo embeddings (N, D), scaled to length one again (P, D)."""
    numbers = {product: number for number, product in enumerate(products)}
    rows = torch.tensor([numbers[owner] for owner in owners], dtype=torch.int64)
    sum_PD = image_ND.new_zeros(len(products), image_ND.shape[1]).index_add_(0, rows, image_ND)
    return F.normalize(sum_PD, dim=-1)


def _embedding_part(
    dataset: str, variant: str, kind: str, items: list[str], products: list[str], embedding_ND: Tensor
) -> pa.Table:
    width = embedding_ND.shape[1]
    flat = pa.array(embedding_ND.contiguous().numpy().reshape(-1))
    return pa.table(
        {
            "dataset": pa.array([dataset] * len(items)),
            "variant": pa.array([variant] * len(items)),
            "kind": pa.array([kind] * len(items)),
            "item_id": items,
            "product_id": products,
            "embedding": pa.FixedSizeListArray.from_arrays(flat, width),
        }
    )
