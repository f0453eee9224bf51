"""Hybrid search: a linked entity means it, what is not there is said, words and vectors count by their weights."""

import numpy as np
import pyarrow as pa
import pytest

from eiclip.search import Query, SearchEngine, signals
from eiclip.search.evaluate import HYBRID, ProductQueries, hybrid_ranks, rank_of
from eiclip.search.fusion import CONSTANT, MATCH, Weights
from eiclip.search.index import SearchIndex
from eiclip.search.learn import learned_weights, product_examples, typed_examples
from eiclip.search.linking import Known, Linker
from eiclip.search.words import COVERAGE

MAKERS, KINDS, COLOURS = ("b0", "b1", "b2"), ("coats", "boots"), ("red", "green", "blue")
PER_PAIR = 12
MAP = pa.map_(pa.string(), pa.list_(pa.string()))


@pytest.fixture(scope="module")
def shop_engine(engine):
    """144 products with vectors at random: makers are in tags alone, colours in texts alone, two thirds are black."""
    draw, rows = np.random.default_rng(0), []
    for number in range(len(MAKERS) * len(KINDS) * 2 * PER_PAIR):
        maker, kind = MAKERS[number % 3], KINDS[number // 3 % 2]
        colour = "black" if number % 9 > 2 else COLOURS[number % 9]
        split = ("train", "validation", "test")[number // 6 % 3]
        title = f"{colour} {kind[:-1]}"
        texts = {"title": title, "description": f"A {title} number{number}, hand sewn", "subcategory": kind}
        facts = {"price": float(number), "entities": [("brand", [maker])]}
        rows.append({"product_id": f"{number:03}", "split": split} | texts | facts)
    for row in rows:
        row |= dict.fromkeys(("category", "department", "gender", "image_id", "currency", "available", "link"))
        row["attributes"] = None
    names = list(rows[0])
    kinds = {"price": pa.float64(), "entities": MAP, "attributes": MAP, "available": pa.bool_()}
    facts = pa.table({name: pa.array([row[name] for row in rows], kinds.get(name, pa.string())) for name in names})
    views = {}
    for view in ("image", "text", "joint"):
        flat = draw.normal(size=len(rows) * engine.model.width).astype(np.float32)
        views[view] = pa.FixedSizeListArray.from_arrays(pa.array(flat), engine.model.width)
    index = SearchIndex.of_tables("shop", "eiclip", pa.table({"product_id": facts["product_id"], **views}), facts)
    linker = Linker([Known(maker, ("brand",), 30, 0) for maker in MAKERS], ["coat", "boot"], makers="brand")
    # Cosines of random vectors are about 0, where those of a model are half and more: a match needs less.
    weights = [Weights({}, CONSTANT + 2).table("words"), Weights({}, CONSTANT, queries=1).table("product")]
    return SearchEngine(index, engine.model, linker, engine.shelf, pa.concat_tables(weights))


def facts_of(engine, answer):
    """Maker, kind and colour of the products found."""
    return [(hit.entities["brand"][0], hit.title.split()[1], hit.title.split()[0]) for hit in answer.hits]


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("kind", ["coat", "boots"])
def test_a_maker_and_a_kind_mean_it(shop_engine, maker, kind):
    """Vectors are random: words and tags decide."""
    answer = shop_engine.search(Query(text=f"{maker} {kind}", top=10))
    assert {own[:2] for own in facts_of(shop_engine, answer)} == {(maker, kind.removesuffix("s"))}
    assert answer.not_understood == []


def test_what_is_not_there_is_said(shop_engine):
    answer = shop_engine.search(Query(text="nike zebras", top=3))
    assert (answer.matches, answer.not_understood, len(answer.hits)) == (0, ["nike", "zebras"], 3)
    assert answer.outcome == ["no products of 'nike', 'zebras'; these are the nearest by look"]
    assert all(hit.score < 0.5 for hit in answer.hits)
    partly = shop_engine.search(Query(text="nike coat", top=3))
    assert partly.not_understood == ["nike"]
    assert {own[1] for own in facts_of(shop_engine, partly)} == {"coat"}, "what was understood is found"
    signs = shop_engine.search(Query(text="?! 👗", top=3))
    assert (signs.matches, signs.notes) == (None, ["there is no word in the query; these are the nearest by look"])


@pytest.mark.parametrize("text", ["b0 or b1 coat", "coat b0, b1", "b0/b1 coats"])
def test_of_alternatives_a_product_needs_one(shop_engine, text):
    answer = shop_engine.search(Query(text=text, top=144))
    pairs = [own[:2] for own in facts_of(shop_engine, answer)]
    assert set(pairs[:48]) == {("b0", "coat"), ("b1", "coat")}, "all 24 of each"
    assert set(answer.entities["brand"]) == {"b0", "b1"}
    single = shop_engine.search(Query(text="b1 coat", top=144)).matches
    assert answer.matches >= 2 * single > 0


def test_for_whom_it_is_hides_no_match(shop_engine):
    plain, meant = (shop_engine.search(Query(text=f"red boots{end}", top=9)) for end in ("", " for my husband"))
    assert (meant.matches, meant.not_understood) == (plain.matches, ["husband"])
    assert plain.matches > 0
    assert meant.outcome == ["no product mentions 'husband'"]


def test_a_limit_of_the_price_where_there_are_no_prices_hides_no_match(shop_engine, monkeypatch):
    monkeypatch.setitem(shop_engine.index.__dict__, "price_N", np.full(len(shop_engine.index), np.nan))
    plain, limited = (shop_engine.search(Query(text=f"red boots{limit}", top=9)) for limit in ("", " under 1000"))
    assert [hit.product_id for hit in limited.hits] == [hit.product_id for hit in plain.hits]
    assert (limited.matches, limited.not_understood) == (plain.matches, [])
    assert limited.notes == [f"no product of {shop_engine.index.dataset} has a price: the price range has no effect"]


def test_in_stock_where_no_product_says_so_hides_no_match(shop_engine):
    plain, limited = (shop_engine.search(Query(text=f"red boots{end}", top=9)) for end in ("", " in stock"))
    assert [hit.product_id for hit in limited.hits] == [hit.product_id for hit in plain.hits]
    assert limited.notes == ["shop does not say what is in stock: the stock filter has no effect"]


def test_matches_are_the_first_products_and_the_probable_ones(shop_engine):
    answer = shop_engine.search(Query(text="red boots hand sewn", top=144))
    scores = [hit.score for hit in answer.hits]
    assert scores == sorted(scores, reverse=True)
    assert answer.matches == sum(score >= 0.5 for score in scores) > 0
    assert {own[1:] for own in facts_of(shop_engine, answer)[: answer.matches]} == {("boot", "red")}
    left = shop_engine.search(Query(text="red boots hand sewn", filters={"brand": ("b1",)}, top=144))
    assert (left.matches, left.total) == (0, 48), "b1 has no red products"


def test_values_are_counted_among_the_matches(shop_engine):
    answer = shop_engine.search(Query(text="red boots hand sewn", facets=True, top=144))
    assert 0 < answer.matches < 144
    assert answer.facets["subcategory"] == [("boots", answer.matches)]
    assert answer.facets["brand"] == [("b0", answer.matches)]
    elsewhere = shop_engine.search(Query(text="red boots hand sewn", filters={"brand": ("b1",)}, facets=True))
    assert (elsewhere.matches, sum(count for _, count in elsewhere.facets["subcategory"])) == (0, 48)


def test_what_is_not_wanted_goes_last(shop_engine):
    answer = shop_engine.search(Query(text="boots", negative="black", top=144))
    colours = [colour for *_, colour in facts_of(shop_engine, answer)]
    boots = [kind == "boot" for _, kind, _ in facts_of(shop_engine, answer)]
    assert "black" not in colours[: colours.index("black")]
    assert all(boots[: sum(colour != "black" and is_boot for colour, is_boot in zip(colours, boots, strict=True))])


def test_a_photo_with_words_and_a_photo_alone(shop_engine):
    photo = shop_engine.shelf.photo("p1")
    alone = shop_engine.search(Query(image=photo, text="b0 coats", image_weight=1, top=144))
    vectors = shop_engine.search(Query(image=photo, text="b0 coats", image_weight=1, top=144, by="vectors"))
    assert [hit.product_id for hit in alone.hits] == [hit.product_id for hit in vectors.hits]
    both = shop_engine.search(Query(image=photo, text="b0 coats", top=10))
    assert {own[:2] for own in facts_of(shop_engine, both)} == {("b0", "coat")}
    assert (both.matches, alone.matches) == (None, None)


def test_many_products_are_compared_in_few_directions_first(shop_engine, monkeypatch):
    exact = shop_engine.search(Query(text="black boots", top=20))
    monkeypatch.setattr(signals, "DIRECTIONS", 16)
    for module in ("signals", "engine"):
        monkeypatch.setattr(f"eiclip.search.{module}.MOST_EXACT", 10)
    monkeypatch.setattr("eiclip.search.engine.REFINED", 60)
    many = SearchEngine(shop_engine.index, shop_engine.model, shop_engine.reader.linker, shop_engine.shelf)
    many.use_weights(shop_engine.weights.table("words"))
    coarse = many.search(Query(text="black boots", top=20))
    assert [hit.score for hit in coarse.hits] == pytest.approx([hit.score for hit in exact.hits], abs=1e-5)
    assert [hit.product_id for hit in coarse.hits] == [hit.product_id for hit in exact.hits]


def test_all_directions_give_the_cosines(shop_engine, monkeypatch):
    view_ND = shop_engine.index.views["image"]
    monkeypatch.setattr(signals, "DIRECTIONS", view_ND.shape[1])
    vector_D = view_ND[3]
    assert signals.CoarseView.of(view_ND).cosines(vector_D) == pytest.approx(view_ND @ vector_D, abs=1e-5)


def style_table(engine):
    """Each run of six products of a split is a style: of all makers and both kinds."""
    ids = engine.index.product_ids
    return pa.table({"product_id": ids, "style_id": [f"s{int(name) // 6}" for name in ids]})


def test_like_a_product_is_its_photo_text_words_and_entities(shop_engine):
    index, row = shop_engine.index, 5
    found = shop_engine.products.like(row)
    assert found["photo"] == pytest.approx(index.views["image"] @ index.views["image"][row], abs=1e-6)
    assert found["entity brand"][row] == found["entity subcategory"][row] == 0
    assert set(found["entity brand"].tolist()) == {-2.0, 0.0}
    assert found[COVERAGE][row] == pytest.approx(1, abs=1e-6)
    answer = shop_engine.search(Query(product_id="005", top=144))
    expected = shop_engine.weights_like.scores(found)
    order = [index.product_ids[own] for own in np.argsort(-expected, kind="stable") if own != row]
    assert [hit.product_id for hit in answer.hits] == order


def test_like_a_product_by_vectors_alone_where_no_weights_were_learned(shop_engine):
    plain = SearchEngine(shop_engine.index, shop_engine.model, shop_engine.reader.linker, shop_engine.shelf)
    found, expected = (plain.search(Query(product_id="005", by=by, top=144)).hits for by in ("hybrid", "vectors"))
    assert [hit.product_id for hit in found] == [hit.product_id for hit in expected]


def test_ranks_of_products_as_queries_against_brute_force(shop_engine):
    styles, groups = style_table(shop_engine), pa.table({"product_id": ["008", "014"], "group_id": ["g", "g"]})
    ranks = {row["product_id"]: row for row in hybrid_ranks(shop_engine, 7, styles, groups).to_pylist()}
    index = shop_engine.index
    tested = [row for row, split in enumerate(index.facts["split"].to_pylist()) if split == "test"]
    assert set(ranks) == {index.product_ids[row] for row in tested}
    style_of = dict(zip(*styles.to_pydict().values(), strict=True))
    for row in tested:
        own, score_N = index.product_ids[row], shop_engine.weights_like.scores(shop_engine.products.like(row))
        others = [other for other in tested if other != row]
        same = [style_of[index.product_ids[other]] == style_of[own] for other in others]
        best = max(score_N[other] for other, is_same in zip(others, same, strict=True) if is_same)
        ahead = sum(score_N[other] >= best for other, is_same in zip(others, same, strict=True) if not is_same)
        assert (ranks[own]["rank"], ranks[own]["right"]) == (1 + ahead, 5)
        assert (ranks[own]["variant"], ranks[own]["view_pair"], ranks[own]["seed"]) == (HYBRID, "m-m", 7)
    assert rank_of(np.array([1.0, 1.0]), np.array([True, False])) == 2


def test_known_duplicates_of_other_styles_are_no_candidates(shop_engine):
    styles = style_table(shop_engine)
    groups = pa.table({"product_id": ["012", "030"], "group_id": ["g", "g"]})
    queries = ProductQueries.of(shop_engine, "test", styles, groups)
    place = queries.truth.products.index("012")
    assert len(queries.signals(place)[1]) == len(queries.rows_N) - 2


def test_weights_are_learned_of_validation_products(shop_engine, monkeypatch, tmp_path):
    """The queries' table is made of a lake elsewhere (tests of `generated_queries`); here it is given."""
    index = shop_engine.index
    validation = [index.product_ids[row] for row in index.rows_of_split("validation")]
    kinds = dict(zip(index.product_ids, index.facts["subcategory"].to_pylist(), strict=True))
    rows = [("subcategory", kind, own, 1) for kind in KINDS for own in validation if kinds[own] == kind]
    texts = dict(zip(index.product_ids, index.facts["description"].to_pylist(), strict=True))
    rows += [("descriptions", texts[own], own, 1) for own in validation]
    from eiclip.readers.queries import QUERIES

    table = pa.Table.from_pylist([dict(zip(QUERIES.names, row, strict=True)) for row in rows], schema=QUERIES)
    monkeypatch.setattr("eiclip.search.learn.generated_queries", lambda *_, **__: table)
    examples = list(typed_examples(shop_engine, None, "brand"))
    assert {len(one.relevant_N) for one in examples} == {len(validation)}
    assert {one.kind: one.complete for one in examples} == {
        "subcategory": True,
        "descriptions": False,
        "parts of descriptions": False,
    }
    learned = learned_weights(shop_engine, None, "brand", style_table(shop_engine))
    assert set(zip(*learned.select(["dataset", "variant"]).to_pydict().values(), strict=True)) == {("shop", "eiclip")}
    words = Weights.of_table(learned, "words")
    assert words.queries == len(examples)
    assert words.weight(COVERAGE) > 0 == words.weight("photo") or words.weight("photo") < words.weight(COVERAGE)
    for one in examples:
        if one.kind == "subcategory":
            assert ((words.scores(one.signals) >= MATCH) == one.relevant_N).mean() > 0.95
    assert len(list(product_examples(shop_engine, style_table(shop_engine)))) == len(validation)


def test_what_a_products_texts_say_is_no_other_entity(shop_engine):
    """Kinds are tags: "boot" in a title beside the tag "coats" is neither that kind nor clearly another."""
    index = shop_engine.index
    facts = index.facts.set_column(
        index.facts.column_names.index("title"), "title", pa.array(["boots, or so"] + ["thing"] * (len(index) - 1))
    )
    own = signals.ProductSignals.of(SearchIndex.of_tables("shop", "eiclip", views_table(index), facts))
    found, coats = own.of_entities({"subcategory": ["boots"]})["entity subcategory"], index.facets["subcategory"]
    expected = np.where(coats.having("boots"), 0, -2)
    assert expected[0] == -2
    assert found.tolist() == [-1, *expected[1:].tolist()]


def test_what_says_the_negation_itself_is_not_counted_against(shop_engine):
    answer = shop_engine.search(Query(text="boots without hand sewn", top=144))
    assert not any("without hand" in hit.description for hit in answer.hits)
    index = shop_engine.index
    texts = index.facts["description"].to_pylist()
    texts[5] = "Red boots WITHOUT laces"
    texts[11] = "Red boots with laces"
    at = index.facts.column_names.index("description")
    facts = index.facts.set_column(at, "description", pa.array(texts))
    changed = SearchIndex.of_tables("shop", "eiclip", views_table(index), facts)
    engine = SearchEngine(changed, shop_engine.model, shop_engine.reader.linker, shop_engine.shelf)
    ids = [hit.product_id for hit in engine.search(Query(text="red boots without laces", top=144)).hits]
    assert ids.index(index.product_ids[5]) < ids.index(index.product_ids[11])
    assert changed.containing(["without LACES"]).nonzero()[0].tolist() == [5]
    assert changed.containing(["laces", "with laces"]).nonzero()[0].tolist() == [11]


def views_table(index):
    width = index.views["image"].shape[1]
    views = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(view.ravel()), width) for name, view in index.views.items()
    }
    return pa.table({"product_id": index.product_ids, **views})
