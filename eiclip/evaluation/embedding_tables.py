"""Tables of embeddings by a trained variant: `embeddings` of a test split, `product_views` of a whole catalogue.

Shape suffixes: P products, N photos or products, D embedding width.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from eiclip.evaluation.embed import embed_samples, embed_texts, first_of_product
from eiclip.evaluation.ranking import require_finite
from eiclip.features.reader import feature_store, features_of
from eiclip.features.store import FeatureStore
from eiclip.model.entity_clip import EntityClipModel, load_checkpoint
from eiclip.shards import SPLITS, read_manifest, read_samples, shard_paths
from eiclip.shards.products import product_contents
from eiclip.shards.read import index_of

IMAGE, PRODUCT, TEXT, TEXT_SAMPLE100 = "image", "product", "text", "text_sample100"
"""Kinds of embeddings: a photo, the mean of a product's photos, its text, and its text without the entity group that
sample-100's negatives share."""


def embeddings_table(
    model: EntityClipModel,
    dataset: str,
    shards: Sequence[Path],
    *,
    excluded_group: str,
    device: str = "cpu",
    store: FeatureStore | None = None,
) -> pa.Table:
    """Embed the photos and texts of a split: dataset, variant, kind, item_id, product_id, embedding.

    Args:
        excluded_group: the entity group that sample-100's queries do without.
        store: where the features of frozen towers lie.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    samples, features = list(read_samples(shards)), features_of(store, shards)
    split = embed_samples(model, samples, device, features)
    sample100_PD = split.text_PD
    if excluded_group in model.vocabulary.groups:
        sample100_PD = embed_texts(model, first_of_product(samples), device, excluded_group, features)
    products = split.product_ids
    parts = [
        (IMAGE, split.image_ids, split.image_products, split.image_ND),
        (PRODUCT, products, products, split.product_images()),
        (TEXT, products, products, split.text_PD),
        (TEXT_SAMPLE100, products, products, sample100_PD),
    ]
    return pa.concat_tables(
        _table(
            {"dataset": dataset, "variant": model.variant.name, "kind": kind, "item_id": items, "product_id": of},
            {"embedding": embedding_ND},
        )
        for kind, items, of, embedding_ND in parts
    )


def product_views_table(
    model: EntityClipModel,
    dataset: str,
    shards: Mapping[str, Sequence[Path]],
    device: str = "cpu",
    store: FeatureStore | None = None,
    only: Collection[str] | None = None,
) -> pa.Table:
    """Embed products of each split's shards in three views, by a trained variant on `device`; a row a product.

    `only` names the products to embed, which lie in these shards; without it all of them.

    Columns are dataset, variant, product_id, split, image, text, joint: `image` is the mean of a product's photos,
    `text` its description with its entities, `joint` the model's fusion of the two (without one, their mean); each of
    length one.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    parts = []
    for name, paths in shards.items():
        if samples := list(read_samples(paths, _photos_of(paths, only))):
            split = embed_samples(model, samples, device, features_of(store, paths))
            columns = {"dataset": dataset, "variant": model.variant.name, "product_id": split.product_ids}
            views = {"image": split.product_images(), "text": split.text_PD}
            views["joint"] = joint_of(model, views["image"], split.text_PD, device)
            parts.append(_table(columns | {"split": name}, views))
    return pa.concat_tables(parts)


def _photos_of(shards: Sequence[Path], products: Collection[str] | None) -> list[str] | None:
    """Return the image ids of products; None for all."""
    if products is None:
        return None
    wanted, found = pa.array(products, pa.string()), list[str]()
    for index in map(index_of, shards):
        found += index.filter(pc.is_in(index["product_id"], wanted))["image_id"].to_pylist()
    return found


def views_of_checkpoint(
    folder: Path,
    shards: Path,
    dataset: str,
    device: str = "cpu",
    features: Path | None = None,
    only: Collection[str] | None = None,
) -> pa.Table:
    """Make the table of a trained variant's folder over all splits of a folder of shards; `features` holds those of
    frozen towers, and `only` names the products to embed.

    Raises:
        WeightsError, CorruptOutputError: one of the folders cannot be read.
        NonFiniteError: an embedding is NaN or infinite.
    """
    present = {shard["split"] for shard in read_manifest(shards)["shards"]}
    paths = {split: shard_paths(shards, split) for split in SPLITS if split in present}
    model = load_checkpoint(folder, device)
    store = feature_store(model, features, shards, device)
    return product_views_table(model, dataset, paths, device, store, only)


def renewed_views(
    folder: Path,
    shards: Path,
    dataset: str,
    known: pa.Table | None = None,
    device: str = "cpu",
    features: Path | None = None,
) -> tuple[pa.Table, int]:
    """Make the table of a trained variant's folder with the column `content` of `product_contents`.

    Args:
        known: such a table by the same folder and code: products of the same content have their vectors from it, and
            only the others are embedded, without `features`, which may be of shards before the change.

    Returns:
        the table, and how many products were embedded.

    Raises:
        WeightsError, CorruptOutputError, NonFiniteError: as `views_of_checkpoint`.
    """
    contents = product_contents(shards)
    states = dict(zip(contents["product_id"].to_pylist(), contents["content"].to_pylist(), strict=True))
    names = ["dataset", "variant", "product_id", "image", "text", "joint"]
    if known is None:
        rows = views_of_checkpoint(folder, shards, dataset, device, features).select(names)
        missing = list(states)
    else:
        pairs = zip(known["product_id"].to_pylist(), known["content"].to_pylist(), strict=True)
        rows = known.filter(pa.array([states.get(product) == content for product, content in pairs])).select(names)
        missing = list(states.keys() - set(rows["product_id"].to_pylist()))
        if missing:
            made = views_of_checkpoint(folder, shards, dataset, device, only=missing)
            rows = pa.concat_tables([rows, made.select(names).cast(rows.schema)])
    row_of = {product: row for row, product in enumerate(rows["product_id"].to_pylist())}
    table = rows.take(pa.array([row_of[product] for product in states], pa.int64())).combine_chunks()
    table = table.add_column(3, "split", contents["split"]).append_column("content", contents["content"])
    return table, len(missing)


@torch.inference_mode()
def joint_of(model: EntityClipModel, image_PD: Tensor, text_PD: Tensor, device: str = "cpu") -> Tensor:
    """Return the joint view (P, D) of unit embeddings on the CPU, on the CPU.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    joint_PD = model.encode_joint(image_PD.to(device), text_PD.to(device)).cpu()
    require_finite("joint", joint_PD)
    return joint_PD


def _table(texts: Mapping[str, str | Sequence[str]], embeddings: Mapping[str, Tensor]) -> pa.Table:
    """Make a table of text columns (one text, or one a row) and of matrices (N, D)."""
    rows = len(next(iter(embeddings.values())))
    columns = {
        name: pa.array([value] * rows if isinstance(value, str) else value, pa.string())
        for name, value in texts.items()
    }
    for name, embedding_ND in embeddings.items():
        flat = pa.array(embedding_ND.float().contiguous().numpy().reshape(-1))
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, embedding_ND.shape[1])
    return pa.table(columns)
