"""Gates, and what an entity group is worth: shuffled among products, and removed from their texts."""

import dataclasses

import pyarrow as pa
import pytest
import torch

from eiclip.errors import CorruptOutputError, NonFiniteError
from eiclip.evaluation.embed import embed_images, embed_texts, first_of_product
from eiclip.evaluation.embedding_tables import embeddings_table
from eiclip.evaluation.gates import entity_shuffles, gate_weights, group_weights, products_of, stored_split
from eiclip.evaluation.ranking import full_ranks, recall_at
from eiclip.evaluation.relevance import Relevance
from eiclip.shards import shard_paths, write_shards

PRODUCTS = 6
OWNERS = [n for n in range(PRODUCTS) for _ in range(2)]
"""The photos' products, in the small shop."""


@pytest.fixture(scope="module")
def model(shop):
    return shop.model()


@pytest.fixture(scope="module")
def embeddings(model, tmp_path_factory, shop):
    folder = tmp_path_factory.mktemp("gates") / "shards"
    write_shards((("test", sample) for sample in shop.samples()), folder, photo_size=64)
    return embeddings_table(model, "shop", shard_paths(folder, "test"), excluded_group="")


def recalls(image_ND, text_PD):
    owner_N, owner_P = torch.tensor(OWNERS), torch.arange(PRODUCTS)
    return {
        "i2t": recall_at(full_ranks(image_ND, text_PD, Relevance.of(owner_N, owner_P)), 1),
        "t2i": recall_at(full_ranks(text_PD, image_ND, Relevance.of(owner_P, owner_N)), 1),
    }


def test_new_gates_weigh_every_entity_alike(model, shop):
    rows = gate_weights(model, "shop").to_pylist()
    assert [(row["entity_group"], row["entity_id"], row["entity"]) for row in rows] == [
        (group, number, name) for group, names in shop.vocabulary.names.items() for number, name in enumerate(names)
    ]
    assert {row["weight"] for row in rows} == {0.5}


def test_weights_are_those_that_texts_are_made_with(shop):
    model = shop.model()
    with torch.no_grad():
        for gate in model.fusion.gates:
            gate.mlp[-1].weight.normal_(0, 3)
        fused = model.fusion(torch.tensor([[[number], [number % 2]] for number in range(4)]))
    assert torch.allclose(group_weights(model, "brand"), fused.weight_BK[:, 0])
    assert torch.allclose(group_weights(model, "season"), fused.weight_BK[:2, 1])
    assert len({round(weight, 4) for weight in group_weights(model, "brand").tolist()}) == 4


def test_a_variant_without_gates_has_no_weights(shop):
    with pytest.raises(ValueError, match="clip_entities_text has no entity encoders"):
        group_weights(shop.model("clip_entities_text"), "brand")


def test_the_stored_split_is_what_was_embedded(model, embeddings, shop):
    split = stored_split(embeddings, products_of(shop.samples()))
    assert split.image_ids == [sample.image_id for sample in shop.samples()]
    assert split.image_products == [f"p{n}" for n in OWNERS]
    assert split.product_ids == [f"p{n}" for n in range(PRODUCTS)]
    assert torch.equal(split.image_ND, embed_images(model, list(shop.samples())))
    assert torch.equal(split.text_PD, embed_texts(model, first_of_product(list(shop.samples()))))


def test_the_stored_split_is_read_from_any_chunks(embeddings, shop):
    pieces = pa.concat_tables([embeddings.slice(start, 5) for start in range(0, len(embeddings), 5)])
    one, other = (stored_split(each, products_of(shop.samples())) for each in (pieces, embeddings))
    assert torch.equal(one.text_PD, other.text_PD)


def test_products_are_samples_without_their_photos(shop):
    assert products_of(shop.samples()) == [
        dataclasses.replace(s, jpeg=b"") for s in first_of_product(list(shop.samples()))
    ]


def test_shuffling_a_group_that_all_share_costs_nothing(model, embeddings, shop):
    rows = entity_shuffles(model, embeddings, shop.samples(), seed=0).to_pylist()
    assert [(row["entity_group"], row["direction"]) for row in rows] == [
        (group, way) for group in shop.vocabulary.groups for way in ("i2t", "t2i")
    ]
    split = stored_split(embeddings, products_of(shop.samples()))
    for row in rows:
        assert row["r1"] == pytest.approx(recalls(split.image_ND, split.text_PD)[row["direction"]])
        assert row["r1_lost"] == row["r1"] - row["r1_shuffled"]
        assert row["r1_removed_lost"] == row["r1"] - row["r1_removed"]
        assert row["entity_group"] == "brand" or row["r1_lost"] == 0
    assert entity_shuffles(model, embeddings, shop.samples(), seed=0).to_pylist() == rows


def test_removed_is_what_products_without_the_group_would_reach(model, embeddings, shop):
    """Against texts of products whose entities of the group were never there."""
    rows = entity_shuffles(model, embeddings, shop.samples(), seed=0).to_pylist()
    image_ND = stored_split(embeddings, products_of(shop.samples())).image_ND
    for group in shop.vocabulary.groups:
        bare = [
            dataclasses.replace(sample, entities={g: e for g, e in sample.entities.items() if g != group})
            for sample in products_of(shop.samples())
        ]
        wanted = recalls(image_ND, embed_texts(model, bare))
        found = {row["direction"]: row["r1_removed"] for row in rows if row["entity_group"] == group}
        assert found == pytest.approx(wanted)


def test_embeddings_of_other_products_are_an_error(model, embeddings, shop):
    fewer = [sample for sample in shop.samples() if sample.product_id != "p3"]
    with pytest.raises(CorruptOutputError, match="6 products embedded, 5 in the shards"):
        entity_shuffles(model, embeddings, fewer, seed=0)


def test_broken_weights_are_an_error(embeddings, shop):
    model = shop.model()
    with torch.no_grad():
        model.fusion.encoders[0].table.weight[1, 0] = float("nan")
    with pytest.raises(NonFiniteError):
        entity_shuffles(model, embeddings, shop.samples(), seed=0)
