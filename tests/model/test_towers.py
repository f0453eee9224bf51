"""open_clip's towers: the cut and grouped text encoding is exact, what we save open_clip loads."""

import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from eiclip.errors import WeightsError
from eiclip.model.sources import CONFIG_FILE, SMALL, WEIGHTS_FILE
from eiclip.model.tokenizer import clip_tokenizer
from eiclip.model.towers import (
    encode_text,
    image_size,
    load_towers,
    new_towers,
    photo_form,
    pixel_statistics,
    save_towers,
    tokenizer_of,
)
from eiclip.shards import fit_square

TEXTS = ["coat", "a long sleeve denim jacket in black with silver tone hardware", "bag", "golden goose", "x " * 90, ""]


@pytest.fixture(scope="module")
def towers():
    return new_towers(SMALL, 0).eval()


def test_same_seed_same_weights(towers):
    again = new_towers(SMALL, 0)
    assert all(torch.equal(a, b) for a, b in zip(towers.parameters(), again.parameters(), strict=True))


@torch.inference_mode()
def test_cut_and_grouped_text_is_exact(towers):
    tokens = clip_tokenizer(64)(TEXTS)
    theirs = towers.encode_text(open_clip.SimpleTokenizer()(TEXTS, context_length=64))
    assert torch.allclose(encode_text(towers, tokens), theirs, atol=1e-5)
    alone = torch.cat([encode_text(towers, clip_tokenizer(64)([text])) for text in TEXTS])
    assert torch.allclose(alone, theirs, atol=1e-5)


def test_gradients_pass_through_the_groups():
    towers = new_towers(SMALL, 0)
    tokens = clip_tokenizer(64)(TEXTS)
    full = F.pad(tokens, (0, 64 - tokens.shape[1]))
    gradients = []
    for output in (encode_text(towers, tokens), towers.encode_text(full)):
        towers.zero_grad()
        output.square().sum().backward()
        gradients.append(towers.token_embedding.weight.grad.clone())
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-3 * float(gradients[1].abs().max()))


@torch.inference_mode()
def test_a_long_text_costs_the_short_ones_no_padding(towers):
    tokens = clip_tokenizer(64)(TEXTS * 20)
    lengths = tokenizer_of(towers).lengths(tokens)
    read = []
    with_shape = towers.transformer.register_forward_pre_hook(lambda _, given: read.append(given[0].shape[:2].numel()))
    encode_text(towers, tokens)
    with_shape.remove()
    assert lengths.sum() <= sum(read) < 2 * lengths.sum() < tokens.numel()


def test_tokens_are_cut_to_the_longest(towers):
    assert clip_tokenizer(64)(["coat"]).shape == (1, 3)
    assert clip_tokenizer(64)(TEXTS).shape == (len(TEXTS), 64)


@torch.inference_mode()
def test_open_clip_loads_what_is_saved(towers, tmp_path):
    save_towers(towers, tmp_path)
    pixels = torch.randn(2, 3, 64, 64)
    for loaded in (open_clip.create_model(f"local-dir:{tmp_path}").eval(), load_towers(tmp_path).eval()):
        assert torch.equal(loaded.encode_image(pixels), towers.encode_image(pixels))
    assert image_size(towers) == 64


WAYS = {
    "none": None,
    "usual": {"resize_mode": "shortest", "interpolation": "bicubic", "fill_color": 0},
    "siglip": {"resize_mode": "squash", "interpolation": "bicubic"},
    "mobile": {"resize_mode": "shortest", "interpolation": "bilinear"},
    "black": {"resize_mode": "longest", "interpolation": "bilinear", "fill_color": 0},
}


@pytest.mark.parametrize("way", WAYS)
def test_open_clip_prepares_photos_as_the_shards_do(way, tmp_path):
    towers = new_towers(SMALL, 0)
    if WAYS[way] is not None:
        towers.visual.preprocess_cfg = WAYS[way]
    save_towers(towers, tmp_path)
    form = photo_form(load_towers(tmp_path))
    assert form == photo_form(towers)
    _, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    mean, deviation = (torch.tensor(statistic).view(3, 1, 1) for statistic in pixel_statistics(towers))
    for width, height in ((64, 64), (300, 200), (97, 233), (20, 31), (65, 64), (101, 67)):
        pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
        photo = Image.fromarray(pixels)
        fitted = torch.from_numpy(np.array(fit_square(photo, form))).permute(2, 0, 1) / 255
        assert torch.allclose(preprocess(photo), (fitted - mean) / deviation, atol=1e-6), (width, height)


def test_open_clip_tokenizes_as_training_does(towers, tmp_path):
    save_towers(towers, tmp_path)
    theirs = open_clip.get_tokenizer(f"local-dir:{tmp_path}")(TEXTS)
    assert torch.equal(
        theirs, F.pad(clip_tokenizer(64)(TEXTS), (0, 64 - int(clip_tokenizer(64).lengths(theirs).max())))
    )


@torch.inference_mode()
@pytest.mark.parametrize("changed", [{"no_causal_mask": True}, {"pool_type": "last"}, {"pool_type": "first"}])
def test_text_is_cut_only_where_that_is_exact(changed):
    towers = new_towers(SMALL | {"text_cfg": SMALL["text_cfg"] | changed}, 0).eval()
    theirs = towers.encode_text(open_clip.SimpleTokenizer()(TEXTS[:4], context_length=64))
    assert torch.allclose(encode_text(towers, clip_tokenizer(64)(TEXTS[:4])), theirs, atol=1e-5)


def test_truncated_weights_are_a_clear_error(towers, tmp_path):
    save_towers(towers, tmp_path)
    file = tmp_path / WEIGHTS_FILE
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=str(tmp_path)):
        load_towers(tmp_path)


def test_a_contradiction_that_open_clip_asserts_is_a_clear_error(towers, tmp_path):
    save_towers(towers, tmp_path)
    config = json.loads((tmp_path / CONFIG_FILE).read_text())
    config["model_cfg"]["text_cfg"]["width"] *= 2
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="cannot load open_clip weights"):
        load_towers(tmp_path)


def test_a_home_holds_safetensors_only(towers, tmp_path):
    save_towers(towers, tmp_path)
    torch.save(towers.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(WeightsError, match=f"no {WEIGHTS_FILE} in it"):
        load_towers(tmp_path)
