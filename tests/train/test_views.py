"""Features of a batch's photos: noise is a function of seed, epoch and place, and as large as each value spreads."""

import numpy as np
import pytest
import torch

from eiclip.train.photos import Task
from eiclip.train.views import PhotoViews


class Rows:
    """Features of photos (N, V, F), the first value four times as wide as the second."""

    def __init__(self, features):
        self.features_NVF = features

    def of(self, rows_B, views_B=0):
        return self.features_NVF[torch.from_numpy(rows_B), torch.as_tensor(views_B)]


@pytest.fixture
def features():
    drawn = np.random.default_rng(0).normal(size=(4000, 1, 2)) * [4, 1] + [10, -3]
    return torch.from_numpy(drawn).half()


def views(features, noise, seed=0):
    return PhotoViews(Rows(features), np.arange(len(features)), seed, noise, False)


def task(epoch=0, position=0, count=4000):
    return Task(epoch, position, np.arange(count))


def test_noise_is_in_deviations_of_each_value(features):
    found = views(features, 0.3).batch(task(), another_view=False)
    added = (found - features[:, 0].float()).numpy()
    assert found.dtype == torch.float32
    assert added.std(axis=0) == pytest.approx([1.2, 0.3], rel=0.05)
    assert abs(added.mean(axis=0)).max() < 0.1


def test_noise_is_a_function_of_seed_epoch_and_place(features):
    def batch(seed=0, **place):
        return views(features, 0.3, seed).batch(task(**place), another_view=False)

    assert torch.equal(batch(epoch=2, position=64), batch(epoch=2, position=64))
    others = [batch(epoch=2, position=64, seed=1), batch(epoch=3, position=64), batch(epoch=2, position=128)]
    assert not any(torch.equal(batch(epoch=2, position=64), other) for other in others)


def test_without_noise_features_come_as_they_are_kept(features):
    assert torch.equal(views(features, 0.0).batch(task(), another_view=False), features[:, 0])
