"""The loss of a step of a cross-encoder: matching, beside the questions of FashionBERT or Kaleido-BERT; or a list.

Shape suffixes: B this process's share of the batch, M candidates, L tokens, P patches, C channels, K entity groups,
T tokens and entities of a text, H width of the cross-encoder, 2B matched and unmatched pairs.
"""

from typing import NamedTuple

import pyarrow as pa
import torch
from torch import Tensor

from eiclip.evaluation.pair_scores import read_text, require_cross
from eiclip.features.patches import split_values
from eiclip.model.cross_encoder import CrossEncoder, word_logits
from eiclip.model.cross_losses import adaptive_weights, listwise_loss, match_loss, patch_loss, word_loss
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.losses import Pairs, contrastive_loss, unit
from eiclip.model.pretext import IGNORED, STARTS, KaleidoViews, hide_patches, hide_words, kaleido_tasks
from eiclip.train.loader import Batch, Loader
from eiclip.train.negatives import HardNegatives
from eiclip.train.world import World

PLACES = 50_000
"""Places of training photos over which patches are scaled."""


class CrossLoss(NamedTuple):
    """The loss of a step, and its terms by name."""

    loss: Tensor
    terms: dict[str, Tensor]


@torch.no_grad()
def fit_patches(cross: CrossEncoder, loader: Loader, world: World) -> None:
    """Scale a cross-encoder's patches by their mean and deviation over the first batches of training photos."""
    sums, places = torch.zeros(2, cross.channels, device=world.device), 0
    for batch in loader.epoch(0):
        grid, _ = split_values(
            batch.images.to(world.device)[:, : cross.channels * cross.grid_side**2], cross.channels, cross.grid_side
        )
        sums += torch.stack([grid, grid.square()]).sum(dim=(1, 3, 4))
        places += grid.shape[0] * cross.grid_side**2
        if places >= PLACES // world.size:
            break
    mean_C, square_C = world.mean((sums / places).flatten()).view(2, -1)
    cross.patches.fit(mean_C, (square_C - mean_C.square()).clamp(min=0).sqrt())


def image_side(cross: CrossEncoder, batch: Batch) -> Tensor:
    """States (B, P, H) of a batch's photos as they are."""
    return cross.image_side(cross.patches_of(split_values(batch.images, cross.channels, cross.grid_side)[0]))


def matching(model: EntityClipModel, batch: Batch) -> CrossLoss:
    """Loss of rows 10 to 13: each photo with its own text, and with another's, some of them with changes to undo."""
    cross = require_cross(model)
    settings = cross.settings
    tokens_BL = batch.tokens_BL[:, : settings.words]
    grid, views = split_values(batch.images, cross.channels, cross.grid_side, tasks=cross.kind == "kaleidobert")
    patches_BPC = cross.patches_of(grid)
    chosen_B = (torch.rand(len(tokens_BL)) < settings.corrupted).to(tokens_BL.device)
    lengths_B = cross.text.lengths(tokens_BL)
    vocabulary = cross.text.tokenizer.vocabulary_size
    words = hide_words(tokens_BL, lengths_B, chosen_B, settings.masked_words, vocabulary)
    if cross.kind == "fashionbert":
        hidden_BP = hide_patches(chosen_B, patches_BPC.shape[1], settings.masked_patches)
        questions = None
        shown_BPC = patches_BPC
    else:
        assert views is not None
        assert cross.aligner is not None
        word_BLW = cross.text.embedding(tokens_BL).detach()
        matched_BP = cross.aligner.matched(word_BLW, words.asked_BL, patches_BPC)
        views = KaleidoViews(*(cross.patches.scaled(view) for view in views))
        questions = kaleido_tasks(patches_BPC, views, chosen_B, settings.masked_patches, matched_BP)
        hidden_BP, shown_BPC = questions.blank_BP, questions.patches_BPC
    shown_BPC = torch.where(hidden_BP[..., None], cross.patches.hidden, shown_BPC)
    text = read_text(model, words.tokens_BL, batch.ids_BKM, words.hidden_BL)
    image_BPH = cross.image_side(shown_BPC)
    states_BXH = cross.states(text, image_BPH)
    other_B, differs_B = _others(batch)
    scores = torch.cat([cross.score_of(states_BXH[:, 0]), cross.score(text, image_BPH[other_B])[differs_B]])
    belongs = torch.cat([torch.ones(len(tokens_BL)), torch.zeros(int(differs_B.sum()))]).to(scores.device)
    length, patches = tokens_BL.shape[1], patches_BPC.shape[1]
    asked_NH = states_BXH[:, 1 : 1 + length][words.asked_BL]
    named = word_logits(cross.heads.word(asked_NH), cross.text.embedding)
    terms = {
        "match": match_loss(scores, belongs),
        "words": word_loss(named, tokens_BL[words.asked_BL]),
        "patches": patch_loss(cross.heads.patch(states_BXH[:, -patches:][hidden_BP]), patches_BPC[hidden_BP]),
    }
    if questions is None:
        weights = adaptive_weights(list(terms.values()))
        return CrossLoss((weights * torch.stack(list(terms.values()))).sum(), terms)
    seen_BPH, heads = states_BXH[:, -patches:], cross.heads
    second = seen_BPH[:, STARTS[1] : STARTS[2]].flatten(1)
    third = heads.swapped(seen_BPH[:, STARTS[2] : STARTS[3]]).squeeze(-1)
    terms |= {
        "turned": _label_loss(heads.turn(seen_BPH[:, 0]), questions.turn_B),
        "jigsaw": _label_loss(heads.order(second), questions.order_B),
        "camouflage": _label_loss(third, questions.swapped_B),
        "grey": patch_loss(heads.grey(seen_BPH[questions.grey_BP]), patches_BPC[questions.grey_BP]),
        "alignment": cross.aligner.loss(word_BLW, _padding(lengths_B, length), patches_BPC),  # type: ignore[union-attr]
    }
    return CrossLoss(torch.stack(list(terms.values())).sum(), terms)


def re_ranking(model: EntityClipModel, batch: Batch, loader: Loader, negatives: HardNegatives) -> CrossLoss:
    """Loss of row 14: each photo's own text among wrong ones that row 5 ranks first, and each text's own photo, for
    some of the batch; and for all of it CLIP's loss of the whole sides.
    """
    cross = require_cross(model)
    assert batch.sample_B is not None
    assert cross.whole is not None
    device, count = batch.tokens_BL.device, min(cross.settings.lists, len(batch.tokens_BL))
    text_BD = negatives.text_ND[batch.sample_B.cpu()].to(device)
    image_BPH = image_side(cross, batch)
    text = read_text(model, batch.tokens_BL, batch.ids_BKM, text_BD=text_BD)
    sides = Pairs(unit(image_BPH[:, 0]), unit(text.state_BTH[:, 0]))
    drawn = negatives.draw(batch.sample_B[:count].cpu(), cross.settings.negatives)
    own_B = torch.arange(count, device=device)
    own_M = own_B[:, None].expand(-1, drawn[0].shape[1]).flatten()
    wrong_texts, wrong_photos = (loader.items(side_BM.flatten().numpy()).to(str(device)) for side_BM in drawn)
    right_B1 = cross.score(text.rows(own_B), image_BPH[:count])[:, None]
    known = negatives.text_ND[drawn[0].flatten()].to(device)
    wrong = read_text(model, wrong_texts.tokens_BL, wrong_texts.ids_BKM, text_BD=known)
    to_texts = cross.score(wrong, image_BPH[own_M]).view(count, -1)
    to_photos = cross.score(text.rows(own_M), image_side(cross, wrong_photos)).view(count, -1)
    terms = {
        "photo to text": listwise_loss(torch.cat([right_B1, to_texts], dim=1)),
        "text to photo": listwise_loss(torch.cat([right_B1, to_photos], dim=1)),
        "whole sides": contrastive_loss(sides, cross.whole.scale),
    }
    lists = (terms["photo to text"] + terms["text to photo"]) / 2
    return CrossLoss(lists + terms["whole sides"], terms)


def match_log(model: EntityClipModel, log: pa.Table) -> tuple[pa.Table, int]:
    """A step log whose `loss` is that of matching alone, and among how many answers matching chooses.

    A guess has the logarithm of that number as its loss.
    """
    cross, terms = require_cross(model), [dict(terms) for terms in log["loss_views"].to_pylist()]
    if model.variant.cross == "rerank":
        match, answers = (
            [(own["photo to text"] + own["text to photo"]) / 2 for own in terms],
            1 + cross.settings.negatives,
        )
    else:
        match, answers = [own["match"] for own in terms], 2
    return log.set_column(log.schema.get_field_index("loss"), "loss", pa.array(match, pa.float32())), answers


def _others(batch: Batch) -> tuple[Tensor, Tensor]:
    """Another photo of the batch for each text (B,), and whether it is of another product with another text (B,)."""
    count = len(batch.product_B)
    other_B = (torch.arange(count) + torch.randint(1, max(2, count), ()).item()) % count
    other_B = other_B.to(batch.product_B.device)
    equal_B = (batch.tokens_BL == batch.tokens_BL[other_B]).all(dim=1)
    return other_B, (batch.product_B != batch.product_B[other_B]) & ~equal_B


def _padding(lengths_B: Tensor, length: int) -> Tensor:
    return torch.arange(length, device=lengths_B.device) >= lengths_B[:, None]


def _label_loss(logits_BV: Tensor, label_B: Tensor) -> Tensor:
    """Mean cross entropy of the labels that are questions; 0 where none is."""
    asked_B = label_B != IGNORED
    return torch.nn.functional.cross_entropy(logits_BV[asked_B], label_B[asked_B]) if bool(asked_B.any()) else (
        logits_BV.sum() * 0.0
    )  # fmt: skip
