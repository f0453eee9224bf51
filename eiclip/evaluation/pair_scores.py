"""Scores of pairs of a text and a photo by a cross-encoder: each side is read once, each pair by the layers above.

Shape suffixes: B batch, P pairs, N photos, T texts, L tokens of a text side, S of all texts, H width of the
cross-encoder.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from eiclip.errors import NonFiniteError
from eiclip.features.patches import split_values
from eiclip.features.reader import SplitFeatures
from eiclip.model.cross_encoder import CrossEncoder, TextSide
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.inputs import ModelInputs
from eiclip.model.losses import unit
from eiclip.shards import Sample
from eiclip.system.devices import mixed_precision

AT_ONCE = 64
"""Texts or photos that are read together."""
STATES = {"cpu": 2**13, "cuda": 2**18}
"""States of the pairs that are scored together: more would not be faster."""


class TextSides:
    """What a cross-encoder reads of texts, each as long as it is."""

    def __init__(self, parts: Sequence[TextSide]) -> None:
        states = [state_LH[~padding_L] for side in parts for state_LH, padding_L in zip(*side, strict=True)]
        self._states = states
        self.length_T = torch.tensor([len(state_LH) for state_LH in states])

    def __len__(self) -> int:
        return len(self._states)

    def of(self, row_B: Tensor) -> TextSide:
        """Those of some texts, padded to the longest."""
        state_BLH = pad_sequence([self._states[row] for row in row_B.tolist()], batch_first=True)
        length_B = self.length_T[row_B].to(state_BLH.device)
        place_L = torch.arange(state_BLH.shape[1], device=state_BLH.device)
        return TextSide(state_BLH, place_L >= length_B[:, None])


def read_text(
    model: EntityClipModel,
    tokens_BL: Tensor,
    ids_BKM: Tensor,
    hidden_BL: Tensor | None = None,
    text_BD: Tensor | None = None,
) -> TextSide:
    """What a model's cross-encoder reads of token ids (B, L) and, in row 14, of entity ids (B, K, M).

    Row 14 reads row 5's embedding (B, D) of the text too; it is computed where it is not given.
    """
    cross = require_cross(model)
    if cross.entities is None or model.fusion is None:
        return cross.text_side(tokens_BL, hidden_BL=hidden_BL)
    with torch.no_grad():
        entity_BKD, weight_BK = model.fusion.each(ids_BKM)
        if text_BD is None:
            text_BD = unit(model.encode_text(tokens_BL, ids_BKM).joint())
    return cross.text_side(tokens_BL, entity_BKD, weight_BK, hidden_BL, text_BD)


def require_cross(model: EntityClipModel) -> CrossEncoder:
    """The model's cross-encoder, which rows 10 to 14 have."""
    assert model.cross is not None, f"{model.variant.name} has no cross-encoder"
    return model.cross


class PairScorer:
    """Texts and photos as a model's cross-encoder reads them, and the scores of their pairs."""

    def __init__(self, model: EntityClipModel, texts: TextSides, image_NPH: Tensor, device: str) -> None:
        self.model, self.texts, self.image_NPH, self.device = model, texts, image_NPH, device

    @classmethod
    def of(
        cls, model: EntityClipModel, products: Sequence[Sample], image_ids: Sequence[str], features: SplitFeatures,
        device: str = "cpu", excluded_group: str = "",
    ) -> Self:  # fmt: skip
        """Read products' texts and photos.

        Args:
            products: a sample of each product.
            image_ids: of the photos, whose patches `features` has.
            excluded_group: entity group that texts do without.
        """
        values_NF = features.photos(image_ids)
        assert values_NF is not None
        texts = texts_of(model, products, device, excluded_group)
        return cls(model, texts, photos_of(model, values_NF, device), device)

    @torch.inference_mode()
    def scores(self, text_P: np.ndarray, image_P: np.ndarray) -> np.ndarray:
        """Logits (P,), float32, of pairs of a text's and a photo's row.

        Raises:
            NonFiniteError: a score is NaN or infinite.
        """
        cross, found = require_cross(self.model), np.empty(len(text_P), dtype=np.float32)
        length_P = self.texts.length_T.numpy()[text_P] + 1 + self.image_NPH.shape[1]
        order_P = np.argsort(length_P, kind="stable")  # pairs of like length together: little is padding
        most = STATES[self.device.split(":")[0]]
        start = 0
        while start < len(order_P):
            rows = order_P[start : start + max(1, most // int(length_P[order_P[start]]))]
            rows = rows[: max(1, most // int(length_P[rows[-1]]))]
            text = self.texts.of(torch.from_numpy(text_P[rows]))
            image_BPH = self.image_NPH[torch.from_numpy(image_P[rows]).to(self.image_NPH.device)]
            with mixed_precision(self.device):
                found[rows] = cross.score(text, image_BPH).float().cpu().numpy()
            start += len(rows)
        if not np.isfinite(found).all():
            raise NonFiniteError(f"{int((~np.isfinite(found)).sum())} of {len(found)} pair scores are not finite")
        return found


@torch.inference_mode()
def texts_of(
    model: EntityClipModel,
    products: Sequence[Sample],
    device: str = "cpu",
    excluded_group: str = "",
    text_ND: Tensor | None = None,
) -> TextSides:
    """What a model's cross-encoder reads of products' texts and entities, but for those of `excluded_group`.

    Row 14 reads row 5's embeddings (N, D) of them too, of length one; they are computed where they are not given.
    """
    inputs, parts = ModelInputs.of(model), []
    for start in range(0, len(products), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        tokens_BL, ids_BKM = inputs.of_texts(products[rows], excluded_group)
        text_BD = None if text_ND is None else text_ND[rows].to(device)
        with mixed_precision(device):
            parts.append(read_text(model, tokens_BL.to(device), ids_BKM.to(device), text_BD=text_BD))
    return TextSides([TextSide(part.state_BTH.float(), part.padding_BT) for part in parts])


@torch.inference_mode()
def photos_of(model: EntityClipModel, values_NF: Tensor, device: str = "cpu") -> Tensor:
    """What a model's cross-encoder reads of photos (N, P, H), of all values (N, F) of their patches."""
    cross, parts = require_cross(model), []
    size = cross.channels * cross.grid_side**2
    for values_BF in values_NF.split(AT_ONCE):
        grid_BCSS, _ = split_values(values_BF[:, :size].to(device), cross.channels, cross.grid_side)
        with mixed_precision(device):
            parts.append(cross.image_side(cross.patches_of(grid_BCSS)).float())
    return torch.cat(parts)
