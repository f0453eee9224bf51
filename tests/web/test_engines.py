"""A home that changes while it is served: the old products answer until the new ones can, and nothing is a failure."""

import json
import time
from dataclasses import replace

import httpx
import pytest

from eiclip.search.sources import views_of
from eiclip.shards import encode_photo
from eiclip.storage.home import Paths
from eiclip.web.app import create_app
from eiclip.web.engines import Engines
from tests.web.conftest import photo_of, products, served, write_home, write_photos, write_tables

GONE, NEW = "p1", "p99"
PATIENCE = 60


def test_what_is_named_is_shown_first(shop_home):
    assert [*Engines(shop_home).available()["shop"]] == ["eiclip_plus", "eiclip", "clip_description"]
    for first in (("shop", "clip_description"), ("", "clip_description")):
        assert Engines(shop_home, first=first).available()["shop"] == ["clip_description", "eiclip_plus", "eiclip"]


@pytest.fixture
def shop(tmp_path):
    """The root of a home of its own, and a client of its server, which looks at every request."""
    write_home(tmp_path, "shop")
    with (
        served(create_app(Engines(tmp_path, look=0, settled=0))) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        yield tmp_path, client


def changed():
    """The products without one, with a new one last; so most have another photo than before."""
    kept = [product for product in products() if product.product_id != GONE]
    return [*kept, replace(kept[0], product_id=NEW, title="a new one", description="A new one.")]


def ask(client, **query):
    return client.post(
        "/api/search/shop/eiclip", files={"query": (None, json.dumps({"text": "boots", "top": 100} | query))}
    )


def found(client):
    answer = ask(client)
    assert answer.status_code == 200, answer.text
    return {hit["product_id"] for hit in answer.json()["hits"]}


def photo(client, product):
    return client.get("/api/photo/shop", params={"product": product})


def until(true):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "nothing has changed in time"
        time.sleep(0.05)


def test_a_refreshed_home_is_served_without_a_restart(shop):
    root, client = shop
    before = found(client)
    assert GONE in before
    assert photo(client, GONE).content == encode_photo(photo_of(1), 64)

    write_photos(root, "shop", changed())  # a job is halfway: shards are new, tables and views are not
    for _ in range(3):
        assert found(client) == before
    assert ask(client, product_id=GONE).status_code == 200
    gone = photo(client, GONE)
    assert (gone.status_code, "no longer in the catalogue" in gone.json()["error"]) == (404, True)

    write_tables(root, "shop", changed())
    assert found(client) == before

    views_of(Paths(root), "shop", "eiclip")  # the job ends
    until(lambda: found(client) != before)
    assert found(client) == before - {GONE} | {NEW}
    for place, product in enumerate(changed()):
        assert photo(client, product.product_id).content == encode_photo(photo_of(place), 64)
    like = ask(client, product_id=GONE, text="")
    assert (like.status_code, "it was removed" in like.json()["error"]) == (400, True)
    assert str(root) not in like.text
    assert ask(client, product_id=NEW, text="").status_code == 200


def test_tables_that_cannot_be_opened_leave_the_old_products_and_are_said(shop, caplog):
    root, client = shop
    before = found(client)
    table = Paths(root).lake.path("products", "shop")
    table.write_bytes(table.read_bytes()[:100])
    until(lambda: found(client) == before and "the products of before are still searched" in caplog.text)
    assert found(client) == before


def test_photos_in_the_making_are_said_to_be(shop):
    root, client = shop
    assert photo(client, "p2").status_code == 200
    before = found(client)
    [shard] = Paths(root).shards("shop").glob("train-*.tar")
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(content[512:] + bytes(512))  # its manifest comes last
    refused = photo(client, "p2")
    assert (refused.status_code, "a job is making them again" in refused.json()["error"]) == (503, True)
    assert found(client) == before


def test_an_unchanged_home_is_opened_once(shop):
    root, _ = shop
    engines = Engines(root, look=0, settled=0)
    opened = engines.get("shop", "eiclip")
    for _ in range(3):
        assert engines.get("shop", "eiclip") is opened
        assert not engines._renewing.locked(), "its views, which were made in opening it, count as they are"
