"""The variants' models: what each reads and sums, its loss terms, its parameter groups and its checkpoint."""

import open_clip
import pytest
import torch
from torch.nn import functional as F

from eiclip.errors import NonFiniteError, WeightsError
from eiclip.model.entity_clip import EntityClipModel, load_checkpoint, save_checkpoint
from eiclip.model.sources import SMALL
from eiclip.model.tokenizer import clip_tokenizer
from eiclip.model.towers import new_towers
from eiclip.model.variants import VARIANTS, get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.settings.training import TrainingSettings

NAMES = {"brand": ["<unk>", "diesel"], "season": ["<unk>", "fw2016", "diesel"]}
VOCABULARY = Vocabulary(NAMES, {"diesel": {"brand": 0.25, "season": 0.75}})
TOKENS = clip_tokenizer(64)(["a red coat", "blue jeans with pockets", "bag"])
IDS = torch.tensor([[[1], [1]], [[0], [-1]], [[-1], [-1]]])


def build(name, vocabulary=VOCABULARY, **training):
    torch.manual_seed(0)
    return EntityClipModel(new_towers(SMALL, 0), get_variant(name), vocabulary, TrainingSettings(**training))


def some_loss(model):
    return model.loss(torch.randn(3, 128), model.encode_text(TOKENS, IDS), model.scale)


@pytest.mark.parametrize("name", VARIANTS)
def test_loss_terms_of_each_row(name):
    model = build(name)
    terms = some_loss(model)
    has = model.variant.has_entities
    assert [bool(term > 0) for term in terms] == [True, True, has]
    assert terms.total(model.loss_terms) == (sum(terms) if has else terms.description)


def siglip():
    torch.manual_seed(0)
    towers = open_clip.CLIP(**SMALL, init_logit_bias=-4.0)
    towers.config = SMALL | {"init_logit_bias": -4.0}
    return towers


def test_towers_with_a_logit_bias_learn_by_the_sigmoid_loss_of_open_clip():
    model = EntityClipModel(siglip(), get_variant("clip_description"), VOCABULARY, TrainingSettings())
    image_BD, text = torch.randn(3, 128), model.encode_text(TOKENS, IDS)
    found = model.loss(image_BD, text, model.scale).description
    pairs = F.normalize(image_BD, dim=1), F.normalize(text.description_BD, dim=1)
    wanted = open_clip.loss.SigLipLoss()(*pairs, model.scale, model.towers.logit_bias)
    assert torch.allclose(found, wanted, atol=1e-6, rtol=1e-6)
    found.backward()
    assert model.towers.logit_bias.grad, "it is trained"
    softmax = EntityClipModel(
        siglip(), get_variant("clip_description"), VOCABULARY, TrainingSettings(loss="softmax")
    ).loss(image_BD, text, model.scale)
    assert torch.allclose(softmax.description, open_clip.ClipLoss()(*pairs, model.scale))


def test_towers_without_a_logit_bias_get_siglips_where_the_settings_want_the_sigmoid_loss(tmp_path):
    model = build("eiclip", loss="sigmoid")
    assert (model.towers.logit_bias.item(), model.scale.item()) == pytest.approx((-10, 10))
    assert all(term > 0 for term in some_loss(model))
    save_checkpoint(model, tmp_path / "model", {})
    again = load_checkpoint(tmp_path / "model")
    assert torch.equal(again.towers.logit_bias, model.towers.logit_bias)
    assert open_clip.create_model(f"local-dir:{tmp_path / 'model'}").logit_bias == model.towers.logit_bias
    assert "init_logit_bias" not in SMALL
    for name in ("clip_pretrained", "same_style_plain"):  # not trained, or by a loss of its own
        assert build(name, loss="sigmoid").towers.logit_bias is None


@pytest.mark.parametrize("mode", ["frozen", "batch"])
def test_statistics_of_batch_norm_are_the_towers_own_unless_the_settings_say_otherwise(mode):
    resnet = SMALL | {"vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8}}
    settings = TrainingSettings(batch_norm=mode)
    model = EntityClipModel(new_towers(resnet, 0), get_variant("eiclip"), VOCABULARY, settings).eval().train()
    assert model.training
    assert model.towers.training
    before = model.towers.visual.bn1.running_mean.clone()
    model.encode_image(torch.randn(2, 3, 64, 64))
    assert torch.equal(model.towers.visual.bn1.running_mean, before) == (mode == "frozen")


@pytest.mark.parametrize("name", ["clip_description", "clip_entities_text"])
def test_rows_without_entity_encoders_have_one_term_whatever_the_settings_say(name):
    model = build(name, loss_terms=("entities",))
    assert model.loss_terms == ("description",)
    terms = some_loss(model)
    assert terms.joint == terms.description, "their text is their description's embedding"


def test_a_term_that_is_off_is_known_and_passes_no_gradient():
    model = build("eiclip", loss_terms=("description",))
    terms = some_loss(model)
    assert terms.entities > 0
    terms.total(model.loss_terms).backward()
    assert all(parameter.grad is None for parameter in model.fusion.parameters())


def test_without_the_mixture_an_entity_is_of_its_own_group_alone():
    names = {"brand": ["<unk>", "top"], "subcategory": ["<unk>", "top"]}
    vocabulary = Vocabulary(names, {"top": {"brand": 0.25, "subcategory": 0.75}})
    mixed, own = (build("eiclip", vocabulary, prior_mixture=mixture) for mixture in (True, False))
    assert own.vocabulary == vocabulary, "the checkpoint keeps what the tables say"
    one = torch.tensor([1])
    for group, encoder in enumerate(own.fusion.encoders):
        assert torch.allclose(own.fusion.entity(group, one), F.normalize(encoder(one), dim=-1))
        assert not torch.allclose(mixed.fusion.entity(group, one), own.fusion.entity(group, one))


def test_a_product_without_entities_falls_back_to_its_description():
    model = build("eiclip")
    text = model.encode_text(TOKENS, IDS)
    plain = build("clip_description").encode_text(TOKENS, IDS)
    assert torch.allclose(text.joint()[2], F.normalize(plain.joint()[2], dim=-1), atol=1e-6)
    assert not torch.allclose(text.joint()[0], text.description_BD[0])


def test_parameters_are_in_three_groups_once_each():
    model = build("eiclip")
    groups = model.parameter_groups(TrainingSettings(tower_lr=1, entity_lr=2, gate_lr=3))
    assert [(group["name"], group["lr"]) for group in groups] == [("towers", 1), ("entities", 2), ("gates", 3)]
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "training"),
    [("clip_description", {}), ("eiclip_equal", {}), ("eiclip", {}),
     ("eiclip", {"loss_terms": ("joint",), "prior_mixture": False})],
)  # fmt: skip
@torch.inference_mode()
def test_checkpoint_round_trip(name, training, tmp_path):
    model = build(name, **training).eval()
    save_checkpoint(model, tmp_path / name, {"seed": 0})
    again = load_checkpoint(tmp_path / name)
    assert again.variant == model.variant
    assert again.training_settings == model.training_settings
    assert again.vocabulary == VOCABULARY
    assert torch.equal(again.encode_text(TOKENS, IDS).joint(), model.encode_text(TOKENS, IDS).joint())


def test_broken_weights_are_not_saved_and_the_old_stay(tmp_path):
    model = build("eiclip")
    save_checkpoint(model, tmp_path / "model", {})
    before = {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()}
    with torch.no_grad():
        model.fusion.encoders[0].table.weight[1, 0] = float("nan")
    with pytest.raises(NonFiniteError, match="encoders"):
        save_checkpoint(model, tmp_path / "model", {})
    assert {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_half_a_checkpoint_is_a_clear_error(tmp_path):
    save_checkpoint(build("eiclip"), tmp_path / "model", {})
    (tmp_path / "model" / "entities.safetensors").unlink()
    with pytest.raises(WeightsError, match="not a whole checkpoint"):
        load_checkpoint(tmp_path / "model")
