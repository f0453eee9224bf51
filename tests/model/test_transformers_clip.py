"""CLIP as transformers saves it is the same model in open_clip's names: folders, the hub, and what cannot be read."""

import argparse
import json
import shlex
import shutil

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, SiglipConfig

from eiclip.errors import WeightsError
from eiclip.model.pretrained import configured_photos, resolve_towers
from eiclip.model.sources import local_files
from eiclip.model.towers import encode_text, load_towers, photo_form, pixel_statistics, save_towers, tokenizer_of
from tests.kinds import write_tokenizer

TEXTS = ["a coat", "hot! bag", "", "golden goose " * 20, "🔥!™ sneaker"]
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 20,
}  # fmt: skip
VISION = {
    "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
CONFIGS = {
    "as it is": ({}, {}),
    "older": ({"eos_token_id": 2}, {}),
    "gelu": ({"hidden_act": "gelu"}, {"hidden_act": "gelu"}),
    "tanh, other norms": ({"hidden_act": "gelu_new", "layer_norm_eps": 1e-3}, {"hidden_act": "gelu_pytorch_tanh"}),
    "own tokenizer": ({"vocab_size": 300, "eos_token_id": 1, "pad_token_id": 1}, {}),
    "own tokenizer, older": ({"vocab_size": 300, "eos_token_id": 2}, {}),
}


def write(folder, name="as it is", *, pickled=False):
    """Write a small random CLIPModel's folder and return it."""
    text, vision = CONFIGS[name]
    torch.manual_seed(0)
    config = CLIPConfig(text_config=TEXT | text, vision_config=VISION | vision, projection_dim=24)
    model = CLIPModel(config).eval()
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size, image_mean=[0.5] * 3, resample=2).save_pretrained(
        folder
    )
    if name.startswith("own"):
        write_tokenizer(folder, marks=["<unk>", "</s>", "<s>"], padding="</s>")
    if pickled:
        (folder / "model.safetensors").unlink()
        numbers = {"text_model.embeddings.position_ids": torch.arange(20)[None]}  # as older versions of it kept
        torch.save(model.state_dict() | numbers, folder / "pytorch_model.bin")
    return model


def feature(found):
    return getattr(found, "pooler_output", found)


@torch.inference_mode()
def same(model, towers):
    pixels, tokens_BL = torch.rand(2, 3, 32, 32), tokenizer_of(towers).ids(TEXTS)
    towers.eval()
    images = feature(model.get_image_features(pixel_values=pixels)), towers.encode_image(pixels)
    theirs = feature(model.get_text_features(input_ids=tokens_BL))
    ways = [towers.encode_text(tokens_BL), encode_text(towers, tokenizer_of(towers)(TEXTS))]
    return torch.allclose(*images, atol=1e-5) and all(torch.allclose(theirs, way, atol=1e-5) for way in ways)


@pytest.mark.parametrize("name", CONFIGS)
def test_embeddings_are_those_of_transformers_and_so_are_those_of_the_export(name, tmp_path):
    model = write(tmp_path / "copy", name)
    towers = resolve_towers("ignored", str(tmp_path / "copy"))
    assert same(model, towers)
    assert configured_photos("ignored", str(tmp_path / "copy")).size == 32
    assert tokenizer_of(towers).is_clip == (not name.startswith("own"))
    shutil.rmtree(tmp_path / "copy")
    (tmp_path / "saved").mkdir()
    save_towers(towers, tmp_path / "saved")
    assert same(model, load_towers(tmp_path / "saved"))
    exported = open_clip.create_model(f"local-dir:{tmp_path / 'saved'}").eval()
    tokens_BL = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'saved'}")(TEXTS)
    with torch.inference_mode():
        theirs = feature(model.get_text_features(input_ids=tokens_BL))
        assert torch.allclose(exported.encode_text(tokens_BL), theirs, atol=1e-5)


@pytest.mark.parametrize("named", ["", "pytorch_model.bin"])
def test_weights_may_be_pickled_and_named(named, tmp_path):
    model = write(tmp_path, pickled=True)
    assert same(model, resolve_towers("ignored", str(tmp_path / named)))
    names = {file.name for file in local_files(str(tmp_path / named))}
    assert names == {"pytorch_model.bin", "config.json", "preprocessor_config.json"}


def test_a_hub_repository(tmp_path, hub):
    model = write(tmp_path / "copy", "own tokenizer")
    assert same(model, resolve_towers("ignored", "hf-hub:patrickjohncyh/fashion-clip"))


def test_clips_own_vocabulary_is_known_whatever_file_it_lies_in(tmp_path):
    write(tmp_path)
    tokens = {token: number for token, number in open_clip.SimpleTokenizer().encoder.items() if number < 49406}
    tokens |= {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    (tmp_path / "vocab.json").write_text(json.dumps(tokens))
    assert tokenizer_of(resolve_towers("ignored", str(tmp_path))).is_clip
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": tokens}}))
    assert tokenizer_of(resolve_towers("ignored", str(tmp_path))).is_clip


def test_photos_are_prepared_as_transformers_does(tmp_path):
    write(tmp_path / "copy")
    towers = resolve_towers("ignored", str(tmp_path / "copy"))
    assert pixel_statistics(towers)[0] == [0.5] * 3
    assert configured_photos("ignored", str(tmp_path / "copy")) == photo_form(towers)
    (tmp_path / "saved").mkdir()
    save_towers(towers, tmp_path / "saved")
    _, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'saved'}")
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8))
    theirs = CLIPImageProcessor.from_pretrained(tmp_path / "copy")(photo, return_tensors="pt")["pixel_values"][0]
    assert torch.allclose(preprocess(photo), theirs, atol=0.02)  # a level of 256 is 0.015


def changed(**values):
    def change(folder):
        file = folder / "config.json"
        found = json.loads(file.read_text())
        for side, more in values.items():
            found[side] = found[side] | more if isinstance(more, dict) else more
        file.write_text(json.dumps(found))

    return change


def processor(**values):
    def change(folder):
        file = folder / "preprocessor_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return change


def in_parts(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")


def alone(folder):
    (folder / "config.json").unlink()


BROKEN = {
    "no preprocessing": (lambda folder: (folder / "preprocessor_config.json").unlink(), "no preprocessor_config.json"),
    "another size": (processor(crop_size=64), "resizes to .*32.* and crops to 64, its photos have 32 pixels"),
    "no mean": (processor(image_mean=None), "cannot be described to open_clip"),
    "another model": (lambda folder: SiglipConfig().save_pretrained(folder), "of a 'siglip'.*hf-hub:timm"),
    "another width": (changed(text_config={"hidden_size": 64}), "do not fit their configuration"),
    "another GELU": (changed(text_config={"hidden_act": "relu"}), "different GELUs|hidden_act 'relu'"),
    "no tokenizer": (changed(text_config={"vocab_size": 300}), "its 300 tokens are not CLIP's"),
    "in parts": (in_parts, "weights in parts, and no model.safetensors.index.json.*copy it beside"),
    "no configuration": (alone, "copy config.json and preprocessor_config.json of the model"),
}


def whole_and_in_parts(folder):
    model = write(folder / "whole")
    write(folder / "parts")
    (folder / "parts" / "model.safetensors").unlink()
    model.save_pretrained(folder / "parts", max_shard_size="100KB")
    return model


@pytest.mark.parametrize(
    "named", ["", "model.safetensors.index.json", "model-00002-of-00004.safetensors", "config.json"]
)
def test_a_model_in_parts(named, tmp_path):
    model = whole_and_in_parts(tmp_path)
    place = tmp_path / "parts" / named
    assert same(model, resolve_towers("ignored", str(place)))
    assert len([file for file in local_files(str(place)) if file.suffix == ".safetensors"]) == 4
    (tmp_path / "parts" / "model-00003-of-00004.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"index\.json: its parts model-00003-of-00004\.safetensors are not there"):
        resolve_towers("ignored", str(place))


def test_a_pickled_model_in_parts(tmp_path):
    model = write(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    state = list(model.state_dict().items())
    parts = {f"pytorch_model-0000{part}-of-00002.bin": dict(state[part - 1 :: 2]) for part in (1, 2)}
    for name, weights in parts.items():
        torch.save(weights, tmp_path / name)
    index = {"weight_map": {weight: name for name, weights in parts.items() for weight in weights}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert same(model, resolve_towers("ignored", str(tmp_path)))


@pytest.mark.parametrize("name", ["fashion-clip.safetensors", "checkpoint.pt", "model.fp32.safetensors"])
def test_a_folder_with_weights_of_another_name_by_folder_and_by_file(name, tmp_path):
    model = write(tmp_path)
    if name.endswith(".pt"):
        (tmp_path / "model.safetensors").unlink()
        torch.save(
            {"state_dict": {f"model.{key}": value for key, value in model.state_dict().items()}}, tmp_path / name
        )
    else:
        (tmp_path / "model.safetensors").rename(tmp_path / name)
    torch.save({"state": {}}, tmp_path / "optimizer.pt")  # as transformers' training leaves it
    for place in (tmp_path, tmp_path / name, tmp_path / "config.json"):
        assert same(model, resolve_towers("ignored", str(place)))


def test_their_weights_in_a_repository_that_has_open_clips_too(tmp_path):
    model = write(tmp_path / "both")
    towers = resolve_towers("ignored", str(tmp_path / "both"))
    save_towers(towers, tmp_path / "both")
    for name in ("", "model.safetensors", "open_clip_model.safetensors", "open_clip_config.json"):
        assert same(model, resolve_towers("ignored", str(tmp_path / "both" / name)))


def run(message):
    """Run the command that an error gives."""
    _, code = shlex.split(message.rpartition(": python ")[2])
    exec(compile(code, "command", "exec"), {})


def refusal(place):
    with pytest.raises(WeightsError) as caught:
        resolve_towers("ViT-B-32", str(place))
    return str(caught.value)


@pytest.mark.parametrize("named", ["", "model.safetensors"])
def test_what_the_errors_say_to_do_helps(named, tmp_path):
    model = write(tmp_path / "origin")
    model.save_pretrained(tmp_path / "tuned")  # transformers saves no processor with a model
    place = tmp_path / "tuned" / named
    run(refusal(place))
    towers = resolve_towers("ignored", str(place))
    assert same(model, towers)
    assert pixel_statistics(towers)[0] == list(open_clip.OPENAI_DATASET_MEAN)
    assert configured_photos("ignored", str(place)).interpolation == "bicubic"
    for file in tmp_path.glob("tuned/*.json"):
        file.unlink()
    said = refusal(place)
    assert "copy config.json and preprocessor_config.json of the model that it was trained from" in said
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(tmp_path / "origin" / name, tmp_path / "tuned")
    assert same(model, resolve_towers("ignored", str(place)))
    shutil.move(tmp_path / "tuned", tmp_path / "run" / "checkpoint-500")
    assert "name one of its folders (checkpoint-500)" in refusal(tmp_path / "run")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "last.ckpt"])
@pytest.mark.parametrize("by_file", [True, False])
def test_a_checkpoint_with_more_than_tensors_is_read_once_it_is_converted(name, by_file, tmp_path):
    model = write(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    weights = {f"clip.{key}": value for key, value in model.state_dict().items()}
    weights["loss.weight"] = torch.zeros(2)
    torch.save({"state_dict": weights, "hyper_parameters": argparse.Namespace(rate=1)}, tmp_path / name)
    said = refusal(tmp_path / name if by_file else tmp_path)
    run(said)
    made = (tmp_path / name).with_suffix(".safetensors")
    assert f"and name {made}" in said
    for place in (made, tmp_path):
        assert same(model, resolve_towers("ignored", str(place)))


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_said_in_a_sentence(name, tmp_path):
    change, said = BROKEN[name]
    write(tmp_path)
    change(tmp_path)
    for place in (tmp_path, tmp_path / "model.safetensors"):
        if place.exists():
            with pytest.raises(WeightsError, match=said):
                resolve_towers("ViT-B-32", str(place))
