"""Patches of shards are what the reader makes of their photos, made once, and again for other towers or photos."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from eiclip.errors import CorruptOutputError
from eiclip.features.patches import MOST_TOWERS, PatchStore, grey, split_values
from eiclip.features.reader import features_of
from eiclip.model.patches import PatchReader
from eiclip.model.towers import pixel_statistics
from eiclip.shards import read_samples, shard_paths, write_shards

SIDE = 4


@pytest.fixture
def shards(shop, tmp_path):
    write_shards((("train", sample) for sample in shop.samples()), tmp_path / "shards", photo_size=64)
    return tmp_path / "shards"


@pytest.fixture
def store_of(shop, shards, tmp_path):
    """Makes the store of a model whose image tower may be changed, in the same folder every time."""

    def store_of(change=0.0, *, tasks=False):
        model = shop.model("clip_description")
        with torch.no_grad():
            model.towers.visual.transformer.resblocks[0].mlp.c_fc.bias += change
        return PatchStore(tmp_path / "patches", shards, model, tasks=tasks)

    return store_of


def read_by(model, photos):
    """The reader's patches of photos as arrays (H, W, 3) of bytes, normalised here."""
    mean, deviation = (np.array(values) for values in pixel_statistics(model.towers))
    pixels = ((np.stack(photos) / 255 - mean) / deviation).transpose(0, 3, 1, 2)
    return PatchReader(model.towers).read(torch.from_numpy(pixels.astype(np.float32)))


def close(found, wanted):
    return torch.allclose(found, wanted, atol=4e-3, rtol=4e-3)  # kept in half precision


def test_values_are_the_readers_of_the_same_photos(store_of, shards):
    store = store_of(tasks=True)
    [shard] = shard_paths(shards, "train")
    ids, values = store.photos(shard)
    samples = list(read_samples([shard]))
    assert ids == [sample.image_id for sample in samples]
    assert values.dtype == torch.float16
    photos = [sample.pixels(64) for sample in samples]
    channels = store.reader.channels
    grid, views = split_values(values[:, 0], channels, SIDE, tasks=True)
    assert close(grid, read_by(store.model, photos))
    flat = [np.stack([np.asarray(Image.fromarray(photo).convert("L"))] * 3, axis=2) for photo in photos]
    wanted = F.adaptive_avg_pool2d(read_by(store.model, flat), 4).flatten(2).transpose(1, 2)
    assert torch.allclose(views.grey_BQC, wanted, atol=0.05)
    for number, turn in enumerate((Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)):
        turned = [np.asarray(Image.fromarray(photo).transpose(turn)) for photo in photos]
        assert close(views.turned_B3C[:, number], read_by(store.model, turned).mean(dim=(2, 3)))
    plain, nothing = split_values(store_of().photos(shard)[1][:, 0], channels, SIDE)
    assert nothing is None
    assert torch.equal(plain, grid)


def test_grey_is_pillows_grey():
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = grey(torch.from_numpy(photo)[None])[0].numpy()
    assert found.dtype == np.uint8
    wanted = np.asarray(Image.fromarray(photo).convert("L")).astype(int)
    assert np.abs(found.astype(int) - wanted[..., None]).max() <= 1


def test_they_are_made_once_and_again_for_other_towers(store_of, shards, monkeypatch):
    [shard] = shard_paths(shards, "train")
    made = []
    computed = PatchStore._computed
    monkeypatch.setattr(PatchStore, "_computed", lambda self, *given: made.append(given[1]) or computed(self, *given))
    _, first = store_of().photos(shard)
    _, again = store_of().photos(shard)
    assert torch.equal(first, again)
    assert made == ["grid"]
    store_of(tasks=True).photos(shard)
    assert made == ["grid", "grey", "turned"], "what is there already is read"
    _, other = store_of(0.5).photos(shard)
    assert made[3:] == ["grid"]
    assert not torch.equal(first, other)
    store_of().photos(shard)
    assert len(made) == 4, "both towers' are kept"


def test_they_are_made_again_for_other_photos(shop, store_of, shards):
    [shard] = shard_paths(shards, "train")
    _, before = store_of().photos(shard)
    samples = list(shop.samples())
    others = [samples[0], replace(samples[1], jpeg=samples[5].jpeg), *samples[2:]]
    write_shards((("train", sample) for sample in others), shards, photo_size=64)
    _, after = store_of().photos(shard)
    assert [torch.equal(*pair) for pair in zip(before, after, strict=True)] == [True, False] + [True] * 10


def test_a_damaged_file_is_told(store_of, shards):
    [shard] = shard_paths(shards, "train")
    store = store_of()
    store.photos(shard)
    [file] = store.folder.rglob("*.grid.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorruptOutputError, match=r"delete it: it is then computed again"):
        store.photos(shard)


def test_the_last_towers_are_kept_and_no_more(store_of, shards, tmp_path):
    [shard] = shard_paths(shards, "train")
    for change in range(MOST_TOWERS + 2):
        store_of(float(change)).photos(shard)
    assert len(list((tmp_path / "patches").iterdir())) == MOST_TOWERS


def test_photos_are_found_by_their_ids(store_of, shards):
    paths = shard_paths(shards, "train")
    store = store_of()
    ids, values = store.photos(paths[0])
    found = features_of(store, paths)
    assert torch.equal(found.photos([ids[7], ids[2]]), values[[7, 2], 0])
    assert found.texts(lambda text, _: text) is None
    with pytest.raises(CorruptOutputError, match="no features of photo 'stranger'"):
        found.photos(["stranger"])
