"""The loss of pairs against one written out by hand, and what it must not do."""

import pytest
import torch
from torch.nn import functional as F

from eiclip.model.style_loss import StylePairs, Views, style_terms
from eiclip.settings.training import LOSS_VIEW_PAIRS, StyleLossSettings

SCALE = torch.tensor(7.0)


def views(count, seed, width=6):
    draw = torch.Generator().manual_seed(seed)
    return Views(*(F.normalize(torch.randn(count, width, generator=draw), dim=-1) for _ in range(3)))


def batch(count=5, trigger=None, positive=None, augmented=None):
    trigger = torch.arange(count) if trigger is None else torch.tensor(trigger)
    positive = torch.arange(count) + 100 if positive is None else torch.tensor(positive)
    return StylePairs(views(count, 1), views(count, 2), trigger, positive, augmented)


def by_hand(one, other, repeated):
    """Symmetric cross entropy, pair by pair."""
    total = 0.0
    for row in range(len(one)):
        for query, candidates in ((one, other), (other, one)):
            scores = SCALE * candidates @ query[row]
            kept = [j for j in range(len(one)) if j == row or not repeated[row][j]]
            total += float(torch.logsumexp(scores[kept], 0) - scores[row])
    return total / (2 * len(one))


def repeats(trigger, positive):
    count = len(trigger)
    mine = [{trigger[i], positive[i]} for i in range(count)]
    return [[i != j and bool(mine[i] & mine[j]) for j in range(count)] for i in range(count)]


def test_each_pair_of_views_is_the_loss_written_out():
    trigger, positive = [1, 2, 3, 1, 5], [2, 9, 8, 7, 5]
    own = batch(5, trigger, positive)
    loss, terms = style_terms(own, SCALE, StyleLossSettings(consistency=0.0))
    repeated = repeats(trigger, positive)
    assert any(map(any, repeated))
    places = {"i": 0, "t": 1, "m": 2}
    for name in LOSS_VIEW_PAIRS:
        wanted = by_hand(own.trigger[places[name[0]]], own.positive[places[name[2]]], repeated)
        assert float(terms[name]) == pytest.approx(wanted, rel=1e-5)
    caption = by_hand(own.trigger.image_BD, own.trigger.text_BD, repeated)
    assert float(terms["caption"]) == pytest.approx(caption, rel=1e-5)
    mean = sum(float(terms[name]) for name in LOSS_VIEW_PAIRS) / len(LOSS_VIEW_PAIRS)
    assert float(loss) == pytest.approx(mean + caption, rel=1e-5)


def test_weights_choose_the_terms_and_scale_them():
    own = batch()
    settings = StyleLossSettings(view_pairs={"m-m": 3.0, "i-t": 1.0}, caption=0.0, consistency=0.0)
    loss, terms = style_terms(own, SCALE, settings)
    assert set(terms) == {"m-m", "i-t"}
    assert float(loss) == pytest.approx(float(0.75 * terms["m-m"] + 0.25 * terms["i-t"]))


def test_a_batch_of_one_product_has_no_negatives_and_no_loss():
    loss, _ = style_terms(batch(4, [1] * 4, [2] * 4), SCALE, StyleLossSettings(consistency=0.0))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_consistency_is_nothing_for_the_same_view_and_grows_as_it_moves():
    plain = views(6, 1)
    losses = []
    for share in (0.0, 0.3, 0.9):
        sides = zip(plain, views(6, 9), strict=True)
        moved = Views(*(F.normalize((1 - share) * a + share * b, dim=-1) for a, b in sides))
        own = StylePairs(plain, views(6, 2), torch.arange(6), torch.arange(6) + 100, moved)
        losses.append(float(style_terms(own, SCALE, StyleLossSettings(consistency_top=4))[1]["consistency"]))
    assert losses[0] == pytest.approx(0.0, abs=1e-6)
    assert losses[0] < losses[1] < losses[2]


def test_processes_together_have_the_loss_of_one():
    whole = batch(6, [1, 2, 3, 1, 5, 6], [2, 9, 8, 7, 5, 6], augmented=views(6, 5))
    settings = StyleLossSettings()
    _, alone = style_terms(whole, SCALE, settings)
    products = (whole.trigger_product_B, whole.positive_product_B)
    parts = []
    for first in (0, 3):
        cut = slice(first, first + 3)
        sides = [Views(*(view[cut] for view in side)) for side in (whole.trigger, whole.positive, whole.augmented)]
        own = StylePairs(*sides[:2], *(product[cut] for product in products), sides[2])
        gathered = iter([*whole.trigger, *whole.positive, *(product[:, None].double() for product in products)])
        parts.append(style_terms(own, SCALE, settings, lambda _, gathered=gathered: next(gathered), first)[1])
    for name, term in alone.items():
        assert float(sum(part[name] for part in parts) / 2) == pytest.approx(float(term), rel=1e-5), name


@pytest.mark.parametrize("given", [{"i-i": -1.0}, {"i-i": 0.0}, {}, {"x-y": 1.0}])
def test_weights_that_say_nothing_are_refused(given):
    with pytest.raises(ValueError, match="view_pairs"):
        StyleLossSettings(view_pairs=given)


def test_equal_weights_are_equal_settings_in_whatever_order():
    one, other = ({"i-i": 1.0, "m-m": 2.0}, {"m-m": 2.0, "i-i": 1.0, "t-t": 0.0})
    assert StyleLossSettings(view_pairs=one).model_dump_json() == StyleLossSettings(view_pairs=other).model_dump_json()
