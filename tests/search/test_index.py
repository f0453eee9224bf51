"""Where an index comes from, what makes it anew, and photos out of the shards."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from eiclip.errors import CorruptOutputError, EiclipError, SettingsError
from eiclip.model.entity_clip import EntityClipModel, save_checkpoint
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers
from eiclip.model.variants import get_variant
from eiclip.search.engine import SearchEngine
from eiclip.search.index import SearchIndex
from eiclip.search.photos import PhotoShelf
from eiclip.search.sources import trained_variants, views_of
from eiclip.settings.training import TrainingSettings
from eiclip.storage.cache import MANIFEST, content_digest, make_once
from eiclip.storage.home import Paths
from tests.search.conftest import DATASET, small_home


@pytest.fixture
def unmade(tmp_path, shop):
    """A home as `make full_eval` leaves it: without the views of products."""
    return small_home(tmp_path, shop, ("eiclip",), views=False)


def train_again(home):
    """Make the checkpoint another one."""
    manifest = home.checkpoint(DATASET, "eiclip") / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")


def test_views_that_no_job_made_are_made_once_and_equal_the_jobs(unmade, engine, shop):
    found = SearchIndex.open(unmade.root, DATASET, "eiclip")
    for view, matrix in engine.index.views.items():
        assert matrix == pytest.approx(found.views[view], abs=1e-6)
        assert (matrix.dtype, matrix.flags.c_contiguous) == ("float32", True)
    assert found.product_ids == engine.index.product_ids
    kept = unmade.search_index(DATASET, "eiclip")
    written = kept.stat().st_mtime_ns
    SearchIndex.open(unmade.root, DATASET, "eiclip")
    assert kept.stat().st_mtime_ns == written
    train_again(unmade)
    SearchIndex.open(unmade.root, DATASET, "eiclip")
    assert kept.stat().st_mtime_ns > written, "another model, other views"


def test_row_6_is_searched_by_all_that_it_reads_of_a_photo(engine_of_row_6, engine, shop):
    index, model = engine_of_row_6.index, engine_of_row_6.model
    photos: dict[str, list[bytes]] = {}
    for sample in shop.samples():
        photos.setdefault(sample.product_id, []).append(sample.jpeg)
    for product, jpegs in photos.items():
        mean = model.encode_image(jpegs).mean(axis=0)
        found = index.views["image"][index.row(product)]
        assert found == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
        assert found != pytest.approx(engine.index.views["image"][index.row(product)], abs=1e-2), "of the towers alone"


def test_the_variant_to_search_with_is_the_first_there_is_of_those_served(tmp_path, shop):
    home = Paths(tmp_path)
    for variant, first in (("clip_description", "clip_description"), ("eiclip", "eiclip"),
                           ("eiclip_plus", "eiclip_plus"), ("same_style", "same_style")):  # fmt: skip
        save_checkpoint(shop.model(variant), home.checkpoint(DATASET, variant), {})
        assert trained_variants(home)[DATASET][0] == first
    assert trained_variants(home) == {DATASET: ["same_style", "eiclip_plus", "eiclip", "clip_description"]}


def test_the_jobs_views_go_before_those_kept(unmade, home):
    views = home.lake.path("product_views", DATASET, "eiclip")
    unmade.lake.write(pq.read_table(views).slice(0, 4), "product_views", DATASET, "eiclip")
    assert SearchIndex.open(unmade.root, DATASET, "eiclip").product_ids == ["p0", "p1", "p2", "p3"]
    assert not unmade.search_index(DATASET, "eiclip").exists()


def test_the_jobs_views_of_an_earlier_model_are_not_searched(unmade, home):
    """Only the first four products are in the job's table: so it shows which one was read."""
    views = pq.read_table(home.lake.path("product_views", DATASET, "eiclip")).slice(0, 4)
    folders = {"checkpoint/eiclip": unmade.checkpoint(DATASET, "eiclip"), "shards": unmade.shards(DATASET)}
    inputs = {"sources": {name: content_digest(folder) for name, folder in folders.items()}}
    output = unmade.lake.path("product_views", DATASET, "eiclip")
    make_once(output, inputs, lambda: {"at": str(unmade.lake.write(views, "product_views", DATASET, "eiclip"))})
    assert len(SearchIndex.open(unmade.root, DATASET, "eiclip")) == 4
    train_again(unmade)
    assert len(SearchIndex.open(unmade.root, DATASET, "eiclip")) == 6


def test_what_is_not_there_is_named(unmade, tmp_path):
    with pytest.raises(EiclipError, match="models/shop/same_style: no trained model; run `make full_eval`"):
        SearchIndex.open(unmade.root, DATASET, "same_style")
    with pytest.raises(EiclipError, match="no table products of 'other'"):
        SearchIndex.open(unmade.root, "other", "eiclip")
    with pytest.raises(EiclipError, match="nowhere"):
        SearchEngine.open(tmp_path / "nowhere", DATASET, "eiclip")


def test_rows_of_a_split(engine):
    assert [engine.index.product_ids[row] for row in engine.index.rows_of_split("test")] == ["p3", "p4", "p5"]
    assert engine.index.rows_of_split("excluded").tolist() == []


def test_a_photo_is_the_first_of_its_product(home, shop):
    shelf = PhotoShelf(home.shards(DATASET))
    firsts = {sample.product_id: sample.jpeg for sample in reversed(list(shop.samples()))}
    assert {product: shelf.photo(product) for product in firsts} == firsts
    with pytest.raises(SettingsError, match="product 'p9': no photo of it"):
        shelf.photo("p9")


def test_a_cut_or_missing_shard_is_an_error_and_no_photo(unmade):
    with pytest.raises(CorruptOutputError, match="materialise the shards again"):
        PhotoShelf(Paths(unmade.root).shards("other")).photo("p0")
    for shard in unmade.shards(DATASET).glob("train-*.tar"):
        shard.write_bytes(shard.read_bytes()[:700])
    shelf = PhotoShelf(unmade.shards(DATASET))
    with pytest.raises(CorruptOutputError, match=r"train-000000\.tar: no photo of 'p1'"):
        shelf.photo("p1")
    assert shelf.photo("p4").startswith(b"\xff\xd8"), "another shard"


def test_features_that_cannot_be_read_are_made_up_for_by_photos_and_texts(unmade, shop, caplog):
    settings = TrainingSettings(image_tower="heads", text_tower="heads")
    frozen = EntityClipModel(new_towers(SMALL, 0), get_variant("eiclip"), shop.vocabulary, settings).eval()
    save_checkpoint(frozen, unmade.checkpoint(DATASET, "eiclip"), {})
    plain = views_of(unmade, DATASET, "eiclip")
    unmade.search_index(DATASET, "eiclip").unlink()
    unmade.features(DATASET).mkdir(parents=True)
    (unmade.features(DATASET) / MANIFEST).write_text("{}")  # and none of the files
    assert views_of(unmade, DATASET, "eiclip").equals(plain)
    assert "Photos and texts are read instead" in caplog.text
