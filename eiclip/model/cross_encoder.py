"""A cross-encoder: one transformer reads a photo's patches and a text's words together and scores the pair.

FashionBERT (arXiv 2005.09801) reads patches of one scale, Kaleido-BERT (arXiv 2103.16110) of five. Both keep the image
tower as it is, as the papers do, and train a copy of the text tower's lower layers.

Shape suffixes: B batch, L tokens, K entity groups, T tokens and entities of a text, P patches, C channels, S side of
the grid, D embedding width, X states of a pair (1 + T + P), H width of the cross-encoder, V tokens of the vocabulary.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eiclip.model.entities import EntityFusion
from eiclip.model.patches import KALEIDO_SIDES, PatchReader, PatchStates, pooled
from eiclip.model.pretext import Aligner, PretextHeads
from eiclip.model.text_states import TextStates
from eiclip.model.towers import length_groups
from eiclip.settings.cross_modal import CrossKind, CrossSettings


class TextSide(NamedTuple):
    """What is read of texts: states (B, T, H), and which of them are padding (B, T)."""

    state_BTH: Tensor
    padding_BT: Tensor

    def rows(self, row_B: Tensor) -> "TextSide":
        """Those of some texts, cut to the longest of them."""
        padding_BT = self.padding_BT[row_B]
        used_T = ~padding_BT.all(dim=0)
        return TextSide(self.state_BTH[row_B][:, used_T], padding_BT[:, used_T])


class WholeStates(nn.Module):
    """States of a whole photo and of a whole text, whose cosine is where row 14's score begins.

    They are aligned by the contrastive loss of their batch, so that the layers above begin with sides that already
    match ("align before fuse", arXiv 2107.07651, in kind): from scratch, pair by pair, those learn for hours.
    """

    HIDDEN = 512

    def __init__(self, values: int, width: int, embedding_width: int, dropout: float) -> None:
        super().__init__()
        self.photo_mlp = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(values, self.HIDDEN),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(self.HIDDEN, width),
        )
        self.text_mlp = nn.Sequential(
            nn.Linear(width + embedding_width, self.HIDDEN),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(self.HIDDEN, width),
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def photo(self, patches_BPC: Tensor) -> Tensor:
        """State (B, H) of scaled patches."""
        return self.photo_mlp(patches_BPC.flatten(1))

    def text(self, state_BTH: Tensor, padding_BT: Tensor, text_BD: Tensor) -> Tensor:
        """State (B, H) of a text's words and entities, and of row 5's embedding of it, of length one."""
        used_BT1 = (~padding_BT)[..., None].float()
        mean_BH = (state_BTH * used_BT1).sum(1) / used_BT1.sum(1).clamp(min=1)
        # Values about 1, as the words' states have.
        return self.text_mlp(torch.cat([mean_BH, math.sqrt(text_BD.shape[1]) * text_BD], dim=1))

    def logits(self, text_BH: Tensor, photo_BH: Tensor) -> Tensor:
        """Scaled cosines (B,) of pairs."""
        return self.scale * F.cosine_similarity(text_BH.float(), photo_BH.float(), dim=-1)

    @property
    def scale(self) -> Tensor:
        """The learned inverse temperature, at most 100."""
        return self.log_scale.clamp(max=math.log(100)).exp()


class CrossEncoder(nn.Module):
    """The cross-encoder of a row.

    Args:
        towers: whose patches and text layers it reads.
        kind: which patches it reads, and what they are trained on.
        settings: its size.
        fusion: entity encoders whose embeddings it reads beside the words (row 14); None: words alone.
        embedding_width: D, of those.
        aligned: whether each side has a state of the whole, and the score begins as the cosine of the two (row 14).

    Raises:
        SettingsError: the towers' patches or text layers cannot be read.
    """

    def __init__(
        self, towers: Any, kind: CrossKind, settings: CrossSettings, fusion: EntityFusion | None,
        embedding_width: int, *, aligned: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kind, self.settings = kind, settings
        self.sides = (settings.side,) if kind == "fashionbert" else KALEIDO_SIDES
        reader, width = PatchReader(towers), settings.width
        self.channels, self.grid_side = reader.channels, reader.side
        patches = sum(side**2 for side in self.sides)
        self.text = TextStates(towers, settings.text_layers)
        self.words = nn.Linear(self.text.width, width)
        self.patches = PatchStates(self.channels, patches, width)
        self.entities = None if fusion is None else nn.Linear(embedding_width, width)
        self.groups = None if fusion is None else nn.Parameter(0.02 * torch.randn(len(fusion.groups), width))
        self.whole = (
            WholeStates(patches * self.channels, width, embedding_width, settings.whole_dropout) if aligned else None
        )
        self.segments = nn.Parameter(0.02 * torch.randn(3, width))  # of words, patches and entities
        self.first = nn.Parameter(0.02 * torch.randn(width))
        """[CLS]: the state that scores the pair."""
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, settings.heads, settings.feed_forward * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(settings.layers)
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.norm, self.score_head = nn.LayerNorm(width), nn.Linear(width, 1)
        self.heads = PretextHeads(kind, width, self.text.width, self.channels)
        self.aligner = Aligner(self.text.width, self.channels) if kind == "kaleidobert" else None
        self.register_buffer("mix", torch.tensor([1.0, 1.0]))
        """Row 14: the weights of row 5's logit and of this score in their sum, fitted on the validation split."""

    def patches_of(self, grid_BCSS: Tensor) -> Tensor:
        """Scaled patches (B, P, C) of grids, in reading order, scale by scale."""
        return self.patches.scaled(pooled(grid_BCSS.float(), self.sides))

    def image_side(self, patches_BPC: Tensor) -> Tensor:
        """States (B, P, H) of scaled patches; row 14 has one of the whole photo before them."""
        state_BPH = self.patches(patches_BPC) + self.segments[1]
        return state_BPH if self.whole is None else torch.cat([self.whole.photo(patches_BPC)[:, None], state_BPH], 1)

    def text_side(
        self, tokens_BL: Tensor, entity_BKD: Tensor | None = None, weight_BK: Tensor | None = None,
        hidden_BL: Tensor | None = None,
        text_BD: Tensor | None = None,
    ) -> TextSide:  # fmt: skip
        """What is read of token ids (B, L), of which some may be hidden, and of entity embeddings (B, K, D), of which
        those of weight 0 are missing; in row 14 of row 5's embeddings (B, D) of the texts as well.
        """
        tokens_BL = tokens_BL[:, : self.settings.words]
        word_BLW = self.text(tokens_BL, hidden_BL)
        place_L = torch.arange(tokens_BL.shape[1], device=tokens_BL.device)
        padding_BL = place_L >= self.text.lengths(tokens_BL)[:, None]
        state_BLH = self.words(word_BLW) + self.segments[0]
        if self.entities is not None and self.groups is not None and entity_BKD is not None and weight_BK is not None:
            entity_BKH = self.entities(entity_BKD * weight_BK[..., None]) + self.groups + self.segments[2]
            state_BLH = torch.cat([state_BLH, entity_BKH], dim=1)
            padding_BL = torch.cat([padding_BL, weight_BK == 0], dim=1)
        if self.whole is not None:
            assert text_BD is not None
            state_BLH = torch.cat([self.whole.text(state_BLH, padding_BL, text_BD)[:, None], state_BLH], dim=1)
            padding_BL = torch.cat([padding_BL.new_zeros(len(padding_BL), 1), padding_BL], dim=1)
        return TextSide(state_BLH, padding_BL)

    def states(self, text: TextSide, image_BPH: Tensor) -> Tensor:
        """States (B, X, H) after all layers: of [CLS], the text's T and the photo's P."""
        count, words = text.padding_BT.shape
        found = image_BPH.new_zeros(count, 1 + words + image_BPH.shape[1], image_BPH.shape[2])
        for rows, own in self._groups(text):
            state_BXH, padding_BX = self._joined(own, image_BPH[rows])
            for layer in self.layers:
                state_BXH = layer(state_BXH, src_key_padding_mask=padding_BX)
            unused_T = text.padding_BT[rows].all(dim=0)  # which `rows` has cut out
            place_X = F.pad(~unused_T, (1, image_BPH.shape[1]), value=True).nonzero().squeeze(1)
            found = found.index_put((rows[:, None], place_X), self.norm(state_BXH).to(found.dtype))
        return found

    def score_of(self, first_BH: Tensor) -> Tensor:
        """Logits (B,) that photo and text belong together, of [CLS]'s states."""
        return self.score_head(first_BH).squeeze(-1)

    def score(self, text: TextSide, image_BPH: Tensor) -> Tensor:
        """Logits (B,) of pairs: those of `states`, of whose last layer [CLS]'s alone is computed; row 14's has the
        cosine of the two whole sides besides.
        """
        found = [(rows, self._score(own, image_BPH[rows])) for rows, own in self._groups(text)]
        order_B = torch.cat([rows for rows, _ in found]).argsort()
        score_B = torch.cat([score_B for _, score_B in found])[order_B]
        return score_B if self.whole is None else score_B + self.whole.logits(text.state_BTH[:, 0], image_BPH[:, 0])

    def _score(self, text: TextSide, image_BPH: Tensor) -> Tensor:
        state_BXH, padding_BX = self._joined(text, image_BPH)
        for layer in self.layers[:-1]:
            state_BXH = layer(state_BXH, src_key_padding_mask=padding_BX)
        last: Any = self.layers[-1]
        key_BXH = last.norm1(state_BXH)
        seen_B1H = last.self_attn(key_BXH[:, :1], key_BXH, key_BXH, key_padding_mask=padding_BX, need_weights=False)[0]
        first_B1H = state_BXH[:, :1] + seen_B1H
        first_B1H = first_B1H + last.linear2(last.activation(last.linear1(last.norm2(first_B1H))))
        return self.score_of(self.norm(first_B1H[:, 0]))

    def _groups(self, text: TextSide) -> list[tuple[Tensor, TextSide]]:
        """Rows of texts of like length, and what is read of these."""
        length_B = (~text.padding_BT).sum(dim=1)
        return [(rows, text.rows(rows)) for rows, _ in length_groups(length_B, text.padding_BT.device)]

    def _joined(self, text: TextSide, image_BPH: Tensor) -> tuple[Tensor, Tensor]:
        count, patches = image_BPH.shape[:2]
        states = torch.cat([self.first.expand(count, 1, -1), text.state_BTH, image_BPH], dim=1)
        shown = text.padding_BT.new_zeros(count, 1 + patches)
        return self.dropout(states), torch.cat([shown[:, :1], text.padding_BT, shown[:, 1:]], dim=1)

    def parameter_groups(self, tower_lr: float) -> list[dict[str, Any]]:
        """Optimizer groups: the copied layers of the text tower, and what starts from scratch."""
        copied = [weight for weight in self.text.tower.parameters() if weight.requires_grad]
        known = {id(weight) for weight in self.text.tower.parameters()}
        others = [weight for weight in self.parameters() if id(weight) not in known]
        groups = [("towers", copied, tower_lr), ("cross", others, self.settings.lr)]
        return [{"name": name, "params": weights, "lr": lr} for name, weights, lr in groups if weights]


def word_logits(hidden_NW: Tensor, embedding: nn.Module) -> Tensor:
    """Scores (N, V) of every token of the vocabulary, by the text tower's own embeddings."""
    weight: Any = embedding.weight
    return F.linear(hidden_NW, weight)
