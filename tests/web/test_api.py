"""`/search` and `/embed` over real HTTP: what they answer is the engine's and the model's, as `/openapi.json` says."""

import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

from eiclip.search import Query
from eiclip.web.app import create_app
from eiclip.web.engines import Engines
from tests.web.conftest import COUNT, VARIANTS, as_file, photo_of, served, write_home


@pytest.fixture(scope="module")
def described(client):
    """What the server says of itself."""
    return client.get("/openapi.json").json()


def asked(client, path, *photos, **fields):
    """A request in JSON, or with photos in a form."""
    if not photos:
        return client.post(path, json=fields)
    files = [("query", (None, json.dumps(fields))), *(("photo", ("x.jpg", photo)) for photo in photos)]
    return client.post(path, files=files)


def assert_described(described, path, response):
    """The answer has the fields that the server says it has, of its status."""
    schema = described["paths"][path]["post"]["responses"][str(response.status_code)]["content"]["application/json"]
    name = schema["schema"]["$ref"].rpartition("/")[2]
    assert set(response.json()) == set(described["components"]["schemas"][name]["properties"])


def answered(described, client, path, *photos, **fields):
    response = asked(client, path, *photos, **fields)
    assert response.status_code == 200, response.text
    assert_described(described, path, response)
    return response.json()


def test_search_answers_as_the_engine_and_as_the_page(client, engine, described):
    fields = {"text": "golden goose black boots without laces", "filters": {"category": ["boots"]}, "top": 5}
    found = answered(described, client, "/search", dataset="shop", variant="eiclip", **fields)
    hits = engine.search(Query(text=fields["text"], filters={"category": ("boots",)}, top=5)).hits
    assert [hit["product_id"] for hit in found["hits"]] == [hit.product_id for hit in hits]
    page = client.post("/api/search/shop/eiclip", files={"query": (None, json.dumps(fields))}).json()
    assert page | {"seconds": 0} == found | {"seconds": 0}
    assert [own["name"] for own in found["constraints"]] == ["not laces"], "what `unlink` takes"
    photo = as_file(photo_of(7, 300))
    found = answered(described, client, "/search", photo, variant="eiclip", view="image", text="boots", image_weight=1)
    assert found["hits"][0]["product_id"] == "p7"


def test_without_a_name_the_only_dataset_and_its_best_variant(client, tmp_path):
    found = asked(client, "/search", text="boots").json()
    assert (found["dataset"], found["variant"], found["products"]) == ("shop", VARIANTS[0], COUNT)
    for dataset in ("shop", "other"):
        write_home(tmp_path, dataset)
    with served(create_app(Engines(tmp_path))) as address:
        answer = httpx.post(f"{address}/search", json={"text": "x"})
    assert (answer.status_code, answer.json()["error"].endswith("name one")) == (400, True)


def test_vectors_are_the_models(client, engine, described):
    texts, tags = ["black boots", "a coat"], [{"brand": "golden goose"}, {}]
    photos = [as_file(photo_of(n, 200)) for n in (1, 2)]
    found = answered(described, client, "/embed", *photos, variant="eiclip", texts=texts, entities=tags)
    text_ND, image_ND = engine.model.encode_text(texts, tags), engine.model.encode_image(photos)
    for name, own_ND in (
        ("texts", text_ND), ("photos", image_ND), ("joint", engine.model.encode_joint(image_ND, text_ND))
    ):  # fmt: skip
        assert found[name] == pytest.approx(own_ND, abs=1e-5)
    alone = answered(described, client, "/embed", variant="eiclip", texts=texts)
    assert (alone["photos"], alone["joint"]) == ([], [])
    assert alone["texts"] == pytest.approx(engine.model.encode_text(texts), abs=1e-5)
    alone = answered(described, client, "/embed", photos[0], variant="eiclip")
    assert (alone["texts"], alone["joint"], np.shape(alone["photos"])) == ([], [], (1, alone["width"]))


def test_a_vector_of_typed_words_finds_what_search_finds(client, engine, described):
    [vector] = answered(described, client, "/embed", variant="eiclip", texts=["gucci red boots"], link=True)["texts"]
    nearest = np.argsort(-(engine.index.views["joint"] @ np.array(vector)))[:5]
    hits = engine.search(Query(text="gucci red boots", top=5, by="vectors")).hits
    assert [engine.index.product_ids[row] for row in nearest] == [hit.product_id for hit in hits]


def test_the_first_are_re_ranked_where_that_can_be_asked_for(client, reranking_site, described):
    fields = {"text": "black boots", "variant": "eiclip", "top": 18}
    with httpx.Client(base_url=reranking_site, timeout=60) as other:
        can = {name: other.get(f"/api/catalogue/shop/{name}").json()["reranked"] for name in ("eiclip", "eiclip_plus")}
        assert can == {"eiclip": 5, "eiclip_plus": None}
        plain = answered(described, other, "/search", **fields)
        again = answered(described, other, "/search", **fields, rerank=True)
        refused = asked(other, "/search", **fields | {"variant": "eiclip_plus"}, rerank=True)
    before, after = ([hit["product_id"] for hit in found["hits"]] for found in (plain, again))
    assert (before[5:], sorted(before[:5])) == (after[5:], sorted(after[:5]))
    assert before != after
    assert again["notes"] == [*plain["notes"], "the first 5 products were re-ranked"]
    assert (refused.status_code, "search by the variant eiclip" in refused.json()["error"]) == (400, True)
    assert client.get("/api/catalogue/shop/eiclip").json()["reranked"] is None
    refused = asked(client, "/search", **fields, rerank=True)
    assert (refused.status_code, "run `make cross_modal`" in refused.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "fields", "status", "said"),
    [
        ("/search", {"text": "x", "dataset": "shopp"}, 404, "did you mean 'shop'?"),
        ("/search", {"text": "x", "variant": "eiclp"}, 404, "did you mean 'eiclip'?"),
        ("/search", {"text": "x", "smell": 1}, 400, "smell"),
        ("/search", {"text": "x", "entities": {"brnd": "gucci"}}, 400, "did you mean 'brand'?"),
        ("/search", {}, 400, "nothing to search by"),
        ("/search", {"text": "x" * 300_000}, 413, "larger than 256 KB"),
        ("/embed", {}, 400, "nothing to embed"),
        ("/embed", {"texts": ["x"] * 65}, 400, "texts"),
        ("/embed", {"texts": [7]}, 400, "texts.0"),
        ("/embed", {"texts": ["x"], "entities": [{}, {}]}, 400, "1 texts with 2 entities"),
        ("/embed", {"texts": ["x"], "entities": [{"brnd": "gucci"}]}, 400, "did you mean 'brand'?"),
        ("/embed", {"texts": ["x"], "entities": [{}], "link": True}, 400, "not both"),
    ],
)
def test_what_makes_no_sense_is_told(client, described, path, fields, status, said):
    response = asked(client, path, **fields)
    assert response.status_code == status
    assert said in response.json()["error"]
    assert_described(described, path, response)


def test_photos_are_held_to_the_limits(client, described):
    for path, photos, status, said in (
        ("/embed", [as_file(photo_of(1)), b"no photo"], 400, "photo 1: "),
        ("/embed", [as_file(photo_of(1)), b""], 400, "empty file"),
        ("/search", [as_file(photo_of(1))] * 2, 400, "Too many files"),
        ("/embed", [b"x" * 6 * 2**20] * 2, 413, "larger than 10 MB"),
    ):
        response = asked(client, path, *photos, variant="eiclip")
        assert (response.status_code, said in response.json()["error"]) == (status, True), response.text
        assert_described(described, path, response)
    photo = io.BytesIO()
    Image.new("RGB", (9, 9)).save(photo, "GIF")
    assert asked(client, "/search", photo.getvalue()).status_code == 400


def test_the_description_names_what_others_may_ask_and_no_more(client, described):
    assert list(described["paths"]) == ["/search", "/embed"]
    for path in described["paths"].values():
        assert set(path["post"]["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    form = described["paths"]["/embed"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(form["properties"]) == {"dataset", "variant", "texts", "entities", "link"}
    assert form["additionalProperties"] is False
    for path in ("/search", "/embed"):
        assert client.post(path, json={}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
        assert client.post(path, json={}, headers={"host": "evil.example"}).status_code == 400
