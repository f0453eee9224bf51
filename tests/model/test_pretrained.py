"""Weights from outside: every form that open_clip's models come in loads, and nothing but tensors is read of them."""

import json
import logging
import shutil

import huggingface_hub
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from eiclip.errors import WeightsError
from eiclip.model.pretrained import configured_photos, resolve_towers
from eiclip.model.sources import CONFIG_FILE, PICKLE_FILE, SMALL, WEIGHTS_FILE, local_weights
from eiclip.model.towers import (
    encode_text,
    load_towers,
    pad_photos,
    photo_form,
    pixel_statistics,
    save_towers,
    tokenizer_of,
)
from eiclip.shards import PhotoForm
from tests.kinds import make
from tests.model.conftest import GREY, QUICK

pytestmark = pytest.mark.usefixtures("small_model")


@torch.inference_mode()
def same(model, towers):
    pixels, tokens = torch.randn(2, 3, 64, 64), open_clip.SimpleTokenizer()(["a coat", "a bag"], context_length=64)
    model.eval()
    one, other = ((each.encode_image(pixels), each.encode_text(tokens)) for each in (model, towers))
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("weights", [WEIGHTS_FILE, PICKLE_FILE])
def test_a_hub_copy_brings_its_own_configuration(hub_copy, quick, tmp_path, weights):
    folder = hub_copy(tmp_path / "copy", quick, weights=weights)
    shutil.copy(folder / CONFIG_FILE, folder / "pytorch_model.bin")  # other files of a repository are left alone
    model = resolve_towers("ignored", str(folder))
    assert model.training, "as open_clip gives it"
    assert same(model, quick), "QuickGELU is in the configuration"
    assert pixel_statistics(model) == ([0.5] * 3, [0.25] * 3)
    assert configured_photos("ignored", str(folder)).size == 64
    save_towers(model, tmp_path)
    again = load_towers(tmp_path)
    assert same(again, quick)
    assert pixel_statistics(again) == pixel_statistics(model)
    saved = json.loads((tmp_path / CONFIG_FILE).read_text())["preprocess_cfg"]
    assert (saved["mean"], saved["resize_mode"], saved["size"]) == ([0.5] * 3, "shortest", 64)
    assert configured_photos("ignored", str(folder)) == photo_form(model) == PhotoForm(64, "shortest", "bicubic", 0)
    pad_photos(model)
    assert photo_form(model) == PhotoForm(64)


@pytest.mark.parametrize("named", ["models--shop--clip", "models--shop--clip/snapshots/c0ffee"])
def test_a_hub_cache_with_its_links(hub_copy, quick, tmp_path, named):
    cache = tmp_path / "models--shop--clip"
    blobs, snapshot = cache / "blobs", cache / "snapshots" / "c0ffee"
    hub_copy(blobs, quick)
    snapshot.mkdir(parents=True)
    for number, file in enumerate(sorted(blobs.iterdir())):  # names without an ending, as the hub's cache has them
        file.rename(blobs / f"{number:040x}")
        (snapshot / file.name).symlink_to(f"../../blobs/{number:040x}")
    (cache / "snapshots" / "0ther").mkdir()
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("c0ffee")
    assert same(resolve_towers("ignored", str(tmp_path / named)), quick)
    if not named.endswith("c0ffee"):
        (cache / "refs" / "main").unlink()
        with pytest.raises(WeightsError, match=r"several snapshots \(0ther, c0ffee\)"):
            resolve_towers("ignored", str(cache))


@pytest.mark.parametrize("saved", ["weights.safetensors", "weights.pt", "weights.bin", "blob"])
def test_a_bare_file_is_read_as_the_model_that_the_settings_name(quick, tmp_path, saved):
    file = tmp_path / saved
    if file.suffix in {".safetensors", ""}:
        save_towers(quick, tmp_path)
        (tmp_path / CONFIG_FILE).unlink()
        (tmp_path / WEIGHTS_FILE).rename(file)
    else:
        torch.save(quick.state_dict(), file)
    assert same(resolve_towers("small", str(file)), quick)
    assert configured_photos("small", str(file)).size == 64
    assert local_weights(str(file)) == (file, None)


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.", "model.module.", "net.clip."]
)
@pytest.mark.parametrize("within", [None, "state_dict", "model", "ema", "safetensors"])
def test_what_programs_put_before_and_around_weights_is_taken_away(quick, tmp_path, prefix, within):
    """`state_dict` with `module.` is what open_clip's own training program writes."""
    named, file = {f"{prefix}{name}": value for name, value in quick.state_dict().items()}, tmp_path / "epoch.pt"
    if within == "safetensors":
        save_file(named, file := tmp_path / "epoch.safetensors")
    else:
        beside = {"epoch": 3, "name": "run", "optimizer": {"state": {}}}
        torch.save(named if within is None else {**beside, within: named}, file)
    assert same(resolve_towers("small", str(file)), quick)


def test_layers_that_were_wrapped_one_by_one(quick, tmp_path):
    named = {name.replace("visual.", "visual._orig_mod."): value for name, value in quick.state_dict().items()}
    named = {
        name.replace(".resblocks.0.", ".resblocks.0._fsdp_wrapped_module."): value for name, value in named.items()
    }
    torch.save({"model": {"state_dict": named}, "ema": named}, tmp_path / "epoch.pt")
    assert same(resolve_towers("small", str(tmp_path / "epoch.pt")), quick)


@pytest.mark.parametrize("saved", ["epoch.pt", "epoch.safetensors"])
def test_other_weights_beside_the_model_are_left_out_and_told(quick, tmp_path, caplog, saved):
    weights = {f"clip.{name}": value for name, value in quick.state_dict().items()}
    save = save_file if saved.endswith("safetensors") else torch.save
    save(weights | {"head.weight": torch.zeros(2)}, tmp_path / saved)
    assert same(resolve_towers("small", str(tmp_path / saved)), quick)
    assert "under 'clip.' are read; 1 others are left out (head.weight" in caplog.text
    save(weights | {f"ema.{name}": value.clone() for name, value in quick.state_dict().items()}, tmp_path / saved)
    with pytest.raises(WeightsError, match=rf"{saved}: holds several models, under clip\., ema\."):
        resolve_towers("small", str(tmp_path / saved))


def test_openais_state_dict_has_numbers_beside_the_weights(quick, tmp_path):
    torch.save(quick.state_dict() | {"input_resolution": torch.tensor(64)}, tmp_path / "weights.pt")
    assert same(resolve_towers("small", str(tmp_path / "weights.pt")), quick)


def test_a_file_with_a_configuration_beside_it_is_read_by_that(hub_copy, quick, tmp_path):
    folder = hub_copy(tmp_path / "copy", quick)
    assert same(resolve_towers("ViT-B-32", str(folder / WEIGHTS_FILE)), quick)
    assert local_weights(str(folder)) == (folder / WEIGHTS_FILE, folder / CONFIG_FILE)


@pytest.mark.parametrize(
    ("name", "mean"), [("MobileCLIP-S1", [0, 0, 0]), ("PE-Core-B-16", [0.5] * 3), ("ViT-L-14", None), ("small", None)]
)
def test_bare_files_are_prepared_for_as_the_released_weights_are(name, mean):
    from eiclip.model.pretrained import _config_of_bare_weights

    found = _config_of_bare_weights(name)["preprocess_cfg"].get("mean")
    assert (found if found is None else list(found)) == mean


@pytest.mark.parametrize(("tag", "quick"), [("openai", True), ("metaclip_400m", True), ("laion2b_s34b_b79k", False)])
def test_released_tags_have_the_gelu_they_were_trained_with(tag, quick):
    from eiclip.model.pretrained import _source

    assert _source("ViT-B-32", tag)[0]["model_cfg"].get("quick_gelu", False) == quick
    assert configured_photos("ViT-B-32", tag).size == 224


def custom(**text):
    """Towers of open_clip's other classes: the text tower apart, not causal, or CoCa's."""
    return SMALL | {"custom_text": True, "text_cfg": SMALL["text_cfg"] | text}


COCA = custom(context_length=63, embed_cls=True, output_tokens=True) | {
    "vision_cfg": SMALL["vision_cfg"] | {"attentional_pool": True, "attn_pooler_heads": 4, "output_tokens": True},
    "multimodal_cfg": {"context_length": 63, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 1},
}
OTHER_CLASSES = {
    "custom": (open_clip.CustomTextCLIP, custom(no_causal_mask=True)),
    "bidirectional": (open_clip.CLIP, SMALL | {"text_cfg": SMALL["text_cfg"] | {"no_causal_mask": True}}),
    "coca": (open_clip.CoCa, COCA),
    "resnet": (open_clip.CLIP, SMALL | {"vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8}}),
}


@pytest.mark.parametrize("kind", OTHER_CLASSES)
def test_other_classes_of_models_that_read_with_clips_tokenizer(hub_copy, kind, tmp_path):
    made, config = OTHER_CLASSES[kind]
    torch.manual_seed(0)
    towers = made(**{name: value for name, value in config.items() if name != "custom_text"}).eval()
    for parameter in towers.parameters():  # open_clip leaves some of CoCa's as they lay in memory
        torch.nn.init.normal_(parameter, std=0.02)
    towers.config = config
    folder = hub_copy(tmp_path / "copy", towers, config=config)
    model = resolve_towers("ignored", str(folder))
    states = zip(model.state_dict().values(), towers.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in states)
    save_towers(model, tmp_path)
    assert type(load_towers(tmp_path)) is made


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (SMALL | {"text_cfg": {"vocab_size": 64000}}, "64,000 tokens are not CLIP's 49,408"),
        (SMALL | {"vision_cfg": {"image_size": [64, 32]}}, "not square"),
    ],
)
def test_models_that_cannot_be_used_are_refused_with_the_reason(hub_copy, quick, tmp_path, config, said):
    folder = hub_copy(tmp_path / "copy", quick, config=config)
    for ask in (resolve_towers, configured_photos):
        with pytest.raises(WeightsError, match=f"{said}.*Usable is any open_clip model"):
            ask("ignored", str(folder))


@pytest.mark.parametrize("weights", [WEIGHTS_FILE, PICKLE_FILE])
@pytest.mark.parametrize(("tower", "size"), [("vision_cfg", {"image_size": 96}), ("text_cfg", {"context_length": 32})])
def test_weights_of_another_size_are_not_stretched(hub_copy, quick, tmp_path, tower, size, weights):
    folder = hub_copy(tmp_path / "copy", quick, weights=weights, config=QUICK | {tower: QUICK[tower] | size})
    with pytest.raises(WeightsError, match="do not fit their configuration .image_size or context_length"):
        resolve_towers("ignored", str(folder))


@pytest.mark.parametrize(
    ("name", "tag"), [("ViT-B-16-SigLIP", "webli"), ("xlm-roberta-base-ViT-B-32", "laion5b_s13b_b90k")]
)
def test_a_released_tag_brings_its_tokenizer_before_the_weights(name, tag, tmp_path, monkeypatch):
    assert configured_photos(name, tag).size == 224
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"its tokenizer \(hf_tokenizer_name .*copy tokenizer.json"):
        resolve_towers(name, tag)


@pytest.mark.parametrize(
    ("name", "tag", "wanted"),
    [
        ("ViT-B-32", "openai", PhotoForm(224, "shortest", "bicubic", 0)),
        ("ViT-B-16-SigLIP", "webli", PhotoForm(224, "squash", "bicubic", 0)),
        ("MobileCLIP-S1", "datacompdr", PhotoForm(256, "shortest", "bilinear", 0)),
        ("ignored", "general", PhotoForm(64)),
        ("ignored", "starter", PhotoForm(224)),
    ],
)
def test_photos_are_prepared_as_the_released_weights_want_them(name, tag, wanted):
    assert configured_photos(name, tag) == wanted


@pytest.mark.parametrize(
    ("changed", "said"), [({"mean": 0.5}, "mean.*0.5.*red, green and blue"), ({"resize_mode": "fit"}, "'fit'")]
)
def test_a_preprocessing_that_is_none_is_refused(hub_copy, quick, tmp_path, changed, said):
    folder = hub_copy(tmp_path / "copy", quick, preprocess=GREY | changed)
    with pytest.raises(WeightsError, match=said):
        resolve_towers("ignored", str(folder))


def test_a_file_of_another_model_is_a_clear_error(quick, tmp_path):
    save_towers(quick, tmp_path)
    (tmp_path / CONFIG_FILE).unlink()
    with pytest.raises(WeightsError, match=r"EICLIP_MODEL='ViT-B-32'.*EICLIP_PRETRAINED=general"):
        resolve_towers("ViT-B-32", str(tmp_path / WEIGHTS_FILE))


def test_unknown_names_and_places_say_what_there_is(tmp_path):
    with pytest.raises(WeightsError, match=r"neither `general`.*hf-hub:.*openai"):
        resolve_towers("ViT-B-32", "no-such-tag")
    with pytest.raises(WeightsError, match="EICLIP_MODEL='ViT-Q'"):
        resolve_towers("ViT-Q", "openai")
    with pytest.raises(WeightsError, match="no such file or folder"):
        resolve_towers("ViT-B-32", str(tmp_path / "weights.pt"))
    with pytest.raises(
        WeightsError, match=r"no such file or folder .*of a hub it is hf-hub:openai/clip-vit-base-patch32"
    ):
        resolve_towers("ViT-B-32", "openai/clip-vit-base-patch32")
    with pytest.raises(WeightsError, match=f"no {CONFIG_FILE} in it|no weights in it"):
        resolve_towers("ViT-B-32", str(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", '{"model_cfg": {"embed_dim": 1}}', '{"model_cfg": []}',
                                  '{"model_cfg": {"embed_dim": "1", "vision_cfg": {}, "text_cfg": {}}}'])  # fmt: skip
def test_a_configuration_that_is_none_is_a_clear_error(hub_copy, quick, tmp_path, text):
    folder = hub_copy(tmp_path / "copy", quick)
    (folder / CONFIG_FILE).write_text(text)
    with pytest.raises(WeightsError, match=f"{CONFIG_FILE}: not a model's configuration"):
        resolve_towers("ignored", str(folder))


@pytest.mark.parametrize("weights", [WEIGHTS_FILE, PICKLE_FILE])
def test_a_hub_repository_by_name(hub_copy, quick, tmp_path, hub, weights):
    hub_copy(tmp_path / "copy", quick, weights=weights)
    assert configured_photos("ignored", "hf-hub:shop/clip").size == 64
    assert same(resolve_towers("ignored", "hf-hub:shop/clip"), quick)
    cached = tmp_path / "cache" / "models--shop--clip"
    assert same(resolve_towers("ignored", str(cached)), quick), "and its cache as a folder"


def test_a_folder_that_is_saved_here_is_a_repository_as_open_clip_expects_it(quick, tmp_path, hub, caplog):
    (tmp_path / "copy").mkdir()
    save_towers(quick, tmp_path / "copy")
    with caplog.at_level(logging.WARNING):
        model, _, _ = open_clip.create_model_and_transforms("hf-hub:shop/clip")
        tokens = open_clip.get_tokenizer("hf-hub:shop/clip")(["a coat"])
    assert same(model, quick)
    assert tokens.shape == (1, 64)
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ["siglip", "bert"])
def test_a_hub_repository_brings_its_tokenizer_and_text_tower(tmp_path, hub, kind):
    wanted = make(kind, tmp_path / "copy")
    towers = resolve_towers("ignored", "hf-hub:shop/clip").eval()
    texts = ["a coat", "hot! bag"]
    theirs_BD = wanted.encode_text(tokenizer_of(towers).ids(texts))
    assert torch.allclose(encode_text(towers, tokenizer_of(towers)(texts)), theirs_BD, atol=1e-5)
    huggingface_hub.constants.HF_HUB_OFFLINE = True  # which the fixture sets back
    resolve_towers("ignored", "hf-hub:shop/clip")


def test_no_network_names_the_other_ways(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"could not download.*a local copy of a hub repository.*=general"):
        resolve_towers("ignored", "hf-hub:shop/clip")
    with pytest.raises(WeightsError, match=r"weights of ViT-B-32.*Other choices: EICLIP_PRETRAINED=starter.*=general"):
        resolve_towers("ViT-B-32", "laion2b_s34b_b79k")
