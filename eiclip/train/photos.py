"""Photos of batches, read and decoded: the part of the loader that worker processes run.

Light on purpose: a worker imports no model. Shape suffixes: B batch, H height, W width, C channels, N samples.
"""

import math
import os
import signal
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import simplejpeg
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from eiclip.errors import CorruptOutputError
from eiclip.features.augment import augmentation, random_states
from eiclip.settings.training import AugmentSettings
from eiclip.shards.read import read_jpeg
from eiclip.shards.sample import Sample
from eiclip.shards.verify import CheckedShard
from eiclip.system.processes import die_with_parent

MOST_OPEN = 64
"""Shards that a process keeps open."""


class Task(NamedTuple):
    """A batch to make: its samples' numbers, and where in which epoch the first of them stands."""

    epoch: int
    position: int
    samples_B: np.ndarray


def init_worker(_: int) -> None:
    """Let a worker go on after the signals that stop the trainer, which may need batches until its state is saved."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(10))  # seconds


def empty_batch(photos: int, size: int) -> Tensor:
    """Allocate a batch, uint8 (B, size, size, 3): in a worker, in memory that it shares with the trainer."""
    shape = (photos, size, size, 3)
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    storage = torch.UntypedStorage._new_shared(math.prod(shape), device="cpu")  # as torch's own collating does
    return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)


class Photos(Dataset[Tensor]):
    """The photos of a split, by the numbers of its samples.

    `photos[task]` is uint8 (B, size, size, 3), RGB: the same for the same task, in whatever process.
    """

    def __init__(self, shards: Sequence[CheckedShard], size: int, seed: int, augment: AugmentSettings | None) -> None:
        index = pa.concat_tables([shard.index for shard in shards])
        self.paths = [shard.path for shard in shards]
        self.shard_N = np.repeat(np.arange(len(shards), dtype=np.int32), [len(shard.index) for shard in shards])
        self.offset_N, self.bytes_N = index["jpeg_offset"].to_numpy(), index["jpeg_bytes"].to_numpy()
        self.image_id_N = index["image_id"]
        self.size, self.seed, self.augment = size, seed, augment
        self._open: OrderedDict[int, int] = OrderedDict()

    def __getitem__(self, task: Task) -> Tensor:
        """The photos of a task; CorruptOutputError names one that cannot be read or decoded."""
        place_BHWC = empty_batch(len(task.samples_B), self.size)
        self.fill(place_BHWC, task)
        return place_BHWC

    def fill(self, place_BHWC: Tensor, task: Task) -> None:
        """Put the photos of a task in their place. Raises as `photos[task]` does."""
        transform = None if self.augment is None else augmentation(self.augment, self.size)
        for number, (sample, pixels_HWC) in enumerate(zip(task.samples_B.tolist(), place_BHWC.numpy(), strict=True)):
            jpeg = self._jpeg(sample)
            try:  # in place where it has the size wanted, else fitted into that
                photo = simplejpeg.decode_jpeg(jpeg, colorspace="RGB", buffer=pixels_HWC)
            except ValueError:  # larger than the place, or no JPEG
                photo = None
            if photo is None or photo.shape != pixels_HWC.shape:
                pixels_HWC[:] = Sample(self.image_id_N[sample].as_py(), "", "", jpeg=jpeg).pixels(self.size)
            if transform is not None:
                with random_states(self.seed, task.epoch, task.position + number):
                    pixels_HWC[:] = np.asarray(transform(Image.fromarray(pixels_HWC)))

    def _jpeg(self, sample: int) -> bytes:
        """Read a photo; of the open shards the one opened longest ago makes room for another."""
        number, place = int(self.shard_N[sample]), (int(self.offset_N[sample]), int(self.bytes_N[sample]))
        path = self.paths[number]
        if number not in self._open:
            if len(self._open) == MOST_OPEN:
                os.close(self._open.popitem(last=False)[1])
            try:
                self._open[number] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise CorruptOutputError(f"{path}: {error}; materialise the shards again") from error
        return read_jpeg(path, *place, lambda: self.image_id_N[sample].as_py(), self._open[number])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict()}

    def __del__(self) -> None:
        for file in self._open.values():
            os.close(file)
