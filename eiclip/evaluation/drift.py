"""What has changed since a model was trained, and what that costs: products, entities it does not know, recall.

Products that are new or changed since then are compared with those that were held out of the training (its validation
and test splits) and are as they were: the model has trained on neither.

Shape suffixes: N products, Q queries, D embedding width.
"""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from eiclip.evaluation.ranking import full_ranks
from eiclip.evaluation.relevance import Relevance
from eiclip.model.vocabulary import UNKNOWN_ID, Vocabulary
from eiclip.storage.lake import matrix_of

LEAST_PRODUCTS = 30
"""Of fewer new products no warning is given."""
MOST_QUERIES = 2_000
"""Texts of either kind that are ranked, evenly spaced."""
LOST, UNKNOWN = 0.2, 10.0
"""What a warning is given from: this share of a measure lost; so many points more products with unknown entities."""
SURE = 1.96
"""Standard errors that a difference must exceed besides."""
SCHEMA = pa.schema([
    ("dataset", pa.string()), ("variant", pa.string()), ("measure", pa.string()), ("entity_group", pa.string()),
    ("trained", pa.float64()), ("newest", pa.float64()), ("products", pa.int64()), ("warns", pa.bool_()),
])  # fmt: skip


def checkpoint_vocabulary(folder: Path) -> Vocabulary:
    """Return the vocabulary that a checkpoint folder was trained with, without loading its weights."""
    return Vocabulary(**json.loads((folder / "vocabulary.json").read_text(encoding="utf-8")))


def drift_table(
    views: pa.Table, contents: pa.Table, trained: pa.Table | None, vocabulary: Vocabulary, dataset: str, variant: str
) -> pa.Table:
    """Compare the products of now with those of a training; columns as `SCHEMA`.

    Args:
        views: `product_views` of all products.
        contents: their `product_contents`.
        trained: `product_contents` of the training; None where they were not kept: then only what is there now is
            told, of all products in place of the newest.
        vocabulary: the model's own.
    """
    now = {row["product_id"]: row for row in contents.to_pylist()}
    then = now if trained is None else {row["product_id"]: row for row in trained.to_pylist()}
    same = {product for product in now.keys() & then.keys() if now[product]["content"] == then[product]["content"]}
    newest = list(now) if trained is None else [product for product in now if product not in same]
    counts = {
        "products": (len(then), len(now)),
        "new": (None, len(now.keys() - then.keys())),
        "changed": (None, len((now.keys() & then.keys()) - same)),
        "removed": (None, len(then.keys() - now.keys())),
        "moved": (None, sum(now[product]["split"] != then[product]["split"] for product in now.keys() & then.keys())),
    }
    if trained is None:
        counts = {"products": (None, len(now))}
    rows = [_row(measure, *values, products=len(now)) for measure, values in counts.items()]
    for group in vocabulary.groups:
        before, after = (
            _unknown(then.values(), group, vocabulary),
            _unknown([now[p] for p in newest], group, vocabulary),
        )
        worse = 100 * (_mean(after) - _mean(before)) > UNKNOWN and _differ(before, after)
        values = [None if trained is None else 100 * _mean(before), 100 * _mean(after)]
        rows.append(_row("unknown_entities", *values, group=group, products=len(after), warns=worse))
    held_out = [product for product in now if product in same and then[product]["split"] in ("validation", "test")]
    ranks = _text_to_photo(views, {"trained": held_out, "newest": [] if trained is None else newest})
    for measure, of in (("r10", lambda rank_Q: 1.0 * (rank_Q <= 10)), ("mrr", lambda rank_Q: 1 / rank_Q)):
        before, after = of(ranks["trained"]), of(ranks["newest"])
        worse = _mean(after) < (1 - LOST) * _mean(before) and _differ(before, after)
        rows.append(_row(measure, 100 * _mean(before), 100 * _mean(after), products=len(after), warns=worse))
    named = {"dataset": dataset, "variant": variant}
    return pa.Table.from_pylist([named | row for row in rows], schema=SCHEMA)


def _row(
    measure: str, trained: float | None, newest: float | None, *, products: int, group: str = "", warns: bool = False
) -> dict[str, Any]:
    values = (None if value is None or math.isnan(value) else float(value) for value in (trained, newest))
    of = {"measure": measure, "entity_group": group or None, "products": products, "warns": bool(warns)}
    return of | dict(zip(("trained", "newest"), values, strict=True))


def _unknown(products: Collection[Mapping[str, Any]], group: str, vocabulary: Vocabulary) -> np.ndarray:
    """Return of each product that has entities of a group whether the model does not know one of them."""
    named = [dict(product["entities"] or []).get(group, []) for product in products]
    return np.array([any(vocabulary.entity_id(group, e) == UNKNOWN_ID for e in own) for own in named if own], float)


def _text_to_photo(views: pa.Table, asked: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
    """Return the ranks (Q,) of products' mean photos by their own texts, among those of all products."""
    row_of = {product: row for row, product in enumerate(views["product_id"].to_pylist())}
    text_ND, image_ND = (torch.from_numpy(matrix_of(views[name])) for name in ("text", "image"))
    found = {}
    for name, products in asked.items():
        rows = np.array([row_of[product] for product in products], dtype=np.int64)
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_QUERIES)).astype(int))]
        owner_Q = torch.from_numpy(rows)
        relevance = Relevance.of(owner_Q, torch.arange(len(image_ND)))
        found[name] = full_ranks(text_ND[owner_Q], image_ND, relevance).numpy()
    return found


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _differ(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether two means differ by more than their noise, of products enough to say so."""
    if len(after) < LEAST_PRODUCTS or len(before) < LEAST_PRODUCTS:
        return False
    error = math.sqrt(np.concatenate([before, after]).var() * (1 / len(before) + 1 / len(after)))  # if there were none
    return abs(_mean(after) - _mean(before)) > SURE * error
