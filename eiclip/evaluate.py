"""Tables about a trained variant: embeddings, ranks, gate weights, and what each entity group is worth.

Shape suffixes: P products, N photos, K entity groups, D embedding width.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from eiclip.embed import embed_images, embed_texts, first_of_product
from eiclip.model.entity_clip import EntityClip
from eiclip.retrieval import full_ranks, list_ranks, recall_at
from eiclip.shards import Sample, read_samples

IMAGE, TEXT, TEXT_SAMPLE100 = "image", "text", "text_sample100"
"""Kinds of embeddings; the third leaves out the entity group that sample-100's negatives share."""


def embeddings_table(
    model: EntityClip, dataset: str, shards: Sequence[Path], *, left_out: str, device: str = "cpu"
) -> pa.Table:
    """Embeddings of the photos and texts of a split: dataset, variant, kind, item_id, product_id, embedding.

    Args:
        left_out: the entity group that sample-100's queries do without.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    samples = list(read_samples(shards))
    products = first_of_product(samples)
    text_PD = embed_texts(model, products, device)
    sample100_PD = embed_texts(model, products, device, left_out) if left_out in model.vocabulary.groups else text_PD
    product_ids = [sample.product_id for sample in products]
    parts = [
        (IMAGE, [s.image_id for s in samples], [s.product_id for s in samples], embed_images(model, samples, device)),
        (TEXT, product_ids, product_ids, text_PD),
        (TEXT_SAMPLE100, product_ids, product_ids, sample100_PD),
    ]
    return pa.concat_tables(_embedding_part(dataset, model.variant.name, *part) for part in parts)


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


class _Kind:
    """Embeddings of one kind, with their items' rows and products."""

    def __init__(self, table: pa.Table, kind: str) -> None:
        rows = table.filter(pa.compute.equal(table["kind"], kind)).combine_chunks()
        self.items: list[str] = rows["item_id"].to_pylist()
        self.products: list[str] = rows["product_id"].to_pylist()
        self.row = {item: number for number, item in enumerate(self.items)}
        column = rows["embedding"].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0)
        flat = column.flatten().to_numpy(zero_copy_only=False)
        self.embeddings = torch.from_numpy(flat.reshape(len(self.items), -1).copy())

    def owners(self, numbers: Mapping[str, int]) -> Tensor:
        return torch.tensor([numbers[product] for product in self.products], dtype=torch.int64)


def ranks_table(embeddings: pa.Table, candidate_lists: pa.Table, product_groups: pa.Table | None = None) -> pa.Table:
    """Ranks of one variant under every protocol: dataset, variant, protocol, direction, query_id, product_id, rank.

    full: every query against all items of the other kind; sample100: against the lists drawn for it. Each has a twin,
    `..._distinct`, in which known duplicates of the query's product are no candidates.

    Args:
        product_groups: product_id and group_id of known duplicates; None: there are none.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    image, text = _Kind(embeddings, IMAGE), _Kind(embeddings, TEXT)
    numbers = {product: number for number, product in enumerate(text.products)}
    groups = _group_numbers(numbers, product_groups)
    rows = []
    for protocol, grouped in (("full", numbers), ("full_distinct", groups)):
        for direction, queries, candidates in (("i2t", image, text), ("t2i", text, image)):
            owners = [kind.owners(by) for by in (numbers, grouped) for kind in (queries, candidates)]
            ranks = full_ranks(queries.embeddings, candidates.embeddings, *owners)
            rows.append((protocol, direction, queries.items, queries.products, ranks))
    sampled = _Kind(embeddings, TEXT_SAMPLE100)
    for protocol in ("sample100", "sample100_distinct"):
        lists = candidate_lists.filter(pa.compute.equal(candidate_lists["protocol"], protocol))
        for direction, queries, candidates in (("i2t", image, sampled), ("t2i", sampled, image)):
            rows.append((protocol, direction, *_listed(direction, queries, candidates, lists)))
    first = {name: embeddings[name][0].as_py() for name in ("dataset", "variant")}
    return pa.concat_tables(_rank_rows(first, *row) for row in rows)


def _group_numbers(numbers: dict[str, int], product_groups: pa.Table | None) -> dict[str, int]:
    """A number per product that known duplicates share."""
    if product_groups is None or not len(product_groups):
        return numbers
    members = [
        (row["product_id"], row["group_id"]) for row in product_groups.to_pylist() if row["product_id"] in numbers
    ]
    first: dict[str, int] = {}
    for product, group in members:
        first.setdefault(group, numbers[product])
    return numbers | {product: first[group] for product, group in members}


def _listed(
    direction: str, queries: _Kind, candidates: _Kind, candidate_lists: pa.Table
) -> tuple[list[str], list[str], Tensor]:
    lists = candidate_lists.filter(pa.compute.equal(candidate_lists["direction"], direction)).to_pylist()
    query_QD = queries.embeddings[[queries.row[entry["query_id"]] for entry in lists]]
    positive_Q = torch.tensor([candidates.row[entry["positive_id"]] for entry in lists], dtype=torch.int64)
    negatives_Q = [np.array([candidates.row[i] for i in entry["negative_ids"]], dtype=np.int64) for entry in lists]
    ranks = list_ranks(query_QD, candidates.embeddings, positive_Q, negatives_Q)
    return [entry["query_id"] for entry in lists], [entry["product_id"] for entry in lists], ranks


RANKS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "variant", "protocol", "direction", "query_id", "product_id")]
    + [("rank", pa.int64())]
)


def _rank_rows(
    first: dict[str, str], protocol: str, direction: str, queries: list[str], products: list[str], ranks: Tensor
) -> pa.Table:
    constants = first | {"protocol": protocol, "direction": direction}
    columns: dict[str, Any] = {name: [value] * len(queries) for name, value in constants.items()}
    columns |= {"query_id": queries, "product_id": products, "rank": ranks.numpy()}
    return pa.table(columns, schema=RANKS_SCHEMA)


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


@torch.inference_mode()
def gate_weights(model: EntityClip, dataset: str) -> pa.Table:
    """w_k of every entity of the vocabulary: dataset, variant, entity_group, entity_id, entity, weight."""
    rows: list[dict[str, Any]] = []
    assert model.fusion is not None
    for number, group in enumerate(model.vocabulary.groups):
        names = model.vocabulary.names[group]
        weights = model.fusion.weight(number, model.fusion.entity(number, torch.arange(len(names))))
        shared = {"dataset": dataset, "variant": model.variant.name, "entity_group": group}
        rows += [shared | {"entity_id": i, "entity": name, "weight": float(weights[i])} for i, name in enumerate(names)]
    return pa.Table.from_pylist(rows, schema=GATES_SCHEMA)


SHUFFLES_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("variant", pa.string()),
        ("entity_group", pa.string()),
        ("direction", pa.string()),
        ("r1", pa.float64()),
        ("r1_shuffled", pa.float64()),
        ("r1_lost", pa.float64()),
    ]
)


def entity_shuffles(
    model: EntityClip, embeddings: pa.Table, samples: Iterable[Sample], *, seed: int, device: str = "cpu"
) -> pa.Table:
    """Recall@1 over all candidates, and what is left of it when one group's entities change places between products.

    What a group is worth shows here more surely than in its gate: a large weight on an embedding that says nothing
    costs nothing.
    """
    products = first_of_product(list(samples))
    image, text = _Kind(embeddings, IMAGE), _Kind(embeddings, TEXT)
    plain = _recalls_at_1(image, text, text.embeddings)
    rows = []
    for group in model.vocabulary.groups:
        shuffled_PD = embed_texts(model, _shuffled(products, group, seed), device)
        for direction, r1 in _recalls_at_1(image, text, shuffled_PD).items():
            row = {"dataset": embeddings["dataset"][0].as_py(), "variant": model.variant.name, "entity_group": group}
            numbers = {"r1": plain[direction], "r1_shuffled": r1, "r1_lost": plain[direction] - r1}
            rows.append(row | {"direction": direction} | numbers)
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


def _recalls_at_1(image: _Kind, text: _Kind, text_PD: Tensor) -> dict[str, float]:
    numbers = {product: number for number, product in enumerate(text.products)}
    image_owner_N, text_owner_P = image.owners(numbers), text.owners(numbers)
    return {
        "i2t": recall_at(full_ranks(image.embeddings, text_PD, image_owner_N, text_owner_P), 1),
        "t2i": recall_at(full_ranks(text_PD, image.embeddings, text_owner_P, image_owner_N), 1),
    }
