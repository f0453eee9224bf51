"""Batches: every sample once an epoch, in an order of (seed, epoch) alone."""

from eiclip.train import loader as loader_module
from eiclip.train.loader import Loader


def order(loader, epoch):
    return [sample.image_id for batch in loader.epoch(epoch) for sample in batch]


def test_every_sample_once_an_epoch(job):
    loader = Loader(job.shards, 8, 0)
    assert loader.steps == 3
    assert sorted(order(loader, 0)) == sorted(f"p{number}_0" for number in range(24))


def test_order_is_a_function_of_seed_and_epoch(job):
    orders = {(seed, epoch): order(Loader(job.shards, 8, seed), epoch) for seed in (0, 1) for epoch in (0, 1)}
    assert len({tuple(found) for found in orders.values()}) == 4
    assert order(Loader(job.shards, 8, 1), 1) == orders[1, 1]


def test_a_small_buffer_loses_nothing(job, monkeypatch):
    monkeypatch.setattr(loader_module, "BUFFER", 5)
    assert len(set(order(Loader(job.shards, 8, 0), 0))) == 24


def test_the_short_last_batch_is_left_out_and_a_large_one_cut(job):
    assert [len(batch) for batch in Loader(job.shards, 10, 0).epoch(0)] == [10, 10]
    assert [len(batch) for batch in Loader(job.shards, 1000, 0).epoch(0)] == [24]
