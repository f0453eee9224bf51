"""What cross-encoders are trained on beside matching: hidden words and changed patches, and their labels.

FashionBERT hides words and patches (arXiv 2005.09801, section 3.2). Kaleido-BERT turns, shuffles, swaps, greys and
blanks patches of its five scales, and hides words and patches that belong together (arXiv 2103.16110, sections 3.2 and
3.3). Everything is drawn by torch's own random state on the CPU.

Shape suffixes: B batch, L tokens, W width of the text tower, P patches, C channels, Q patches of one scale, H width of
the cross-encoder, A width of the aligner, N hidden words or patches.
"""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eiclip.model.patches import KALEIDO_SIDES
from eiclip.settings.cross_modal import CrossKind

IGNORED = -100
"""Label of what is no question."""
ORDERS = tuple(itertools.permutations(range(4)))
"""The 24 orders of the jigsaw's four patches."""
STARTS = tuple(itertools.accumulate((side**2 for side in KALEIDO_SIDES), initial=0))
"""Where the patches of each scale begin."""
TURNS = 4
RANDOM_WORD, SAME_WORD = 0.1, 0.1
"""Of the words that are to be named, BERT replaces so many by others and leaves so many as they are."""


class HiddenWords(NamedTuple):
    """Token ids (B, L) with some replaced, which are hidden (B, L), and which are to be named (B, L)."""

    tokens_BL: Tensor
    hidden_BL: Tensor
    asked_BL: Tensor


def hide_words(tokens_BL: Tensor, lengths_B: Tensor, chosen_B: Tensor, share: float, vocabulary: int) -> HiddenWords:
    """Choose words to be named: of each chosen text that has words a share, one at the least.

    The first and the last token, which mark a text's ends, and padding are none.
    """
    place_L = torch.arange(tokens_BL.shape[1])
    lengths_B1, chosen_B1 = lengths_B.cpu()[:, None], chosen_B.cpu()[:, None]
    word_BL = (place_L > 0) & (place_L < lengths_B1 - 1) & chosen_B1
    draw_BL = torch.rand(word_BL.shape).masked_fill(~word_BL, 2.0)
    wanted_B1 = (share * word_BL.sum(dim=1, keepdim=True)).round().clamp(min=1.0 if share else 0.0)
    asked_BL = (draw_BL.argsort(dim=1).argsort(dim=1) < wanted_B1) & word_BL
    fate_BL = torch.rand(word_BL.shape)
    replaced_BL = asked_BL & (fate_BL < RANDOM_WORD)
    hidden_BL = asked_BL & (fate_BL >= RANDOM_WORD + SAME_WORD)
    other_BL = torch.randint(vocabulary, word_BL.shape)
    device = tokens_BL.device
    shown_BL = torch.where(replaced_BL.to(device), other_BL.to(device), tokens_BL)
    return HiddenWords(shown_BL, hidden_BL.to(device), asked_BL.to(device))


def hide_patches(chosen_B: Tensor, patches: int, share: float) -> Tensor:
    """Choose patches (B, P) to be hidden: of each chosen photo a share, one at the least."""
    wanted = max(1, round(share * patches)) if share else 0
    chosen_BP = torch.rand(len(chosen_B), patches).argsort(dim=1).argsort(dim=1) < wanted
    return chosen_BP.to(chosen_B.device) & chosen_B[:, None]


class KaleidoViews(NamedTuple):
    """Scaled patches of other views of the same photos: turned by 90, 180 and 270 degrees, and grey."""

    turned_B3C: Tensor
    """Patches of the first scale."""
    grey_BQC: Tensor
    """Patches of the fourth scale, 4 x 4."""


class KaleidoTasks(NamedTuple):
    """Changed patches (B, P, C) and the labels of what was done (B,); IGNORED for photos that are as they were."""

    patches_BPC: Tensor
    turn_B: Tensor
    """Times that the photo was turned by 90 degrees."""
    order_B: Tensor
    """Which of `ORDERS` the patches of the second scale are in."""
    swapped_B: Tensor
    """Which patch of the third scale is of another photo."""
    grey_BP: Tensor
    """Patches of the fourth scale that are grey."""
    blank_BP: Tensor
    """Patches of the fifth scale that are hidden."""


def kaleido_tasks(
    patches_BPC: Tensor, views: KaleidoViews, chosen_B: Tensor, share: float, matched_BP: Tensor | None = None
) -> KaleidoTasks:
    """Change the patches of chosen photos in the five ways of section 3.3.

    Args:
        patches_BPC: scaled patches of all scales.
        views: of the same photos.
        chosen_B: photos that are changed; others are as they were.
        share: of the fourth and fifth scale's patches that are greyed and blanked.
        matched_BP: how well patches match the words that are hidden: the best are greyed and blanked first (alignment
            guided masking, section 3.2). None: they are drawn.
    """
    count, device = len(patches_BPC), patches_BPC.device
    changed_BPC, row_B = patches_BPC.clone(), torch.arange(count, device=device)
    turn_B = torch.randint(TURNS, (count,)).to(device)
    all_turns_B4C = torch.cat([patches_BPC[:, :1], views.turned_B3C], dim=1)
    changed_BPC[:, 0] = all_turns_B4C[row_B, turn_B]
    order_B = torch.randint(len(ORDERS), (count,)).to(device)
    order_B4 = torch.tensor(ORDERS, device=device)[order_B]
    second = slice(STARTS[1], STARTS[2])
    changed_BPC[:, second] = patches_BPC[:, second][row_B[:, None], order_B4]
    swapped_B = torch.randint(KALEIDO_SIDES[2] ** 2, (count,)).to(device)
    changed_BPC[row_B, STARTS[2] + swapped_B] = patches_BPC.roll(1, dims=0)[row_B, STARTS[2] + swapped_B]
    preference_BP = torch.rand(count, patches_BPC.shape[1]).to(device)
    if matched_BP is not None:
        preference_BP = preference_BP * 1e-3 + matched_BP
    grey_BP, blank_BP = (_best_of_scale(preference_BP, scale, share) & chosen_B[:, None] for scale in (3, 4))
    grey_BPC = torch.zeros_like(patches_BPC)
    grey_BPC[:, STARTS[3] : STARTS[4]] = views.grey_BQC
    changed_BPC = torch.where(grey_BP[..., None], grey_BPC, changed_BPC)
    changed_BPC = torch.where(chosen_B[:, None, None], changed_BPC, patches_BPC)
    is_swapped_B = chosen_B & (count > 1)
    labels = (turn_B.where(chosen_B, IGNORED), order_B.where(chosen_B, IGNORED), swapped_B.where(is_swapped_B, IGNORED))
    return KaleidoTasks(changed_BPC, *labels, grey_BP, blank_BP)


def _best_of_scale(preference_BP: Tensor, scale: int, share: float) -> Tensor:
    """The patches (B, P) of a scale that are preferred: a share of them, one at the least."""
    inside = slice(STARTS[scale], STARTS[scale + 1])
    count = STARTS[scale + 1] - STARTS[scale]
    best_BQ = preference_BP[:, inside].argsort(dim=1, descending=True).argsort(dim=1) < max(1, round(share * count))
    found_BP = torch.zeros(preference_BP.shape, dtype=torch.bool, device=preference_BP.device)
    found_BP[:, inside] = best_BQ
    return found_BP


class Aligner(nn.Module):
    """A small attention model of which words belong to which patches (Kaleido-BERT's alignment generator, in kind).

    Words and patches are projected into one space. A text fits a photo as well as its words fit, on average, what they
    attend to among the patches; it is trained to tell the batch's pairs apart, and nothing else is trained by it.

    Args:
        width: W.
        channels: C.
    """

    WIDTH = 64
    SHARPNESS = 10.0

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.words, self.patches = nn.Linear(width, self.WIDTH), nn.Linear(channels, self.WIDTH)

    def forward(self, word_BLW: Tensor, patches_BPC: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors of words (B, L, A) and of patches (B, P, A)."""
        return F.normalize(self.words(word_BLW), dim=-1), F.normalize(self.patches(patches_BPC), dim=-1)

    def loss(self, word_BLW: Tensor, padding_BL: Tensor, patches_BPC: Tensor) -> Tensor:
        """Symmetric cross entropy over the batch's pairs of a text and a photo."""
        word_BLA, patch_BPA = self(word_BLW, patches_BPC)
        match_BBLP = torch.einsum("bla,cpa->bclp", word_BLA, patch_BPA)
        attended_BBL = (match_BBLP * (self.SHARPNESS * match_BBLP).softmax(dim=-1)).sum(dim=-1)
        used_B1L = (~padding_BL)[:, None].float()
        fit_BB = self.SHARPNESS * (attended_BBL * used_B1L).sum(dim=-1) / used_B1L.sum(dim=-1).clamp(min=1)
        own_B = torch.arange(len(fit_BB), device=fit_BB.device)
        return (F.cross_entropy(fit_BB, own_B) + F.cross_entropy(fit_BB.T, own_B)) / 2

    @torch.no_grad()
    def matched(self, word_BLW: Tensor, hidden_BL: Tensor, patches_BPC: Tensor) -> Tensor:
        """How well each patch (B, P) matches the hidden word that it matches best; 0 where none is hidden."""
        word_BLA, patch_BPA = self(word_BLW, patches_BPC)
        match_BLP = torch.einsum("bla,bpa->blp", word_BLA, patch_BPA).masked_fill(~hidden_BL[..., None], -1.0)
        return (match_BLP.amax(dim=1) + 1) / 2 * hidden_BL.any(dim=1)[:, None]


class PretextHeads(nn.Module):
    """The heads that answer the questions above, of a kind of cross-encoder.

    Args:
        kind: whose questions.
        width: H.
        words: W, the width of the token embeddings by which words are named.
        channels: C.
    """

    def __init__(self, kind: CrossKind, width: int, words: int, channels: int) -> None:
        super().__init__()
        self.word = nn.Sequential(nn.Linear(width, words), nn.GELU(), nn.LayerNorm(words))
        self.patch = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, channels))
        if kind == "kaleidobert":
            self.turn, self.order = nn.Linear(width, TURNS), nn.Linear(4 * width, len(ORDERS))
            self.swapped = nn.Linear(width, 1)
            self.grey = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, channels))
