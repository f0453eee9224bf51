"""Augmented photos: open_clip's own transforms, and a plain shift; whatever is random is a function of given numbers.

Light on purpose: processes that decode photos import it. Shape suffixes: B batch, H height, W width, C channels.
"""

import contextlib
import functools
import random
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from eiclip.settings.training import AugmentSettings


def seed_sequence(*what: int) -> np.random.SeedSequence:
    """Seed that is a function of these numbers, negative ones too."""
    return np.random.SeedSequence([*"/".join(map(str, what)).encode()])


@contextlib.contextmanager
def random_states(*what: int) -> Iterator[None]:
    """Random states that are a function of these numbers; Python's and torch's own are there again afterwards."""
    state, words = random.getstate(), seed_sequence(*what).generate_state(2, np.uint64)
    with torch.random.fork_rng(devices=[]):
        random.seed(int(words[0]))
        torch.manual_seed(int(words[1]) >> 1)
        yield
    random.setstate(state)


@functools.cache
def augmentation(augment: AugmentSettings, size: int) -> Callable[[Image.Image], Image.Image]:
    """open_clip's own transform for training, image to image: without its last two steps, which make a tensor."""
    from open_clip.transform import AugmentationCfg, Compose, image_transform

    strength = augment.color_jitter
    config = AugmentationCfg(
        scale=augment.scale,
        color_jitter=(strength, strength, strength, strength / 4),
        color_jitter_prob=augment.color_jitter_prob if strength else None,
        gray_scale_prob=augment.gray_scale_prob or None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it takes its own colour options for unused
        steps = image_transform(size, is_train=True, aug_cfg=config).transforms[:-2]
    steps[0].ratio = augment.ratio  # not among what image_transform passes on
    transform: Callable[[Image.Image], Image.Image] = Compose(steps)
    return transform


def moved(pixels_BHWC: Tensor) -> Tensor:
    """Photos moved by up to an eighth of their side, and half of them mirrored: by torch's random state on the CPU.

    What comes in at an edge repeats it: photos stand on a plain ground.
    """
    count, height, width, _ = pixels_BHWC.shape
    device = pixels_BHWC.device
    down_B, right_B = (torch.randint(-(side // 8), side // 8 + 1, (count,)).to(device) for side in (height, width))
    mirrored_B = (torch.rand(count) < 0.5).to(device)
    row_BH = (torch.arange(height, device=device) + down_B[:, None]).clamp(0, height - 1)
    column_BW = torch.arange(width, device=device).expand(count, width)
    column_BW = torch.where(mirrored_B[:, None], width - 1 - column_BW, column_BW)
    column_BW = (column_BW + right_B[:, None]).clamp(0, width - 1)
    number_B11 = torch.arange(count, device=device)[:, None, None]
    return pixels_BHWC[number_B11, row_BH[:, :, None], column_BW[:, None, :]]
