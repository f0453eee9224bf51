"""Features of a batch's photos: of the plain view, or of views drawn as a function of (seed, epoch, place in it).

Shape suffixes: B batch, N samples, F a feature's own dimensions.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from eiclip.features.augment import seed_sequence
from eiclip.features.reader import PhotoRows, SplitFeatures
from eiclip.settings.training import AugmentSettings
from eiclip.train.photos import Task


@dataclass(frozen=True)
class PhotoViews:
    """The features of a split's samples, by their numbers."""

    photos: PhotoRows
    row_N: np.ndarray
    seed: int
    noise: float
    """Standard deviation of the noise that training adds, in that of each value over the photos."""
    drawn: bool
    """Whether training draws among all views; else it reads the plain one."""

    @classmethod
    def of(
        cls,
        split: SplitFeatures,
        image_ids: Sequence[str],
        seed: int,
        augment: AugmentSettings | None,
        noise: float = 0.0,
    ) -> Self | None:
        """Those of samples with these image ids; None where photos are read as pixels."""
        photos = split.rows
        return None if photos is None else cls(photos, photos.rows(image_ids), seed, noise, augment is not None)

    @property
    def views(self) -> int:
        """How many views of a photo are kept."""
        return int(self.photos.features_NVF.shape[1])

    @functools.cached_property
    def _deviation_F(self) -> Tensor:
        plain_NF = self.photos.features_NVF[:, 0].float()
        return plain_NF.std(dim=0, correction=0)

    def batch(self, task: Task, another_view: bool) -> Tensor:
        """Features (B, F) of a task's samples; with `another_view`, behind them those of the first half (the triggers)
        in a view that is not the plain one. In float16, with noise in float32.
        """
        random = np.random.default_rng(seed_sequence(self.seed, task.epoch, task.position))
        row_B = self.row_N[task.samples_B]
        view_B = random.integers(self.views, size=len(row_B)) if self.drawn else 0
        found = [self.photos.of(row_B, view_B)]
        if another_view:
            triggers_B = row_B[: len(row_B) // 2]
            found.append(self.photos.of(triggers_B, random.integers(1, self.views, size=len(triggers_B))))
        features_BF = torch.cat(found)
        if not self.noise:
            return features_BF
        drawn_BF = random.standard_normal(features_BF.shape, dtype=np.float32)
        return features_BF.float() + self.noise * self._deviation_F * torch.from_numpy(drawn_BF)
