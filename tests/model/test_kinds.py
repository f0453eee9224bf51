"""Every kind of tower is read as open_clip reads it, and saved as open_clip alone loads it again."""

import json
import shutil

import huggingface_hub
import open_clip
import pytest
import torch

from eiclip.errors import WeightsError
from eiclip.model.pretrained import resolve_towers
from eiclip.model.sources import CONFIG_FILE
from eiclip.model.towers import encode_text, image_size, load_towers, save_towers, tokenizer_of
from tests.kinds import KINDS, make, write_tokenizer

TEXTS = ["a coat", "hot! bag", "", "golden goose " * 20, "🔥!™ sneaker"]


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_every_kind_is_read_saved_and_loaded_by_open_clip_alone(kind, tmp_path):
    wanted = make(kind, tmp_path / "hub copy")
    towers = resolve_towers("ignored", str(tmp_path / "hub copy"))
    (tmp_path / "part").mkdir()
    save_towers(towers, tmp_path / "part", tmp_path / "saved")
    (tmp_path / "part").rename(tmp_path / "saved")
    shutil.rmtree(tmp_path / "hub copy")
    exported, _, _ = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'saved'}")
    tokens_BL = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'saved'}")(TEXTS)
    pixels = torch.rand(2, 3, image_size(towers), image_size(towers))
    images, texts = wanted.encode_image(pixels), wanted.encode_text(tokens_BL)
    (tmp_path / "saved").rename(tmp_path / "moved")
    for model in (exported, towers, load_towers(tmp_path / "moved")):
        model.eval()
        assert torch.allclose(model.encode_image(pixels), images, atol=1e-5)
        assert torch.allclose(model.encode_text(tokens_BL), texts, atol=1e-5)
        assert model.logit_bias == wanted.logit_bias
    assert torch.allclose(encode_text(towers, tokenizer_of(towers)(TEXTS)), texts, atol=1e-5)


def removed(name):
    return lambda folder: (folder / name).unlink()


def other_tokenizer(folder):
    write_tokenizer(folder, marks=["<pad>", "</s>", "<s>"], padding="<pad>", size=301)


def no_padding(folder):
    described = json.loads((folder / "tokenizer_config.json").read_text())
    del described["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(described))


def wider(folder):
    described = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(described | {"hidden_size": 64}))


def no_tower(folder):
    (folder / "config.json").write_text('{"model_type": "clip"}')


def no_tokenizer(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()


def unnamed(folder):
    config = json.loads((folder / CONFIG_FILE).read_text())
    del config["model_cfg"]["text_cfg"]["hf_tokenizer_name"]
    (folder / CONFIG_FILE).write_text(json.dumps(config))


BROKEN = {
    "siglip without a tokenizer": ("siglip", no_tokenizer, "tokenizer .hf_tokenizer_name 'shop/words'.*beside"),
    "siglip with another's": ("siglip", other_tokenizer, "301 tokens and the text tower 300"),
    "siglip that names none": ("siglip", unnamed, "its 300 tokens are not CLIP's 49,408"),
    "a tokenizer without padding": ("siglip", no_padding, "no padding token"),
    "a tokenizer that is none": (
        "siglip",
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        "cannot be read",
    ),
    "bert without its configuration": (
        "bert",
        removed("config.json"),
        "text tower .hf_model_name 'shop/words'.*beside",
    ),
    "bert of another width": ("bert", wider, "do not fit their configuration"),
    "bert with CLIP's configuration": ("bert", no_tower, "config.json is of a clip"),
    "a configuration that is none": ("bert", lambda folder: (folder / "config.json").write_text("[]"), "not an object"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_missing_or_contradicts_the_weights_is_said_in_a_sentence(name, tmp_path):
    kind, change, said = BROKEN[name]
    make(kind, tmp_path / "copy")
    change(tmp_path / "copy")
    with pytest.raises(WeightsError, match=f"(?s){said}") as caught:
        resolve_towers("ignored", str(tmp_path / "copy"))
    assert "EICLIP_PRETRAINED" in str(caught.value) or "copy" in str(caught.value)


def test_a_folder_that_is_named_for_the_tokenizer_and_the_tower_will_do(tmp_path):
    wanted = make("bert", tmp_path / "copy")
    (tmp_path / "words").mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "copy" / name).rename(tmp_path / "words" / name)
    config = json.loads((tmp_path / "copy" / CONFIG_FILE).read_text())
    named = dict.fromkeys(("hf_model_name", "hf_tokenizer_name"), str(tmp_path / "words"))
    config["model_cfg"]["text_cfg"] |= named
    (tmp_path / "copy" / CONFIG_FILE).write_text(json.dumps(config))
    towers = resolve_towers("ignored", str(tmp_path / "copy"))
    assert torch.equal(towers.text.proj[0].weight, wanted.text.proj[0].weight)
