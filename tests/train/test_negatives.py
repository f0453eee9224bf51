"""Hard negatives are what a plain search over the training products finds, and never a sample's own."""

import numpy as np
import pytest
import torch

from eiclip.evaluation.embed import embed_images, embed_texts
from eiclip.settings.cross_modal import CrossSettings
from eiclip.shards import valid_samples, valid_shards
from eiclip.train.negatives import HardNegatives

READ = np.array([0, 0, *range(2, 24)])
"""Samples 0 and 1 have equal texts, ..."""
OF = np.array([*range(20), 20, 20, 20, 23])
"""and 20 to 22 are photos of one product."""


def found(shop, job, changed, hardest, read=READ, of=OF):
    job = changed(job, training={"cross": CrossSettings(hardest=hardest)})
    model, shards = shop.model("eiclip"), valid_shards(job.shards, "train", "refuse")
    return HardNegatives.of(model, job, shards, read, of, "cpu"), job, model


@pytest.mark.parametrize("hardest", [1, 5, 23, 50])
def test_they_are_what_a_plain_search_finds(shop, job, changed, hardest):
    negatives, job, model = found(shop, job, changed, hardest)
    samples = list(valid_samples(valid_shards(job.shards, "train", "refuse")))
    sides = {
        "photo": embed_images(model, samples).double().numpy(),
        "text": embed_texts(model, samples).double().numpy(),
    }
    for query, candidate, given in (("photo", "text", negatives.texts_NM), ("text", "photo", negatives.photos_NM)):
        assert given.shape == (24, min(hardest, 23))
        for row in range(24):
            others = [n for n in range(24) if READ[n] != READ[row] and OF[n] != OF[row]]
            score = {n: float(sides[query][row] @ sides[candidate][n]) for n in others}
            best = sorted(score.values(), reverse=True)
            wanted = [best[n % len(best)] for n in range(given.shape[1])]
            assert set(given[row].tolist()) <= set(others)
            assert [score[n] for n in given[row].tolist()] == pytest.approx(wanted, abs=1e-5)


def test_where_all_are_one_text_any_are_given(shop, job, changed):
    negatives, *_ = found(shop, job, changed, 5, read=np.zeros(24, dtype=np.int64))
    assert negatives.texts_NM.shape == (24, 5)


def test_they_are_drawn_from_the_samples_own(shop, job, changed):
    negatives, *_ = found(shop, job, changed, 6)
    samples = torch.tensor([3, 20, 0])
    torch.manual_seed(0)
    texts, photos = negatives.draw(samples, 40)
    for drawn, kept in ((texts, negatives.texts_NM), (photos, negatives.photos_NM)):
        assert drawn.shape == (3, 40)
        for row, sample in enumerate(samples):
            assert set(drawn[row].tolist()) == set(kept[sample].tolist()), "each of six is met in forty draws"
    torch.manual_seed(0)
    assert torch.equal(negatives.draw(samples, 40)[0], texts)
