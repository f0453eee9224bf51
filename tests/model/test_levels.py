"""Levels of an image tower: a photo's colours, and mean and deviation of each channel of its blocks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import open_clip
import pytest
import torch
from torch import nn

from eiclip.model.entity_clip import EntityClipModel, load_checkpoint, save_checkpoint
from eiclip.model.levels import COLOURS, MOST_LEVELS, SHADES, SIDE, ImageLevels, LevelHead, image_blocks
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers, pixel_statistics
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.settings.training import TrainingSettings
from tests.model.test_parts import resnet, small, with_timm

VOCABULARY = Vocabulary({"brand": ["<unk>", "b"]}, {})


def with_levels(towers, **settings):
    model = EntityClipModel(towers, get_variant("eiclip"), VOCABULARY, TrainingSettings(image_levels=True, **settings))
    return model.eval()


def photos(count=3, side=64):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(count, 3, side, side)).astype(np.float32))


def vit():
    return small(vision_cfg={"image_size": 224, "timm_model_name": "vit_tiny_patch16_224"})


def read(model, pixels):
    with torch.no_grad(), model.image_levels.read() as found:
        model.towers.encode_image(pixels)
    return model.image_levels.of(pixels, found)


def test_blocks_are_pooled_channel_by_channel():
    model = with_levels(small())
    pixels = photos()
    outputs = []
    hooks = [block.register_forward_hook(lambda _m, _i, out: outputs.append(out)) for block in
             model.towers.visual.transformer.resblocks]  # fmt: skip
    with torch.no_grad():
        model.towers.encode_image(pixels)
    for hook in hooks:
        hook.remove()
    wanted = np.concatenate(
        [part for out in outputs for part in (out.numpy().mean(axis=1), out.numpy().std(axis=1))], axis=1
    )
    assert np.allclose(read(model, pixels)[:, COLOURS:].numpy(), wanted, atol=1e-4)


def test_colours_are_those_of_the_photo_itself():
    towers = small()
    levels = ImageLevels(towers, lambda pixels: pixels)
    mean, deviation = (np.array(values, dtype=np.float32) for values in pixel_statistics(towers))
    shown = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.float32) / 255
    pixels = torch.from_numpy(((shown - mean) / deviation).transpose(0, 3, 1, 2).copy())
    colours = levels.of(pixels, [])[:, :COLOURS].numpy()
    tiles = shown.reshape(2, SIDE, 64 // SIDE, SIDE, 64 // SIDE, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    assert np.allclose(colours[:, : 3 * SIDE**2], tiles.reshape(2, -1), atol=1e-4)
    edges = np.linspace(0, 1, SHADES + 1)
    for photo, found in zip(shown, colours[:, 3 * SIDE**2 :], strict=True):
        counts, _ = np.histogramdd(photo.reshape(-1, 3), bins=[edges] * 3)
        assert np.allclose(found**2, (counts / counts.sum()).ravel(), atol=1e-3)


@pytest.mark.parametrize(
    ("towers", "blocks"),
    [(small, 4), (resnet, 4), (with_timm("resnet10t"), 4), (vit, 12),
     (with_timm("tf_efficientnet_lite0"), 7)],
)  # fmt: skip
def test_every_known_build_has_blocks_and_the_last_is_among_them(towers, blocks):
    towers = towers()
    found = image_blocks(towers)
    assert len(found) == blocks
    levels = ImageLevels(towers, None)
    assert levels.blocks[-1] is found[-1]
    assert len(set(levels.blocks)) == len(levels.blocks) == min(blocks, MOST_LEVELS)
    assert levels.width > COLOURS


def test_a_tower_of_an_unknown_build_has_its_photos_colours_alone():
    towers = small()
    towers.visual.transformer = nn.Sequential()  # nothing that is called blocks
    levels = ImageLevels(towers, lambda pixels: pixels.flatten(1)[:, :5])
    assert (levels.blocks, levels.width, levels.looked_shape) == ([], COLOURS, (5,))


@pytest.mark.parametrize("mode", ["heads", "frozen", "last:2"])
def test_from_features_or_from_pixels_the_embedding_is_the_same(mode):
    model = with_levels(small(), image_tower=mode)
    model.level_head.fit(torch.randn(model.image_levels.width), torch.rand(model.image_levels.width) + 0.5)
    pixels = photos()
    with torch.no_grad():
        whole = model.encode_image(pixels)
        with model.image_levels.read() as found:
            lower = model.image_parts.lower(pixels)
        features = torch.cat([lower.flatten(1), model.image_levels.of(pixels, found)], dim=1)
        assert torch.allclose(model.encode_image_features(features), whole, atol=1e-4)
        without = EntityClipModel(
            model.towers, get_variant("eiclip"), VOCABULARY, TrainingSettings(image_tower=mode)
        ).eval()
        assert torch.equal(without.encode_image(pixels), model.towers.encode_image(pixels))
        assert not torch.allclose(nn.functional.normalize(without.encode_image(pixels)), nn.functional.normalize(whole))


def test_reading_leaves_the_towers_as_they_were():
    towers = small()
    towers.train()
    towers.visual.transformer.eval()
    assert ImageLevels(towers, None).width > 0
    assert towers.training
    assert not towers.visual.transformer.training


def test_a_value_that_never_changes_counts_for_nothing():
    head = LevelHead(3, 8)
    head.fit(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 0.0, 2.0]))
    levels = torch.tensor([[1.0, 2.0, 3.0], [1.0, 5000.0, 3.0], [2.0, 2.0, 3.0]])
    plain, odd, other = head(levels)
    assert torch.allclose(plain, odd, atol=1e-4)
    assert not torch.allclose(plain, other, atol=1e-4)
    assert torch.allclose(head(levels).norm(dim=1), torch.ones(3))


def test_a_checkpoint_with_levels_comes_back(tmp_path):
    model = with_levels(new_towers(SMALL, 0))
    model.level_head.fit(torch.randn(model.image_levels.width), torch.rand(model.image_levels.width) + 0.5)
    save_checkpoint(model, tmp_path / "model", {})
    again = load_checkpoint(tmp_path / "model").eval()
    pixels = photos()
    with torch.no_grad():
        assert torch.equal(again.encode_image(pixels), model.encode_image(pixels))
    assert open_clip.create_model(f"local-dir:{tmp_path / 'model'}") is not None, "its towers are open_clip's own"


def test_the_head_is_in_an_optimizer_group_of_its_own():
    groups = {group["name"]: group for group in with_levels(small()).parameter_groups(TrainingSettings(entity_lr=0.5))}
    assert groups["levels"]["lr"] == 0.5
    assert len(groups["levels"]["params"]) == 4


def test_threads_read_each_its_own_photos():
    model = with_levels(small())
    batches = [photos(2) + n for n in range(12)]
    with torch.no_grad():
        alone = [model.encode_image(batch) for batch in batches]

    def encode(batch):
        with torch.no_grad():
            return model.encode_image(batch)

    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(encode, batches * 3), alone * 3, strict=True):
            assert torch.allclose(found, wanted, atol=1e-4)


def test_gradients_are_the_same_with_checkpointing():
    model = with_levels(small()).train()
    pixels, weights = photos(), torch.linspace(-1, 1, model.level_head.mlp[-1].out_features)

    def gradients():
        model.zero_grad()
        (model.encode_image(pixels) * weights).sum().backward()
        return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}

    plain = gradients()
    model.towers.set_grad_checkpointing(True)
    again = gradients()
    assert plain.keys() == again.keys()
    assert any("resblocks.0" in name for name in plain), "the tower learns by its levels too"
    assert all(torch.allclose(again[name], gradient, atol=1e-5) for name, gradient in plain.items())


def test_what_is_not_trained_has_no_head():
    settings = TrainingSettings(image_levels=True)
    assert EntityClipModel(small(), get_variant("clip_pretrained"), VOCABULARY, settings).level_head is None
