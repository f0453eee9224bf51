"""Answers against brute force; what a query can hold; what happens to bad ones."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.errors import CorruptOutputError, RawDataError, SettingsError
from eiclip.search import Query, SearchEngine
from eiclip.search.compose import LEAST_NEGATIVE, composed, unit, without
from eiclip.search.engine import best
from eiclip.search.index import SearchIndex
from eiclip.search.query import MAX_QUERY, RANKINGS
from eiclip.storage.home import Paths
from eiclip.storage.lake import open_views
from eiclip.storage.sql import read_sql

VIEWS = ("image", "text", "joint")
by_vectors = partial(Query, by="vectors")


def unit_of(vector):
    return vector / np.linalg.norm(vector)


def brute(engine, vector, view="joint", left=None):
    """Products and cosines, best first, by a loop in double precision."""
    found = [
        (float(np.dot(own.astype(np.float64), vector.astype(np.float64))), product)
        for own, product in zip(engine.index.views[view], engine.index.product_ids, strict=True)
        if left is None or product in left
    ]
    return sorted(found, key=lambda pair: -pair[0])


def same(hits, expected):
    assert [hit.product_id for hit in hits] == [product for _, product in expected]
    assert [hit.score for hit in hits] == pytest.approx([score for score, _ in expected], abs=1e-5)
    assert [hit.rank for hit in hits] == list(range(1, len(expected) + 1))


@pytest.mark.parametrize("view", VIEWS)
def test_words_find_what_brute_force_finds(engine, view):
    query = by_vectors(text="item number 4", entities={"season": "FW2016"}, view=view, link=False)
    vector = engine.model.encode_text("item number 4", {"season": "fw2016"})[0]
    answer = engine.search(query)
    same(answer.hits, brute(engine, vector, view))
    assert answer.entities == {"season": ["fw2016"]}
    assert answer.gates == engine.model.gates({"season": "fw2016"})[0]
    for hit in answer.hits:
        row = engine.index.row(hit.product_id)
        assert hit.by_view == pytest.approx({name: engine.index.views[name][row] @ vector for name in VIEWS}, abs=1e-5)


def test_a_photo_finds_its_product_first_among_photos(engine):
    photo = engine.photo("p3")
    answer = engine.search(by_vectors(image=photo, view="image", top=2))
    same(answer.hits, brute(engine, engine.model.encode_image(photo)[0], "image")[:2])
    assert answer.hits[0].product_id == "p3"
    assert (answer.entities, answer.gates, answer.links) == ({}, {}, [])


def test_facts_of_hits_are_the_lakes(engine):
    [hit] = [hit for hit in engine.search(by_vectors(text="x")).hits if hit.product_id == "p4"]
    assert (hit.title, hit.description, hit.category, hit.price) == ("Item p4", "item number 4", "Shoes", 40.0)
    assert (hit.entities, hit.image_id) == ({"brand": ["b1"], "season": ["fw2016"]}, "p4_0")


def test_a_product_finds_others_as_the_sql_does(engine, home):
    answer = engine.search(by_vectors(product_id="p1", view="text", top=3))
    same(answer.hits, brute(engine, engine.index.views["joint"][1], "text", {"p0", "p2", "p3", "p4", "p5"})[:3])
    asked = {
        "dataset": "shop",
        "variant": "eiclip",
        "product_id": "p1",
        "query_view": "joint",
        "view": "text",
        "top": 3,
    }
    with duckdb.connect() as connection:
        open_views(connection, {name: home.lake.files(name, "shop") for name in ("product_views", "products")})
        found = connection.execute(read_sql("search/similar_products"), asked).fetchall()
    same(answer.hits, [(row[1], row[0]) for row in found])


def test_photo_and_words_are_the_models_joint_view_and_its_ends(engine):
    photo, text = engine.photo("p2"), "item number 5"
    image, words = engine.model.encode_image(photo)[0], engine.model.encode_text(text)[0]
    joint = engine.model.encode_joint(image[None], words[None])[0]
    for weight, expected in ((0.0, words), (0.5, joint), (1.0, image)):
        same(engine.search(by_vectors(text=text, image=photo, image_weight=weight)).hits, brute(engine, expected))


def test_a_product_and_words_are_their_weighted_sum(engine):
    words = engine.model.encode_text("item number 5")[0]
    vector = unit_of(0.8 * engine.index.views["joint"][0] + 0.2 * words)
    answer = engine.search(by_vectors(text="item number 5", product_id="p0", image_weight=0.8))
    same(answer.hits, brute(engine, vector, left={"p1", "p2", "p3", "p4", "p5"}))


def test_batches_and_threads_answer_as_one_by_one(engine):
    queries = [
        by_vectors(text="item number 1", negative="number 2"),
        by_vectors(image=engine.photo("p2"), text="b0 item", filters={"season": ("fw2016",)}),
        by_vectors(product_id="p3", remove={"brand": "b0"}, add={"brand": "b1"}),
        by_vectors(entities={"brand": "b2"}, top=2),
        by_vectors(image=engine.photo("p5")),
    ]  # fmt: skip
    alone = [engine.search(query) for query in queries]
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(engine.search, queries * 3))
    for found in (engine.search_many(queries), threaded[:5], threaded[5:10], threaded[10:]):
        for one, other in zip(alone, found, strict=True):
            same(other.hits, [(hit.score, hit.product_id) for hit in one.hits])
            assert (other.links, other.entities, other.unknown) == (one.links, one.entities, one.unknown)
    assert engine.search_many([]) == []


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"brand": ("b0",)}, {"p0", "p3"}),
        ({"brand": ("B0 ", "b2")}, {"p0", "p3", "p2"}),
        ({"brand": ("b0",), "category": ("coats",)}, {"p3"}),
        ({"season": ("fw2016",), "category": ("Shoes",)}, {"p0", "p2", "p4"}),
        ({"brand": ()}, {f"p{n}" for n in range(6)}),
    ],
)
def test_filters_are_alternatives_within_a_group_and_all_hold(engine, filters, left):
    vector = engine.model.encode_text("item")[0]
    same(engine.search(by_vectors(text="item", filters=filters, link=False)).hits, brute(engine, vector, left=left))


def test_a_filter_that_leaves_nothing_says_so(engine):
    answer = engine.search(by_vectors(text="item", filters={"brand": ("b0",), "category": ("hats",)}))
    assert (answer.hits, answer.total, answer.unknown, answer.notes) == ([], 0, {"category": ["hats"]}, [])
    assert answer.outcome == ["the filters leave no product"]


def test_negative_words_move_products_like_them_down(engine):
    words = engine.model.encode_text(["item number 1", "item number 3"])
    answer = engine.search(by_vectors(text="item number 1", negative="item number 3"))
    same(answer.hits, brute(engine, unit_of(words[0] - max(words[0] @ words[1], LEAST_NEGATIVE) * words[1])))


def engine_over(index, engine):
    """The same engine over another index."""
    return SearchEngine(index, engine.model, engine.reader.linker, engine.shelf)


def grid(engine):
    """Products of three styles in three colours, and an engine over them: vectors known by construction."""
    width, noise = engine.model.width, np.random.default_rng(0).normal(0, 0.05, (9, engine.model.width))
    axes = np.eye(width)
    names = [(style, colour) for style in range(3) for colour in ("red", "green", "blue")]
    vectors = [2 * axes[9] + 1.5 * axes[style] + axes[3 + ("red", "green", "blue").index(c)] for style, c in names]
    flat = (np.array(vectors) + noise).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), width)
    ids = [f"{style} {colour}" for style, colour in names]
    tags = pa.array([[("colour", [colour])] for _, colour in names], pa.map_(pa.string(), pa.list_(pa.string())))
    plain = {name: ["x"] * 9 for name in ("split", "title", "description", "image_id", "category", "subcategory",
                                          "department", "gender")}  # fmt: skip
    plain |= {name: pa.nulls(9) for name in ("currency", "available", "link", "attributes")}
    facts = pa.table({"product_id": ids, "entities": tags, "price": [1.0] * 9, **plain})
    views = pa.table({"product_id": ids, **dict.fromkeys(VIEWS, column)})
    return engine_over(SearchIndex.of_tables("grid", "eiclip", views, facts), engine)


@pytest.mark.parametrize("style", range(3))
@pytest.mark.parametrize(("out", "put"), [("red", "green"), ("green", "blue"), ("blue", "red")])
def test_this_style_that_colour(engine, style, out, put):
    found = grid(engine).search(
        by_vectors(product_id=f"{style} {out}", remove={"colour": out}, add={"colour": put}, top=1)
    )
    assert [hit.product_id for hit in found.hits] == [f"{style} {put}"]


def test_an_attribute_that_no_product_has_is_told_and_changes_nothing(engine):
    searched = grid(engine)
    plain = searched.search(by_vectors(product_id="0 red"))
    answer = searched.search(by_vectors(product_id="0 red", remove={"colour": "mauve"}, add={"colour": "Beige"}))
    same(answer.hits, [(hit.score, hit.product_id) for hit in plain.hits])
    assert answer.unknown == {"colour": ["mauve", "beige"]}


def test_a_link_counts_as_a_tag_and_its_words_leave_the_text(engine):
    answer = engine.search(by_vectors(text="B0 item number 2"))
    assert [(link.entity, link.kept, link.words) for link in answer.links] == [("b0", True, "B0")]
    same(answer.hits, brute(engine, engine.model.encode_text("item number 2", {"brand": "b0"})[0]))
    for query in (
        by_vectors(text="B0 item number 2", unlink=("brand=b0",)),
        by_vectors(text="B0 item number 2", link=False),
    ):
        answer = engine.search(query)
        assert (answer.entities, any(link.kept for link in answer.links)) == ({}, False)
        same(answer.hits, brute(engine, engine.model.encode_text("B0 item number 2")[0]))


def test_what_is_given_by_hand_goes_before_what_is_typed(engine):
    answer = engine.search(by_vectors(text="b0 item", entities={"brand": "b1"}))
    assert answer.entities == {"brand": ["b1"]}
    assert [(link.entity, link.kept, link.why) for link in answer.links] == [("b0", False, "the brand is 'b1' already")]


def test_a_variant_without_entities_reads_them_as_words(home):
    searched = SearchEngine.open(home.root, "shop", "clip_description")
    answer = searched.search(by_vectors(text="a coat", entities={"brand": "b1"}))
    same(answer.hits, brute(searched, searched.model.encode_text("b1. a coat")[0]))
    assert (answer.entities, answer.gates) == ({}, {})
    assert answer.notes == ["clip_description reads no entities: they count as words"]
    typed = searched.search(by_vectors(text="b0 coat"))
    same(typed.hits, brute(searched, searched.model.encode_text("b0 coat")[0]))


def test_unknown_entities_are_named_and_a_long_text_is_cut(engine):
    long = "a coat " * 1500
    answer = engine.search(by_vectors(text=long, entities={"brand": "Acme", "season": "n/a"}, negative="x" * 2001))
    assert answer.unknown == {"brand": ["acme"]}
    assert answer.notes[:2] == [
        "text: the last 8,500 of 10,500 characters are not read",
        "negative words: the last 1 of 2,001 characters are not read",
    ]
    cut = engine.search(by_vectors(text=long[:MAX_QUERY], entities={"brand": "Acme"}, negative="x" * 2000))
    same(answer.hits, [(hit.score, hit.product_id) for hit in cut.hits])


def test_what_is_not_wanted_joins_the_negative_words_and_limits_are_told(engine):
    read = engine.reader.read(by_vectors(text="item not b1 without laces under 40, size 38", negative="belt b0"))
    assert [own.name for own in read.constraints] == ["not brand=b1", "not laces", "price<40"], "there is no size"
    assert (read.words.text.split(), read.words.entities) == (["item", ",", "size", "38"], {})
    assert read.notes == ["no product is said to have 'size 38': it counts as words"]
    assert read.negative.text.split() == ["belt", "laces"]
    assert read.negative.entities == {"brand": ["b1", "b0"]}
    words = engine.model.encode_text(["item", "laces"], [{}, {"brand": "b1"}])
    answer = engine.search(by_vectors(text="item without laces not b1"))
    vector = unit_of(words[0] - max(words[0] @ words[1], LEAST_NEGATIVE) * words[1])
    same(answer.hits, brute(engine, vector, left={"p0", "p2", "p3", "p5"}))
    removed = engine.reader.read(by_vectors(text="item without laces under 40", unlink=("price<40", "not laces")))
    assert (removed.constraints, removed.words.text) == ([], "item without laces under 40")
    plain = engine.reader.read(by_vectors(text="item not b1 under 40", link=False))
    assert (plain.constraints, plain.words.text) == ([], "item not b1 under 40")
    assert [own.name for own in engine.reader.read(by_vectors(text="category coats")).constraints] == ["category=coats"]


@pytest.mark.parametrize(
    ("text", "left"), [("under 20", "p0 p1 p2"), ("not b1", "p0 p2 p3 p5"), ("not laces, over 35", "p4 p5")]
)
def test_constraints_alone_find_what_meets_them(engine, text, left):
    """By whichever ranking; nothing says which of them match best."""
    for by in RANKINGS:
        answer = engine.search(Query(text=text, by=by))
        assert {hit.product_id for hit in answer.hits} == set(left.split())
        assert (answer.matches, answer.not_understood) == (None, [])
    assert engine.reader.read(by_vectors(text=text)).words.text == text


def test_entities_given_by_hand_are_corrected_or_asked_about(engine):
    read = engine.reader.read(by_vectors(entities={"season": ["FW2O16x"], "brand": ["the b0", "b1"]}))
    assert read.words.entities == {"season": ["fw2o16x"], "brand": ["b0", "b1"]}
    assert read.unknown == {"season": ["fw2o16x"]}
    assert sorted(read.notes) == [
        "brand 'the b0' is read as 'b0'",
        "no season 'fw2o16x' is known; did you mean 'fw2016'?",
    ]


def test_filters_know_the_datasets_spellings(engine):
    answers = [
        engine.search(by_vectors(text="item", filters={"brand": (name,)})) for name in ("b0", "The B0", "the b9")
    ]
    assert answers[0].hits == answers[1].hits
    assert {hit.product_id for hit in answers[1].hits} == {"p0", "p3"}
    assert [answer.unknown for answer in answers] == [{}, {}, {"brand": ["the b9"]}]


BAD = {
    "nothing": ({}, SettingsError, "nothing to search by: give words"),
    "blank": ({"text": " \n"}, SettingsError, "nothing to search by"),
    "filters alone": ({"filters": {"brand": ("b0",)}}, SettingsError, "nothing to search by"),
    "transfer alone": ({"add": {"brand": "b0"}}, SettingsError, "nothing to search by"),
    "a placeholder": ({"entities": {"brand": "n/a"}}, SettingsError, "the entities given say nothing"),
    "no photo": ({"image": b"not a photo"}, RawDataError, "photo 0: .*not a JPEG, PNG or WEBP"),
    "no file": ({"image": "/nowhere/x.jpg"}, RawDataError, "photo 0: .*No such file"),
    "no product": ({"product_id": "p77"}, SettingsError, "'p77' is not among the 6 products of shop: .* p0, p1, p2"),
    "a group": ({"text": "x", "entities": {"colour": "red"}}, SettingsError, "group 'colour'; .*brand, season"),
    "a facet": ({"text": "x", "filters": {"size": ("8",)}}, SettingsError, "no 'size'; .*: brand, category, season"),
    "an attribute": ({"text": "x", "remove": {"size": "8"}}, SettingsError, "no 'size'"),
    "no top": ({"text": "x", "top": 0}, SettingsError, "top 0: ask for 1 to 1000"),
    "a weight": ({"text": "x", "image_weight": 1.1}, SettingsError, "image_weight 1.1"),
    "not a number": ({"text": "x", "image_weight": float("nan")}, SettingsError, "image_weight nan"),
    "a view": ({"text": "x", "view": "side"}, SettingsError, "view 'side': choose one of image, text, joint"),
    "a text filter": ({"text": "x", "filters": {"brand": "b0"}}, SettingsError, "brand is 'b0'; give a tuple"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_queries_are_refused_with_the_way_out(engine, name):
    asked, error, said = BAD[name]
    with pytest.raises(error, match=said):
        engine.search(by_vectors(**asked))


def test_an_index_of_another_model_is_refused(engine, home):
    facts = engine.index.facts
    narrow = pa.table({"product_id": engine.index.product_ids} | {
        view: pa.FixedSizeListArray.from_arrays(pa.array(np.ones(12, dtype=np.float32)), 2) for view in VIEWS
    })  # fmt: skip
    with pytest.raises(SettingsError, match="embeddings have 128 numbers, the index's 2"):
        engine_over(SearchIndex.of_tables("shop", "eiclip", narrow, facts), engine)
    with pytest.raises(CorruptOutputError, match="1 products are not in the lake's products"):
        views = pa.parquet.read_table(home.lake.path("product_views", "shop", "eiclip"))
        SearchIndex.of_tables("shop", "eiclip", views, facts.slice(1))


scores = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=30)


@given(scores, st.integers(1, 40), st.data())
def test_best_is_a_stable_sort(values, top, data):
    left = data.draw(st.none() | st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    rows = [row for row in range(len(values)) if left is None or left[row]]
    expected = sorted(rows, key=lambda row: (-values[row], row))[:top]
    mask = None if left is None else np.array(left)
    assert best(np.array(values, dtype=np.float32), top, mask).tolist() == expected


vectors = st.lists(st.floats(-1, 1), min_size=4, max_size=4).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.1)


@given(vectors.map(unit), vectors.map(unit), st.floats(0, 1))
def test_with_a_plain_sum_composition_is_the_weighted_sum(image, text, weight):
    plain = weight * image.astype(np.float64) + (1 - weight) * text
    if np.linalg.norm(plain) > 1e-3:
        assert composed(image, text, weight) == pytest.approx(unit_of(plain), abs=1e-3)


@given(vectors.map(unit), vectors.map(unit))
def test_what_is_unwanted_is_never_near(query, negative):
    assert without(query, negative) @ negative <= 1e-3


def test_a_product_may_have_several_entities_of_a_group(home, tmp_path):
    shutil.copytree(home.root, tmp_path, dirs_exist_ok=True)
    lake = Paths(tmp_path).lake
    rows = pq.read_table(lake.path("product_entities", "shop")).to_pylist()
    second = {"dataset": "shop", "product_id": "p0", "split": "train", "entity_group": "brand", "entity": "b1"}
    rows.append(second | {"entity_id": 2, "ordinal": 2})
    lake.write(pa.Table.from_pylist(rows), "product_entities", "shop")
    engine = SearchEngine.open(tmp_path, "shop", "eiclip")
    assert not engine.index.facets["brand"].is_single
    assert engine.index.facets["season"].is_single
    read = engine.reader.read(Query(text="b0 b1 item"))
    agreement = engine.products.of_entities(read.entities)["entity brand"]
    assert agreement[engine.index.row("p0")] == max(agreement) == 0, "it has both"
    answer = engine.search(by_vectors(text="b0 with b1 item", top=6))
    assert answer.entities == {"brand": ["b0", "b1"]}
    assert list(answer.gates) == ["brand"]
    same(answer.hits, brute(engine, engine.model.encode_text("with item", {"brand": ["b1", "b0"]})[0]))
    for brand in ("b0", "b1"):
        found = engine.search(by_vectors(text="item", filters={"brand": (brand,)}, top=6)).hits
        assert "p0" in {hit.product_id for hit in found}, "it has both"
    assert {tuple(hit.entities["brand"]) for hit in found if hit.product_id == "p0"} == {("b0", "b1")}
