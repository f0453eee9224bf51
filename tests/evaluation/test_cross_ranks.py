"""Ranks by a cross-encoder: row 5's own where its score counts nothing, and the definition where it counts."""

import math
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from eiclip.errors import CorruptOutputError
from eiclip.evaluation import cross_ranks
from eiclip.evaluation.cross_ranks import FULL, LISTED, CrossEvaluation, asked_products, cross_evaluation, rank_in
from eiclip.evaluation.embedding_tables import embeddings_table
from eiclip.evaluation.protocols import RANKS_SCHEMA, ranks_table
from eiclip.model.variants import get_variant
from eiclip.shards import shard_paths
from tests.evaluation.test_protocols import DESCRIPTIONS, PHOTOS, PRODUCTS, embeddings_of, lists, same_text, unit

SCALE = 20.0
PHOTO_IDS = [photo for names in PHOTOS.values() for photo in names]


class Known:
    """A scorer that looks scores up, and counts how often it is asked."""

    def __init__(self, table, variant="eiclip_rerank", mix=(1.0, 1.0), most=math.inf):
        cross = SimpleNamespace(get_buffer={"mix": torch.tensor(mix)}.__getitem__)
        self.model = SimpleNamespace(variant=get_variant(variant), cross=cross, scale=torch.tensor(SCALE))
        self.table, self.calls, self.most = table, 0, most

    def scores(self, text_P, image_P):
        if self.calls >= self.most:
            raise KeyboardInterrupt
        self.calls += 1
        return self.table[text_P, image_P].astype(np.float32)


def vectors_of(*, ties):
    random = np.random.default_rng(5)

    def drawn(count, seed):
        found = unit(count, 5, seed=seed) if ties else random.normal(size=(count, 5))
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    texts = {kind: dict(zip(PHOTOS, drawn(PRODUCTS, seed), strict=True))
             for seed, kind in enumerate(("text", "text_sample100"), start=1)}  # fmt: skip
    return {"image": dict(zip(PHOTO_IDS, drawn(len(PHOTO_IDS), 0), strict=True)), "product": texts["text"]} | texts


def drawn_scores(seed=0):
    """Scores of each text and photo, of which many are equal."""
    return np.random.default_rng(seed).integers(0, 6, (PRODUCTS, len(PHOTO_IDS))) / 4.0


def evaluation(vectors, scorer, first, queries=None):
    return CrossEvaluation({FULL: scorer, LISTED: scorer}, embeddings_of(vectors), lists(), DESCRIPTIONS, first=first,
                           queries=queries)  # fmt: skip


def keyed(table, *measures):
    rows = table.to_pylist()
    found = {tuple(row[name] for name in ("protocol", "direction", "query_id")): [row[m] for m in measures]
             for row in rows}  # fmt: skip
    assert len(found) == len(rows)
    return found


def row_5_ranks(vectors):
    """The table of row 5 itself, of the two protocols."""
    table = ranks_table(embeddings_of(vectors), lists(), descriptions=DESCRIPTIONS)
    return table.filter(pc.is_in(table["protocol"], pa.array([FULL, LISTED])))


@pytest.mark.parametrize(("ties", "first"), [(True, 100), (False, 100), (False, 10)])
def test_where_its_score_counts_nothing_ranks_are_row_5s(tmp_path, ties, first):
    vectors = vectors_of(ties=ties)
    found = evaluation(vectors, Known(drawn_scores(), mix=(1.0, 0.0)), first).ranks(tmp_path, "key")
    assert found.schema == RANKS_SCHEMA
    wanted = row_5_ranks(vectors)
    measures = "rank", "rank_text_equal"
    assert keyed(found, *measures) == keyed(wanted, *measures)
    gains = [keyed(table, "ndcg10") for table in (found, wanted)]
    assert gains[0] == {key: pytest.approx(gain) for key, gain in gains[1].items()}
    assert set(found["variant"].to_pylist()) == {"eiclip_rerank"}


@pytest.mark.parametrize("first", [2, 3, 5])
def test_with_few_scored_again_ranks_are_row_5s_too(tmp_path, first):
    vectors = vectors_of(ties=False)
    found = keyed(evaluation(vectors, Known(drawn_scores(), mix=(1.0, 0.0)), first).ranks(tmp_path, "key"), "rank")
    assert found == keyed(row_5_ranks(vectors), "rank")


def place_of(scores, relevant):
    """Rank of the best relevant of these candidates, ties against it; None where none is among them."""
    if not (own := [scores[name] for name in scores if name in relevant]):
        return None
    return 1 + sum(scores[name] >= max(own) - 1e-6 for name in scores if name not in relevant)


@pytest.mark.parametrize(("variant", "mix"), [("eiclip_rerank", (1.0, 0.5)), ("kaleidobert", (1.0, 1.0))])
@pytest.mark.parametrize("first", [2, 4, 100])
def test_ranks_are_the_definition(tmp_path, variant, mix, first):
    vectors, table = vectors_of(ties=False), drawn_scores()
    found = evaluation(vectors, Known(table, variant, mix), first).ranks(tmp_path, "key").to_pylist()
    of_list = {tuple(row[n] for n in ("protocol", "direction", "query_id", "draw")): row for row in lists().to_pylist()}
    texts, photos = list(PHOTOS), PHOTO_IDS
    weights = mix if variant == "eiclip_rerank" else (0.0, 1.0)
    for row in found:
        to_text, listed = row["direction"] == "i2t", row["protocol"] == LISTED
        text_kind = "text_sample100" if listed else "text"
        kinds = ("image", text_kind) if to_text else (text_kind, "image")
        query, candidates = vectors[kinds[0]][row["query_id"]], vectors[kinds[1]]
        cosine = {name: float(query @ vector) for name, vector in candidates.items()}
        entry = of_list.get((row["protocol"], row["direction"], row["query_id"], 0))
        kept = [entry["positive_id"], *entry["negative_ids"]] if listed else sorted(
            cosine, key=cosine.get, reverse=True
        )[:first]  # fmt: skip
        scores = {}
        for name in kept:
            text, photo = (name, row["query_id"]) if to_text else (row["query_id"], name)
            own = table[texts.index(text), photos.index(photo)]
            scores[name] = weights[0] * SCALE * cosine[name] + weights[1] * own
        product = row["product_id"]
        for column, relevant in (("rank", {product}), ("rank_text_equal", same_text(product))):
            names = {name for name in cosine if name.split("_")[0] in relevant}
            if listed:  # of the query's own photos the one that is listed
                names = {name for name in names if name == entry["positive_id"] or name.split("_")[0] != product}
            assert row[column] == (place_of(scores, names) or place_of(cosine, names)), (row, column)
        if listed:
            wanted = 1 / math.log2(1 + row["rank"]) if row["rank"] <= 10 else 0
            assert row["ndcg10"] == pytest.approx(wanted)


def test_gains_count_relevant_photos_of_the_whole_catalogue(tmp_path):
    """Of product 2's three photos two are scored again and first: the third would have been the third."""
    vectors = vectors_of(ties=False)
    queried = evaluation(vectors, Known(drawn_scores()), 3)
    asked = next(own for own in queried.questions([FULL]) if own.direction == "t2i")
    row = asked.query_Q.tolist().index(2)
    own = [PHOTO_IDS.index(photo) for photo in PHOTOS["p2"]]
    asked.candidate_QM[row] = [own[0], own[1], 0]
    asked.relevant_QM[row] = [True, True, False]
    score_QM = np.zeros(asked.candidate_QM.shape)
    score_QM[row] = [3.0, 2.0, 1.0]
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert queried._ndcg(asked, score_QM)[row] == pytest.approx((1 + 1 / math.log2(3)) / ideal)


def test_killed_it_goes_on_from_the_chunks_that_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(cross_ranks, "QUERIES_AT_ONCE", 3)
    vectors, table = vectors_of(ties=False), drawn_scores()
    whole = Known(table)
    wanted = evaluation(vectors, whole, 4).ranks(tmp_path / "whole", "key")
    with pytest.raises(KeyboardInterrupt):
        evaluation(vectors, Known(table, most=4), 4).ranks(tmp_path / "killed", "key")
    rest = Known(table)
    assert evaluation(vectors, rest, 4).ranks(tmp_path / "killed", "key").equals(wanted)
    assert rest.calls == whole.calls - 4
    again, other, deeper = Known(table + 9), Known(table), Known(table)
    assert evaluation(vectors, again, 4).ranks(tmp_path / "killed", "key").equals(wanted)
    assert again.calls == 0
    evaluation(vectors, other, 4).ranks(tmp_path / "killed", "other")
    assert other.calls == whole.calls
    evaluation(vectors, deeper, 5).ranks(tmp_path / "killed", "key")
    assert 0 < deeper.calls < whole.calls, "the lists of sample-100 are the same"


@pytest.mark.parametrize("queries", [1, 3, 7, 50])
def test_so_many_products_are_asked_and_the_same_in_every_protocol(tmp_path, queries):
    vectors, table = vectors_of(ties=False), drawn_scores()
    found = evaluation(vectors, Known(table), 4, queries).ranks(tmp_path / "some", "key").to_pylist()
    asked = {}
    for row in found:
        asked.setdefault((row["protocol"], row["direction"]), set()).add(row["product_id"])
    assert len(asked) == 4
    assert len(set(map(frozenset, asked.values()))) == 1
    assert {len(products) for products in asked.values()} == {min(queries, PRODUCTS)}
    whole = evaluation(vectors, Known(table), 4).ranks(tmp_path / "all", "key").to_pylist()
    products = asked[FULL, "i2t"]
    assert found == [row for row in whole if row["product_id"] in products]
    one = evaluation(vectors, Known(table), 4).ranks(tmp_path / "one", "key", [FULL]).to_pylist()
    assert one == [row for row in whole if row["protocol"] == FULL]


def test_products_that_are_asked_do_not_hang_on_their_order():
    names = [f"p{n}" for n in range(40)]
    chosen = {names[n] for n in asked_products(names, 10)}
    backwards = names[::-1]
    assert {backwards[n] for n in asked_products(backwards, 10)} == chosen
    assert chosen <= {names[n] for n in asked_products(names, 11)}
    assert asked_products(names, None).tolist() == list(range(40))


def test_the_ceiling_is_the_share_of_right_answers_within_reach():
    vectors = vectors_of(ties=False)
    found = evaluation(vectors, Known(drawn_scores()), 3).ceiling()
    reached = []
    for photo, vector in vectors["image"].items():
        best = sorted(vectors["text"], key=lambda name: -float(vector @ vectors["text"][name]))[:3]
        reached.append(photo.split("_")[0] in best)
    assert found["i2t"] == pytest.approx(100 * np.mean(reached))
    assert evaluation(vectors, Known(drawn_scores()), 100).ceiling() == {"i2t": 100.0, "t2i": 100.0}


def test_ranks_in_lists():
    scores = np.array([[2.0, 2.0, 1.0, -np.inf], [1.0, 3.0, 2.0, -np.inf], [1.0, 2.0, 3.0, 4.0]])
    relevant = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=bool)
    assert rank_in(scores, relevant).tolist() == [2, 1, 0]


def shop_lists():
    """A list of two wrong answers for each query of the small shop."""
    rows = []
    for n in range(6):
        shared = {"protocol": LISTED, "draw": 0, "product_id": f"p{n}", "shortfall": 0}
        others = [f"p{(n + step) % 6}" for step in (1, 2)]
        rows += [shared | {"direction": "i2t", "query_id": f"p{n}_{m}", "positive_id": f"p{n}", "negative_ids": others}
                 for m in range(2)]  # fmt: skip
        rows.append(shared | {"direction": "t2i", "query_id": f"p{n}", "positive_id": f"p{n}_1",
                              "negative_ids": [f"{other}_0" for other in others]})  # fmt: skip
    return pa.Table.from_pylist(rows)


@pytest.mark.parametrize("variant", ["fashionbert", "eiclip_rerank"])
def test_a_model_is_asked_what_its_shards_hold(crossed, shop, shop_shards, patches_folder, tmp_path, variant):
    model, _ = crossed(variant)
    paths = shard_paths(shop_shards, "test")
    embeddings = embeddings_table(shop.model("eiclip"), "shop", paths, excluded_group="brand")
    described = {f"p{n}": f"item number {n}" for n in range(6)}

    def asked(given):
        return cross_evaluation(model, paths, shop_shards, patches_folder, given, shop_lists(), described,
                                excluded_group="brand", first=100)  # fmt: skip

    evaluation = asked(embeddings)
    ranks = evaluation.ranks(tmp_path, "key").to_pylist()
    assert len(ranks) == 2 * (12 + 6)
    assert all(1 <= row["rank"] <= (3 if row["protocol"] == LISTED else 12) for row in ranks)
    [photo] = [n for n, sample in enumerate(shop.samples()) if sample.image_id == "p3_1"]
    pair = np.array([3]), np.array([photo])
    whole, listed = (evaluation.scorers[name].scores(*pair)[0] for name in (FULL, LISTED))
    assert (abs(whole - listed) > 1e-6) == (variant == "eiclip_rerank"), "its texts do without brands there"
    strange = embeddings.to_pylist()
    strange = [row | {"product_id": "stranger"} if row["product_id"] == "p2" else row for row in strange]
    with pytest.raises(CorruptOutputError, match="'stranger' is not among the test shards; materialise it again"):
        asked(pa.Table.from_pylist(strange, schema=embeddings.schema))
