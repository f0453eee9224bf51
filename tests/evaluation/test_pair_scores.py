"""Scores of many pairs are those of each pair alone."""

import itertools

import numpy as np
import pytest
import torch

from eiclip.errors import NonFiniteError
from eiclip.evaluation import pair_scores
from eiclip.evaluation.embed import first_of_product
from eiclip.evaluation.pair_scores import PairScorer, read_text
from eiclip.features.patches import split_values
from eiclip.model.inputs import ModelInputs


@torch.no_grad()
def alone(model, product, values):
    """The score of one pair by the model's own parts."""
    cross = model.cross
    text = read_text(model, *ModelInputs.of(model).of_texts([product]))
    grid, _ = split_values(values[None], cross.channels, cross.grid_side)
    return cross.score(text, cross.image_side(cross.patches_of(grid))).item()


def everything(crossed, shop, variant):
    model, features = crossed(variant)
    samples = list(shop.samples())
    products = first_of_product(samples)
    ids = [sample.image_id for sample in samples]
    return model, products, ids, features


@pytest.mark.parametrize(
    ("variant", "states"),
    [("fashionbert", 2**13), ("kaleidobert_entities", 2**13), *(("eiclip_rerank", n) for n in (1, 150, 2**13))],
)
def test_many_pairs_are_scored_as_each_alone(crossed, shop, variant, states, monkeypatch):
    monkeypatch.setitem(pair_scores.STATES, "cpu", states)
    model, products, ids, features = everything(crossed, shop, variant)
    scorer = PairScorer.of(model, products, ids, features)
    pairs = np.array(list(itertools.product(range(len(products)), range(len(ids)))))
    pairs = np.random.default_rng(0).permutation(pairs)[:16]
    found = scorer.scores(*pairs.T)
    assert found.dtype == np.float32
    wanted = [alone(model, products[text], features.photos([ids[photo]])[0]) for text, photo in pairs]
    assert np.allclose(found, wanted, atol=1e-5)
    assert np.ptp(found) > 1e-3
    assert scorer.scores(pairs[:0, 0], pairs[:0, 1]).shape == (0,)


def test_texts_do_without_a_group(crossed, shop):
    model, products, ids, features = everything(crossed, shop, "eiclip_rerank")
    without = PairScorer.of(model, products, ids, features, excluded_group="brand")
    rows = np.arange(len(products)), np.zeros(len(products), dtype=np.int64)
    plain = PairScorer.of(model, products, ids, features).scores(*rows)
    changed = np.abs(without.scores(*rows) - plain) > 1e-5
    assert changed.tolist() == ["brand" in product.entities for product in products]


def test_a_score_that_is_no_number_is_told(crossed, shop):
    model, products, ids, features = everything(crossed, shop, "fashionbert")
    with torch.no_grad():
        model.cross.score_head.bias.fill_(float("nan"))
    scorer = PairScorer.of(model, products, ids, features)
    with pytest.raises(NonFiniteError, match="2 of 2 pair scores are not finite"):
        scorer.scores(np.array([0, 1]), np.array([0, 1]))
