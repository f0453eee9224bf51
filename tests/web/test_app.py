"""The server of the search page over real HTTP: answers are the engine's, bad input is told and bounded."""

import json
import logging
import re
import shutil
import signal
import socket
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image

from eiclip.search import Query
from eiclip.web.__main__ import main
from eiclip.web.app import PAGE, create_app
from eiclip.web.engines import Engines
from eiclip.web.limits import BODY_BYTES
from tests.web.conftest import BRANDS, COUNT, HOSTILE, as_file, photo_of, served, write_home

SHOP = "/api/search/shop/eiclip"
OFFER = ("currency", "available", "link", "rank", "attributes")
SAME = ("entities", "notes", "unknown", "not_understood", "matches", "total")


def ask(client, photo=None, path=SHOP, **query):
    files = {"query": (None, json.dumps(query))} | ({"photo": ("x.jpg", photo)} if photo is not None else {})
    return client.post(path, files=files)


def refused(response, status, *said):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    sentence = response.json()["error"]
    assert all(part in sentence for part in said), sentence
    assert "Traceback" not in response.text
    return sentence


# ---- what is answered


@pytest.mark.parametrize(
    "query",
    [
        {"text": "golden goose black boots"},
        {"text": "acne studois coats", "top": 3, "view": "text"},
        {"text": "boots", "entities": {"brand": "gucci"}, "negative": "red"},
        {"text": "boots", "filters": {"brand": ("gucci", "acne studios"), "category": ("boots",)}},
        {"text": "gucci boots", "unlink": ("brand=gucci",)},
        {"product_id": "p1", "text": "in white", "image_weight": 0.2},
        {"product_id": "../../etc/passwd", "remove": {"brand": "golden goose"}, "add": {"brand": "gucci"}},
        {"text": "x", "entities": {"brand": HOSTILE}},
        {"text": "boots", "price": (15, None), "available": True, "facets": True},
        {"text": "gucci boots", "sort": "-price", "top": 4, "offset": 4, "by": "words"},
        {"text": "coats not red under 20 nike", "price": (None, 25.5), "facets": True},
        {"text": "coats not red under 20", "unlink": ("not red", "price<20")},
    ],
)
def test_answers_are_the_engines(client, engine, query):
    found, expected = ask(client, **query).json(), engine.search(Query(**query))
    assert [hit["product_id"] for hit in found["hits"]] == [hit.product_id for hit in expected.hits][:24]
    for hit, own in zip(found["hits"], expected.hits, strict=False):
        assert hit["score"] == pytest.approx(own.score, abs=1e-5)
        assert hit["by_view"] == pytest.approx(dict(own.by_view), abs=1e-5)
        assert (hit["title"], hit["price"], hit["entities"]) == (own.title, own.price, dict(own.entities))
        assert [hit[name] for name in OFFER] == [getattr(own, name) for name in OFFER]
    assert [link["entity"] for link in found["links"]] == [link.entity for link in expected.links]
    assert [own["name"] for own in found["constraints"]] == [own.name for own in expected.constraints]
    assert found["facets"] == {name: [list(pair) for pair in counts] for name, counts in expected.facets.items()}
    assert bool(found["facets"]) == query.get("facets", False)
    assert [found[name] for name in SAME] == [getattr(expected, name) for name in SAME]
    assert found["gates"] == pytest.approx(expected.gates)
    assert found["products"] == COUNT
    assert found["seconds"] > 0


def test_a_photo_finds_its_product(client):
    for number in (0, 7):
        hits = ask(client, client.get("/api/photo/shop", params={"product": f"p{number}"}).content, view="image").json()
        assert hits["hits"][0]["product_id"] == f"p{number}"
        assert hits["hits"][0]["score"] == pytest.approx(1, abs=1e-4)
    both = ask(client, as_file(photo_of(7, 300)), view="image", text="boots", image_weight=1).json()
    assert both["hits"][0]["product_id"] == "p7"


def test_what_can_be_asked(client):
    [shop] = client.get("/api/catalogues").json()["datasets"]
    assert (shop["name"], [own["name"] for own in shop["variants"]]) == (
        "shop",
        ["eiclip_plus", "eiclip", "clip_description"],
    )
    about = client.get("/api/catalogue/shop/eiclip").json()
    assert (about["products"], about["entity_groups"]) == (COUNT, ["brand", "subcategory"])
    assert {"category", "gender"} < set(about["groups"])
    assert about["examples"]
    assert (about["has_prices"], about["currency"]) == (True, "EUR")


def test_words_are_completed_to_entities_and_titles(client):
    def offered(typed):
        answer = client.get("/api/suggest/shop/eiclip", params={"typed": typed})
        assert answer.status_code == 200, answer.text
        return [(own["text"], own["group"]) for own in answer.json()]

    assert offered("red  Gol") == [("red golden goose", "brand")], "the words before stay"
    assert offered("g") == [("golden goose", "brand"), ("gucci", "brand")]
    assert offered("golden g") == [("golden goose", "brand")], "as many words as possible are one name"
    assert ("black boots number 12", None) in offered("boots number 1"), "a title that has it within"
    titles = offered("black boots")
    assert titles[0][1] is None
    assert all(text.startswith("black boots number") for text, _ in titles)
    assert offered("gucci") == [], "nothing is left to complete"
    for typed in ("", " ", "!!!", "日本", HOSTILE + "x", "x" * 5000, "%s\0"):
        assert offered(typed) == []
    [own] = client.get("/api/suggest/shop/eiclip", params={"typed": "guc"}).json()
    assert own["products"] == COUNT // 3


def test_values_are_offered_by_what_is_typed(client):
    def asked(typed, group="brand"):
        return client.get("/api/values/shop/eiclip", params={"group": group, "typed": typed})

    def offered(typed):
        return [value["value"] for value in asked(typed).json()]

    assert offered("") == sorted(BRANDS)
    assert offered("G") == ["golden goose", "gucci"]
    assert offered("goose") == ["golden goose"]
    assert offered("Goldén-GOOSE™") == ["golden goose"]
    assert offered(HOSTILE) == []
    refused(asked("", "<b>"), 404, "no group '<b>'")
    assert asked("gucci").json() == [{"value": "gucci", "products": COUNT // 3, "known": True}]


def test_several_at_once_are_answered_as_alone(client):
    texts = [f"{brand} {word}" for brand in BRANDS for word in ("boots", "coats", "red", "white")]
    alone = [ask(client, text=text).json()["hits"] for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: ask(client, text=text).json()["hits"], texts))
    assert together == alone


# ---- what is asked wrongly


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, "nothing to search by"),
        ({"text": "x", "top": 0}, "top"),
        ({"text": "x", "top": 101}, "top"),
        ({"text": "x", "image_weight": 1.5}, "image_weight"),
        ({"text": "x", "image_weight": float("nan")}, "query"),
        ({"text": "x", "view": "smell"}, "view"),
        ({"text": "x", "shell": "rm"}, "shell"),
        ({"text": 7}, "text"),
        ({"text": "x", "entities": {"smell": "roses"}}, "'smell'"),
        ({"text": "x", "filters": {"smell": ["roses"]}}, "'smell'"),
        ({"text": "x", "price": [5, 1]}, "swap the two"),
        ({"text": "x", "price": [-1, None]}, "price"),
        ({"text": "x", "price": ["cheap", None]}, "price"),
        ({"text": "x", "price": [1]}, "price"),
        ({"text": "x", "offset": -1}, "offset"),
        ({"text": "x", "sort": "smell"}, "sort"),
        ({"text": "x", "by": "smell"}, "by"),
        ({"product_id": "p99"}, "'p99'"),
    ],
)
def test_a_query_that_makes_no_sense_is_told(client, query, said):
    refused(ask(client, **query), 400, said)


def test_what_is_no_query_at_all_is_told(client):
    refused(client.post(SHOP, files={"query": (None, "{")}), 400, "JSON")
    refused(client.post(SHOP, files={"query": (None, '{"text": "\\ud800"}')}), 400)
    refused(client.post(SHOP, files={"query": ("q.json", "{}")}), 400, "text field")
    refused(client.post(SHOP, content="text=x", headers={"content-type": "text/plain"}), 415, "form")
    refused(client.post(SHOP, content=b"x", headers={"content-type": "multipart/form-data"}), 400)
    refused(client.get(SHOP), 405)


def test_long_texts_are_cut_with_a_note_and_longer_ones_refused(client):
    found = ask(client, text="gucci boots " * 900).json()
    assert "are not read" in found["notes"][0]
    assert len(found["hits"]) == COUNT
    assert ask(client, text="boots", negative="coats " * 2000).json()["notes"]
    refused(ask(client, text="x" * 300_000), 400)


@pytest.mark.parametrize(
    "place",
    ["/api/search/{}/{}", "/api/catalogue/{}/{}", "/api/values/{}/{}?group=brand", "/api/suggest/{}/{}?typed=x"],
)
def test_unknown_datasets_and_variants(client, place):
    def asked(dataset, variant):
        address = place.format(dataset, variant)
        return ask(client, path=address, text="x") if "search" in place else client.get(address)

    refused(asked("nowhere", "eiclip"), 404, "no dataset 'nowhere'", "shop")
    refused(asked("shop", "eiclip2"), 404, "no variant 'eiclip2'", "clip_description")
    refused(asked("..%2fshop", "eiclip"), 404)
    assert len(refused(asked("shop", "x" * 5000), 404)) < 300


# ---- photos


def bomb():
    """A PNG of a few kilobytes and 64 million pixels."""
    return as_file(Image.new("1", (8000, 8000)), "PNG")


def giant():
    """A PNG that says it has 3.6 billion pixels."""
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + bytes((8, 2, 0, 0, 0))
    chunk = len(header[4:]).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + zlib.crc32(b"IDAT").to_bytes(4, "big")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"no photo at all", "not a JPEG, PNG or WEBP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a JPEG, PNG or WEBP"),
        (as_file(photo_of(1), "GIF"), "not a JPEG, PNG or WEBP"),
        (as_file(photo_of(1, 400), "JPEG")[:2000], "unreadable photo"),
        (bomb(), "8000 x 8000 pixels"),
        (giant(), "photo too large"),
    ],
    ids=["empty", "text", "svg", "gif", "cut", "bomb", "giant"],
)
def test_what_is_no_photo_is_told(client, content, said):
    refused(ask(client, content, text="boots"), 400, said)


def test_photos_larger_than_the_limit_are_refused(client):
    refused(ask(client, b"\xff\xd8" + bytes(11 * 2**20)), 413, "10 MB")
    assert ask(client, text="boots").status_code == 200


def test_a_body_without_length_is_refused_while_it_is_read(site):
    """Chunks are sent until the server has had enough: it never takes the 200 MB."""
    place = urlsplit(site)
    head = (
        f"POST {SHOP} HTTP/1.1\r\nHost: {place.netloc}\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    part = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="x.jpg"\r\n\r\n'
    block = bytes(2**16)
    sent = 0
    with socket.create_connection((place.hostname, place.port), timeout=30) as line:
        line.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(part), part))
        try:
            while sent < 200 * 2**20:
                line.sendall(b"%x\r\n%s\r\n" % (len(block), block))
                sent += len(block)
        except OSError:
            pass  # the server has hung up
    assert BODY_BYTES - 2**20 < sent < 100 * 2**20


def test_photos_of_products(client):
    def asked(product, dataset="shop", **headers):
        return client.get(f"/api/photo/{dataset}", params={"product": product}, headers=headers)

    photo = asked("../../etc/passwd")
    assert photo.headers["content-type"] == "image/jpeg"
    assert photo.content.startswith(b"\xff\xd8")
    assert "max-age" in photo.headers["cache-control"]
    again = asked("../../etc/passwd", **{"if-none-match": photo.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert asked("a/b?c=d&e #1%2f").content != photo.content
    for product in ("/etc/passwd", "../../../../etc/passwd", "p99", "", "x\0", HOSTILE):
        refused(asked(product), 404, "no photo")
    refused(asked("p1", "nowhere"), 404, "no dataset")
    refused(client.get("/api/photo/shop"), 422)


# ---- what browsers are told


def test_the_page_and_its_files(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for name in re.findall(r'(?:href|src)="([^"]+)"', page.text):
        assert client.get(f"/{name}").status_code == 200, name
    for response in (page, ask(client, text="x"), client.get("/nowhere"), client.get("/page/page.js")):
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"


def test_the_page_needs_nothing_from_elsewhere_and_makes_no_markup_of_data():
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|//cdn", text), file.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text), file.name
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\son\w+=|<style|\sstyle=|<script>", page)


@pytest.mark.parametrize(
    "path",
    ["/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page//etc/passwd", "/page/", "/page/app.py", "/../../etc/passwd"],
)
def test_nothing_beside_the_page_is_served(site, path):
    place = urlsplit(site)
    with socket.create_connection((place.hostname, place.port), timeout=30) as line:  # as it stands: httpx tidies paths
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(2**16), b""))
    assert answer.startswith(b"HTTP/1.1 404")


def test_hostile_text_comes_back_as_json(client):
    found = ask(client, text=HOSTILE, filters={"brand": ["a < b", "gucci"]}, entities={"brand": "b > '"})
    assert found.headers["content-type"] == "application/json"
    assert found.json()["unknown"]["brand"] == ["b > '", "a < b"]
    titles = [hit["title"] for hit in ask(client, product_id="p2").json()["hits"]]
    assert HOSTILE in titles


def test_other_names_for_this_machine_are_refused(client):
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example"):
        assert client.get("/api/catalogues", headers={"host": host}).status_code == 400
    for host in ("localhost:1234", "[::1]:8000", "127.0.0.1"):
        assert client.get("/api/catalogues", headers={"host": host}).status_code == 200


def test_pages_of_other_sites_get_nothing_worked_out(client):
    for site in ("cross-site", "same-site"):
        asked = client.post(SHOP, files={"query": (None, '{"text": "x"}')}, headers={"sec-fetch-site": site})
        refused(asked, 403, "another site")
        assert client.get("/", headers={"sec-fetch-site": site}).status_code == 200, "a link to the page"


# ---- what goes wrong on the server


def test_broken_shards_are_logged_and_told_without_a_path(tmp_path, caplog):
    write_home(tmp_path / "home", "shop")
    shutil.rmtree(tmp_path / "home" / "shards" / "shop")
    with served(create_app(Engines(tmp_path / "home"))) as address, caplog.at_level(logging.ERROR, "eiclip.web"):
        answer = httpx.get(f"{address}/api/photo/shop", params={"product": "p1"})
    assert str(tmp_path) not in refused(answer, 503, "log")
    assert str(tmp_path) in caplog.text


def test_a_defect_of_ours_is_a_sentence(shop_home):
    class Defective(Engines):
        def available(self):
            raise ZeroDivisionError("secret")

    with served(create_app(Engines(shop_home))), served(create_app(Defective(shop_home))) as address:
        answer = httpx.get(f"{address}/api/catalogues")
    assert "secret" not in refused(answer, 500, "log")


def test_views_that_no_job_has_made_are_made_once_and_say_so(tmp_path, caplog):
    write_home(tmp_path, "shop")
    views = []
    for is_first in (True, False):
        caplog.clear()
        with caplog.at_level(logging.INFO, "eiclip.web"):
            views.append(Engines(tmp_path).get("shop", "clip_description").engine.index.views["joint"])
        assert ("embedding every product" in caplog.text) == is_first
    assert np.array_equal(*views)


def test_the_command_serves_until_it_is_interrupted(shop_home, caplog):
    command = [sys.executable, "-m", "eiclip.web", "--home", str(shop_home), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            said, found = "", None
            while found is None:  # that it embeds every product comes first, where no one has searched by it yet
                line = next(process.stderr)
                found, said = re.search(r"http://127\.0\.0\.1:\d+", line), said + line
            address = found[0]
            assert f"shop, eiclip_plus: {COUNT} products" in said
            assert httpx.get(address).status_code == 200
            assert main(["--home", str(shop_home), "--port", address.rpartition(":")[2]]) == 1
            assert "cannot listen there" in caplog.text
            process.send_signal(signal.SIGINT)
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_what_cannot_be_served_says_what_to_do(tmp_path, shop_home, caplog):
    for home, options, said in (
        (tmp_path, "--port 0", "make full_eval"),
        (shop_home, "--port 0 --dataset nowhere", "no dataset 'nowhere': there are shop"),
        (shop_home, "--port 70000", "70000: cannot listen there"),
        (shop_home, f"--port 0 --log {tmp_path}", "cannot be written"),
    ):
        assert main(["--home", str(home), *options.split()]) == 1
        assert said in caplog.text
