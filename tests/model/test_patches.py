"""Patches of photos are what the tower's blocks make of each place, beside the place's own colours."""

import numpy as np
import pytest
import torch
from torch import nn

from eiclip.errors import SettingsError
from eiclip.model.cross_encoder import CrossEncoder
from eiclip.model.patches import KALEIDO_SIDES, MOST_SIDE, PatchReader, PatchStates, as_grid, pooled
from eiclip.model.sources import SMALL
from eiclip.model.towers import image_size, new_towers, pixel_statistics
from eiclip.settings.cross_modal import CrossSettings
from tests.kinds import KINDS, make
from tests.model.test_parts import resnet, small, with_timm


def averaged(grid, side):
    """Means of the places of an array (C, S, S) in each of SIDE x SIDE cells, as adaptive pooling cuts them."""
    channels, full, _ = grid.shape
    edges = [(n * full // side, -(-(n + 1) * full // side)) for n in range(side)]
    return np.array([[[grid[c, top:end, left:right].mean() for left, right in edges] for top, end in edges]
                     for c in range(channels)])  # fmt: skip


def photos(towers, count=2):
    side = image_size(towers)
    shown = np.random.default_rng(0).random((count, side, side, 3)).astype(np.float32)
    mean, deviation = (np.array(values, dtype=np.float32) for values in pixel_statistics(towers))
    return shown, torch.from_numpy(((shown - mean) / deviation).transpose(0, 3, 1, 2).copy())


@pytest.mark.parametrize("before", [0, 1, 3])
def test_tokens_of_places_lie_in_reading_order(before):
    tokens = torch.randn(2, before + 16, 5)
    found = as_grid(tokens)
    assert found.shape == (2, 5, 4, 4)
    for row in range(4):
        for column in range(4):
            assert torch.equal(found[:, :, row, column], tokens[:, before + 4 * row + column])


def test_grids_come_channels_first():
    grid = torch.randn(2, 5, 3, 3)
    assert torch.equal(as_grid(grid), grid)
    assert torch.equal(as_grid(grid.permute(0, 2, 3, 1), channels_last=True), grid)


def test_what_has_no_places_is_told():
    with pytest.raises(SettingsError, match=r"gives \(2, 5\), which has no places"):
        as_grid(torch.randn(2, 5))


def test_patches_are_means_of_places_scale_by_scale_in_reading_order():
    grid = torch.randn(2, 3, 7, 7)
    found = pooled(grid, (1, 2, 5)).numpy()
    assert found.shape == (2, 1 + 4 + 25, 3)
    for photo in range(2):
        wanted = [cell for side in (1, 2, 5) for cell in averaged(grid[photo].numpy(), side).reshape(3, -1).T]
        assert np.allclose(found[photo], wanted, atol=1e-5)


BUILDS = {
    "ViT": (small, lambda v: [v.transformer.resblocks[1], v.transformer.resblocks[3]], 4),
    "ResNet": (resnet, lambda v: [v.layer2, v.layer4], 2),
    "timm's ResNet": (with_timm("resnet10t"), lambda v: [v.trunk.layer2, v.trunk.layer4], 2),
    "timm's EfficientNet": (with_timm("tf_efficientnet_lite0"), lambda v: [v.trunk.blocks[2], v.trunk.blocks[6]], 2),
}  # fmt: skip


@pytest.mark.parametrize("build", BUILDS)
def test_each_build_is_read_at_an_early_block_the_last_one_and_the_photo_itself(build):
    make_towers, blocks, side = BUILDS[build]
    towers = make_towers().eval()
    shown, pixels = photos(towers)
    outputs = []
    hooks = [b.register_forward_hook(lambda _m, _i, out: outputs.append(out)) for b in blocks(towers.visual)]
    with torch.no_grad():
        towers.encode_image(pixels)
    for hook in hooks:
        hook.remove()
    reader = PatchReader(towers)
    found = reader.read(pixels).numpy()
    assert found.shape == (2, reader.channels, side, side)
    assert reader.side == side
    for photo in range(2):
        grids = []
        for output in (out[photo].numpy() for out in outputs):
            if output.ndim == 2:  # tokens: a class token, then places
                full = int((len(output) - 1) ** 0.5)
                output = output[-(full**2) :].T.reshape(-1, full, full)
            grids.append(averaged(output, side))
        colours = shown[photo].transpose(2, 0, 1)
        mean = averaged(colours, side)
        spread = np.sqrt(np.maximum(averaged(colours**2, side) - mean**2, 0))
        assert np.allclose(found[photo], np.concatenate([*grids, mean, spread]), atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tower_has_patches_that_do_not_hang_on_the_batch(kind, tmp_path):
    towers = make(kind, tmp_path / "copy").train()
    _, pixels = photos(towers, 3)
    reader = PatchReader(towers)
    whole, one = reader.read(pixels), reader.read(pixels[1:2])
    assert towers.training
    assert not whole.requires_grad
    assert whole.shape == (3, reader.channels, reader.side, reader.side)
    assert torch.allclose(whole[1:2], one, atol=1e-4)
    assert pooled(whole, KALEIDO_SIDES).shape == (3, 55, reader.channels)


def test_a_large_grid_is_averaged_down():
    towers = small(vision_cfg=SMALL["vision_cfg"] | {"image_size": 64, "patch_size": 8})
    assert PatchReader(towers).side == MOST_SIDE


def test_a_tower_of_an_unknown_build_is_told_in_one_sentence():
    towers = small()
    towers.visual.transformer = nn.Sequential()
    with pytest.raises(SettingsError, match=r"VisionTransformer: this image tower has no blocks.*choose towers"):
        PatchReader(towers)
    with pytest.raises(SettingsError, match="has no blocks"):
        CrossEncoder(towers, "fashionbert", CrossSettings(width=32, layers=2, heads=2), None, 32)


@torch.no_grad()
def test_a_digest_is_of_what_decides_the_patches():
    towers = new_towers(SMALL, 0)
    before = PatchReader(towers).digest()
    towers.token_embedding.weight += 1
    towers.logit_scale += 1
    assert PatchReader(towers).digest() == before == PatchReader(new_towers(SMALL, 0)).digest()
    towers.visual.transformer.resblocks[0].attn.in_proj_weight[0, 0] += 1
    changed = PatchReader(towers).digest()
    assert changed != before
    towers.visual.image_mean = (0.1, 0.2, 0.3)
    assert PatchReader(towers).digest() != changed


@torch.no_grad()
def test_patches_are_scaled_and_one_that_never_changes_counts_for_nothing():
    states = PatchStates(3, 2, 8)
    states.fit(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 0.0, 2.0]))
    patches = torch.tensor([[[2.0, 2.0, 3.0], [1.0, 900.0, -1.0]]])
    scaled = states.scaled(patches)
    assert torch.allclose(scaled, torch.tensor([[[2.0, 0.0, 0.0], [0.0, 0.0, -2.0]]]), atol=1e-5)
    wanted = scaled @ states.projection.weight.T + states.projection.bias + states.position
    assert torch.allclose(states(scaled), wanted, atol=1e-5)
