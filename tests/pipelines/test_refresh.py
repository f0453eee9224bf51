"""The job `refresh` in a small home with a trained model: products come, go and change, and nothing is trained."""

import csv
import json
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from assets.common import Project
from eiclip import EntityClip
from eiclip.evaluation.embedding_tables import views_of_checkpoint
from eiclip.search import Query, SearchEngine
from eiclip.settings.load import load_settings
from eiclip.storage.cache import read_record
from eiclip.storage.home import Paths
from pipelines.definitions import build_definitions
from pipelines.status import statuses

from .conftest import require_descriptions

INDEX, DRIFT = ("search_index", "eiclip"), ("drift", "eiclip")
NEW, GONE, CHANGED = ("n0", "n1", "n2", "n3"), "p11", "p12"
MOSS = "a cloak of moss"


def rows():
    brands, kinds = ("Diesel", "Golden Goose", "Gap"), ("Coat", "Boots")
    for number in range(70):
        yield [f"p{number}", f"{kinds[number % 2]} {number}", "Warm and soft", brands[number % 3], f"{number}.png"]


def write(folder, listed):
    with (folder / "shop.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["sku", "name", "details", "maker", "picture"], *listed])


def run(settings, job, selection=None):
    """Run a job; returns what became of its assets and checks."""
    defs = build_definitions(settings)
    found = defs.resolve_job_def(job) if job else defs.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        keys = selection and [dg.AssetKey(list(key)) for key in selection]
        result = found.execute_in_process(instance=instance, asset_selection=keys)
        checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
        events = result.get_asset_materialization_events()
    return {e.asset_key.to_user_string(): e.materialization.metadata for e in events if e.asset_key}, checks


class Shop:
    """A home before and after the refresh."""

    def __init__(self, folder: Path) -> None:
        (folder / "photos").mkdir()
        draw = np.random.default_rng(0)
        for name in [*range(70), *NEW]:
            pixels = draw.integers(0, 255, (40, 30, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / f"{name}.png")
        write(folder, rows())
        columns = {"product_id": "sku", "title": "name", "description": ["details"], "photo": "picture"}
        entry = {"kind": "table", "files": str(folder / "shop.csv"), "images": str(folder / "photos"),
                 "entity_groups": ["brand"], "shop_url": "https://shop.example/{product_id}",
                 "columns": columns | {"entities": {"brand": "maker"}}}  # fmt: skip
        self.settings = load_settings(
            home=folder / "home", datasets={"shop": entry}, pretrained="general",
            embedded={"general_images": 64, "pretraining_epochs": 1}, training={"epochs": 1, "batch_size": 16},
        )  # fmt: skip
        self.paths, self.project = Paths(folder / "home"), Project(self.settings, Paths(folder / "home"))
        graph = build_definitions(self.settings).resolve_asset_graph()
        needed = dg.AssetSelection.assets(["shop", *DRIFT], ["shop", "product_entities"]).upstream().resolve(graph)
        self.trained, _ = run(self.settings, None, [key.path for key in needed])
        self.before, self.models = self.views(), self.model_times()
        kept = [row for row in rows() if row[0] != GONE]
        for row in kept:
            row[2] = MOSS if row[0] == CHANGED else row[2]
        write(folder, [*kept, *([new, f"Coat {new}", "Light", "Zorax", f"{new}.png"] for new in NEW)])
        self.refreshed, self.checks = run(self.settings, "refresh")
        self.after = self.views()
        self.statuses = {status.name: status for status in statuses(self.project)}

    def views(self):
        return pq.read_table(self.paths.search_index("shop", "eiclip"), partitioning=None)

    def model_times(self):
        return {file: file.stat().st_mtime_ns for file in (self.paths.root / "models").rglob("*") if file.is_file()}

    def query(self, text):
        with duckdb.connect(str(self.paths.root / "eiclip.duckdb"), read_only=True) as connection:
            return connection.execute(text).fetchall()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return Shop(tmp_path_factory.mktemp("refresh"))


@pytest.fixture(scope="module")
def engine(shop):
    return SearchEngine.open(shop.paths.root, "shop", "eiclip")


def test_nothing_was_trained(shop):
    assert "shop/checkpoint/eiclip" in shop.trained
    assert {key for key in shop.refreshed if "checkpoint" in key or "general" in key or "features" in key} == set()
    assert shop.model_times() == shop.models
    assert "shop/search_index/eiclip" in shop.refreshed
    assert "shop/search_index/eiclip_plus" not in shop.refreshed, "a variant that was never trained is left out"


def test_new_products_are_searched_removed_ones_are_not_and_changed_ones_as_they_are_now(shop, engine):
    ids = set(engine.index.product_ids)
    assert ids == {f"p{number}" for number in range(70)} - {GONE} | set(NEW)
    found = engine.search(Query(text="coat", filters={"brand": ("zorax",)}, top=10))
    assert {hit.product_id for hit in found.hits} == set(NEW)
    assert {hit.link for hit in found.hits} == {f"https://shop.example/{new}" for new in NEW}, "offers are new, too"
    model = EntityClip.from_folder(shop.paths.checkpoint("shop", "eiclip"), "cpu")
    for product, text, brand in ((CHANGED, f"Coat 12. {MOSS}", "diesel"), ("n0", "Coat n0. Light", "zorax")):
        [fact] = engine.index.facts_of([engine.index.row(product)])
        assert (fact["description"], fact["entities"]["brand"]) == (text, [brand])
        expected = model.encode_text([text], [{"brand": brand}])[0]
        assert engine.index.views["text"][engine.index.row(product)] == pytest.approx(expected, abs=1e-5)
        assert engine.photo(product)


def test_only_what_changed_is_embedded_and_all_is_as_if_everything_had_been(shop):
    record, _ = read_record(shop.paths.search_index("shop", "eiclip"))
    assert record["facts"] == {"products": 73, "embedded": 5, "taken_over": 68}
    whole = views_of_checkpoint(shop.paths.checkpoint("shop", "eiclip"), shop.paths.shards("shop"), "shop")
    assert shop.after["product_id"].equals(whole["product_id"])
    assert shop.after["split"].equals(whole["split"])
    for view in ("image", "text", "joint"):
        assert np.array(shop.after[view].to_pylist()) == pytest.approx(np.array(whole[view].to_pylist()), abs=1e-5)
    before, after = ({row["product_id"]: row for row in table.to_pylist()} for table in (shop.before, shop.after))
    assert {product for product, row in after.items() if before.get(product) != row} == {CHANGED, *NEW}


def test_the_status_is_true(shop):
    told = {name: (status.state, status.reason) for name, status in shop.statuses.items()}
    names = ("shop/search_index/eiclip", "shop/drift/eiclip", "shop/shards")
    assert {name: told[name] for name in names if told[name][0] != "made"} == {}
    state, reason = told["shop/checkpoint/eiclip"]
    assert (state, "shards" in reason) == ("stale", True), "full_eval trains again"
    assert told["shop/search_index/eiclip_plus"][0] == "not made"


def test_what_has_drifted_is_told(shop):
    assert shop.checks["model_fits_the_products"], "four new products are too few to say more"
    rows = shop.query("SELECT measure, trained, newest, products FROM drift WHERE variant = 'eiclip'")
    told = {measure: values for measure, *values in rows}
    assert told["products"] == [70, 73, 73]
    assert {name: told[name][1] for name in ("new", "changed", "removed", "moved")} == {
        "new": 4, "changed": 1, "removed": 1, "moved": 0,
    }  # fmt: skip
    assert told["unknown_entities"] == [0, 80, 5], "the four of Zorax, of five with a brand"
    assert told["mrr"][2] == told["r10"][2] == 5
    require_descriptions(shop.paths.root)


def test_the_words_of_a_brand_that_the_model_does_not_know_stay_in_the_text(shop, engine):
    read = engine.reader.read(Query(text="zorax coat diesel", link=True))
    assert [(link.entity, link.kept) for link in read.links] == [("zorax", True), ("diesel", True)]
    assert (read.words.text.split(), read.words.entities) == (["zorax", "coat"], {"brand": ["zorax", "diesel"]})
    assert read.unknown == {"brand": ["zorax"]}
    assert engine.reader.read(Query(text="coat", entities={"brand": "zorax"})).notes == []
    known = engine.reader.read(Query(text="diesel coat"))
    assert (known.words.text.split(), known.unknown) == (["coat"], {})


def test_a_second_refresh_makes_nothing(shop):
    written = shop.paths.search_index("shop", "eiclip").stat().st_mtime_ns
    again, _ = run(shop.settings, "refresh")
    assert all(facts["reused"].value for name, facts in again.items() if "search_index" in name or "drift" in name)
    assert shop.paths.search_index("shop", "eiclip").stat().st_mtime_ns == written
    assert json.loads((shop.paths.shards("shop") / "manifest.json").read_text())["samples"]
