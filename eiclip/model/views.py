"""Three views of a product in one space: its photo, its text, and both together (arXiv 2302.05093, in kind).

Shape suffixes: B batch, D embedding width.
"""

import torch
from torch import Tensor, nn

from eiclip.model.losses import unit


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
        for weight in (*self.gate.parameters(), *self.correction.parameters()):
            nn.init.zeros_(weight)

    def forward(self, image_BD: Tensor, text_BD: Tensor) -> Tensor:
        """Joint view (B, D), of length one, of a photo's and a text's embedding, both of length one."""
        hidden = self.trunk(torch.cat([image_BD, text_BD, image_BD * text_BD], dim=-1))
        gate_BD = torch.sigmoid(self.gate(hidden))
        return unit(gate_BD * image_BD + (1 - gate_BD) * text_BD + self.correction(hidden))
