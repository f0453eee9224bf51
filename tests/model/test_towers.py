"""open_clip's towers: the cut and grouped text encoding is exact, what we save open_clip loads."""

import open_clip
import pytest
import torch
from torch.nn import functional as F

from eiclip.errors import WeightsError
from eiclip.model.towers import (
    SMALL,
    WEIGHTS_FILE,
    configured_image_size,
    encode_text,
    image_size,
    load_released,
    load_towers,
    new_towers,
    save_towers,
    tokenize,
)

TEXTS = ["coat", "a long sleeve denim jacket in black with silver tone hardware", "bag", "golden goose", "x " * 90, ""]


@pytest.fixture(scope="module")
def towers():
    return new_towers(SMALL, 0).eval()


def test_same_seed_same_weights(towers):
    again = new_towers(SMALL, 0)
    assert all(torch.equal(a, b) for a, b in zip(towers.parameters(), again.parameters(), strict=True))


@torch.inference_mode()
def test_cut_and_grouped_text_is_exact(towers):
    tokens = tokenize(TEXTS, 64)
    theirs = towers.encode_text(open_clip.SimpleTokenizer()(TEXTS, context_length=64))
    assert torch.allclose(encode_text(towers, tokens), theirs, atol=1e-5)
    alone = torch.cat([encode_text(towers, tokenize([text], 64)) for text in TEXTS])
    assert torch.allclose(alone, theirs, atol=1e-5)


def test_gradients_pass_through_the_groups():
    towers = new_towers(SMALL, 0)
    tokens = tokenize(TEXTS, 64)
    full = F.pad(tokens, (0, 64 - tokens.shape[1]))
    gradients = []
    for output in (encode_text(towers, tokens), towers.encode_text(full)):
        towers.zero_grad()
        output.square().sum().backward()
        gradients.append(towers.token_embedding.weight.grad.clone())
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-3 * float(gradients[1].abs().max()))


def test_tokens_are_cut_to_the_longest(towers):
    assert tokenize(["coat"], 64).shape == (1, 3)
    assert tokenize(TEXTS, 64).shape == (len(TEXTS), 64)


@torch.inference_mode()
def test_open_clip_loads_what_is_saved(towers, tmp_path):
    save_towers(towers, tmp_path)
    pixels = torch.randn(2, 3, 64, 64)
    for loaded in (open_clip.create_model(f"local-dir:{tmp_path}").eval(), load_towers(tmp_path).eval()):
        assert torch.equal(loaded.encode_image(pixels), towers.encode_image(pixels))
    assert configured_image_size("ignored", str(tmp_path)) == image_size(towers) == 64


def test_truncated_weights_are_a_clear_error(towers, tmp_path):
    save_towers(towers, tmp_path)
    file = tmp_path / WEIGHTS_FILE
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=str(tmp_path)):
        load_towers(tmp_path)


def test_unknown_names_say_what_there_is():
    with pytest.raises(WeightsError, match=r"neither `general`.*openai"):
        load_released("ViT-B-32", "no-such-tag")
    with pytest.raises(WeightsError, match="EICLIP_MODEL='ViT-Q'"):
        load_released("ViT-Q", "openai")
    assert configured_image_size("ViT-B-16", "openai") == 224


def test_a_file_of_another_model_is_a_clear_error(towers, tmp_path):
    save_towers(towers, tmp_path)
    with pytest.raises(WeightsError, match="EICLIP_PRETRAINED=general"):
        load_released("ViT-B-32", str(tmp_path / WEIGHTS_FILE))
