"""Batches: every sample once an epoch, in an order of (seed, epoch, place) alone, whoever makes them."""

import dataclasses
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from eiclip.errors import CorruptOutputError, SettingsError
from eiclip.model.inputs import ModelInputs
from eiclip.model.tokenizer import clip_tokenizer
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import read_vocabulary
from eiclip.settings.training import AugmentSettings, HardwareSettings
from eiclip.shards import read_index, read_manifest, read_samples, shard_paths
from eiclip.train.loader import Grouped, Loader, epoch_order, grouped_order
from eiclip.train.world import World

AUGMENT = AugmentSettings(scale=(0.3, 0.9), color_jitter=0.4, gray_scale_prob=0.3)


@pytest.fixture
def inputs(job):
    vocabulary = read_vocabulary(job.entity_groups, job.entity_vocabulary, job.semantic_prior)
    return ModelInputs(get_variant("clip_entities_text"), vocabulary, True, 64, clip_tokenizer(64))


def loader(job, inputs, *, workers=0, batch_size=8, seed=0, rank=0, ranks=1, **given):
    given = {"hardware": HardwareSettings(workers=workers, prefetch=2), "world": World(rank, ranks)} | given
    return Loader(job.shards, inputs, batch_size=batch_size, seed=seed, **given)


def training_samples(job):
    return list(read_samples(shard_paths(job.shards, "train")))


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))


def photos(batches):
    """Photos as bytes, in their order."""
    return [photo.numpy().tobytes() for batch in batches for photo in batch.images]


def test_a_batch_is_what_the_model_reads_of_its_samples(job, inputs):
    samples = training_samples(job)
    made = loader(job, inputs)
    order = epoch_order([24], 0, 3)
    for step, batch in enumerate(made.epoch(3)):
        wanted = [samples[number] for number in order[step * 8 : step * 8 + 8]]
        tokens_BL, ids_BKM = inputs.of_texts(wanted)
        assert torch.equal(batch.tokens_BL, tokens_BL)
        assert batch.tokens_BL.dtype == tokens_BL.dtype
        assert torch.equal(batch.ids_BKM, ids_BKM)
        assert batch.images.dtype == torch.uint8
        assert np.array_equal(batch.images, np.stack([sample.pixels(64) for sample in wanted]))


def test_every_sample_once_an_epoch(job, inputs):
    made = loader(job, inputs)
    assert (made.samples, made.steps, made.batch_size, made.quarantined) == (24, 3, 8, [])
    wanted = [sample.pixels(64).tobytes() for sample in training_samples(job)]
    assert sorted(photos(made.epoch(0))) == sorted(wanted)


def test_order_is_a_function_of_seed_and_epoch(job, inputs):
    orders = {
        (seed, epoch): photos(loader(job, inputs, seed=seed).epoch(epoch)) for seed in (0, -1) for epoch in (0, 1)
    }
    assert len({tuple(found) for found in orders.values()}) == 4
    assert photos(loader(job, inputs, seed=-1).epoch(1)) == orders[-1, 1]


@pytest.mark.parametrize("window", [1, 7, 30, 1000])
def test_an_order_has_every_sample_once_and_mixes_a_window(window):
    sizes = [5, 1, 9, 3, 12, 7]
    order = epoch_order(sizes, 1, 2, window).tolist()
    assert sorted(order) == list(range(37))
    shard_of = np.repeat(np.arange(6), sizes)
    runs = [shard for shard, _ in itertools.groupby(shard_of[order])]
    assert (len(runs) == 6) == (window == 1), "within a window shards are mixed, beyond it they are not"


def test_the_short_last_batch_is_left_out_and_a_large_one_cut(job, inputs):
    assert [len(batch.ids_BKM) for batch in loader(job, inputs, batch_size=10).epoch(0)] == [10, 10]
    assert [len(batch.ids_BKM) for batch in loader(job, inputs, batch_size=1000).epoch(0)] == [24]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_entered_anywhere_goes_on_as_it_would_have(job, inputs, workers):
    made = loader(job, inputs, workers=workers, batch_size=4)
    whole = list(made.epoch(1))
    for start in range(made.steps + 1):
        tail = list(made.epoch(1, start))
        assert len(tail) == made.steps - start
        assert all(map(same, tail, whole[start:]))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_ranks_share_each_batch_of_one_shard_without_overlap_or_loss(job, inputs):
    whole = list(loader(job, inputs).epoch(0))
    ranks = [list(loader(job, inputs, workers=4, rank=rank, ranks=2).epoch(0)) for rank in (0, 1)]
    for step, batch in enumerate(whole):
        shares = [rank[step] for rank in ranks]
        assert torch.equal(torch.cat([share.images for share in shares]), batch.images)
        assert torch.equal(torch.cat([share.ids_BKM for share in shares]), batch.ids_BKM)
        assert max(share.tokens_BL.shape[1] for share in shares) == batch.tokens_BL.shape[1]


def test_an_abandoned_epoch_does_not_disturb_the_next(job, inputs):
    made = loader(job, inputs, workers=2, batch_size=4)
    whole = list(made.epoch(1))
    next(made.epoch(0))
    assert all(map(same, made.epoch(1), whole))


def test_batches_that_cannot_be_shared_out_are_refused(job, inputs):
    with pytest.raises(SettingsError, match="batch_size 8 .* 3 processes"):
        loader(job, inputs, ranks=3)
    with pytest.raises(SettingsError, match="24 training samples are too few for 32 processes"):
        loader(job, inputs, batch_size=64, ranks=32)
    assert loader(job, inputs, batch_size=1000, ranks=5).batch_size == 20


def test_augmentation_is_a_function_of_the_place_in_the_epoch(job, inputs):
    made = loader(job, inputs, augment=AUGMENT)
    first = photos(made.epoch(0))
    assert first != photos(loader(job, inputs).epoch(0))
    assert photos(loader(job, inputs, augment=AUGMENT, workers=2).epoch(0)) == first
    assert photos(made.epoch(0, 2)) == first[16:]
    halves = [list(loader(job, inputs, augment=AUGMENT, rank=rank, ranks=2).epoch(0)) for rank in (0, 1)]
    assert photos(itertools.chain(*zip(*halves, strict=True))) == first


def test_a_sample_is_augmented_anew_in_another_epoch(job, inputs):
    made = loader(job, inputs, batch_size=24, augment=AUGMENT)
    found = []
    for epoch in (0, 1):
        order, photo = epoch_order([24], 0, epoch).tolist(), photos(made.epoch(epoch))
        found.append([photo[order.index(sample)] for sample in range(24)])
    assert sum(one != other for one, other in zip(*found, strict=True)) > 12


@pytest.mark.parametrize("workers", [0, 2])
def test_the_trainers_random_states_are_left_alone(job, inputs, workers):
    made = loader(job, inputs, workers=workers, augment=AUGMENT)
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()
    list(made.epoch(0))
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before[1:]


def test_photos_of_another_size_are_fitted(job, inputs):
    small = dataclasses.replace(inputs, photo_size=32)
    (batch,) = loader(job, small, batch_size=24).epoch(0)
    samples = training_samples(job)
    wanted = np.stack([samples[number].pixels(32) for number in epoch_order([24], 0, 0)])
    assert np.array_equal(batch.images, wanted)
    large = loader(job, dataclasses.replace(inputs, photo_size=80))
    assert next(large.epoch(0)).images.shape == (8, 80, 80, 3)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_damaged_sample_is_refused_and_named(job, inputs):
    index = read_index(job.shards, read_manifest(job.shards)["shards"][0]).to_pylist()
    flip(job.shards / "train-000000.tar", index[7]["jpeg_offset"] + 100)
    with pytest.raises(CorruptOutputError, match=r"train-000000\.tar: sample p7_0 .*quarantine"):
        loader(job, inputs)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_sample_is_left_out_and_the_rest_goes_on(job, inputs, workers):
    wanted = [sample.pixels(64).tobytes() for sample in training_samples(job) if sample.image_id != "p7_0"]
    index = read_index(job.shards, read_manifest(job.shards)["shards"][0]).to_pylist()
    flip(job.shards / "train-000000.tar", index[7]["region_end"] - 1)
    hardware = HardwareSettings(workers=workers, corrupt_samples="quarantine")
    made = loader(job, inputs, batch_size=23, hardware=hardware)
    assert [(finding.image_id, finding.lost) for finding in made.quarantined] == [("p7_0", 1)]
    assert sorted(photos(made.epoch(0))) == sorted(wanted)


def test_a_damaged_index_is_drawn_up_again_from_its_shard(job, inputs):
    whole = list(loader(job, inputs).epoch(0))
    flip(job.shards / "train-000000.parquet", 500)
    with pytest.raises(CorruptOutputError, match=r"train-000000\.parquet is damaged"):
        loader(job, inputs)
    made = loader(job, inputs, hardware=HardwareSettings(corrupt_samples="quarantine"))
    assert [finding.lost for finding in made.quarantined] == [0]
    assert all(map(same, made.epoch(0), whole))


def feed(job, end):
    command = [sys.executable, Path(__file__).with_name("feeding.py"), job.shards, end]
    trainer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    return trainer, [int(pid) for pid in trainer.stdout.readline().split()]


def alive(pids):
    states = [Path(f"/proc/{pid}/stat") for pid in pids]
    return [path for path in states if path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z"]


def test_workers_go_on_when_the_group_is_told_to_end_and_die_with_the_trainer(job):
    trainer, workers = feed(job, "never")
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
        os.kill(worker, signal.SIGINT)
    time.sleep(0.3)
    assert trainer.poll() is None
    assert len(alive(workers)) == 2
    trainer.kill()
    trainer.wait()
    deadline = time.monotonic() + 5
    while alive(workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(workers) == []


def test_a_trainer_ends_at_once_when_it_is_done(job):
    trainer, workers = feed(job, "exit")
    assert trainer.wait(timeout=8) == 0
    assert len(workers) == 2
    assert alive(workers) == []


@pytest.mark.parametrize("window", [16, 40, 1_000])
def test_grouped_batches_hold_as_few_groups_as_can_be(window):
    random = np.random.default_rng(0)
    order, groups = random.permutation(107), random.integers(0, 5, 107)
    made = grouped_order(order, groups, 8, seed=0, epoch=1, window=window)
    assert sorted(made) == list(range(107)), "every sample once"
    assert list(made) == list(grouped_order(order, groups, 8, seed=0, epoch=1, window=window))
    assert list(made) != list(grouped_order(order, groups, 8, seed=0, epoch=2, window=window))
    batches = made[:104].reshape(13, 8)
    inside = max(8, window // 8 * 8)
    for begin in range(0, 104, inside):
        part = set(order[begin : begin + inside])
        own = [batch for batch in batches if part.issuperset(batch)]
        assert len(own) == len(part) // 8, "windows of the order stay windows"
        borders = sum(len(set(groups[batch])) - 1 for batch in own)
        assert borders <= 4, "a batch has a second group only where one ends"
    if window == 1_000:
        firsts = [groups[batch[0]] for batch in batches]
        assert firsts != sorted(firsts), "batches come in random order"


def test_grouped_epochs_are_every_second_one(job, inputs):
    brand = {sample.jpeg: (sample.entities.get("brand") or [""])[0] for sample in training_samples(job)}
    pixels = {sample.pixels(64).tobytes(): brand[sample.jpeg] for sample in training_samples(job)}
    plain, grouped = loader(job, inputs), loader(job, inputs, grouped=Grouped("brand", 2))
    assert (plain.groups, grouped.groups) == (0, 2)
    assert photos(grouped.epoch(0)) == photos(plain.epoch(0))
    assert photos(grouped.epoch(1)) != photos(plain.epoch(1))
    assert sorted(photos(grouped.epoch(1))) == sorted(photos(plain.epoch(1)))
    mixed, together = (
        sum(len({pixels[photo.numpy().tobytes()] for photo in batch.images}) for batch in made.epoch(1))
        for made in (plain, grouped)
    )
    assert together < mixed
    assert photos(grouped.epoch(1, start=2)) == photos(grouped.epoch(1))[16:], "an epoch can be entered at any step"


def test_ranks_share_grouped_batches(job, inputs):
    whole = loader(job, inputs, grouped=Grouped("brand", 1))
    shares = [loader(job, inputs, grouped=Grouped("brand", 1), rank=rank, ranks=2) for rank in (0, 1)]
    for batch, *parts in zip(whole.epoch(0), *(share.epoch(0) for share in shares), strict=True):
        assert photos([batch]) == photos(parts)


@pytest.mark.parametrize("group", ["season", ""])
def test_without_an_entity_of_the_group_batches_are_mixed(job, inputs, group):
    made = loader(job, inputs, grouped=Grouped(group, 1))
    assert made.groups == 0
    assert photos(made.epoch(0)) == photos(loader(job, inputs).epoch(0))
