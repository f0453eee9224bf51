"""Tables of embeddings of a variant: of a test split, and of products in three views."""

import tarfile

import duckdb
import numpy as np
import open_clip
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn import functional as F

from eiclip import EntityClip
from eiclip.errors import CorruptOutputError, NonFiniteError, SettingsError
from eiclip.evaluation.embed import embed_images, embed_texts, normalised_pixels
from eiclip.evaluation.embedding_tables import embeddings_table, product_views_table, views_of_checkpoint
from eiclip.model.entity_clip import load_checkpoint, save_checkpoint
from eiclip.model.inputs import ModelInputs
from eiclip.shards import Sample, shard_paths, write_shards
from eiclip.storage.catalogue import connect, refresh_catalogue
from eiclip.storage.lake import Lake
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
    texts = [f"p{n}" for n in range(shop.products)]
    assert of_kind(embeddings, "image")[0] == [f"{text}_{m}" for text in texts for m in range(2)]
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
        Sample("", "", f"item number {n}", {"brand": [f"b{n % 3}"]} if n < shop.products - 1 else {})
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
        ids = ModelInputs.of(model).entity_ids([sample.entities for sample in list(shop.samples())[::2]])
        joint = F.normalize(description + model.fusion(ids).sum_BD, dim=-1)
    assert torch.allclose(of_kind(embeddings, "image")[1], image, atol=1e-5)
    assert torch.allclose(of_kind(embeddings, "text")[1], joint, atol=1e-5)


def test_a_product_is_the_mean_of_its_photos(embeddings, shop):
    names, means = of_kind(embeddings, "product")
    photos = of_kind(embeddings, "image")[1].reshape(shop.products, 2, -1)
    assert names == [f"p{n}" for n in range(shop.products)]
    assert torch.allclose(means, F.normalize(photos.mean(1), dim=-1), atol=1e-6)


@pytest.fixture(scope="module")
def same_style(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    samples = [("test" if sample.product_id in ("p0", "p1") else "train", sample) for sample in shop.samples()]
    write_shards(samples, folder / "shards", photo_size=64)
    model = shop.model("same_style")
    with torch.no_grad():
        model.views.gate.weight.normal_(std=0.3)
        model.views.correction.weight.normal_(std=0.3)
    save_checkpoint(model, folder / "model", {})
    return folder, model


def matrix(table, name):
    return torch.from_numpy(np.stack(table[name].to_numpy()))


def test_each_product_is_one_row_of_unit_views_in_its_split(same_style, shop):
    folder, _ = same_style
    table = views_of_checkpoint(folder / "model", folder / "shards", "d")
    rows = {row["product_id"]: row["split"] for row in table.select(["product_id", "split"]).to_pylist()}
    assert rows == {f"p{n}": "test" if n < 2 else "train" for n in range(6)}
    for view in ("image", "text", "joint"):
        assert torch.allclose(matrix(table, view).norm(dim=1), torch.ones(6), atol=1e-5)


def test_views_are_the_mean_of_the_photos_the_text_and_the_fusion_of_both(same_style, shop):
    folder, model = same_style
    paths = {split: shard_paths(folder / "shards", split) for split in ("train", "test")}
    table = product_views_table(model, "d", paths)
    at = table["product_id"].to_pylist().index("p3")
    samples = [sample for sample in shop.samples() if sample.product_id == "p3"]
    image = F.normalize(embed_images(model, samples).mean(dim=0), dim=0)
    text = embed_texts(model, samples[:1])[0]
    assert torch.allclose(matrix(table, "image")[at], image, atol=1e-5)
    assert torch.allclose(matrix(table, "text")[at], text, atol=1e-5)
    with torch.no_grad():
        joint = model.encode_joint(image[None], text[None])[0]
    assert torch.allclose(matrix(table, "joint")[at], joint, atol=1e-5)
    assert not torch.allclose(joint, F.normalize(image + text, dim=0), atol=1e-2), "the fusion is no sum"


def test_what_a_shop_serves_is_what_the_table_holds(same_style):
    folder, _ = same_style
    table = views_of_checkpoint(folder / "model", folder / "shards", "d")
    served = EntityClip.from_folder(folder / "model", device="cpu")
    joint = served.encode_joint(matrix(table, "image").numpy(), matrix(table, "text").numpy())
    assert np.allclose(joint, matrix(table, "joint").numpy(), atol=1e-5)
    with pytest.raises(SettingsError, match=r"photos \(2, 128\) and texts \(3, 128\)"):
        served.encode_joint(np.zeros((2, 128), np.float32), np.zeros((3, 128), np.float32))


def test_a_model_without_a_fusion_joins_by_the_mean(shop):
    model = shop.model("eiclip")
    image, text = (F.normalize(torch.randn(2, 128, generator=torch.Generator().manual_seed(n)), dim=1) for n in (1, 2))
    assert torch.allclose(model.encode_joint(image, text), F.normalize(image + text, dim=1))


def test_duckdb_measures_distances_between_views(same_style, tmp_path):
    folder, _ = same_style
    lake = Lake(tmp_path)
    lake.write(views_of_checkpoint(folder / "model", folder / "shards", "d"), "product_views", "d", "same_style")
    refresh_catalogue(lake)
    text = """
        SELECT other.product_id, array_inner_product(one.image, other.joint) AS similarity
        FROM product_views AS one, product_views AS other
        WHERE one.product_id = 'p0'
        ORDER BY similarity DESC"""
    with connect(tmp_path) as connection:
        found = connection.execute(text).fetchall()
    table = pq.read_table(lake.path("product_views", "d", "same_style"))
    one = matrix(table, "image")[table["product_id"].to_pylist().index("p0")]
    wanted = sorted(zip((matrix(table, "joint") @ one).tolist(), table["product_id"].to_pylist(), strict=True))[::-1]
    assert [product for product, _ in found] == [product for _, product in wanted]
