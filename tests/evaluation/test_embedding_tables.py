"""Tables about a variant: embeddings, and ranks under every protocol."""

import tarfile

import duckdb
import open_clip
import pytest
import torch
from torch.nn import functional as F

from eiclip.errors import CorruptOutputError, NonFiniteError
from eiclip.evaluation.embed import embed_texts, normalised_pixels
from eiclip.evaluation.embedding_tables import embeddings_table
from eiclip.model.entity_clip import load_checkpoint, save_checkpoint
from eiclip.shards import Sample, shard_paths, write_shards
from eiclip.storage.sql import read_sql


@pytest.fixture(scope="module")
def shards(tmp_path_factory, shop):
    folder = tmp_path_factory.mktemp("evaluate") / "shards"
    write_shards((("test", sample) for sample in shop.samples()), folder, photo_size=64)
    return shard_paths(folder, "test")


@pytest.fixture(scope="module")
def model(shop):
    return shop.model()


@pytest.fixture(scope="module")
def embeddings(model, shards):
    return embeddings_table(model, "shop", shards, excluded_group="season")


def of_kind(table, kind):
    rows = [row for row in table.to_pylist() if row["kind"] == kind]
    return [row["item_id"] for row in rows], torch.tensor([row["embedding"] for row in rows])


def test_embeddings_are_of_every_photo_and_once_of_every_product(embeddings, shop):
    images, texts = (
        [f"p{n}_{m}" for n in range(shop.products) for m in range(2)],
        [f"p{n}" for n in range(shop.products)],
    )
    assert of_kind(embeddings, "image")[0] == images
    assert of_kind(embeddings, "text")[0] == of_kind(embeddings, "text_sample100")[0] == texts
    assert set(embeddings["dataset"].to_pylist()) == {"shop"}
    assert set(embeddings["variant"].to_pylist()) == {"eiclip"}
    with duckdb.connect() as connection:
        connection.register("embeddings", embeddings)
        assert connection.sql(read_sql("checks/embeddings_are_finite")).fetchall() == []


@pytest.mark.parametrize("variant", ["eiclip", "clip_entities_text"])
def test_queries_of_sample100_do_without_the_group_the_negatives_share(variant, shards, shop):
    model = shop.model(variant)
    found = of_kind(embeddings_table(model, "shop", shards, excluded_group="season"), "text_sample100")[1]
    brand_only = [
        Sample("", "", f"item number {n}", {"brand": f"b{n % 3}"} if n < shop.products - 1 else {})
        for n in range(shop.products)
    ]
    assert torch.allclose(found, embed_texts(model, brand_only), atol=1e-6)
    full = of_kind(embeddings_table(model, "shop", shards, excluded_group=""), "text_sample100")[1]
    assert not torch.allclose(found, full, atol=1e-3)


def test_a_variant_without_entities_reads_the_description_alone(shards, shop):
    model = shop.model("clip_description")
    table = embeddings_table(model, "shop", shards, excluded_group="season")
    plain = embed_texts(model, [Sample("", "", f"item number {n}") for n in range(shop.products)])
    for kind in ("text", "text_sample100"):
        assert torch.allclose(of_kind(table, kind)[1], plain, atol=1e-6)


def test_broken_weights_are_an_error_and_no_table(shards, shop):
    model = shop.model()
    with torch.no_grad():
        model.towers.visual.proj[0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match="12 of 12 image"):
        embeddings_table(model, "shop", shards, excluded_group="season")


@pytest.mark.parametrize("members", [2, 10])
def test_a_shard_cut_between_samples_is_an_error_and_not_a_smaller_split(model, tmp_path, members, shop):
    """A tar without its end reads as a shorter one: fewer candidates would mean better ranks, in silence."""
    folder = tmp_path / "shards"
    write_shards((("test", sample) for sample in shop.samples()), folder, photo_size=64)
    shard = folder / "test-000000.tar"
    with tarfile.open(shard) as tar:
        place = tar.getmembers()[members].offset
    shard.write_bytes(shard.read_bytes()[:place])
    with pytest.raises(CorruptOutputError, match=r"test-000000\.tar"):
        embeddings_table(model, "shop", shard_paths(folder, "test"), excluded_group="season")


def test_a_checkpoint_gives_the_same_embeddings_and_open_clip_loads_its_towers(
    model, embeddings, shards, tmp_path, shop
):
    save_checkpoint(model, tmp_path / "model", {})
    again = embeddings_table(load_checkpoint(tmp_path / "model"), "shop", shards, excluded_group="season")
    assert again.equals(embeddings)
    theirs = open_clip.create_model(f"local-dir:{tmp_path / 'model'}", require_pretrained=True).eval()
    with torch.inference_mode():
        image = F.normalize(theirs.encode_image(normalised_pixels(model, list(shop.samples()), "cpu")), dim=-1)
        tokens = open_clip.SimpleTokenizer()([f"item number {n}" for n in range(shop.products)], context_length=64)
        description = F.normalize(theirs.encode_text(tokens), dim=-1)
        ids = torch.tensor([shop.vocabulary.encode(sample.entities) for sample in list(shop.samples())[::2]])
        joint = F.normalize(description + model.fusion(ids).sum_BD, dim=-1)
    assert torch.allclose(of_kind(embeddings, "image")[1], image, atol=1e-5)
    assert torch.allclose(of_kind(embeddings, "text")[1], joint, atol=1e-5)


def test_a_product_is_the_mean_of_its_photos(embeddings, shop):
    names, means = of_kind(embeddings, "product")
    photos = of_kind(embeddings, "image")[1].reshape(shop.products, 2, -1)
    assert names == [f"p{n}" for n in range(shop.products)]
    assert torch.allclose(means, F.normalize(photos.mean(1), dim=-1), atol=1e-6)
