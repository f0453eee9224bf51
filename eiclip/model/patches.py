"""Patches of photos as a cross-encoder reads them: what the image tower makes of each place, and the place's colours.

The last block of a tower that was trained to name objects has given up colour and texture (`levels`), so that a block
from the first half is read beside it.

Shape suffixes: B batch, C channels, S side of the grid of places, P patches, L tokens, H height, W width.
"""

import functools
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eiclip.errors import SettingsError
from eiclip.model.levels import NEVER, black_photo, evaluating, image_blocks
from eiclip.model.towers import pixel_statistics, preprocessing

MOST_SIDE = 7
"""Larger grids are averaged down to this."""
EARLY = 3
"""The block that is read beside the last one stands at this part of them."""
KALEIDO_SIDES = (1, 2, 3, 4, 5)
"""Kaleido-BERT's five scales, 55 patches (arXiv 2103.16110, section 3.1)."""


class PatchReader:
    """Reads the patches of photos off an image tower: a transformer's tokens, or a convolutional tower's grid.

    Args:
        towers: whose image tower it is; it is run in evaluation, without gradients.

    Raises:
        SettingsError: the tower is of a build whose blocks are not known, or has no places.
    """

    def __init__(self, towers: Any) -> None:
        blocks = image_blocks(towers)
        if not blocks:
            raise SettingsError(
                f"{type(towers.visual).__name__}: this image tower has no blocks whose patches a cross-encoder could "
                "read; choose towers of open_clip (a ViT or ResNet) or of timm with blocks, stages or layer1 to layer4"
            )
        self.towers, self._blocks = towers, dict.fromkeys([blocks[(len(blocks) - 1) // EARLY], blocks[-1]])
        self._statistics = pixel_statistics(towers)
        self._channels_last = getattr(getattr(towers.visual, "trunk", None), "output_fmt", "NCHW") == "NHWC"

    @functools.cached_property
    def _shape(self) -> torch.Size:
        return self.read(black_photo(self.towers)).shape

    @property
    def channels(self) -> int:
        """C, the width of a patch's features."""
        return int(self._shape[1])

    @property
    def side(self) -> int:
        """S, places along each side."""
        return int(self._shape[2])

    def read(self, pixels_BCHW: Tensor) -> Tensor:
        """Features (B, C, S, S) of normalised photos (B, 3, H, W), S at most `MOST_SIDE`.

        Raises:
            SettingsError: a block has no places.
        """
        found: list[Tensor] = []
        hooks = [
            block.register_forward_hook(lambda _module, _inputs, output: found.append(output)) for block in self._blocks
        ]
        try:
            with evaluating(self.towers):
                self.towers.encode_image(pixels_BCHW)
        finally:
            for hook in hooks:
                hook.remove()
        grids = [as_grid(output, self._channels_last).float() for output in found]
        side = min(MOST_SIDE, grids[-1].shape[2])
        return torch.cat([F.adaptive_avg_pool2d(grid, side) for grid in [*grids, self._colours(pixels_BCHW, side)]], 1)

    def _colours(self, pixels_BCHW: Tensor, side: int) -> Tensor:
        """Mean and deviation of red, green and blue in each place (B, 6, S, S)."""
        mean_C11, deviation_C11 = (torch.tensor(s, device=pixels_BCHW.device)[:, None, None] for s in self._statistics)
        shown_BCHW = (pixels_BCHW.float() * deviation_C11 + mean_C11).clamp(0, 1)
        mean = F.adaptive_avg_pool2d(shown_BCHW, side)
        spread = (F.adaptive_avg_pool2d(shown_BCHW.square(), side) - mean.square()).clamp(min=0).sqrt()
        return torch.cat([mean, spread], dim=1)

    def digest(self) -> str:
        """What identifies the features: the image tower's weights, and how photos are prepared for it."""
        found = hashlib.sha256(f"{MOST_SIDE}/{EARLY}/{preprocessing(self.towers)}".encode())
        for name, value in sorted(self.towers.visual.state_dict().items()):
            if "head" not in name.split("."):  # what comes after the last block decides nothing
                found.update(name.encode())
                found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return found.hexdigest()[:16]


def as_grid(output: Tensor, channels_last: bool = False) -> Tensor:
    """A block's output as (B, C, S, S): tokens (B, L, C) without those before the places, or a grid in either order.

    Raises:
        SettingsError: the output is neither.
    """
    if output.dim() == 4:
        return output.permute(0, 3, 1, 2) if channels_last else output
    if output.dim() != 3:
        raise SettingsError(f"the image tower's last block gives {tuple(output.shape)}, which has no places to read")
    side = math.isqrt(output.shape[1])
    return output[:, -(side**2) :].transpose(1, 2).unflatten(2, (side, side))


def pooled(grid_BCSS: Tensor, sides: Sequence[int]) -> Tensor:
    """Patches (B, P, C) of grids at each of some scales, in reading order, the first scale first."""
    return torch.cat([F.adaptive_avg_pool2d(grid_BCSS, side).flatten(2) for side in sides], dim=2).transpose(1, 2)


class PatchStates(nn.Module):
    """Patches (B, P, C) as the cross-encoder reads them: scaled, projected, with their place.

    Args:
        channels: C.
        patches: P.
        width: of the cross-encoder.
    """

    def __init__(self, channels: int, patches: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        self.projection = nn.Linear(channels, width)
        self.position = nn.Parameter(0.02 * torch.randn(patches, width))
        self.hidden = nn.Parameter(torch.zeros(channels))
        """What stands for a patch that is hidden."""

    @torch.no_grad()
    def fit(self, mean_C: Tensor, deviation_C: Tensor) -> None:
        """Set what features are scaled by; one that never changes is left out."""
        self.get_buffer("mean").copy_(mean_C)
        self.get_buffer("deviation").copy_(torch.where(deviation_C > 0, deviation_C, NEVER))

    def scaled(self, patches_BPC: Tensor) -> Tensor:
        """Features with about mean 0 and deviation 1 over the training photos."""
        return (patches_BPC.float() - self.get_buffer("mean")) / self.get_buffer("deviation")

    def forward(self, patches_BPC: Tensor) -> Tensor:
        """States (B, P, width) of scaled patches."""
        return self.projection(patches_BPC) + self.position
