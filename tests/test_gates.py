"""Gates, and what an entity group is worth: shuffled among products, and removed from their texts."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from eiclip.embed import embed_images, embed_texts, first_of_product
from eiclip.embeddings import embeddings_table
from eiclip.errors import CorruptOutputError, NonFiniteError
from eiclip.gates import entity_shuffles, gate_weights, group_weights, products_of, stored_split
from eiclip.model.entity_clip import EntityClip
from eiclip.model.towers import SMALL, new_towers
from eiclip.model.vocabulary import Vocabulary
from eiclip.retrieval import full_ranks, recall_at
from eiclip.settings import TrainingSettings
from eiclip.shards import Sample, encode_photo, shard_paths, write_shards
from eiclip.variants import get_variant

PRODUCTS = 6
VOCABULARY = Vocabulary({"brand": ["<unk>", "b0", "b1", "b2"], "season": ["<unk>", "fw2016"]}, {})
OWNERS = [n for n in range(PRODUCTS) for _ in range(2)]


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
def model():
    return build()


@pytest.fixture(scope="module")
def embeddings(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gates") / "shards"
    write_shards((("test", sample) for sample in samples()), folder, photo_size=64)
    return embeddings_table(model, "shop", shard_paths(folder, "test"), left_out="")


def recalls(image_ND, text_PD):
    owner_N, owner_P = torch.tensor(OWNERS), torch.arange(PRODUCTS)
    return {
        "i2t": recall_at(full_ranks(image_ND, text_PD, owner_N, owner_P), 1),
        "t2i": recall_at(full_ranks(text_PD, image_ND, owner_P, owner_N), 1),
    }


def test_new_gates_weigh_every_entity_alike(model):
    rows = gate_weights(model, "shop").to_pylist()
    assert [(row["entity_group"], row["entity_id"], row["entity"]) for row in rows] == [
        (group, number, name) for group, names in VOCABULARY.names.items() for number, name in enumerate(names)
    ]
    assert {row["weight"] for row in rows} == {0.5}


def test_weights_are_those_that_texts_are_made_with():
    model = build()
    with torch.no_grad():
        for gate in model.fusion.gates:
            gate.mlp[-1].weight.normal_(0, 3)
        fused = model.fusion(torch.tensor([[number, number % 2] for number in range(4)]))
    assert torch.allclose(group_weights(model, "brand"), fused.weight_BK[:, 0])
    assert torch.allclose(group_weights(model, "season"), fused.weight_BK[:2, 1])
    assert len({round(weight, 4) for weight in group_weights(model, "brand").tolist()}) == 4


def test_a_variant_without_gates_has_no_weights():
    with pytest.raises(ValueError, match="clip_entities_text has no entity encoders"):
        group_weights(build("clip_entities_text"), "brand")


def test_the_stored_split_is_what_was_embedded(model, embeddings):
    split = stored_split(embeddings)
    assert split.image_ids == [sample.image_id for sample in samples()]
    assert split.image_products == [f"p{n}" for n in OWNERS]
    assert split.product_ids == [f"p{n}" for n in range(PRODUCTS)]
    assert torch.equal(split.image_ND, embed_images(model, list(samples())))
    assert torch.equal(split.text_PD, embed_texts(model, first_of_product(list(samples()))))


def test_the_stored_split_is_read_from_any_chunks(embeddings):
    pieces = pa.concat_tables([embeddings.slice(start, 5) for start in range(0, len(embeddings), 5)])
    assert torch.equal(stored_split(pieces).text_PD, stored_split(embeddings).text_PD)


def test_products_are_samples_without_their_photos():
    assert products_of(samples()) == [dataclasses.replace(s, jpeg=b"") for s in first_of_product(list(samples()))]


def test_shuffling_a_group_that_all_share_costs_nothing(model, embeddings):
    rows = entity_shuffles(model, embeddings, samples(), seed=0).to_pylist()
    assert [(row["entity_group"], row["direction"]) for row in rows] == [
        (group, way) for group in VOCABULARY.groups for way in ("i2t", "t2i")
    ]
    split = stored_split(embeddings)
    for row in rows:
        assert row["r1"] == pytest.approx(recalls(split.image_ND, split.text_PD)[row["direction"]])
        assert row["r1_lost"] == row["r1"] - row["r1_shuffled"]
        assert row["r1_removed_lost"] == row["r1"] - row["r1_removed"]
        assert row["entity_group"] == "brand" or row["r1_lost"] == 0
    assert entity_shuffles(model, embeddings, samples(), seed=0).to_pylist() == rows


def test_removed_is_what_products_without_the_group_would_reach(model, embeddings):
    """Against texts of products whose entities of the group were never there."""
    rows = entity_shuffles(model, embeddings, samples(), seed=0).to_pylist()
    image_ND = stored_split(embeddings).image_ND
    for group in VOCABULARY.groups:
        bare = [
            dataclasses.replace(sample, entities={g: e for g, e in sample.entities.items() if g != group})
            for sample in products_of(samples())
        ]
        wanted = recalls(image_ND, embed_texts(model, bare))
        found = {row["direction"]: row["r1_removed"] for row in rows if row["entity_group"] == group}
        assert found == pytest.approx(wanted)


def test_embeddings_of_other_products_are_an_error(model, embeddings):
    fewer = [sample for sample in samples() if sample.product_id != "p3"]
    with pytest.raises(CorruptOutputError, match="6 products embedded, 5 in the shards"):
        entity_shuffles(model, embeddings, fewer, seed=0)


def test_broken_weights_are_an_error(embeddings):
    model = build()
    with torch.no_grad():
        model.fusion.encoders[0].table.weight[1, 0] = float("nan")
    with pytest.raises(NonFiniteError):
        entity_shuffles(model, embeddings, samples(), seed=0)
