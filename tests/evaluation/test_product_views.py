"""Products in three views: the model's own embeddings, one row a product, whatever its photos."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn import functional as F

from eiclip import EntityClip
from eiclip.errors import SettingsError
from eiclip.evaluation.embed import embed_images, embed_texts
from eiclip.evaluation.embedding_tables import product_views_table, views_of_checkpoint
from eiclip.model.entity_clip import save_checkpoint
from eiclip.shards import shard_paths, write_shards
from eiclip.storage.catalogue import connect, refresh_catalogue
from eiclip.storage.lake import Lake


@pytest.fixture(scope="module")
def made(shop, tmp_path_factory):
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


def test_each_product_is_one_row_of_unit_views_in_its_split(made, shop):
    folder, _ = made
    table = views_of_checkpoint(folder / "model", folder / "shards", "d")
    rows = {row["product_id"]: row["split"] for row in table.select(["product_id", "split"]).to_pylist()}
    assert rows == {f"p{n}": "test" if n < 2 else "train" for n in range(6)}
    for view in ("image", "text", "joint"):
        assert torch.allclose(matrix(table, view).norm(dim=1), torch.ones(6), atol=1e-5)


def test_views_are_the_mean_of_the_photos_the_text_and_the_fusion_of_both(made, shop):
    folder, model = made
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


def test_what_a_shop_serves_is_what_the_table_holds(made):
    folder, _ = made
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


def test_duckdb_measures_distances_between_views(made, tmp_path):
    folder, _ = made
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
