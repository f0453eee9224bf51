"""The levels of an image tower: its photo's own colours and what each of its blocks sees, as a second reading of it.

A tower that was trained to name objects has given up colour and texture by its last layer; the photo and the earlier
blocks still hold them, and they are what words such as "navy" or "striped" ask for. Ours: not in the paper.

Shape suffixes: B batch, C channels, H height, W width, L patches, G values of all levels, D embedding width.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eiclip.model.towers import image_size, pixel_statistics

MOST_LEVELS = 8
"""Blocks that are read, evenly spaced and with the last one, where a tower has more."""
SIDE, SHADES = 8, 4
"""Of a photo itself: its mean colours in SIDE x SIDE places, and shares of its pixels by SHADES of red, green and blue.
"""
COLOURS = 3 * SIDE**2 + SHADES**3
HIDDEN = 512
NEVER = 1e9
"""Deviation of a value that never changes in training: scaled by it, it counts for nothing."""


def image_blocks(towers: Any) -> list[nn.Module]:
    """The blocks of the image tower in their order; none where it is of a build that is not known.

    Known are open_clip's transformers and ResNets, and of timm's towers those with `blocks`, `stages` or `layer1` to
    `layer4`.
    """
    visual: Any = towers.visual
    for owner in (getattr(visual, "trunk", None), getattr(visual, "transformer", None), visual):
        for name in ("blocks", "stages", "resblocks"):
            if isinstance(found := getattr(owner, name, None), nn.ModuleList | nn.Sequential):
                return list(found)
        if isinstance(getattr(owner, "layer1", None), nn.Module):
            return [getattr(owner, f"layer{number}") for number in range(1, 5)]
    return []


@contextlib.contextmanager
def evaluating(towers: nn.Module) -> Iterator[None]:
    """Have towers in evaluation, without gradients, meanwhile; each of their modules is then as it was."""
    modes = [(module, module.training) for module in towers.modules()]
    towers.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def black_photo(towers: Any) -> Tensor:
    """One photo (1, 3, H, W) such as the towers take, to find out what they make of it."""
    side, weight = image_size(towers), next(towers.visual.parameters())
    return torch.zeros(1, 3, side, side, device=weight.device, dtype=weight.dtype)


class ImageLevels:
    """Reads the levels of an image tower while it looks at photos: their colours, then mean and deviation of each
    channel of some of its blocks.

    Args:
        towers: whose image tower it is.
        look: what is done with photos: the frozen part of the tower, whose blocks alone then count. None: all of it.
    """

    def __init__(self, towers: Any, look: Callable[[Tensor], Tensor] | None) -> None:
        blocks = image_blocks(towers)
        count = min(MOST_LEVELS, len(blocks))  # none of a tower of another build: colours are left
        self.blocks = [blocks[(number + 1) * len(blocks) // count - 1] for number in range(count)]
        self._channels_last = getattr(getattr(towers.visual, "trunk", None), "output_fmt", "NCHW") == "NHWC"
        self._towers, self._look = towers, look or towers.encode_image
        self._statistics = pixel_statistics(towers)
        self._own, self._lock = threading.local(), threading.Lock()
        self._hooked: list[Any] = []

    @functools.cached_property
    def _shapes(self) -> tuple[torch.Size, int]:
        with evaluating(self._towers), self.read() as found:
            shape = self._look(black_photo(self._towers)).shape[1:]
        return shape, COLOURS + sum(pooled.shape[1] for pooled in found)

    @property
    def looked_shape(self) -> torch.Size:
        """Shape of what `look` makes of a photo."""
        return self._shapes[0]

    @property
    def width(self) -> int:
        """G, the number of values: of the colours alone where no block is known that `look` goes through."""
        return self._shapes[1]

    @contextlib.contextmanager
    def read(self) -> Iterator[list[Tensor]]:
        """Collect the levels of what the tower looks at meanwhile, a tensor (B, 2 C) a block in the list given.

        Threads may read at once: each collects what it looks at itself.
        """
        with self._lock:
            if not self._hooked:
                self._hooked = [block.register_forward_hook(self._see) for block in self.blocks]
        before, found = getattr(self._own, "found", None), list[Tensor]()
        self._own.found = found
        try:
            yield found
        finally:
            self._own.found = before

    def _see(self, _block: nn.Module, _inputs: Any, output: Tensor) -> None:
        """Pool what a block makes, also where no one reads: gradient checkpointing runs blocks again in the backward
        pass, and is to find the same work there.
        """
        pooled = self._pooled(output)
        if (found := getattr(self._own, "found", None)) is not None:
            found.append(pooled)

    def of(self, pixels_BCHW: Tensor, found: list[Tensor]) -> Tensor:
        """Levels (B, G) of normalised pixels and of what `read` collected while the tower looked at them."""
        return torch.cat([self._colours(pixels_BCHW.float()), *found], dim=1)[:, : self.width]

    def _colours(self, pixels_BCHW: Tensor) -> Tensor:
        mean_C11, deviation_C11 = (torch.tensor(s, device=pixels_BCHW.device)[:, None, None] for s in self._statistics)
        shown_BCHW = (pixels_BCHW * deviation_C11 + mean_C11).clamp(0, 1)
        places_BP = F.adaptive_avg_pool2d(shown_BCHW, SIDE).flatten(1)
        shade_BCHW = (shown_BCHW * SHADES).long().clamp(max=SHADES - 1)
        colour_BN = ((shade_BCHW[:, 0] * SHADES + shade_BCHW[:, 1]) * SHADES + shade_BCHW[:, 2]).flatten(1)
        counts_BS = torch.zeros(len(colour_BN), SHADES**3, device=colour_BN.device)
        counts_BS.scatter_add_(1, colour_BN, torch.ones_like(colour_BN, dtype=torch.float32))
        return torch.cat([places_BP, (counts_BS / colour_BN.shape[1]).sqrt()], dim=1)

    def _pooled(self, output: Tensor) -> Tensor:
        output = output.float()  # (B, C, H, W), or channels last: (B, H, W, C), (B, L, C)
        last = output.dim() == 3 or self._channels_last
        places = tuple(range(1, output.dim() - 1)) if last else (2, 3)
        mean = output.mean(places)
        spread = (output.square().mean(places) - mean.square()).clamp(min=0).sqrt()
        return torch.cat([mean, spread], dim=1)


class LevelHead(nn.Module):
    """Embeddings (B, D) of levels (B, G): each value scaled by what training photos have, then an MLP.

    Args:
        values: G.
        width: D.
    """

    def __init__(self, values: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("deviation", torch.ones(values))
        self.mlp = nn.Sequential(nn.Linear(values, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, width))

    @torch.no_grad()
    def fit(self, mean_G: Tensor, deviation_G: Tensor) -> None:
        """Set what levels are scaled by; a value that never changes is left out."""
        self.get_buffer("mean").copy_(mean_G)
        self.get_buffer("deviation").copy_(torch.where(deviation_G > 0, deviation_G, NEVER))

    def forward(self, levels_BG: Tensor) -> Tensor:
        """Embeddings (B, D) of length one."""
        scaled_BG = (levels_BG.float() - self.get_buffer("mean")) / self.get_buffer("deviation")
        return F.normalize(self.mlp(scaled_BG), dim=-1)
