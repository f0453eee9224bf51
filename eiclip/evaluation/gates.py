"""What the gates of rows 4 and 5 learned, and what each entity group is worth to retrieval.

Shape suffixes: P products, N photos, K entity groups, V entities of a group, D embedding width.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from eiclip.errors import CorruptOutputError
from eiclip.evaluation.embed import EmbeddedSplit, embed_texts, first_of_product
from eiclip.model.entity_clip import EntityClipModel
from eiclip.shards import Sample

GATES_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("variant", pa.string()),
        ("entity_group", pa.string()),
        ("entity_id", pa.int64()),
        ("entity", pa.string()),
        ("weight", pa.float64()),
    ]
)

SHUFFLES_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("variant", pa.string()),
        ("entity_group", pa.string()),
        ("direction", pa.string()),
        ("r1", pa.float64()),
        ("r1_shuffled", pa.float64()),
        ("r1_lost", pa.float64()),
        ("r1_removed", pa.float64()),
        ("r1_removed_lost", pa.float64()),
    ]
)


@torch.inference_mode()
def group_weights(model: EntityClipModel, group: str) -> Tensor:
    """w_k (V,) of every entity of a group, in the order of the vocabulary's ids, on the CPU.

    Raises:
        ValueError: the variant has no gates.
    """
    if model.fusion is None:
        raise ValueError(f"{model.variant.name} has no entity encoders, so no gates: ask for row 4 or 5")
    number = model.vocabulary.groups.index(group)
    device = next(model.fusion.parameters()).device
    ids_V = torch.arange(len(model.vocabulary.names[group]), device=device)
    return model.fusion.weight(number, model.fusion.entity(number, ids_V)).float().cpu()


def gate_weights(model: EntityClipModel, dataset: str) -> pa.Table:
    """w_k of every entity of the vocabulary: dataset, variant, entity_group, entity_id, entity, weight."""
    rows: list[dict[str, Any]] = []
    for group in model.vocabulary.groups:
        weights, names = group_weights(model, group).tolist(), model.vocabulary.names[group]
        shared = {"dataset": dataset, "variant": model.variant.name, "entity_group": group}
        rows += [shared | {"entity_id": i, "entity": name, "weight": weights[i]} for i, name in enumerate(names)]
    return pa.Table.from_pylist(rows, schema=GATES_SCHEMA)


def products_of(samples: Iterable[Sample]) -> list[Sample]:
    """One sample a product, without its photo: what interventions change are texts and entities."""
    return first_of_product([replace(sample, jpeg=b"") for sample in samples])


def stored_split(embeddings: pa.Table) -> EmbeddedSplit:
    """The photos and texts that one variant's embeddings table holds."""
    image, text = (embeddings.filter(pc.equal(embeddings["kind"], kind)) for kind in ("image", "text"))
    return EmbeddedSplit(
        image_ids=image["item_id"].to_pylist(),
        image_products=image["product_id"].to_pylist(),
        image_ND=_matrix(image),
        product_ids=text["product_id"].to_pylist(),
        text_PD=_matrix(text),
    )


def require_same_products(split: EmbeddedSplit, products: Sequence[Sample]) -> None:
    """Refuse texts that were embedded from other products, or in another order, than these.

    Raises:
        CorruptOutputError: names how many products there are on either side.
    """
    if split.product_ids != [sample.product_id for sample in products]:
        counts = f"{len(split.product_ids)} products embedded, {len(products)} in the shards"
        raise CorruptOutputError(f"embeddings and shards differ ({counts}); materialise the embeddings again")


def _matrix(rows: pa.Table) -> Tensor:
    flat = pa.concat_arrays([chunk.flatten() for chunk in rows["embedding"].chunks]).to_numpy(zero_copy_only=False)
    return torch.from_numpy(flat.reshape(rows.num_rows, -1).copy())


def entity_shuffles(
    model: EntityClipModel, embeddings: pa.Table, samples: Iterable[Sample], *, seed: int, device: str = "cpu"
) -> pa.Table:
    """Recall@1 over all candidates, and what is left of it without one group: shuffled among products, and removed.

    What a group is worth shows here more surely than in its gate: a large weight on an embedding that says nothing
    costs nothing. A removed group says nothing; a shuffled one says something wrong, which costs more.

    Raises:
        CorruptOutputError: embeddings and samples are of different products.
        NonFiniteError: an embedding is NaN or infinite.
    """
    products, split = products_of(samples), stored_split(embeddings)
    require_same_products(split, products)
    first = {"dataset": embeddings["dataset"][0].as_py(), "variant": model.variant.name}
    plain = _recalls_at_1(split, split.text_PD)
    rows = []
    for group in model.vocabulary.groups:
        shuffled = _recalls_at_1(split, embed_texts(model, _shuffled(products, group, seed), device))
        removed = _recalls_at_1(split, embed_texts(model, products, device, excluded_group=group))
        for way, r1 in plain.items():
            numbers = {"r1": r1, "r1_shuffled": shuffled[way], "r1_lost": r1 - shuffled[way]}
            numbers |= {"r1_removed": removed[way], "r1_removed_lost": r1 - removed[way]}
            rows.append(first | {"entity_group": group, "direction": way} | numbers)
    return pa.Table.from_pylist(rows, schema=SHUFFLES_SCHEMA)


def _shuffled(products: list[Sample], group: str, seed: int) -> list[Sample]:
    """The products with `group`'s entities (or lack of one) dealt out anew among them."""
    order = np.random.default_rng(seed).permutation(len(products))
    changed = []
    for sample, other in zip(products, (products[i] for i in order), strict=True):
        entities = {name: entity for name, entity in sample.entities.items() if name != group}
        if group in other.entities:
            entities[group] = other.entities[group]
        changed.append(replace(sample, entities=entities))
    return changed


def _recalls_at_1(split: EmbeddedSplit, text_PD: Tensor) -> dict[str, float]:
    recalls = replace(split, text_PD=text_PD).recalls()
    return {way: recalls[f"{way}_r1"] for way in ("i2t", "t2i")}
