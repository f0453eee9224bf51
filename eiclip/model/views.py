"""Three views of a product in one space: its photo, its text, and both together (arXiv 2302.05093, in kind).

Shape suffixes: B batch, D embedding width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ViewFusion(nn.Module):
    """m: the joint view of a photo's and a text's embedding, learned.

    Each dimension weighs photo against text by a gate that both decide, and a correction is added that neither has
    alone. A new fusion gives their plain mean: the last layers begin at zero.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(3 * width, 2 * width), nn.GELU())
        self.gate = nn.Linear(2 * width, width)
        self.correction = nn.Linear(2 * width, width)
        for last in (self.gate, self.correction):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, image_BD: Tensor, text_BD: Tensor) -> Tensor:
        """Embeddings (B, D), not normalised, of a photo's and a text's, both of length one."""
        hidden = self.trunk(torch.cat([image_BD, text_BD, image_BD * text_BD], dim=-1))
        gate_BD = torch.sigmoid(self.gate(hidden))
        joint_BD: Tensor = gate_BD * image_BD + (1 - gate_BD) * text_BD + self.correction(hidden)
        return joint_BD


def joint_view(fusion: ViewFusion | None, image_BD: Tensor, text_BD: Tensor) -> Tensor:
    """The joint view (B, D) of unit embeddings, of length one: by the fusion, or the mean where a model has none."""
    if fusion is None:
        return F.normalize(image_BD + text_BD, dim=-1)
    return F.normalize(fusion(image_BD, text_BD).float(), dim=-1)
