"""Ranks under every protocol, against the definition; and what the metrics make of them."""

import itertools
import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional as F

from eiclip.errors import CorruptOutputError
from eiclip.evaluation.protocols import PROTOCOLS, RANKS_SCHEMA, Items, ranks_table
from eiclip.evaluation.ranking import recall_at
from eiclip.storage.lake import Lake

PRODUCTS, WIDTH = 7, 5
PHOTOS = {f"p{n}": [f"p{n}_{m}" for m in range(1 + n % 3)] for n in range(PRODUCTS)}
DESCRIPTIONS = {f"p{n}": f"item {n}" for n in range(PRODUCTS)} | {"p2": "A coat.", "p5": "a  coat."}
TWINS = {"p0": "p0", "p1": "p0", "p4": "p4", "far": "p4"}
"""Known duplicates by group; one of them is not in the test split."""
STEPS = {
    "sample100": (1, 2, 3),
    "sample100_distinct": (2, 3, 4),
    "sample100_product": (1, 3),
    "sample100_5x1000": (3, 5),
}
"""Negatives of product n: those so many places on; distinct ones never reach from p0 to p1 or back."""


def embeddings_of(vectors):
    """The table of embeddings of one variant: `vectors` by kind and item."""
    rows = [
        (kind, item, item.split("_")[0], vector) for kind, items in vectors.items() for item, vector in items.items()
    ]
    kinds, items, products, matrix = zip(*rows, strict=True)
    flat = pa.array(np.concatenate(matrix).astype(np.float32))
    columns = {"dataset": ["d"] * len(rows), "variant": ["v"] * len(rows), "kind": kinds, "item_id": items}
    columns |= {"product_id": products, "embedding": pa.FixedSizeListArray.from_arrays(flat, len(matrix[0]))}
    return pa.table(columns)


def unit(*shape, seed=0):
    """Unit vectors with few distinct directions, so that scores tie."""
    drawn = np.random.default_rng(seed).integers(-1, 2, shape) + 0.25
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def vectors():
    photos = [photo for names in PHOTOS.values() for photo in names]
    image = dict(zip(photos, unit(len(photos), WIDTH), strict=True))
    means = {p: np.mean([image[name] for name in names], axis=0) for p, names in PHOTOS.items()}
    texts = {kind: dict(zip(PHOTOS, unit(PRODUCTS, WIDTH, seed=seed), strict=True))
             for seed, kind in enumerate(("text", "text_sample100"), start=1)}  # fmt: skip
    return {"image": image, "product": {p: m / np.linalg.norm(m) for p, m in means.items()}} | texts


@pytest.fixture(scope="module")
def embeddings(vectors):
    return embeddings_of(vectors)


def lists():
    """Lists of the four protocols that have them."""
    rows = []
    for (protocol, steps), n in itertools.product(STEPS.items(), range(PRODUCTS)):
        own = f"p{n}"
        others = [f"p{(n + step) % PRODUCTS}" for step in steps]
        of_products = protocol == "sample100_product"
        photo_of = {p: p if of_products else PHOTOS[p][-1] for p in PHOTOS}
        draws = (1, 2) if protocol == "sample100_5x1000" else (0,)
        for draw in draws:
            shared = {"protocol": protocol, "draw": draw, "product_id": own, "shortfall": 0}
            i2t = {"direction": "i2t", "positive_id": own, "negative_ids": others[: len(others) - (draw == 2)]}
            rows += [shared | i2t | {"query_id": query} for query in ([own] if of_products else PHOTOS[own])]
            t2i = {"direction": "t2i", "positive_id": photo_of[own], "negative_ids": [photo_of[p] for p in others]}
            rows.append(shared | t2i | {"query_id": own})
    return pa.Table.from_pylist(rows)


def twins():
    return pa.table({"product_id": list(TWINS), "group_id": list(TWINS.values())})


def table_of(embeddings, candidate_lists=None, groups=None):
    drawn = lists() if candidate_lists is None else candidate_lists
    return ranks_table(embeddings, drawn, descriptions=DESCRIPTIONS, product_groups=groups)


def mates(product):
    """The product and its known duplicates."""
    return {product} | {other for other, group in TWINS.items() if group == TWINS.get(product)}


def same_text(product):
    folded = {p: " ".join(text.lower().split()) for p, text in DESCRIPTIONS.items()}
    return {p for p in folded if folded[p] == folded[product]}


def defined(score, product, relevant, ignored):
    """Rank and nDCG@10 by the definition: `score` by candidate, `relevant` and `ignored` are products."""
    owner = {name: name.split("_")[0] for name in score}
    best = max(score[name] for name in score if owner[name] in relevant)
    irrelevant = [score[name] for name in score if owner[name] not in relevant | ignored]
    ordered = sorted((score[name] for name in score if owner[name] in relevant), reverse=True)
    places = [sum(other >= one - 1e-6 for other in irrelevant) + n for n, one in enumerate(ordered, start=1)]
    gain = sum(1 / math.log2(1 + place) for place in places if place <= 10)
    ideal = sum(1 / math.log2(1 + place) for place in range(1, min(10, len(ordered)) + 1))
    return 1 + sum(other >= best - 1e-6 for other in irrelevant), gain / ideal


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_ranks_are_the_definition_under_every_protocol(vectors, embeddings, protocol):
    rows = [row for row in table_of(embeddings, groups=twins()).to_pylist() if row["protocol"] == protocol.name]
    for direction, query_kind, kind in (
        ("i2t", protocol.photos, protocol.texts),
        ("t2i", protocol.texts, protocol.photos),
    ):
        asked = [row for row in rows if row["direction"] == direction]
        assert {row["query_id"] for row in asked} == set(vectors[query_kind])
        assert len({(row["draw"], row["query_id"]) for row in asked}) == len(asked)
        for row in asked:
            product = row["product_id"]
            assert row["query_id"].split("_")[0] == product
            candidates = listed(row) if protocol.listed else set(vectors[kind])
            score = {name: float(vectors[kind][name] @ vectors[query_kind][row["query_id"]]) for name in candidates}
            ignored = mates(product) if protocol.distinct else set()
            rank, gain = defined(score, product, {product}, ignored)
            assert (row["rank"], row["ndcg10"]) == (rank, pytest.approx(gain))
            assert row["rank_text_equal"] == defined(score, product, same_text(product), ignored)[0]


def listed(row):
    key = ("protocol", "draw", "direction", "query_id")
    [entry] = [entry for entry in lists().to_pylist() if all(entry[name] == row[name] for name in key)]
    return {entry["positive_id"], *entry["negative_ids"]}


def test_equal_texts_are_never_worse_than_strict_and_better_somewhere(embeddings):
    table = table_of(embeddings)
    strict, lenient = (table[name].to_numpy() for name in ("rank", "rank_text_equal"))
    assert (lenient <= strict).all()
    changed = {row["product_id"] for row in table.to_pylist() if row["rank"] != row["rank_text_equal"]}
    assert changed
    assert changed <= {"p2", "p5"}


def test_without_known_duplicates_the_distinct_ranks_are_the_plain_ones(embeddings):
    table = table_of(embeddings, groups=twins().slice(0, 0))
    assert table.schema == RANKS_SCHEMA
    assert table.equals(table_of(embeddings))
    full, distinct = (table.filter(pa.compute.equal(table["protocol"], name)) for name in ("full", "full_distinct"))
    assert full.drop_columns("protocol").equals(distinct.drop_columns("protocol"))


def test_duplicates_of_products_that_are_not_tested_change_nothing(embeddings):
    elsewhere = pa.table({"product_id": ["p3", "x", "y"], "group_id": ["p3", "p3", "x"]})
    assert table_of(embeddings, groups=elsewhere).equals(table_of(embeddings))


def test_a_list_that_names_another_catalogues_product_is_an_error(embeddings):
    entries = lists().to_pylist()
    entries[0]["negative_ids"] = ["p1", "stranger"]
    with pytest.raises(CorruptOutputError, match="'stranger'.*materialise both again"):
        table_of(embeddings, pa.Table.from_pylist(entries))


def test_items_of_a_sliced_and_chunked_table_are_read_whole(vectors, embeddings):
    cut = pa.concat_tables([embeddings.slice(0, 9), embeddings.slice(9)])
    items = Items(cut, "image", {f"p{n}": n for n in range(PRODUCTS)})
    assert items.ids.to_pylist() == list(vectors["image"])
    assert np.allclose(items.embeddings.numpy(), np.stack(list(vectors["image"].values())), atol=1e-6)


def test_metrics_of_the_ranks_are_the_recalls(embeddings, tmp_path):
    lake = Lake(tmp_path)
    ranks = table_of(embeddings)
    place = lake.write(ranks, "retrieval_ranks", "shop")
    output = lake.path("retrieval_metrics", "shop")
    assert lake.query("evaluation/retrieval_metrics", output, {"retrieval_ranks": [place]}, {}) == 2 * len(PROTOCOLS)
    for row in duckdb.read_parquet(str(output)).to_arrow_table().to_pylist():
        asked = [r for r in ranks.to_pylist() if all(r[k] == row[k] for k in ("protocol", "direction"))]
        strict, lenient = (torch.tensor([r[name] for r in asked]) for name in ("rank", "rank_text_equal"))
        assert row["queries"] == len(asked)
        assert [row["r1"], row["r5"], row["r10"]] == pytest.approx([recall_at(strict, k) for k in (1, 5, 10)])
        found = [row[f"text_equal_r{k}"] for k in (1, 5, 10)]
        assert found == pytest.approx([recall_at(lenient, k) for k in (1, 5, 10)])
        assert row["mrr"] == pytest.approx(100 * np.mean(1 / strict.numpy()))
        assert row["ndcg10"] == pytest.approx(100 * np.mean([r["ndcg10"] for r in asked]))
        assert row["median_rank"] == np.median(strict.numpy())


@pytest.mark.parametrize("products", [5, 7, 10, 19, 29, 101])
@pytest.mark.parametrize("width", [128, 512])
def test_a_collapsed_model_ranks_last(products, width):
    """Every embedding is the same unit vector: rounding in the products must not place the relevant one first."""
    vector = F.normalize(torch.randn(width, generator=torch.Generator().manual_seed(products)), dim=0).numpy()
    names = [f"p{number}" for number in range(products)]
    table = embeddings_of(
        {kind: dict.fromkeys(names, vector) for kind in ("image", "product", "text", "text_sample100")}
    )
    entries = [
        {"protocol": protocol, "draw": 0, "direction": way, "query_id": name, "product_id": name, "positive_id": name}
        | {"negative_ids": [other for other in names if other != name]}
        for protocol in STEPS
        for way in ("i2t", "t2i")
        for name in names
    ]
    ranks = ranks_table(table, pa.Table.from_pylist(entries), descriptions={})
    assert set(ranks["rank"].to_pylist()) == {products}
