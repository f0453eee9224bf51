"""A tower in two parts gives what the whole tower gives, and trains what its mode says."""

import json

import open_clip
import pytest
import torch

from eiclip.errors import SettingsError
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.parts import projections, tower_parts
from eiclip.model.sources import SMALL
from eiclip.model.tokenizer import Tokenizer
from eiclip.model.towers import encode_text, new_towers, tokenizer_of
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.settings.training import TrainingSettings

transformers = pytest.importorskip("transformers")
TEXTS = ["a red wool coat", "bag", "golden goose sneakers in white with a star"]
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *["a", "red", "wool", "coat", "bag", "golden", "goose", "sneakers", "in", "white", "with", "star"],
]


def small(**changes):
    return new_towers({**SMALL, **changes}, 0)


def bidirectional():
    return small(text_cfg=SMALL["text_cfg"] | {"no_causal_mask": True})


def resnet():
    return small(vision_cfg={"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16})


def with_timm(name, **given):
    return lambda: small(vision_cfg={"image_size": 64, "timm_model_name": name} | given)


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory):
    """The configuration and tokenizer of a BERT of three layers and a dozen words."""
    folder = tmp_path_factory.mktemp("bert")
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=40,
    )  # fmt: skip
    config.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert(bert_folder):
    def made():
        name = str(bert_folder)
        text = {
            "hf_model_name": name, "hf_tokenizer_name": name, "hf_proj_type": "mlp", "context_length": 20,
            "hf_pooler_type": "mean_pooler", "hf_model_pretrained": False,
        }  # fmt: skip
        torch.manual_seed(0)
        config = {"embed_dim": 16, "vision_cfg": SMALL["vision_cfg"], "text_cfg": text}
        model = open_clip.CustomTextCLIP(**config)
        model.config, model.tokenizer = config, Tokenizer(config, bert_folder)
        return model

    return made


KINDS = {
    "vit": (small, ["heads", "frozen", "last:1", "last:3"]),
    "bidirectional text": (bidirectional, []),
    "resnet": (resnet, ["heads", "frozen"]),
    "timm convolutions": (with_timm("tf_efficientnet_lite0", timm_pool="avg", timm_proj="mlp"),
                          ["heads", "frozen", "last:2"]),
    "timm vit with a classifier": (
        with_timm("vit_tiny_patch16_224", timm_pool="token", timm_proj=None, image_size=224),
        ["heads", "frozen", "last:2"],
    ),
}  # fmt: skip


def of_both(model, parts, side):
    """Embeddings by the whole tower and by its two parts; the second with gradients."""
    if side == "image":
        size = model.visual.image_size
        inputs = torch.rand(3, 3, *(size if isinstance(size, tuple) else (size, size)))
        whole, tokens = model.encode_image(inputs), None
    else:
        inputs = tokens = tokenizer_of(model)(TEXTS)
        whole = encode_text(model, inputs)
    with torch.no_grad():
        features = parts.lower(inputs)
    return whole, parts.upper(features, tokens)


def check(model, side, mode):
    model.eval()
    parts = tower_parts(model, side, mode)
    whole, ours = of_both(model, parts, side)
    assert torch.allclose(whole, ours, atol=1e-5, rtol=1e-4)
    if mode == "frozen":
        assert not ours.requires_grad
        assert parts.trained() == []
        return
    model.zero_grad()
    whole.square().sum().backward()
    wanted = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    ours.square().sum().backward()
    found = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    assert set(found) == set(parts.trained()) < set(wanted)
    for name, gradient in found.items():
        assert torch.allclose(gradient, wanted[name], atol=1e-4 * float(wanted[name].abs().max() + 1e-6)), name


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, (_, modes) in KINDS.items() for mode in modes])
def test_an_image_tower_in_two_parts_is_the_whole_tower(kind, mode):
    if kind == "timm vit with a classifier":
        pytest.importorskip("timm")
    check(KINDS[kind][0](), "image", mode)


@pytest.mark.parametrize("mode", ["heads", "frozen", "last:1"])
@pytest.mark.parametrize("kind", ["vit", "bidirectional text"])
def test_a_text_tower_in_two_parts_is_the_whole_tower(kind, mode):
    check(KINDS[kind][0](), "text", mode)


@pytest.mark.parametrize("mode", ["heads", "frozen", "last:1", "last:2"])
def test_a_text_tower_of_transformers_in_two_parts_is_the_whole_tower(bert, mode):
    check(bert(), "text", mode)


@pytest.mark.parametrize(
    ("side", "mode", "message"),
    [("image", "last:4", "4 blocks"), ("text", "last:2", "2 blocks"), ("image", "last:9", "N below 4")],
)
def test_more_blocks_than_there_are_are_refused(side, mode, message):
    with pytest.raises(SettingsError, match=message):
        tower_parts(small(), side, mode)


def test_towers_that_cannot_be_cut_are_refused():
    with pytest.raises(SettingsError, match="no row of blocks"):
        tower_parts(resnet(), "image", "last:1")
    unprojected = with_timm("tf_efficientnet_lite0", timm_pool="avg", timm_proj="none")()
    with pytest.raises(SettingsError, match="no projection"):
        tower_parts(unprojected, "image", "heads")


def model_of(towers, **settings):
    return EntityClipModel(towers, get_variant("eiclip"), Vocabulary({"brand": ["<unk>", "b"]}, {}),
                           TrainingSettings(**settings))  # fmt: skip


def test_frozen_parts_are_in_no_optimizer_group_and_keep_their_mode():
    model = model_of(small(), image_tower="last:1", text_tower="heads", head_lr=1e-2)
    model.freeze()
    model.train()
    groups = {group["name"]: group for group in model.parameter_groups(model.training_settings)}
    names = {id(weight): name for name, weight in model.towers.named_parameters()}
    assert {names[id(weight)] for weight in groups["heads"]["params"]} == {"visual.proj", "text_projection",
                                                                          "logit_scale"}  # fmt: skip
    assert groups["heads"]["lr"] == 1e-2
    towers = {names[id(weight)] for weight in groups["towers"]["params"]}
    assert {name.split(".")[1] for name in towers} == {"transformer", "ln_post"}
    assert all("resblocks.3" in name for name in towers if "resblocks" in name)
    assert not model.towers.transformer.resblocks[0].training
    assert not model.towers.visual.transformer.resblocks[0].training
    assert model.towers.visual.transformer.resblocks[3].training
    assert model.train(False).train().towers.visual.transformer.resblocks[3].mlp.training


def test_without_frozen_parts_every_weight_is_trained_at_the_towers_rate():
    model = model_of(small())
    model.freeze()
    [towers] = [group for group in model.parameter_groups(model.training_settings) if group["name"] == "towers"]
    assert len(towers["params"]) == len(list(model.towers.parameters()))


def test_a_digest_is_of_the_lower_part_alone():
    def digests(change=lambda model: None, **changes):
        model = small(**changes)
        with torch.no_grad():
            change(model)
        return tower_parts(model, "image", "heads").digest()

    plain = digests()
    assert digests() == plain
    assert digests(lambda model: model.visual.proj.add_(1)) == plain
    assert digests(lambda model: model.text_projection.add_(1)) == plain
    assert digests(lambda model: model.visual.conv1.weight.view(-1)[5].add_(1e-3)) != plain
    assert tower_parts(small(), "image", "last:1").digest() != plain
    assert json.dumps(projections(small())) == '["visual.proj", "text_projection"]'
