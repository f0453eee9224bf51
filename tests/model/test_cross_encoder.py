"""A pair's score is the same however it is computed, whatever its batch; checkpoints come back whole."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from eiclip.errors import WeightsError
from eiclip.evaluation.pair_scores import TextSides, read_text
from eiclip.model.cross_encoder import TextSide, word_logits
from eiclip.model.entity_clip import EntityClipModel, load_checkpoint, save_checkpoint
from eiclip.model.inputs import ModelInputs
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers
from eiclip.model.variants import CROSS_VARIANTS, get_variant
from eiclip.settings.cross_modal import CrossSettings
from eiclip.settings.training import TrainingSettings
from eiclip.shards import Sample

SIZE = {"width": 32, "layers": 2, "heads": 2}
ROWS = ["fashionbert", "kaleidobert", "eiclip_rerank"]
TEXTS = ["a coat", "", "golden goose sneaker in white with a star", "hot! bag & belt", "wool " * 40]
ENTITIES = [{"brand": ["b1"]}, {}, {"season": ["fw2016"]}, {"brand": ["b0", "b2"], "season": ["fw2016"]}, {}]


@pytest.fixture
def model_of(shop):
    """Makes a row's model with weights that are not those of a beginning."""

    def model_of(variant, **settings):
        torch.manual_seed(0)
        training = TrainingSettings(cross=CrossSettings(**(SIZE | settings)))
        model = EntityClipModel(new_towers(SMALL, 0), get_variant(variant), shop.vocabulary, training).eval()
        with torch.no_grad():
            for weight in model.cross.parameters():
                if weight.dim() == 1:
                    weight += 0.1 * torch.randn(weight.shape)
        return model

    return model_of


def read(model, texts=TEXTS, entities=ENTITIES):
    """Both sides of a row of pairs."""
    samples = [
        Sample(f"{n}", f"{n}", text, own, b"") for n, (text, own) in enumerate(zip(texts, entities, strict=True))
    ]
    random = torch.Generator().manual_seed(1)
    cross = model.cross
    grid = torch.randn(len(texts), cross.channels, cross.grid_side, cross.grid_side, generator=random)
    return read_text(model, *ModelInputs.of(model).of_texts(samples)), cross.image_side(cross.patches_of(grid))


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("variant", ROWS)
def test_a_score_is_that_of_the_first_of_all_states(model_of, variant, gradients):
    model = model_of(variant)
    with torch.set_grad_enabled(gradients):
        text, image = read(model)
        found, states = model.cross.score(text, image), model.cross.states(text, image)
    wanted = model.cross.score_of(states[:, 0])
    if variant == "eiclip_rerank":
        whole = F.normalize(text.state_BTH[:, 0], dim=-1) * F.normalize(image[:, 0], dim=-1)
        wanted = wanted + model.cross.whole.log_scale.exp() * whole.sum(-1)
    assert found.std() > 1e-3
    assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("variant", ROWS)
@torch.no_grad()
def test_states_lie_where_their_words_entities_and_patches_do(model_of, variant):
    """One pair alone, without any padding, by torch's own layers."""
    model = model_of(variant)
    cross = model.cross
    text, image = read(model)
    states = cross.states(text, image)
    assert states.shape == (len(TEXTS), 1 + text.padding_BT.shape[1] + image.shape[1], 32)
    for row in range(len(TEXTS)):
        used = (~text.padding_BT[row]).nonzero().flatten().tolist()
        own = torch.cat([cross.first[None], text.state_BTH[row, used], image[row]])[None]
        for layer in cross.layers:
            attended = layer.norm1(own)
            own = own + layer.self_attn(attended, attended, attended, need_weights=False)[0]
            own = own + layer.linear2(F.gelu(layer.linear1(layer.norm2(own))))
        wanted = F.layer_norm(own[0], (32,), cross.norm.weight, cross.norm.bias)
        places = [0, *(1 + place for place in used), *range(1 + text.padding_BT.shape[1], states.shape[1])]
        assert torch.allclose(states[row, places], wanted, atol=1e-5)


@pytest.mark.parametrize("variant", ROWS)
@torch.no_grad()
def test_scores_are_equal_whatever_the_batch_its_order_and_its_padding(model_of, variant):
    model = model_of(variant)
    text, image = read(model)
    together = model.cross.score(text, image)
    for row, (own, entities) in enumerate(zip(TEXTS, ENTITIES, strict=True)):
        alone, _ = read(model, [own], [entities])
        assert torch.allclose(model.cross.score(alone, image[row : row + 1]), together[row : row + 1], atol=1e-5)
    for order in itertools.islice(itertools.permutations(range(5)), 0, 120, 17):
        rows = torch.tensor(order)
        side = TextSide(text.state_BTH[rows], text.padding_BT[rows])
        assert torch.allclose(model.cross.score(side, image[rows]), together[rows], atol=1e-5)
    noise = torch.randn(5, 6, 32)
    padded = TextSide(torch.cat([text.state_BTH, noise], 1), F.pad(text.padding_BT, (0, 6), value=True))
    assert torch.allclose(model.cross.score(padded, image), together, atol=1e-5)
    kept = TextSides([text])
    rows = torch.tensor([2, 0, 2])
    assert torch.allclose(model.cross.score(kept.of(rows), image[rows]), together[rows], atol=1e-5)
    assert kept.length_T.tolist() == (~text.padding_BT).sum(dim=1).tolist()


@pytest.mark.parametrize("variant", ["fashionbert", "kaleidobert"])
@torch.no_grad()
def test_a_longer_text_is_cut_and_what_follows_counts_nothing(model_of, variant):
    model = model_of(variant, words=6)
    long, image = read(model, ["one two three four five six seven", "one two three four five nine"], [{}] * 2)
    assert long.padding_BT.shape[1] == 6
    score = model.cross.score(long, image[:1].expand(2, -1, -1))
    assert score[0].item() == pytest.approx(score[1].item(), abs=1e-5)


@pytest.mark.parametrize("variant", ROWS)
def test_an_empty_text_without_entities_has_a_finite_score_and_gradient(model_of, variant):
    model = model_of(variant).train()
    text, image = read(model, ["", ""], [{}, {}])
    score = model.cross.score(text, image)
    score.sum().backward()
    assert torch.isfinite(score).all()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


@torch.no_grad()
def test_entities_that_are_missing_count_for_nothing_and_others_do(model_of, monkeypatch):
    model = model_of("eiclip_rerank")
    entity = torch.randn(1, 2, model.width)
    other = entity.clone()
    other[0, 1] += 1

    def score(entity, *weights):
        monkeypatch.setattr(model.fusion, "each", lambda _: (entity, torch.tensor([weights])))
        return model.cross.score(*read(model, ["a coat"], [{}])).item()

    assert score(entity, 0.5, 0.0) == score(other, 0.5, 0.0)
    assert score(entity, 0.0, 0.0) == score(-other, 0.0, 0.0)
    assert score(entity, 0.5, 0.5) != score(other, 0.5, 0.5)
    assert score(entity, 0.5, 0.5) != score(entity, 0.5, 0.1)


@pytest.mark.parametrize("text_layers", [0, 1])
@pytest.mark.parametrize("variant", CROSS_VARIANTS)
def test_groups_hold_each_weight_that_is_trained_once(model_of, variant, text_layers):
    model = model_of(variant, text_layers=text_layers, lr=0.25)
    model.freeze()
    groups = model.parameter_groups(TrainingSettings(tower_lr=0.5))
    held = [id(weight) for group in groups for weight in group["params"]]
    trained = {id(weight) for weight in model.parameters() if weight.requires_grad}
    assert len(held) == len(set(held))
    assert set(held) == trained
    assert (
        {group["name"]: group["lr"] for group in groups} == {"towers": 0.5, "cross": 0.25}
        if text_layers
        else {"cross": 0.25}
    )
    assert all(name.startswith("cross.") for name, weight in model.named_parameters() if weight.requires_grad)


@pytest.mark.parametrize("variant", ROWS)
@torch.no_grad()
def test_a_checkpoint_that_comes_back_scores_the_same(model_of, variant, tmp_path):
    model = model_of(variant, text_layers=1)
    model.cross.patches.fit(torch.randn(model.cross.channels), torch.rand(model.cross.channels) + 0.5)
    model.cross.mix.copy_(torch.tensor([1.0, 0.3]))
    save_checkpoint(model, tmp_path / "model", {})
    again = load_checkpoint(tmp_path / "model")
    assert again.variant == model.variant
    assert torch.equal(again.cross.mix, model.cross.mix)
    assert torch.equal(again.cross.score(*read(again)), model.cross.score(*read(model)))
    (tmp_path / "model" / "cross.safetensors").unlink()
    with pytest.raises(WeightsError, match="not a whole checkpoint"):
        load_checkpoint(tmp_path / "model")


@torch.no_grad()
def test_words_are_named_by_the_embeddings(model_of):
    embedding = model_of("fashionbert").cross.text.embedding
    hidden = embedding.weight[[5, 9]] / embedding.weight[[5, 9]].norm(dim=1, keepdim=True)
    assert word_logits(hidden, embedding).argmax(dim=1).tolist() == [5, 9]
