"""The first answers scored again: against a loop over pairs, and what of an answer stays as it was."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eiclip.errors import EiclipError, SettingsError
from eiclip.evaluation.embed import first_of_product, normalised_pixels
from eiclip.evaluation.pair_scores import photos_of, texts_of
from eiclip.model.entity_clip import load_checkpoint, save_checkpoint
from eiclip.model.patches import PatchReader
from eiclip.search import Query, SearchEngine
from eiclip.search.fusion import Weights
from eiclip.search.rerank import reordered
from eiclip.shards import Sample, write_shards
from eiclip.storage.home import Paths
from pipelines.cli import main
from tests.search.conftest import DATASET, SPLITS

FIRST = 4
RERANKER = "eiclip_rerank"
STRONG = 500.0
"""A weight by which pair scores decide all."""
STAY = "products were re-ranked; the others have no photo here and keep their place"


@pytest.fixture(scope="module")
def reranking_home(tmp_path_factory, shop, home):
    """The small home with row 14, which scores four of the six products again."""
    return home_of(home, tmp_path_factory.mktemp("rerank"), shop.reranker(FIRST))


@pytest.fixture(scope="module")
def engine(reranking_home):
    return opened(reranking_home)


def home_of(home, folder, reranker):
    """A copy of a home with a row 14."""
    own = Paths(Path(shutil.copytree(home.root, folder / "home")))
    save_checkpoint(reranker, own.checkpoint(DATASET, RERANKER), {})
    return own


@pytest.fixture
def changed(reranking_home, tmp_path, shop):
    """A copy of the home whose row 14 scores so many products again, and weighs pair scores so much."""

    def made(first, weight):
        model = shop.reranker(first)
        model.cross.mix.copy_(torch.tensor([1.0, weight]))
        return home_of(reranking_home, tmp_path, model)

    return made


def opened(home, variant="eiclip"):
    return SearchEngine.open(home.root, DATASET, variant)


def products(answer):
    return [hit.product_id for hit in answer.hits]


def both(engine, query):
    """The answers without and with re-ranking."""
    return engine.search(query), engine.search(replace(query, rerank=True))


def worth_of_pairs(home, shop, pairs):
    """What each pair of a text's and a photo's sample adds to the cosine, one pair at a time."""
    model = load_checkpoint(home.checkpoint(DATASET, RERANKER))
    with torch.inference_mode():
        found = []
        for text, photo in pairs:
            grid = PatchReader(model.towers).read(normalised_pixels(model, [photo], "cpu"))
            side = texts_of(model, [text]).of(torch.tensor([0]))
            found.append(model.cross.score(side, photos_of(model, grid.half().flatten(1))).item())
        text_mix, pair_mix = model.cross.get_buffer("mix").tolist()
        return np.array(found) * pair_mix / (text_mix * model.scale.item())


def firsts(shop):
    return {sample.product_id: sample for sample in first_of_product(list(shop.samples()))}


KINDS = {
    "words, by vectors": Query(text="item number 4", by="vectors", link=False),
    "words with entities": Query(text="item by b1", entities={"season": "fw2016"}),
    "photo": Query(image=b"", view="image"),
    "photo and words": Query(text="item number 2", image=b"", by="vectors"),
    "product": Query(product_id="p1"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_old_ones_and_what_a_loop_over_pairs_adds(engine, reranking_home, shop, kind):
    query, sample_of = KINDS[kind], firsts(shop)
    if query.image is not None:
        query = replace(query, image=engine.photo("p2"))
    before, after = both(engine, query)
    old = {hit.product_id: hit.score for hit in before.hits}
    if is_calibrated := before.matches is not None:
        old = {product: np.log(score / (1 - score)) for product, score in old.items()}
    read = engine.reader.read(query)
    first = products(before)[:FIRST]
    if kind == "photo":
        pairs = [(sample_of[product], sample_of["p2"]) for product in first]
    else:
        text = sample_of["p1"] if kind == "product" else Sample("", "", read.words.text.strip(), read.words.entities)
        pairs = [(text, sample_of[product]) for product in first]
    worth = worth_of_pairs(reranking_home, shop, pairs)
    weight = engine.weights.weight("photo") if is_calibrated else 1.0
    floor = old[products(before)[FIRST]]
    expected = {p: max(old[p] + weight * (own - worth.mean()), floor) for p, own in zip(first, worth, strict=True)}
    assert products(after)[FIRST:] == products(before)[FIRST:]
    assert sorted(products(after)[:FIRST]) == sorted(first)
    in_order = [expected[product] for product in products(after)[:FIRST]]
    assert in_order == pytest.approx(sorted(expected.values(), reverse=True), abs=2e-3), "but for near ties"
    found = [np.log(hit.score / (1 - hit.score)) if is_calibrated else hit.score for hit in after.hits]
    assert found[:FIRST] == pytest.approx([expected[product] for product in products(after)[:FIRST]], abs=2e-3)
    assert [hit.score for hit in after.hits[FIRST:]] == [hit.score for hit in before.hits[FIRST:]]
    assert after.notes == [*before.notes, "the first 4 products were re-ranked"]
    assert (after.total, after.entities, after.links) == (before.total, before.entities, before.links)


def test_a_weight_of_nothing_changes_nothing(changed):
    engine = opened(changed(FIRST, 0.0))
    for query in (Query(text="item number 1"), Query(image=engine.photo("p2")), Query(text="b0", facets=True, top=2)):
        before, after = both(engine, query)
        assert [(hit.product_id, hit.score) for hit in after.hits] == [(h.product_id, h.score) for h in before.hits]
        assert (after.matches, after.facets) == (before.matches, before.facets)


def test_pages_and_filters_are_of_one_order_and_matches_come_first(changed):
    engine = opened(changed(FIRST, STRONG))
    query = Query(text="item number 3 by b0", facets=True, rerank=True)
    whole, plain = engine.search(query), engine.search(replace(query, rerank=False))
    assert products(whole) != products(plain)
    assert set(products(whole)[:FIRST]) == set(products(plain)[:FIRST])
    assert products(whole)[FIRST:] == products(plain)[FIRST:]
    paged = [hit for offset in range(6) for hit in engine.search(replace(query, top=1, offset=offset)).hits]
    assert [(hit.rank, hit.product_id, hit.score) for hit in paged] == [
        (hit.rank, hit.product_id, pytest.approx(hit.score)) for hit in whole.hits
    ]
    scores = [hit.score for hit in whole.hits]
    assert scores == sorted(scores, reverse=True)
    assert whole.matches == sum(score >= 0.5 for score in scores)
    filtered = engine.search(replace(query, filters={"category": ("Coats",)}))
    assert (filtered.total, len(filtered.hits)) == (3, 3)
    assert "the first 3 products were re-ranked" in filtered.notes
    assert engine.search(replace(query, price=(900, None))).notes[-1:] != ["the first 0 products were re-ranked"]


def test_more_than_there_are_is_all(changed):
    engine = opened(changed(100, STRONG))
    assert engine.reranked == 100
    before, after = both(engine, Query(text="item", by="vectors"))
    assert after.notes == ["the first 6 products were re-ranked"]
    assert sorted(products(after)) == sorted(products(before))
    assert products(after) != products(before)


def test_where_photos_count_for_nothing_nothing_is_re_ranked(engine):
    before, after = both(engine, Query(text="item number 3", by="words"))
    assert products(after) == products(before)
    assert after.notes == ["photos count for nothing in what ranks here: nothing was re-ranked"]


def test_products_without_a_photo_keep_their_place(changed, shop):
    home = changed(100, STRONG)
    gone = {"p1", "p4"}
    left = [(SPLITS[own.product_id], own) for own in shop.samples() if own.product_id not in gone]
    shutil.rmtree(home.shards(DATASET))
    write_shards(iter(left), home.shards(DATASET), photo_size=64)
    engine = opened(home)
    before, after = both(engine, Query(text="item number 3"))
    assert products(after) != products(before)
    assert [products(after).index(one) for one in gone] == [products(before).index(one) for one in gone]
    assert after.notes == [f"4 of the first 6 {STAY}"]
    scores = [hit.score for hit in after.hits]
    assert scores == sorted(scores, reverse=True)
    before, after = both(engine, Query(image=engine.photo("p0")))  # of which texts are read
    assert after.notes == ["the first 6 products were re-ranked"]
    before, after = both(engine, Query(product_id="p1"))
    assert after.notes == [f"4 of the first 5 {STAY}"]


def test_what_is_read_of_photos_is_kept_until_model_or_photos_change(changed, shop):
    home = changed(FIRST, 1.0)
    query = Query(text="item number 3", rerank=True)

    def asked():
        found = opened(home).search(query)
        [kept] = (home.root / "search" / DATASET).glob("*.npy")
        return [(hit.product_id, hit.score) for hit in found.hits], kept

    found, kept = asked()
    stamp = kept.stat().st_mtime_ns
    home.root.chmod(0o555)
    assert asked() == (found, kept)
    home.root.chmod(0o755)
    assert kept.stat().st_mtime_ns == stamp
    array = np.load(kept, mmap_mode="r", allow_pickle=False)
    assert (array.dtype, array.shape[0], array.shape[2]) == (np.float16, 6, 32)
    assert np.isfinite(array).all()
    model = shop.reranker(FIRST)
    model.cross.mix.fill_(STRONG)
    model.cross.mix[0] = 1
    save_checkpoint(model, home.checkpoint(DATASET, RERANKER), {})
    other, place = asked()
    assert (other != found, place != kept) == (True, True)


def test_it_is_told_where_nothing_can_be_re_ranked(changed, shop, home):
    query = Query(text="item", rerank=True)
    for variant in ("eiclip", "clip_description"):
        without = opened(home, variant)
        assert without.reranked is None
        with pytest.raises(SettingsError, match="shop has no eiclip_rerank to re-rank with; run `make cross_modal`"):
            without.search(query)
    own = changed(FIRST, 1.0)
    with pytest.raises(SettingsError, match="re-ranks answers of eiclip, not of clip_description; search by"):
        opened(own, "clip_description").search(query)
    model = shop.model()
    with torch.no_grad():
        model.towers.logit_scale += 0.1
    save_checkpoint(model, own.checkpoint(DATASET, "eiclip"), {})  # trained again since
    with pytest.raises(SettingsError, match="from another eiclip than the one there is now; run `make cross_modal`"):
        opened(own).search(query)
    bare = SearchEngine(without.index, without.model, without.reader.linker, without.shelf)
    with pytest.raises(SettingsError, match="run `make cross_modal`"):
        bare.search(query)


def test_a_damaged_checkpoint_is_an_error_that_names_it(changed):
    home = changed(FIRST, 1.0)
    (home.checkpoint(DATASET, RERANKER) / "cross.safetensors").write_bytes(b"")
    engine = opened(home)
    assert products(engine.search(Query(text="item")))
    with pytest.raises(EiclipError, match="not a whole checkpoint"):
        engine.search(Query(text="item", rerank=True))


def test_the_command_line_asks_for_it(reranking_home, engine, home, capsys):
    asked = ["--text", "item number 3", "--rerank"]
    assert main(["search", "--home", str(reranking_home.root), *asked]) == 0
    shown = capsys.readouterr().out
    assert "note: the first 4 products were re-ranked" in shown
    rows = [line.split() for line in shown.splitlines() if line[:1].isdigit()][:6]
    assert [row[5] for row in rows] == products(engine.search(Query(text="item number 3", rerank=True)))
    assert main(["search", "--home", str(home.root), *asked]) == 1
    assert "run `make cross_modal`" in capsys.readouterr().err
    assert main(["search", "--home", str(reranking_home.root), *asked, "--variant", "clip_description"]) == 1
    assert "search by the variant eiclip" in capsys.readouterr().err


def test_learned_weights_of_photos_count(engine, monkeypatch):
    query = Query(text="item number 3", rerank=True)
    monkeypatch.setattr(engine, "weights", Weights({"photo": 0.0}, -10.0, 9))
    assert "nothing was re-ranked" in engine.search(query).notes[-1]


@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(-99, 99) | st.just(float("nan"))), min_size=1, max_size=9),
    st.floats(0, 3),
)
def test_an_order_moves_what_has_a_worth_and_nothing_below_what_follows(pairs, gap):
    score, worth = (np.array(own) for own in zip(*pairs, strict=True))
    score = np.sort(score)[::-1]
    floor = score[-1] - gap
    order, new = reordered(score, worth, floor)
    assert sorted(order) == list(range(len(score)))
    stays = np.isnan(worth)
    assert (order[stays] == np.flatnonzero(stays)).all()
    assert (np.diff(new) <= 0).all()
    assert new.min() >= floor
    moved = worth[order[~stays]] + score[order[~stays]]
    assert (np.diff(moved) <= 1e-9).all()
