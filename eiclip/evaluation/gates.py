"""What the gates of rows 4 to 6 learned, and how much each entity group contributes to retrieval.

Shape suffixes: P products, N photos, K entity groups, V entities of a group, D embedding width.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from eiclip.errors import CorruptOutputError
from eiclip.evaluation.embed import EmbeddedSplit, embed_texts, first_of_product
from eiclip.features.reader import SplitFeatures
from eiclip.model.entity_clip import EntityClipModel
from eiclip.shards import Sample
from eiclip.storage.lake import matrix_of

GATES_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "variant", "entity_group")]
    + [("entity_id", pa.int64()), ("entity", pa.string()), ("weight", pa.float64())]
)
SHUFFLES_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "variant", "entity_group", "direction")]
    + [(name, pa.float64()) for name in ("r1", "r1_shuffled", "r1_lost", "r1_removed", "r1_removed_lost")]
)


@torch.inference_mode()
def group_weights(model: EntityClipModel, group: str) -> Tensor:
    """Return w_k (V,) of every entity of a group, in the order of the vocabulary's ids, on the CPU.

    Raises:
        ValueError: the variant has no gates.
    """
    if model.fusion is None:
        raise ValueError(f"{model.variant.name} has no entity encoders, so no gates: ask for row 4, 5 or 6")
    number = model.vocabulary.groups.index(group)
    device = next(model.fusion.parameters()).device
    ids_V = torch.arange(len(model.vocabulary.names[group]), device=device)
    return model.fusion.weight(number, model.fusion.entity(number, ids_V)).float().cpu()


def gate_weights(model: EntityClipModel, dataset: str) -> pa.Table:
    """Return w_k of every entity of the vocabulary: dataset, variant, entity_group, entity_id, entity, weight."""
    rows: list[dict[str, Any]] = []
    for group in model.vocabulary.groups:
        weights, names = group_weights(model, group).tolist(), model.vocabulary.names[group]
        shared = {"dataset": dataset, "variant": model.variant.name, "entity_group": group}
        rows += [shared | {"entity_id": i, "entity": name, "weight": weights[i]} for i, name in enumerate(names)]
    return pa.Table.from_pylist(rows, schema=GATES_SCHEMA)


def products_of(samples: Iterable[Sample]) -> list[Sample]:
    """Return one sample a product, without its photo: interventions change texts and entities alone."""
    return first_of_product([replace(sample, jpeg=b"") for sample in samples])


def with_entities(sample: Sample, group: str, entities: list[str]) -> Sample:
    """Return the product with these entities of a group instead of its own."""
    changed = sample.entities | {group: entities}
    return replace(sample, entities={name: own for name, own in changed.items() if own})


def stored_split(embeddings: pa.Table, products: Iterable[Sample]) -> EmbeddedSplit:
    """Read the photos and texts that one variant's embeddings table holds, which are to be of these products.

    Raises:
        CorruptOutputError: they are of other products, or in another order; names how many there are on either side.
    """
    image, text = (embeddings.filter(pc.equal(embeddings["kind"], kind)) for kind in ("image", "text"))
    ids, wanted = text["product_id"].to_pylist(), [sample.product_id for sample in products]
    if ids != wanted:
        counts = f"{len(ids)} products embedded, {len(wanted)} in the shards"
        raise CorruptOutputError(f"embeddings and shards differ ({counts}); materialise the embeddings again")
    image_ND, text_PD = (torch.from_numpy(matrix_of(rows["embedding"])) for rows in (image, text))
    return EmbeddedSplit(image["item_id"].to_pylist(), image["product_id"].to_pylist(), image_ND, ids, text_PD)


def entity_shuffles(
    model: EntityClipModel,
    embeddings: pa.Table,
    samples: Iterable[Sample],
    *,
    seed: int,
    device: str = "cpu",
    features: SplitFeatures | None = None,
) -> pa.Table:
    """Measure recall@1 over all candidates, and what remains of it with one group permuted among products, or removed.

    This shows what a group contributes better than its gate does: a large weight on an uninformative embedding costs
    nothing. A removed group carries no information; a permuted one misleads, which costs more.

    Raises:
        CorruptOutputError: embeddings and samples are of different products.
        NonFiniteError: an embedding is NaN or infinite.
    """
    products = products_of(samples)
    split = stored_split(embeddings, products)
    first = {"dataset": embeddings["dataset"][0].as_py(), "variant": model.variant.name}

    def recalls_at_1(text_PD: Tensor) -> dict[str, float]:
        recalls = replace(split, text_PD=text_PD).recalls()
        return {way: recalls[f"{way}_r1"] for way in ("i2t", "t2i")}

    plain = recalls_at_1(split.text_PD)
    others, rows = [products[i] for i in np.random.default_rng(seed).permutation(len(products))], []
    for group in model.vocabulary.groups:
        changed = zip(products, others, strict=True)
        mixed = [with_entities(own, group, other.entities.get(group, [])) for own, other in changed]
        shuffled = recalls_at_1(embed_texts(model, mixed, device, features=features))
        removed = recalls_at_1(embed_texts(model, products, device, group, features))
        for way, r1 in plain.items():
            numbers = {"r1": r1, "r1_shuffled": shuffled[way], "r1_lost": r1 - shuffled[way]}
            numbers |= {"r1_removed": removed[way], "r1_removed_lost": r1 - removed[way]}
            rows.append(first | {"entity_group": group, "direction": way} | numbers)
    return pa.Table.from_pylist(rows, schema=SHUFFLES_SCHEMA)
