"""Lists of the validation split: drawn or the hardest, their chance, and the weight that is fitted on them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from eiclip.evaluation.embed import embed_samples
from eiclip.features.patches import PatchStore
from eiclip.shards import valid_samples, valid_shards
from eiclip.train.listed import MIXES, ListedSplit, Lists, RankedLists, fit_mix, listed_split, ranks_of


@pytest.fixture
def split_of(shop, job, tmp_path):
    """Makes the lists of a row's model over the validation split, whose products have a photo each but the first."""

    def split_of(variant, seed=0, queries=200, candidates=3):
        model = shop.model(variant)
        own = job.model_copy(update={"seed": seed, "patches": tmp_path / "patches"})
        shards = valid_shards(own.shards, "validation", "refuse")
        samples = list(valid_samples(shards))
        store = PatchStore(own.patches, own.shards, model)
        return model, listed_split(model, own, samples, shards, store, "cpu", queries, candidates)

    return split_of


def test_random_lists_hold_the_right_one_first_and_others_once(split_of):
    _, split = split_of("fashionbert")
    assert split.lists["i2t"].text_QM.shape == (8, 4)
    for way, own in split.lists.items():
        query, candidate = (own.image_QM, own.text_QM) if way == "i2t" else (own.text_QM, own.image_QM)
        assert (query == query[:, :1]).all()
        owners = [[split.samples[n].product_id for n in row] for row in own.image_QM]
        texts = [[split.products[n].product_id for n in row] for row in own.text_QM]
        for text, owner in zip(texts, owners, strict=True):
            assert text[0] == owner[0]
            assert all(one != other for one, other in zip(text[1:], owner[1:], strict=True))
        assert all(len(set(row)) == 4 for row in candidate.tolist())
    again, other = split_of("fashionbert")[1], split_of("fashionbert", seed=1)[1]
    assert np.array_equal(split.lists["i2t"].text_QM, again.lists["i2t"].text_QM)
    assert not np.array_equal(split.lists["i2t"].text_QM, other.lists["i2t"].text_QM)
    few = split_of("fashionbert", queries=3, candidates=50)[1]
    assert few.lists["t2i"].image_QM.shape == (3, 8), "no more candidates than there are"


def test_a_re_rankers_lists_are_what_row_5_ranks_first(split_of):
    model, split = split_of("eiclip_rerank")
    embedded = embed_samples(model, split.samples)
    image, text = embedded.image_ND.double().numpy(), embedded.text_PD.double().numpy()
    logit = model.scale.item() * text @ image.T
    for way, own in split.lists.items():
        assert np.allclose(own.logit_QM, logit[own.text_QM, own.image_QM], atol=1e-4)
        for row in range(8):
            number = own.text_QM[row, 0]
            all_of = logit[:, own.image_QM[row, 0]] if way == "i2t" else logit[number]
            best = sorted((all_of[n] for n in range(8) if n != number), reverse=True)[:3]
            assert own.logit_QM[row, 1:] == pytest.approx(best, abs=1e-4)


def test_measuring_leaves_the_model_as_it_was_and_ranks_by_its_scores(split_of):
    model, split = split_of("eiclip_rerank")
    for mode in (True, False):
        model.train(mode)
        found = split.embedded(model)
        assert model.training is mode
        scores = split.scores(model)
        for way, ranks in found.ranks.items():
            wanted = [sum(one >= row[0] - 1e-6 for one in row) for row in scores[way]]
            assert ranks.tolist() == wanted
        assert found.candidates == 4


def test_ties_count_against_the_right_one():
    scores = np.array([[1.0, 1.0, 0.0], [2.0, 1.0, 3.0], [0.0, 0.0, 0.0], [5.0, 1.0, 1.0]])
    assert ranks_of(scores).tolist() == [2, 2, 3, 1]


@pytest.mark.parametrize("candidates", [2, 4, 7, 31])
def test_chance_is_that_of_every_place_once(candidates):
    places = torch.arange(1, candidates + 1)
    lists = RankedLists({"i2t": places, "t2i": places}, candidates)
    assert lists.chance() == pytest.approx(lists.recalls()["sum_r"])
    assert lists.chance() == pytest.approx(
        2 * sum(100 * sum(place <= k for place in range(1, candidates + 1)) / candidates for k in (1, 5, 10))
    )


def fitted(logits, scores):
    """What is fitted to row 5's logits and pair scores, the same in both directions."""
    buffer = torch.tensor([1.0, 1.0])
    model = SimpleNamespace(cross=SimpleNamespace(get_buffer={"mix": buffer}.__getitem__))
    none = np.zeros(logits.shape, dtype=np.int64)
    lists = {way: Lists(none, none, logits) for way in ("i2t", "t2i")}
    found = fit_mix(model, SimpleNamespace(lists=lists, scores=lambda _: dict.fromkeys(lists, scores)))
    assert buffer.tolist() == pytest.approx([1.0, found["weight"]])
    return found


def test_scores_that_are_noise_weigh_nothing():
    random = np.random.default_rng(0)
    logits = random.normal(size=(60, 20))
    logits[:, 0] += 1
    logits[:, 0] = np.maximum(logits[:, 0], logits[:, 1:].max(axis=1) + 0.01)
    found = fitted(logits, random.normal(size=(60, 20)))
    assert found == {"weight": 0.0, "mrr": 1.0, "mrr_without": 1.0}
    assert fitted(random.normal(size=(60, 20)), np.zeros((60, 20)))["weight"] == 0, "the least of equal ones"


@pytest.mark.parametrize("seed", range(4))
def test_the_weight_is_the_best_of_those_that_are_tried(seed):
    random = np.random.default_rng(seed)
    logits, scores = random.normal(size=(2, 40, 15))
    logits[:, 0] += 1.5
    scores[:, 0] += 1.0
    mrr = {}
    for weight in MIXES:
        total = 0.0
        for row in range(40):
            mixed = [logits[row, n] + weight * scores[row, n] for n in range(15)]
            total += 1 / (1 + sum(one >= mixed[0] - 1e-6 for one in mixed[1:]))
        mrr[weight] = total / 40
    found = fitted(logits, scores)
    assert found["weight"] == min(weight for weight in MIXES if mrr[weight] == pytest.approx(max(mrr.values())))
    assert found["weight"] > 0
    assert found["mrr"] == pytest.approx(max(mrr.values()), abs=1e-4)
    assert found["mrr_without"] == pytest.approx(mrr[0.0], abs=1e-4)


def test_a_split_of_one_product_measures_and_fits_nothing(shop):
    model, samples = shop.model("eiclip_rerank"), list(shop.samples())[:2]
    split = ListedSplit(samples, samples[:1], None, [], {}, "cpu")
    assert split.embedded(model) is None
    assert fit_mix(model, split) == {}
    assert model.cross.get_buffer("mix").tolist() == [1.0, 1.0]
