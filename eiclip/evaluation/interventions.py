"""Interventions, do(X): how a text's ranking changes when one of its product's entities is removed, swapped or written.

Each product of a seeded sample of the test split queries all test photos for its own, once as it is and once an
intervention: for every entity it has, without that entity (`removed`), with another one of the group (`swapped`), and
with the entity as words of the text and no embedding (`as_text`). Its other entities, of the same group too, stay.

Shape suffixes: Q interventions, P products, N photos, K best photos, D embedding width.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from eiclip.evaluation.embed import EmbeddedSplit, embed_texts
from eiclip.evaluation.gates import group_weights, products_of, stored_split, with_entities
from eiclip.evaluation.ranking import full_ranks
from eiclip.evaluation.relevance import Relevance
from eiclip.features.reader import SplitFeatures
from eiclip.model.description import compose_text
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.vocabulary import UNKNOWN
from eiclip.shards import Sample

REMOVED, SWAPPED, AS_TEXT = "removed", "swapped", "as_text"
KINDS = (REMOVED, SWAPPED, AS_TEXT)
SAMPLE = 400
"""Test products drawn: enough for a mean rank change of a group to within about 0.1 doublings."""
TOP = 10
"""Best photos of which the share with an entity is taken: those that a person sees first."""
CHUNK = 256
"""Texts whose best photos are found at a time: bounds the score matrix at CHUNK x N."""

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "variant", "intervention", "entity_group", "product_id", "entity")]
    + [("replacement", pa.string()), ("gate_weight", pa.float64())]
    + [(f"rank_{when}", pa.int64()) for when in ("before", "after")]
    + [(f"{share}_{when}", pa.float64()) for share in ("share", "replacement_share") for when in ("before", "after")]
    + [(f"top_{when}", pa.string()) for when in ("before", "after")]
)


@dataclass(frozen=True)
class Intervention:
    """One entity of one product, what was done to it, and the product as the model then reads it."""

    kind: str
    group: str
    entity: str
    replacement: str | None
    after: Sample


def interventions_table(
    model: EntityClipModel,
    embeddings: pa.Table,
    samples: Iterable[Sample],
    vocabulary: pa.Table,
    *,
    seed: int,
    count: int = SAMPLE,
    device: str = "cpu",
    features: SplitFeatures | None = None,
) -> pa.Table:
    """Measure what interventions on a sample of the test products do to their ranking of all test photos.

    Args:
        model: a variant that reads entities (rows 3 to 6); row 3 has them as text already, and no gates.
        embeddings: the variant's own table, of the split that `samples` are of.
        vocabulary: `entity_vocabulary` of the dataset: swaps are drawn in proportion to its `product_count`.
        seed: of the sample and of the swaps.
        count: products to draw; fewer where fewer have an entity.
        features: of frozen towers, for the texts that are read unchanged.

    Returns:
        One row an intervention: `SCHEMA`. Shares are of the `TOP` best photos, 0 to 1.

    Raises:
        ValueError: the variant reads no entities.
        CorruptOutputError: embeddings and samples are of different products.
        NonFiniteError: an embedding is NaN or infinite.
    """
    products = products_of(samples)
    split = stored_split(embeddings, products)
    drawn = sampled(products, model.vocabulary.groups, seed=seed, count=count)
    made = interventions(model, drawn, training_counts(model, vocabulary), seed=seed)
    if not made:
        return SCHEMA.empty_table()
    shared = {"dataset": embeddings["dataset"][0].as_py(), "variant": model.variant.name}
    rows = _rows(model, split, products, made, embed_texts(model, [i.after for i in made], device, features=features))
    return pa.Table.from_pylist([shared | row for row in rows], schema=SCHEMA)


def sampled(products: Iterable[Sample], groups: Sequence[str], *, seed: int, count: int) -> list[Sample]:
    """Draw `count` of the products that have an entity, by digest of their ids: independent of the other products."""
    tagged = [sample for sample in products if any(group in sample.entities for group in groups)]
    drawn = sorted(tagged, key=lambda sample: (_hashed(seed, sample.product_id), sample.product_id))
    return sorted(drawn[:count], key=lambda sample: sample.product_id)


def _hashed(*parts: object) -> int:
    """Hash the parts to a uniform number of 64 bits."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def training_counts(model: EntityClipModel, vocabulary: pa.Table) -> dict[str, dict[str, int]]:
    """Count training products by group and known entity, in the order of the model's ids, without `<unk>`."""
    known = {
        (row["entity_group"], row["entity"]): row["product_count"]
        for row in vocabulary.select(["entity_group", "entity", "product_count"]).to_pylist()
    }
    return {
        group: {name: known.get((group, name), 0) for name in names if name != UNKNOWN}
        for group, names in model.vocabulary.names.items()
    }


def interventions(
    model: EntityClipModel, products: Iterable[Sample], counts: Mapping[str, Mapping[str, int]], *, seed: int
) -> list[Intervention]:
    """List every intervention on the products, by kind, then group, then product.

    There is no swap where a group has no other known entity, and no `as_text` in row 3, which has no embeddings.

    Raises:
        ValueError: the variant reads no entities.
    """
    if not (model.variant.has_entities or model.variant.entities_as_text):
        raise ValueError(f"{model.variant.name} reads no entities: there is nothing to intervene on")
    own = [
        (group, sample, entity)
        for group in model.vocabulary.groups
        for sample in products
        for entity in sample.entities.get(group, [])
    ]
    made = [Intervention(REMOVED, group, entity, None, replaced(s, group, entity, [])) for group, s, entity in own]
    for group, sample, entity in own:
        others = [name for name in counts[group] if name not in sample.entities[group]]
        cumulative = np.cumsum([0, *(counts[group][name] for name in others)], dtype=np.int64)
        if total := int(cumulative[-1]):
            drawn = _hashed(seed, group, sample.product_id) * total >> 64  # 0 to total - 1, in proportion to products
            other = others[int(np.searchsorted(cumulative, drawn, side="right")) - 1]
            made.append(Intervention(SWAPPED, group, entity, other, replaced(sample, group, entity, [other])))
    if model.variant.has_entities:
        first = model.training_settings.entities_first
        made += [Intervention(AS_TEXT, group, name, None, written(s, group, name, first)) for group, s, name in own]
    return made


def replaced(sample: Sample, group: str, entity: str, by: list[str]) -> Sample:
    """Return the product with others, or none, in the place of one entity of a group."""
    own = sample.entities[group]
    place = own.index(entity)
    return with_entities(sample, group, own[:place] + by + own[place + 1 :])


def written(sample: Sample, group: str, entity: str, entities_first: bool) -> Sample:
    """Return the product with one entity as words of its description, as row 3 reads it, and no longer as an entity."""
    text = compose_text(sample.description, {group: [entity]}, (group,), entities_first=entities_first)
    return replace(replaced(sample, group, entity, []), description=text)


def _rows(
    model: EntityClipModel, split: EmbeddedSplit, products: list[Sample], made: list[Intervention], after_QD: Tensor
) -> list[dict[str, Any]]:
    number_of = {product: number for number, product in enumerate(split.product_ids)}
    owners = [number_of[entry.after.product_id] for entry in made]
    changed = sorted(set(owners))
    before = dict(zip(changed, _rankings(split, split.text_PD[changed], changed), strict=True))
    weights = {group: group_weights(model, group) for group in model.vocabulary.groups if model.variant.has_entities}
    entities = {sample.product_id: sample.entities for sample in products}

    def share(photos: list[int], group: str, entity: str | None) -> float | None:
        """Share of photos whose product has the entity; None for no entity."""
        having = [entity in entities[split.image_products[photo]].get(group, []) for photo in photos]
        return None if entity is None else sum(having) / len(having)

    rows = []
    for entry, owner, after in zip(made, owners, _rankings(split, after_QD, owners), strict=True):
        group, number = entry.group, model.vocabulary.entity_id(entry.group, entry.entity)
        row: dict[str, Any] = {"intervention": entry.kind, "entity_group": group, "entity": entry.entity}
        row |= {"product_id": entry.after.product_id, "replacement": entry.replacement}
        row |= {"gate_weight": float(weights[group][number]) if weights else None}
        for when, (rank, top) in (("before", before[owner]), ("after", after)):
            row |= {f"rank_{when}": rank, f"share_{when}": share(top, group, entry.entity)}
            row |= {f"replacement_share_{when}": share(top, group, entry.replacement)}
            row |= {f"top_{when}": split.image_ids[top[0]]}
        rows.append(row)
    return rows


def _rankings(split: EmbeddedSplit, text_QD: Tensor, owners: list[int]) -> list[tuple[int, list[int]]]:
    """Rank each text's best photo, and find the `TOP` photos (rows) for it."""
    rank_Q = full_ranks(text_QD, split.image_ND, Relevance.of(torch.tensor(owners), split.image_owners()))
    best = min(TOP, len(split.image_ND))
    top_QK = torch.cat([(text_BD @ split.image_ND.T).topk(best).indices for text_BD in text_QD.split(CHUNK)])
    return list(zip(rank_Q.tolist(), top_QK.tolist(), strict=True))
