"""What is hidden and changed is what the labels say, and nothing else is."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eiclip.model.pretext import (
    IGNORED,
    ORDERS,
    STARTS,
    Aligner,
    KaleidoViews,
    hide_patches,
    hide_words,
    kaleido_tasks,
)

VOCABULARY, LENGTH, CHANNELS, PATCHES = 50, 12, 3, 55
SCALES = {"whole": (0, 1), "jigsaw": (1, 5), "camouflage": (5, 14), "grey": (14, 30), "blank": (30, 55)}
seeds, shares = st.integers(0, 2**31), st.sampled_from([0.0, 0.01, 0.15, 0.5, 1.0])


def texts(seed, count=6):
    """Token ids with ends of their own, their lengths, and which are chosen; some have no words."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, LENGTH + 1, (count,), generator=random)
    tokens = torch.randint(1, VOCABULARY, (count, LENGTH), generator=random)
    tokens[torch.arange(LENGTH) >= lengths[:, None]] = 0
    return tokens, lengths, torch.rand(count, generator=random) < 0.7


@given(seed=seeds, share=shares)
def test_words_are_hidden_of_chosen_texts_alone_and_the_right_share(seed, share):
    tokens, lengths, chosen = texts(seed)
    torch.manual_seed(seed)
    before = tokens.clone()
    found = hide_words(tokens, lengths, chosen, share, VOCABULARY)
    assert torch.equal(tokens, before), "what was given is as it was"
    assert found.tokens_BL.min() >= 0
    assert found.tokens_BL.max() < VOCABULARY
    for row in range(len(tokens)):
        words = range(1, int(lengths[row]) - 1) if chosen[row] else range(0)
        asked = set(found.asked_BL[row].nonzero().flatten().tolist())
        hidden = set(found.hidden_BL[row].nonzero().flatten().tolist())
        assert hidden <= asked <= set(words)
        wanted = max(1, round(share * len(words))) if words and share else 0
        assert len(asked) == wanted or abs(share * len(words) - len(asked)) == 0.5
        changed = set((found.tokens_BL[row] != tokens[row]).nonzero().flatten().tolist())
        assert changed <= asked - hidden, "a hidden word needs no other in its place"


def test_of_ten_words_that_are_asked_eight_are_hidden_and_one_is_another():
    torch.manual_seed(0)
    tokens = torch.full((200, 102), 7)
    found = hide_words(tokens, torch.full((200,), 102), torch.ones(200, dtype=torch.bool), 0.5, 10**6)
    assert found.asked_BL.sum() == 200 * 50
    assert found.hidden_BL.sum().item() == pytest.approx(8000, rel=0.05)
    assert (found.tokens_BL != 7).sum().item() == pytest.approx(1000, rel=0.2)
    places = found.asked_BL.float().mean(0)[1:-1]
    assert places.min() > 0.3, "each place is asked as often"
    assert places.max() < 0.7


@given(seed=seeds, share=shares, patches=st.integers(1, 30))
def test_patches_are_hidden_of_chosen_photos_alone_and_the_right_share(seed, share, patches):
    torch.manual_seed(seed)
    chosen = torch.rand(5) < 0.6
    found = hide_patches(chosen, patches, share)
    wanted = max(1, round(share * patches)) if share else 0
    assert found.shape == (5, patches)
    assert found.sum(dim=1).tolist() == [wanted if own else 0 for own in chosen.tolist()]


def photos(seed, count):
    """Patches that are all different, and the views of the same photos."""
    random = torch.Generator().manual_seed(seed)
    views = KaleidoViews(torch.randn(count, 3, CHANNELS, generator=random),
                         torch.randn(count, 16, CHANNELS, generator=random))  # fmt: skip
    return torch.randn(count, PATCHES, CHANNELS, generator=random), views


@given(seed=seeds, share=shares, count=st.integers(1, 6))
def test_labels_undo_what_was_done(seed, share, count):
    patches, views = photos(seed, count)
    torch.manual_seed(seed)
    chosen = torch.rand(count) < 0.7
    before = patches.clone()
    found = kaleido_tasks(patches, views, chosen, share)
    assert torch.equal(patches, before), "what was given is as it was"
    assert (*(first for first, _ in SCALES.values()), PATCHES) == STARTS
    for row in range(count):
        changed, own = found.patches_BPC[row], patches[row]
        turn, order, swapped = (int(label[row]) for label in (found.turn_B, found.order_B, found.swapped_B))
        grey, blank = (set(mask[row].nonzero().flatten().tolist()) for mask in (found.grey_BP, found.blank_BP))
        if not chosen[row]:
            assert torch.equal(changed, own)
            assert (turn, order, swapped, grey, blank) == (IGNORED, IGNORED, IGNORED, set(), set())
            continue
        assert torch.equal(changed[0], [own[0], *views.turned_B3C[row]][turn])
        undone = torch.empty(4, CHANNELS)
        for place, came_from in enumerate(ORDERS[order]):
            undone[came_from] = changed[1 + place]
        assert torch.equal(undone, own[1:5])
        foreign = [place for place in range(9) if not torch.equal(changed[5 + place], own[5 + place])]
        if count == 1:
            assert (swapped, foreign) == (IGNORED, [])
        else:
            assert foreign == [swapped]
            donors = [n for n in range(count) if torch.equal(patches[n, 5 + swapped], changed[5 + swapped])]
            assert donors
            assert row not in donors
        assert len(grey) == max(1, round(share * 16))
        assert grey <= set(range(14, 30))
        for place in range(14, 30):
            assert torch.equal(changed[place], views.grey_BQC[row, place - 14] if place in grey else own[place])
        assert len(blank) == max(1, round(share * 25))
        assert blank <= set(range(30, 55))
        assert torch.equal(changed[30:], own[30:]), "who hides a patch does it by the mask"


def test_every_label_is_drawn():
    torch.manual_seed(0)
    patches, views = photos(0, 600)
    found = kaleido_tasks(patches, views, torch.ones(600, dtype=torch.bool), 0.1)
    labels = found.turn_B, found.order_B, found.swapped_B
    assert [sorted(set(label.tolist())) for label in labels] == [list(range(n)) for n in (4, math.factorial(4), 9)]
    assert found.grey_BP[:, 14:30].any(dim=0).all()
    assert found.blank_BP[:, 30:].any(dim=0).all()


@given(seed=seeds, share=st.sampled_from([0.1, 0.25, 0.5]))
def test_guided_masking_takes_the_patches_that_match_best(seed, share):
    torch.manual_seed(seed)
    patches, views = photos(seed, 4)
    matched = torch.stack([torch.randperm(PATCHES) for _ in range(4)]) / PATCHES
    found = kaleido_tasks(patches, views, torch.ones(4, dtype=torch.bool), share, matched)
    for mask, (first, end) in ((found.grey_BP, SCALES["grey"]), (found.blank_BP, SCALES["blank"])):
        for row in range(4):
            best = sorted(range(first, end), key=lambda place: -matched[row, place])
            wanted = set(best[: max(1, round(share * (end - first)))])
            assert set(mask[row].nonzero().flatten().tolist()) == wanted


def pairs(seed, count=8, kinds=5, length=4, patches=6):
    """Photos of which each shows the things that its text names, and other texts name others."""
    random = torch.Generator().manual_seed(seed)
    things = torch.eye(kinds)
    named = torch.stack([torch.randperm(kinds, generator=random)[:2] for _ in range(count)])
    words = things[named[:, torch.randint(2, (length,), generator=random)]]
    shown = things[named[:, torch.randint(2, (patches,), generator=random)]]
    return words, torch.zeros(count, length, dtype=torch.bool), shown


def test_the_aligner_learns_what_belongs_together():
    torch.manual_seed(0)
    aligner = Aligner(5, 5)
    optimizer = torch.optim.Adam(aligner.parameters(), 3e-2)
    first = aligner.loss(*pairs(0)).item()
    for step in range(30):
        loss = aligner.loss(*pairs(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.7 * first


@torch.no_grad()
def test_the_aligners_loss_is_its_formula_and_padding_counts_nothing():
    torch.manual_seed(1)
    aligner = Aligner(5, 4)
    words, patches = torch.randn(3, 6, 5), torch.randn(3, 7, 4)
    lengths = [6, 2, 4]
    padding = torch.arange(6) >= torch.tensor(lengths)[:, None]
    word, patch = (side / side.norm(dim=-1, keepdim=True) for side in (aligner.words(words), aligner.patches(patches)))
    fit = torch.zeros(3, 3)
    for text, length in enumerate(lengths):
        for photo in range(3):
            for place in range(length):
                match = [float(word[text, place] @ one) for one in patch[photo]]
                powers = [math.exp(10 * value) for value in match]
                attended = sum(value * power for value, power in zip(match, powers, strict=True)) / sum(powers)
                fit[text, photo] += 10 * attended / length
    wanted = 0.0
    for own in range(3):
        for row in (fit[own], fit[:, own]):
            wanted -= math.log(math.exp(row[own]) / sum(math.exp(value) for value in row)) / 6
    assert aligner.loss(words, padding, patches).item() == pytest.approx(wanted, rel=1e-4)
    words[padding] = 100.0
    assert aligner.loss(words, padding, patches).item() == pytest.approx(wanted, rel=1e-4)


@torch.no_grad()
def test_patches_are_matched_with_hidden_words_alone():
    torch.manual_seed(2)
    aligner = Aligner(5, 4)
    words, patches = torch.randn(3, 6, 5), torch.randn(3, 7, 4)
    hidden = torch.zeros(3, 6, dtype=torch.bool)
    hidden[0, [1, 4]] = hidden[1, 2] = True
    found = aligner.matched(words, hidden, patches)
    word, patch = (side / side.norm(dim=-1, keepdim=True) for side in (aligner.words(words), aligner.patches(patches)))
    for row in range(3):
        for place in range(7):
            own = [float(word[row, n] @ patch[row, place]) for n in range(6) if hidden[row, n]]
            assert found[row, place].item() == pytest.approx((max(own) + 1) / 2 if own else 0.0, abs=1e-5)
    words[~hidden] = 50.0
    assert torch.equal(aligner.matched(words, hidden, patches), found)
