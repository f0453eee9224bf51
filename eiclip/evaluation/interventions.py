"""do(X) made visible: what a text's ranking does when one of its product's entities is taken away, changed or written.

Each product of a seeded sample of the test split asks for its photos among all test photos, once as it is and once an
intervention: for every entity group it has, without that entity (`removed`), with another one (`swapped`), and with
the entity as words of the text and no embedding (`as_text`).

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
from eiclip.evaluation.gates import group_weights, products_of, require_same_products, stored_split
from eiclip.evaluation.ranking import full_ranks
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.inputs import compose_text
from eiclip.model.vocabulary import UNKNOWN
from eiclip.shards import Sample

REMOVED, SWAPPED, AS_TEXT = "removed", "swapped", "as_text"
KINDS = (REMOVED, SWAPPED, AS_TEXT)
SAMPLE = 400
"""Test products drawn: enough for a mean rank change of a group to within about a tenth of a doubling."""
TOP = 10
"""Photos among which the share that carries an entity is counted: what a person sees first."""
CHUNK = 256
"""Texts whose best photos are sought at a time: bounds the score matrix at CHUNK x N."""

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
) -> pa.Table:
    """What every intervention on a sample of the test products does to their ranking of all test photos.

    Args:
        model: a variant that reads entities (rows 3 to 5); row 3 has them as text already, and no gates.
        embeddings: the variant's own table, of the split that `samples` are of.
        vocabulary: `entity_vocabulary` of the dataset: swaps are drawn in proportion to its `product_count`.
        seed: of the sample and of the swaps.
        count: products to draw; fewer where fewer have an entity.

    Returns:
        One row an intervention: `SCHEMA`. Shares are of the `TOP` best photos, 0 to 1.

    Raises:
        ValueError: the variant reads no entities.
        CorruptOutputError: embeddings and samples are of different products.
        NonFiniteError: an embedding is NaN or infinite.
    """
    products, split = products_of(samples), stored_split(embeddings)
    require_same_products(split, products)
    drawn = sampled(products, model.vocabulary.groups, seed=seed, count=count)
    made = interventions(model, drawn, training_counts(model, vocabulary), seed=seed)
    if not made:
        return SCHEMA.empty_table()
    shared = {"dataset": embeddings["dataset"][0].as_py(), "variant": model.variant.name}
    rows = _rows(model, split, products, made, embed_texts(model, [i.after for i in made], device))
    return pa.Table.from_pylist([shared | row for row in rows], schema=SCHEMA)


def sampled(products: Iterable[Sample], groups: Sequence[str], *, seed: int, count: int) -> list[Sample]:
    """`count` of the products that have an entity, by digest of their ids: no other product moves one's lot."""
    tagged = [sample for sample in products if any(group in sample.entities for group in groups)]
    lots = sorted(tagged, key=lambda sample: (_lot(seed, sample.product_id), sample.product_id))
    return sorted(lots[:count], key=lambda sample: sample.product_id)


def _lot(*parts: object) -> int:
    """A number of 64 bits that is as good as drawn, and the same for the same parts everywhere."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def training_counts(model: EntityClipModel, vocabulary: pa.Table) -> dict[str, dict[str, int]]:
    """Training products by group and known entity, in the order of the model's ids; `<unk>` is none."""
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
    """Every intervention on the products, by kind, then group, then product.

    A product with the only known entity of a group has nothing to be swapped for, and row 3 no embedding to take away.

    Raises:
        ValueError: the variant reads no entities.
    """
    if not (model.variant.has_entities or model.variant.entities_as_text):
        raise ValueError(f"{model.variant.name} reads no entities: there is nothing to intervene on")
    pairs = [(group, sample) for group in model.vocabulary.groups for sample in products if group in sample.entities]
    pools = {group: _Pool(group, counts[group]) for group in model.vocabulary.groups}
    made = [Intervention(REMOVED, group, s.entities[group], None, without(s, group)) for group, s in pairs]
    for group, sample in pairs:
        other = pools[group].draw(sample, seed)
        if other is not None:
            changed = replace(sample, entities=sample.entities | {group: other})
            made.append(Intervention(SWAPPED, group, sample.entities[group], other, changed))
    if model.variant.has_entities:
        first = model.training_settings.entities_first
        made += [Intervention(AS_TEXT, group, s.entities[group], None, written(s, group, first)) for group, s in pairs]
    return made


def without(sample: Sample, group: str) -> Sample:
    """The product as if it had no entity of the group."""
    return replace(sample, entities={name: entity for name, entity in sample.entities.items() if name != group})


def written(sample: Sample, group: str, entities_first: bool) -> Sample:
    """The product with one entity as words of its description, as row 3 reads it, and no longer as an entity."""
    text = compose_text(sample.description, sample.entities, (group,), entities_first=entities_first)
    return replace(without(sample, group), description=text)


class _Pool:
    """The known entities of a group, to draw from in proportion to their training products."""

    def __init__(self, group: str, counts: Mapping[str, int]) -> None:
        self.group, self.names = group, list(counts)
        self.counts = np.array(list(counts.values()), dtype=np.int64)
        self.place = {name: number for number, name in enumerate(self.names)}

    def draw(self, sample: Sample, seed: int) -> str | None:
        """Another entity than the product's own; None if there is none."""
        counts = self.counts.copy()
        own = self.place.get(sample.entities[self.group])
        if own is not None:
            counts[own] = 0
        total = int(counts.sum())
        if total == 0:
            return None
        ticket = _lot(seed, self.group, sample.product_id) * total >> 64  # 0 to total - 1
        return self.names[int(np.searchsorted(np.cumsum(counts), ticket, side="right"))]


def _rows(
    model: EntityClipModel, split: EmbeddedSplit, products: list[Sample], made: list[Intervention], after_QD: Tensor
) -> list[dict[str, Any]]:
    owner = {product: number for number, product in enumerate(split.product_ids)}
    asked = sorted({owner[entry.after.product_id] for entry in made})
    place = {number: row for row, number in enumerate(asked)}
    owners = [owner[entry.after.product_id] for entry in made]
    before = _ranking(split, split.text_PD[asked], torch.tensor(asked))
    after = _ranking(split, after_QD, torch.tensor(owners))
    carried = _Carried(split, products)
    weights = _weights(model)
    rows = []
    for number, entry in enumerate(made):
        old, new = before.at(place[owners[number]]), after.at(number)
        ids = model.vocabulary.entity_id(entry.group, entry.entity)
        row: dict[str, Any] = {"intervention": entry.kind, "entity_group": entry.group, "entity": entry.entity}
        row |= {"product_id": entry.after.product_id, "replacement": entry.replacement}
        row |= {"gate_weight": weights[entry.group][ids] if weights else None}
        for when, (rank, top) in (("before", old), ("after", new)):
            row |= {f"rank_{when}": rank, f"share_{when}": carried.share(top, entry.group, entry.entity)}
            row |= {f"replacement_share_{when}": carried.share(top, entry.group, entry.replacement)}
            row |= {f"top_{when}": split.image_ids[top[0]]}
        rows.append(row)
    return rows


def _weights(model: EntityClipModel) -> dict[str, list[float]]:
    """Gate weights by group and entity id; none for row 3."""
    if not model.variant.has_entities:
        return {}
    return {group: group_weights(model, group).tolist() for group in model.vocabulary.groups}


@dataclass(frozen=True)
class _Ranking:
    rank_Q: Tensor
    top_QK: Tensor

    def at(self, number: int) -> tuple[int, list[int]]:
        """Rank and best photos of one text."""
        return int(self.rank_Q[number]), self.top_QK[number].tolist()


def _ranking(split: EmbeddedSplit, text_QD: Tensor, owner_Q: Tensor) -> _Ranking:
    image_owner_N, _ = split.owners()
    ranks = full_ranks(text_QD, split.image_ND, owner_Q, image_owner_N)
    best = min(TOP, len(split.image_ND))
    tops = [(text_QD[start : start + CHUNK] @ split.image_ND.T).topk(best).indices
            for start in range(0, len(text_QD), CHUNK)]  # fmt: skip
    return _Ranking(ranks, torch.cat(tops))


class _Carried:
    """Which entities the product of each photo carries."""

    def __init__(self, split: EmbeddedSplit, products: Iterable[Sample]) -> None:
        entities = {sample.product_id: sample.entities for sample in products}
        self.by_photo = [entities[product] for product in split.image_products]

    def share(self, photos: Sequence[int], group: str, entity: str | None) -> float | None:
        """Share of the photos whose product carries the entity; None for no entity."""
        if entity is None:
            return None
        return sum(self.by_photo[photo].get(group) == entity for photo in photos) / len(photos)
