"""The table `product_views`: every product of a catalogue under a trained variant, in three views of one space.

Shape suffixes: P products, N photos, D embedding width.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from eiclip.evaluation.embed import embed_images, embed_texts, first_of_product
from eiclip.evaluation.embedding_tables import mean_by_product
from eiclip.evaluation.ranking import require_finite
from eiclip.model.entity_clip import EntityClipModel, load_checkpoint
from eiclip.shards import SPLITS, Sample, read_manifest, read_samples, shard_paths

VIEWS = ("image", "text", "joint")


def product_views_table(
    model: EntityClipModel, dataset: str, shards: Mapping[str, Sequence[Path]], device: str = "cpu"
) -> pa.Table:
    """Unit-length views of products: dataset, variant, product_id, split, image, text, joint; a row a product.

    `image` is the mean of a product's photos, `text` its description with its entities, `joint` the model's fusion of
    the two (without one, their mean).

    Args:
        model: a trained variant, on `device`.
        dataset: its name.
        shards: paths of the shards of each split.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    parts = [
        _part(model, dataset, split, read_samples(paths), device)
        for split, paths in shards.items()
        if paths
    ]  # fmt: skip
    return pa.concat_tables(parts)


def views_of_checkpoint(folder: Path, shards: Path, dataset: str, device: str = "cpu") -> pa.Table:
    """The table of a trained variant's folder over all splits of a folder of shards.

    Raises:
        WeightsError, CorruptOutputError: one of the folders cannot be read.
        NonFiniteError: an embedding is NaN or infinite.
    """
    there = {shard["split"] for shard in read_manifest(shards)["shards"]}
    paths = {split: shard_paths(shards, split) for split in SPLITS if split in there}
    return product_views_table(load_checkpoint(folder, device), dataset, paths, device)


def _part(model: EntityClipModel, dataset: str, split: str, read: Iterable[Sample], device: str) -> pa.Table:
    samples = list(read)
    products = first_of_product(samples)
    ids = [sample.product_id for sample in products]
    image_ND = embed_images(model, samples, device)
    image_PD = mean_by_product(image_ND, [sample.product_id for sample in samples], ids)
    text_PD = embed_texts(model, products, device)
    joint_PD = joint_of(model, image_PD, text_PD, device)
    return views_part(dataset, model.variant.name, split, ids, (image_PD, text_PD, joint_PD))


@torch.inference_mode()
def joint_of(model: EntityClipModel, image_PD: Tensor, text_PD: Tensor, device: str = "cpu") -> Tensor:
    """The joint view (P, D) of unit embeddings on the CPU, on the CPU.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    joint_PD = model.encode_joint(image_PD.to(device), text_PD.to(device)).cpu()
    require_finite("joint", joint_PD)
    return joint_PD


def views_part(
    dataset: str, variant: str, split: str, product_ids: Sequence[str], views: tuple[Tensor, Tensor, Tensor]
) -> pa.Table:
    """Rows of `product_views` from matrices (P, D) in the order of `VIEWS`."""
    count = len(product_ids)
    columns = {"dataset": [dataset] * count, "variant": [variant] * count, "product_id": list(product_ids)}
    columns["split"] = [split] * count
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    for name, view_PD in zip(VIEWS, views, strict=True):
        flat = pa.array(view_PD.float().contiguous().numpy().reshape(-1))
        table = table.append_column(name, pa.FixedSizeListArray.from_arrays(flat, view_PD.shape[1]))
    return table
