"""Tables about a variant: embeddings, ranks under every protocol, gates, and what a group is worth."""

import itertools
import tarfile

import duckdb
import numpy as np
import open_clip
import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from eiclip.embed import embed_texts, normalised_pixels
from eiclip.errors import CorruptOutputError, NonFiniteError
from eiclip.evaluate import embeddings_table, entity_shuffles, gate_weights, ranks_table
from eiclip.lake import Lake, read_sql
from eiclip.model.entity_clip import EntityClip, load_checkpoint, save_checkpoint
from eiclip.model.towers import SMALL, new_towers
from eiclip.model.vocabulary import Vocabulary
from eiclip.retrieval import recall_at
from eiclip.settings import TrainingSettings
from eiclip.shards import Sample, encode_photo, shard_paths, write_shards
from eiclip.variants import get_variant

PRODUCTS = 6
VOCABULARY = Vocabulary({"brand": ["<unk>", "b0", "b1", "b2"], "season": ["<unk>", "fw2016"]}, {})


def photo(number):
    pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return encode_photo(Image.fromarray(pixels), 64)


def samples():
    """Two photos of each product; every product is of one season, the last has no brand."""
    for number in range(PRODUCTS):
        entities = {"season": "fw2016"} | ({"brand": f"b{number % 3}"} if number < PRODUCTS - 1 else {})
        for place in range(2):
            name = f"p{number}"
            yield Sample(f"{name}_{place}", name, f"item number {number}", entities, photo(10 * number + place))


def build(variant="eiclip"):
    torch.manual_seed(0)
    return EntityClip(new_towers(SMALL, 0), get_variant(variant), VOCABULARY, TrainingSettings()).eval()


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate") / "shards"
    write_shards((("test", sample) for sample in samples()), folder, photo_size=64)
    return shard_paths(folder, "test")


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def embeddings(model, shards):
    return embeddings_table(model, "shop", shards, left_out="season")


def of_kind(table, kind):
    rows = [row for row in table.to_pylist() if row["kind"] == kind]
    return [row["item_id"] for row in rows], torch.tensor([row["embedding"] for row in rows])


def test_embeddings_are_of_every_photo_and_once_of_every_product(embeddings):
    images, texts = ([f"p{n}_{m}" for n in range(PRODUCTS) for m in range(2)], [f"p{n}" for n in range(PRODUCTS)])
    assert of_kind(embeddings, "image")[0] == images
    assert of_kind(embeddings, "text")[0] == of_kind(embeddings, "text_sample100")[0] == texts
    assert set(embeddings["dataset"].to_pylist()) == {"shop"}
    assert set(embeddings["variant"].to_pylist()) == {"eiclip"}
    with duckdb.connect() as connection:
        connection.register("embeddings", embeddings)
        assert connection.sql(read_sql("checks/embeddings_are_finite")).fetchall() == [(0,)]


@pytest.mark.parametrize("variant", ["eiclip", "clip_entities_text"])
def test_queries_of_sample100_do_without_the_group_the_negatives_share(variant, shards):
    model = build(variant)
    found = of_kind(embeddings_table(model, "shop", shards, left_out="season"), "text_sample100")[1]
    brand_only = [
        Sample("", "", f"item number {n}", {"brand": f"b{n % 3}"} if n < PRODUCTS - 1 else {}) for n in range(PRODUCTS)
    ]
    assert torch.allclose(found, embed_texts(model, brand_only), atol=1e-6)
    full = of_kind(embeddings_table(model, "shop", shards, left_out=""), "text_sample100")[1]
    assert not torch.allclose(found, full, atol=1e-3)


def test_a_variant_without_entities_reads_the_description_alone(shards):
    model = build("clip_description")
    table = embeddings_table(model, "shop", shards, left_out="season")
    plain = embed_texts(model, [Sample("", "", f"item number {n}") for n in range(PRODUCTS)])
    for kind in ("text", "text_sample100"):
        assert torch.allclose(of_kind(table, kind)[1], plain, atol=1e-6)


def test_broken_weights_are_an_error_and_no_table(shards):
    model = build()
    with torch.no_grad():
        model.towers.visual.proj[0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match="12 of 12 image"):
        embeddings_table(model, "shop", shards, left_out="season")


@pytest.mark.parametrize("members", [2, 10])
def test_a_shard_cut_between_samples_is_an_error_and_not_a_smaller_split(model, tmp_path, members):
    """A tar without its end reads as a shorter one: fewer candidates would mean better ranks, in silence."""
    folder = tmp_path / "shards"
    write_shards((("test", sample) for sample in samples()), folder, photo_size=64)
    shard = folder / "test-000000.tar"
    with tarfile.open(shard) as tar:
        place = tar.getmembers()[members].offset
    shard.write_bytes(shard.read_bytes()[:place])
    with pytest.raises(CorruptOutputError, match=r"test-000000\.tar"):
        embeddings_table(model, "shop", shard_paths(folder, "test"), left_out="season")


def test_a_checkpoint_gives_the_same_embeddings_and_open_clip_loads_its_towers(model, embeddings, shards, tmp_path):
    save_checkpoint(model, tmp_path / "model", {})
    again = embeddings_table(load_checkpoint(tmp_path / "model"), "shop", shards, left_out="season")
    assert again.equals(embeddings)
    theirs = open_clip.create_model(f"local-dir:{tmp_path / 'model'}", require_pretrained=True).eval()
    with torch.inference_mode():
        image = F.normalize(theirs.encode_image(normalised_pixels(model, list(samples()), "cpu")), dim=-1)
        tokens = open_clip.SimpleTokenizer()([f"item number {n}" for n in range(PRODUCTS)], context_length=64)
        description = F.normalize(theirs.encode_text(tokens), dim=-1)
        ids = torch.tensor([VOCABULARY.encode(sample.entities) for sample in list(samples())[::2]])
        joint = F.normalize(description + model.fusion(ids).sum_BD, dim=-1)
    assert torch.allclose(of_kind(embeddings, "image")[1], image, atol=1e-5)
    assert torch.allclose(of_kind(embeddings, "text")[1], joint, atol=1e-5)


TWINS = {"p0": "p0", "p1": "p0", "p4": "p4", "far": "p4"}
"""Known duplicates by group; one of them is not in the test split."""
LISTS = {"sample100": (1, 2, 4), "sample100_distinct": (2, 3, 4)}
"""Negatives of product n: those so many places on; the latter never reach from p0 to p1 or back."""


def lists():
    """Sample-100's lists, three negatives each."""
    rows = []
    for (protocol, steps), n in itertools.product(LISTS.items(), range(PRODUCTS)):
        others = [f"p{(n + step) % PRODUCTS}" for step in steps]
        shared = {"protocol": protocol, "product_id": f"p{n}", "shortfall": 0}
        for m in range(2):
            rows.append(
                shared | {"direction": "i2t", "query_id": f"p{n}_{m}", "positive_id": f"p{n}", "negative_ids": others}
            )
        photos = [f"{other}_1" for other in others]
        rows.append(
            shared | {"direction": "t2i", "query_id": f"p{n}", "positive_id": f"p{n}_1", "negative_ids": photos}
        )
    return pa.Table.from_pylist(rows)


def twins():
    return pa.table({"product_id": list(TWINS), "group_id": list(TWINS.values())})


def by_query(table, protocol, direction):
    rows = table.to_pylist()
    return {
        row["query_id"]: row["rank"] for row in rows if (row["protocol"], row["direction"]) == (protocol, direction)
    }


@pytest.mark.parametrize("protocol", ["full", "full_distinct", *LISTS])
def test_ranks_are_the_definition_under_every_protocol(embeddings, protocol):
    table = ranks_table(embeddings, lists(), twins())
    vectors = {kind: dict(zip(*of_kind(embeddings, kind), strict=True)) for kind in ("image", "text", "text_sample100")}
    text = "text" if protocol.startswith("full") else "text_sample100"
    for direction, query_kind, kind in (("i2t", "image", text), ("t2i", text, "image")):
        found = by_query(table, protocol, direction)
        assert sorted(found) == sorted(vectors[query_kind])
        for query, rank in found.items():
            product = query.split("_")[0]
            candidates = set(vectors[kind])
            if protocol in LISTS:
                entry = listed(protocol, direction, query)
                candidates = {entry["positive_id"], *entry["negative_ids"]}
            score = {name: float(vectors[kind][name] @ vectors[query_kind][query]) for name in candidates}
            own = {name for name in candidates if name.split("_")[0] == product}
            best = max(score[name] for name in own)
            left_out = mates(product) if protocol.endswith("_distinct") else {product}
            wrong = [name for name in candidates - own if name.split("_")[0] not in left_out]
            assert rank == 1 + sum(score[name] >= best for name in wrong)


def listed(protocol, direction, query):
    key = (protocol, direction, query)
    [entry] = [row for row in lists().to_pylist() if (row["protocol"], row["direction"], row["query_id"]) == key]
    return entry


def mates(product):
    """The product and its known duplicates."""
    return {product} | {other for other, group in TWINS.items() if group == TWINS.get(product)}


def test_without_known_duplicates_the_distinct_ranks_are_the_plain_ones(embeddings):
    plain = lists().filter(pa.compute.equal(lists()["protocol"], "sample100"))
    again = plain.set_column(
        plain.column_names.index("protocol"), "protocol", pa.array(["sample100_distinct"] * len(plain))
    )
    both = pa.concat_tables([plain, again])
    table = ranks_table(embeddings, both)
    assert table.equals(ranks_table(embeddings, both, twins().slice(0, 0)))
    for direction, protocol in itertools.product(("i2t", "t2i"), ("full", "sample100")):
        assert by_query(table, protocol, direction) == by_query(table, f"{protocol}_distinct", direction)


def test_duplicates_of_products_that_are_not_tested_change_nothing(embeddings):
    elsewhere = pa.table({"product_id": ["p3", "x", "y"], "group_id": ["p3", "p3", "x"]})
    assert ranks_table(embeddings, lists(), elsewhere).equals(ranks_table(embeddings, lists()))


def test_a_twin_that_scores_alike_costs_a_place_only_where_it_is_a_candidate():
    """Two products with one photo and one text: no model can tell them apart."""
    vectors = {"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0]}
    rows = [{"dataset": "d", "variant": "v", "kind": kind, "item_id": name, "product_id": name, "embedding": vector}
            for kind in ("image", "text", "text_sample100") for name, vector in vectors.items()]  # fmt: skip
    schema = pa.schema([(name, pa.string()) for name in ("dataset", "variant", "kind", "item_id", "product_id")]
                       + [("embedding", pa.list_(pa.float32(), 2))])  # fmt: skip
    groups = pa.table({"product_id": ["a", "b"], "group_id": ["a", "a"]})
    table = ranks_table(pa.Table.from_pylist(rows, schema), lists().slice(0, 0), groups)
    for direction in ("i2t", "t2i"):
        assert by_query(table, "full", direction) == {"a": 2, "b": 2, "c": 1}
        assert by_query(table, "full_distinct", direction) == {"a": 1, "b": 1, "c": 1}


def test_metrics_of_the_ranks_are_the_recalls(embeddings, tmp_path):
    lake = Lake(tmp_path)
    ranks = ranks_table(embeddings, lists())
    place = lake.write(ranks, "retrieval_ranks", "shop")
    output = lake.path("retrieval_metrics", "shop")
    assert lake.query("retrieval_metrics", output, {"retrieval_ranks": [place]}, {}) == 8
    for row in duckdb.read_parquet(str(output)).to_arrow_table().to_pylist():
        found = torch.tensor(list(by_query(ranks, row["protocol"], row["direction"]).values()))
        assert row["queries"] == len(found)
        assert [row["r1"], row["r5"], row["r10"]] == pytest.approx([recall_at(found, k) for k in (1, 5, 10)])
        assert row["median_rank"] == np.median(found.numpy())


@pytest.mark.parametrize("products", [5, 7, 10, 19, 29, 101])
@pytest.mark.parametrize("width", [128, 512])
def test_a_collapsed_model_ranks_last(products, width):
    """Every embedding is the same unit vector: rounding in the products must not place the right one first."""
    vector = F.normalize(torch.randn(width, generator=torch.Generator().manual_seed(products)), dim=0)
    names = [f"p{number}" for number in range(products)]
    kinds = ["image"] * products + ["text"] * products + ["text_sample100"] * products
    flat = pa.array(vector.repeat(3 * products).numpy())
    columns = {"dataset": ["d"] * len(kinds), "variant": ["v"] * len(kinds), "kind": kinds}
    columns |= {"item_id": names * 3, "product_id": names * 3}
    table = pa.table(columns | {"embedding": pa.FixedSizeListArray.from_arrays(flat, width)})
    entries = [
        {"protocol": protocol, "direction": way, "query_id": name, "product_id": name, "positive_id": name}
        | {"negative_ids": [other for other in names if other != name]}
        for protocol in LISTS
        for way in ("i2t", "t2i")
        for name in names
    ]
    ranks = ranks_table(table, pa.Table.from_pylist(entries))
    assert set(ranks["rank"].to_pylist()) == {products}


def test_new_gates_weigh_every_entity_alike(model):
    rows = gate_weights(model, "shop").to_pylist()
    assert [(row["entity_group"], row["entity_id"], row["entity"]) for row in rows] == [
        (group, number, name) for group, names in VOCABULARY.names.items() for number, name in enumerate(names)
    ]
    assert {row["weight"] for row in rows} == {0.5}


def test_shuffling_a_group_that_all_share_costs_nothing(model, embeddings):
    rows = entity_shuffles(model, embeddings, samples(), seed=0).to_pylist()
    assert [(row["entity_group"], row["direction"]) for row in rows] == [
        (group, way) for group in VOCABULARY.groups for way in ("i2t", "t2i")
    ]
    ranks = ranks_table(embeddings, lists())
    for row in rows:
        full = torch.tensor(list(by_query(ranks, "full", row["direction"]).values()))
        assert row["r1"] == pytest.approx(recall_at(full, 1))
        assert row["r1_lost"] == row["r1"] - row["r1_shuffled"]
        assert row["entity_group"] == "brand" or row["r1_lost"] == 0
    assert entity_shuffles(model, embeddings, samples(), seed=0).to_pylist() == rows
