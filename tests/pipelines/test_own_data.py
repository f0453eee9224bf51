"""Ingestion of data that grows and of a catalogue of one's own, through settings alone."""

import csv
import gzip
import http.server
import io
import json
import threading
from typing import ClassVar

import dagster as dg
import duckdb
import h5py
import numpy as np
import pytest
from PIL import Image

from eiclip.settings.load import FASHIONGEN, load_settings
from eiclip.shards import read_samples
from eiclip.synthetic import write_fashiongen
from pipelines.definitions import build_definitions

TRAIN = "fashiongen_256_256_train.h5"


def ingest(settings):
    job = build_definitions(settings).resolve_job_def("ingest")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance)
        checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert result.success
    assert all(checks.values()), checks
    return checks


def query(settings, text):
    with duckdb.connect(str(settings.home / "eiclip.duckdb"), read_only=True) as connection:
        return connection.execute(text).fetchall()


def times(folder, pattern):
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in sorted(folder.glob(pattern))}


@pytest.fixture
def growing(tmp_path):
    raw = tmp_path / "raw"
    write_fashiongen(raw, seed=0, train_products=24, test_products=12)
    entry = FASHIONGEN.model_copy(update={"folder": str(raw), "part_rows": 16})
    return load_settings(home=tmp_path / "home", datasets={"shop": entry}, pretrained="general"), raw / TRAIN


def append(path, count):
    """More rows at the end of every column: copies of the first under new ids, with other photos."""
    with h5py.File(path) as file:
        columns = {key: file[key][:] for key in file}
    path.unlink()
    with h5py.File(path, "w") as file:
        for key, values in columns.items():
            added = values[:count].copy()
            if key == "input_productID":
                added += 10_000_000
            if key == "input_image":
                added = 255 - added
            file[key] = np.concatenate([values, added])


def test_rows_that_a_file_gains_leave_the_old_parts_alone(growing):
    settings, path = growing
    ingest(settings)
    photos, shards = settings.home / "lake/photos/folder=shop", settings.home / "shards/shop"
    before = times(photos, "*.parquet"), times(shards, "*/*.tar")
    rows = query(settings, "SELECT count(*) FROM records")[0][0]
    append(path, 20)
    ingest(settings)
    assert query(settings, "SELECT count(*) FROM records") == [(rows + 20,)]
    after = times(photos, "*.parquet"), times(shards, "*/*.tar")
    with h5py.File(path) as file:
        full = (len(file["input_image"]) - 20) // 16  # parts that were full, and so cannot have changed
    kept = [f"fashiongen_256_256_train-h5-{number:05d}" for number in range(full)]
    assert full >= 1
    for was, now in zip(before, after, strict=True):
        assert len(now) > len(was)
        for name, time in was.items():
            if name.split("/")[0].removesuffix(".parquet") in kept or "validation" in name:
                assert now[name] == time, name


def test_a_part_that_is_lost_is_the_only_one_made_again(growing):
    settings, _ = growing
    ingest(settings)
    shards = settings.home / "shards/shop"
    before = times(shards, "*/*.tar")
    lost = sorted({name.split("/")[0] for name in before})[0]
    for file in (shards / lost).iterdir():
        file.unlink()
    (shards / lost).rmdir()
    ingest(settings)
    after = times(shards, "*/*.tar")
    assert after.keys() == before.keys()
    assert {name.split("/")[0] for name in after if after[name] != before[name]} == {lost}


def test_a_catalogue_of_ones_own_goes_all_the_way(tmp_path):
    draw = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    with (tmp_path / "shop.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["sku", "name", "details", "maker", "season", "picture"])
        for number in range(60):
            Image.fromarray(draw.integers(0, 255, (40, 30, 3), np.uint8)).save(tmp_path / f"photos/{number}.png")
            maker = ("Diesel", "Golden Goose", "")[number % 3]
            table.writerow(
                [f"p/{number}", f"Coat {number}", "Wool.<br>Warm &amp; soft", maker, "FW26|SS27", f"{number}.png"]
            )
        table.writerow(["p/gone", "No photo", "", "Diesel", "FW26", "gone.png"])
        table.writerow(["p/out", "Another's photo", "", "Diesel", "FW26", "../shop.csv"])
    entry = {
        "kind": "table", "files": str(tmp_path / "shop.csv"), "images": str(tmp_path / "photos"),
        "entity_groups": ["brand", "season"],
        "columns": {"product_id": "sku", "title": "name", "description": ["details"], "photo": "picture",
                    "entities": {"brand": "maker", "season": "season"}, "separators": {"season": "|"}},
    }  # fmt: skip
    settings = load_settings(home=tmp_path / "home", datasets={"shop": entry}, pretrained="general")
    ingest(settings)
    assert query(settings, "SELECT count(*) FROM images") == [(60,)]
    assert query(settings, "SELECT count(DISTINCT product_id) FROM products") == [(60,)]
    (description,) = query(settings, "SELECT DISTINCT description FROM products WHERE title = 'Coat 7'")[0]
    assert description == "Coat 7. Wool. Warm & soft"
    reasons = query(settings, "SELECT locator, reason FROM quarantine ORDER BY ALL")
    assert reasons == [
        ("row 60", "photo missing: photos/gone.png"),
        ("row 61", "photo outside the folder: ../shop.csv"),
    ]
    coverage = dict(query(settings, "SELECT entity_group, tagged_products FROM profile_entities"))
    assert coverage == {"brand": 40, "season": 60}
    tags = query(
        settings, "SELECT entity, ordinal, count(*) FROM product_entities WHERE entity_group = 'season' GROUP BY ALL"
    )
    assert sorted(tags) == [("fw26", 1, 60), ("ss27", 2, 60)]
    samples = [sample for tar in (settings.home / "shards/shop").rglob("*.tar") for sample in read_samples([tar])]
    assert len(samples) == 60
    assert {tuple(sample.entities["season"]) for sample in samples} == {("fw26", "ss27")}


def refused(home, entry):
    """Ingest a dataset that cannot go on: the failed checks, what they say, and the tables that were made of it."""
    settings = load_settings(home=home, datasets={"shop": entry}, pretrained="general")
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_definitions(settings).resolve_job_def("ingest")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    found = {e.check_name: e.description for e in result.get_asset_check_evaluations() if not e.passed}
    return found, {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}


def write_shop(folder, pictures, **columns):
    """A table of products and the settings' entry of it."""
    lines = ["sku,name,picture,part", *(f"p{number},Coat,{picture},train" for number, picture in enumerate(pictures))]
    (folder / "shop.csv").write_text("\n".join(lines))
    (folder / "photos").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8)).save(folder / "photos/coat-1.png")
    named = {"product_id": "sku", "title": "name", "photo": "picture", "category": "name", **columns}
    return {"kind": "table", "files": str(folder / "shop.csv"), "images": str(folder / "photos"),
            "entity_groups": ["category"], "columns": named}  # fmt: skip


def test_a_catalogue_of_which_no_photo_is_found_stops_at_its_photos(tmp_path):
    found, made = refused(tmp_path / "home", write_shop(tmp_path, ["img/Coat_1.jpg", "img/Coat_2.jpg"]))
    assert found == {
        "photos_are_usable": "0 of 2 photos found; most common reason (2): photo missing: photos/img/Coat_1.jpg "
        f"(shop.csv row 0); nearest existing name: {tmp_path}/photos/coat-1.png"
    }
    assert "photos" in made
    assert not {"products", "shards"} & made


def test_a_catalogue_without_a_test_product_stops_at_its_products(tmp_path):
    found, made = refused(tmp_path / "home", write_shop(tmp_path, ["coat-1.PNG", "gone.png"], split="part"))
    (said,) = found.values()
    assert said.startswith("no test product: of 1 with a usable photo none is in the test split")
    assert {"products", "quarantine"} <= made
    assert "shards" not in made


def test_fashiongen_whose_photos_are_all_blank_stops_at_its_photos(growing):
    settings, path = growing
    for file in path.parent.glob("*.h5"):
        with h5py.File(file, "a") as opened:
            opened["input_image"][:] = 255
    found, _ = refused(settings.home, settings.datasets["shop"])
    assert list(found) == ["photos_are_usable"]
    assert found["photos_are_usable"].startswith("0 of ")
    assert "blank photo: every pixel is (255, 255, 255)" in found["photos_are_usable"]


class Photos(http.server.BaseHTTPRequestHandler):
    """Serves a photo for every path but /gone; counts what it is asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        if self.path.startswith("/gone"):
            self.send_error(404)
            return
        stream = io.BytesIO()
        number = int(self.path.strip("/").split(".")[0])
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (32, 32, 3), np.uint8)).save(stream, "JPEG")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(stream.getvalue())

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Photos) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_amazon_photos_are_downloaded_and_reviews_joined(tmp_path, server):
    lines = [
        {
            "parent_asin": f"B{number:03d}", "title": f"Shirt {number}", "features": ["Cotton"], "description": [],
            "store": "Visit the Levi's Store" if number % 2 else "LEVIS", "categories": ["Clothing", "Shirts"],
            "main_category": "AMAZON FASHION", "price": 5,
            "images": [{"large": f"{server}/{'gone' if number == 7 else number}.jpg", "variant": "MAIN"}],
        }
        for number in range(40)
    ]  # fmt: skip
    with gzip.open(tmp_path / "meta.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)
    reviews = [
        {"parent_asin": "B001", "rating": rating, "text": text, "title": "t", "timestamp": 1_600_000_000_000,
         "helpful_vote": votes}
        for rating, text, votes in ((5.0, "Fits well", 3), (2.0, "Shrank", 0))
    ]  # fmt: skip
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(line) + "\n" for line in reviews))
    entry = {
        "kind": "amazon", "metadata": str(tmp_path / "meta.jsonl.gz"), "reviews": str(tmp_path / "reviews.jsonl"),
        "helpful_reviews": 1, "download": {"allow_private": True, "retries": 0}, "subset": "paper",
    }  # fmt: skip
    settings = load_settings(home=tmp_path / "home", datasets={"tops": entry}, pretrained="general")
    Photos.asked.clear()
    ingest(settings)
    assert query(settings, "SELECT count(*) FROM images") == [(39,)]
    [(place, reason)] = query(settings, "SELECT locator, reason FROM quarantine")
    assert (place, reason.split(" from ")[0]) == ("line 8", "photo not downloaded: HTTP 404")
    assert query(settings, "SELECT DISTINCT entity FROM tagged_entities") == [("levi's",)]
    spellings = query(settings, "SELECT spelling, entity FROM entity_spellings ORDER BY ALL")
    assert spellings == [("levi's", "levi's"), ("levis", "levi's")]
    raw = query(settings, "SELECT DISTINCT brand_raw FROM listings ORDER BY ALL")
    assert raw == [("LEVIS",), ("Visit the Levi's Store",)], "as the raw file writes it"
    found = query(settings, "SELECT review_count, mean_rating, description FROM products WHERE product_id = 'B001'")
    assert found == [(2, 3.5, "Shirt 1. Cotton. Fits well")]
    asked = len(Photos.asked)
    assert asked == 40
    ingest(settings)
    assert len(Photos.asked) == asked, "what is there, and what is gone for good, is not asked for again"
