"""States of a text's words are those of the tower itself at that block; hidden words are not seen; the tower stays."""

import copy

import pytest
import torch

from eiclip.errors import SettingsError
from eiclip.model.parts import blocks_of
from eiclip.model.pretrained import resolve_towers
from eiclip.model.sources import SMALL
from eiclip.model.text_states import TextStates
from eiclip.model.towers import encode_text, length_groups, new_towers, tokenizer_of
from tests.kinds import KINDS, make

TEXTS = ["a coat", "golden goose sneaker, white", "hot! bag & belt", "", "wool " * 12]


@pytest.fixture(scope="module")
def towers_of(tmp_path_factory):
    """Loads a kind of towers with its own tokenizer."""
    known = {}

    def towers_of(kind):
        if kind not in known:
            folder = tmp_path_factory.mktemp("kinds") / "copy"
            make(kind, folder)
            known[kind] = resolve_towers("ignored", str(folder)).eval()
        return known[kind]

    return towers_of


def seen_by(towers, layers, tokens):
    """What the tower's own block number `layers` is given, or its last one gives, text by text in full context."""
    found = []
    block = blocks_of(towers, "text")[layers]
    hook = block.register_forward_pre_hook(
        lambda _m, given, named: found.append(given[0] if given else named["hidden_states"]), with_kwargs=True
    )
    with torch.no_grad():
        for row in tokens:
            encode_text(towers, row[None])
    hook.remove()
    return found


@pytest.mark.parametrize("layers", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_states_are_the_towers_own_whatever_the_other_texts_are(towers_of, kind, layers):
    towers = towers_of(kind)
    states = TextStates(towers, layers).eval()
    tokens = tokenizer_of(towers)(TEXTS)
    found, lengths = states(tokens), states.lengths(tokens)
    assert found.shape == (len(TEXTS), tokens.shape[1], states.width)
    for row, wanted in enumerate(seen_by(towers, layers, tokens)):
        used = int(lengths[row])
        assert torch.allclose(found[row, :used], wanted[0, :used], atol=1e-5)
        alone = states(tokens[row : row + 1])
        assert torch.allclose(found[row, :used], alone[0, :used], atol=1e-5)
    order = torch.tensor([4, 2, 0, 3, 1])
    inside = torch.arange(tokens.shape[1]) < lengths[order, None]
    assert torch.allclose(states(tokens[order])[inside], found[order][inside], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_hidden_word_is_not_known_by_its_id(towers_of, kind):
    towers = towers_of(kind)
    states = TextStates(towers, 1).eval()
    tokens = tokenizer_of(towers)(TEXTS[1:3])
    hidden = torch.zeros_like(tokens, dtype=torch.bool)
    hidden[:, 2] = True
    other = tokens.clone()
    other[:, 2] = tokens[:, 3]
    inside = torch.arange(tokens.shape[1]) < states.lengths(tokens)[:, None]
    assert torch.allclose(states(tokens, hidden)[inside], states(other, hidden)[inside], atol=1e-6)
    assert not torch.allclose(states(tokens)[inside], states(other)[inside], atol=1e-3)
    assert not torch.allclose(states(tokens)[inside], states(tokens, hidden)[inside], atol=1e-3)


def test_the_towers_stay_as_they_were():
    towers = new_towers(SMALL, 0).eval()
    towers.requires_grad_(False)
    towers.logit_scale.requires_grad_(True)
    weights, visual, tokenizer = copy.deepcopy(towers.state_dict()), towers.visual, towers.tokenizer
    states = TextStates(towers, 1)
    optimizer = torch.optim.SGD([weight for weight in states.parameters() if weight.requires_grad], 1.0)
    states(tokenizer(TEXTS)).square().sum().backward()
    optimizer.step()
    assert towers.visual is visual
    assert towers.tokenizer is tokenizer
    assert len(blocks_of(towers, "text")) == SMALL["text_cfg"]["layers"]
    assert [name for name, weight in towers.named_parameters() if weight.requires_grad] == ["logit_scale"]
    assert not towers.training
    assert all(torch.equal(value, weights[name]) for name, value in towers.state_dict().items())
    assert all(weight.grad is None for weight in towers.parameters())


@pytest.mark.parametrize("layers", [0, 1])
def test_the_blocks_that_are_read_are_trained_and_nothing_else_of_the_tower(layers):
    states = TextStates(new_towers(SMALL, 0), layers)
    trained = {name for name, weight in states.named_parameters() if weight.requires_grad}
    blocks = {name.split(".")[3] for name in trained if name.startswith("tower.transformer.resblocks.")}
    assert blocks == {str(number) for number in range(layers)}
    assert {name for name in trained if "resblocks" not in name} == {"hidden"}
    assert not any(name.startswith("tower.visual") for name in states.state_dict())


@pytest.mark.parametrize("kind", ["clip", "bert"])
def test_more_layers_than_there_are_is_one_sentence(towers_of, kind):
    towers = towers_of(kind)
    held = len(blocks_of(towers, "text"))
    TextStates(towers, held - 1)
    with pytest.raises(SettingsError, match=rf"TEXT_LAYERS={held}: this .* has {held} .*choose 0 to {held - 1}"):
        TextStates(towers, held)
    assert len(blocks_of(towers, "text")) == held


def test_groups_hold_every_row_once_and_rows_of_like_length():
    lengths = torch.tensor([7, 1, 64, 3, 4, 33, 2, 77, 8, 5])
    groups = length_groups(lengths, torch.device("cpu"))
    assert sorted(torch.cat([rows for rows, _ in groups]).tolist()) == list(range(10))
    for rows, longest in groups:
        assert longest == lengths[rows].max() < 2 * lengths[rows].min()
    [(rows, longest)] = length_groups(lengths, torch.device("meta"))
    assert longest == 77
