"""Shards to batches, in an order that is a function of (seed, epoch) and the place in it alone.

Neither the number of worker processes nor that of ranks changes a batch, and an epoch can be entered at any step.
Shape suffixes: B batch, H height, W width, C channels, L tokens, K entity groups, M entities of one,
N samples.
"""

import atexit
import os
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from eiclip.errors import SettingsError
from eiclip.features.augment import seed_sequence
from eiclip.features.patches import PatchStore
from eiclip.features.reader import IndexedShard, SplitFeatures
from eiclip.features.store import FeatureStore
from eiclip.model.inputs import ModelInputs
from eiclip.settings.training import AugmentSettings, HardwareSettings
from eiclip.shards import Finding, valid_shards
from eiclip.train.pairs import NO_PAIRS, PairDraws
from eiclip.train.photos import Photos, Task, empty_batch, init_worker
from eiclip.train.texts import Texts
from eiclip.train.views import PhotoViews
from eiclip.train.world import ALONE, World

WINDOW = 16_384
"""Samples among which the order is shuffled: as many whole shards as reach this number."""
GROUP_SALT = 104_729
"""Keeps draws of an epoch's groups apart from those of its order."""


class Batch(NamedTuple):
    """The input of a step: int64 tokens cut to the longest text, entity ids, numbers of products."""

    images: Tensor
    """Uint8 RGB pixels (B, H, W, C), or features (B, F) in float16; behind those of pairs, the triggers' in another
    view."""
    tokens_BL: Tensor
    ids_BKM: Tensor
    product_B: Tensor
    text_features: Tensor | None = None
    """Features (B, F) of the texts, or of their tokens (B, L, F), in float16."""
    sample_B: Tensor | None = None
    """Numbers of the samples."""

    def to(self, device: str) -> "Batch":
        """The same on a device."""
        moved = {
            name: value.to(device, non_blocking=True) for name, value in self._asdict().items() if value is not None
        }
        return Batch(**moved)


class Grouped(NamedTuple):
    """Epochs whose batches are of one entity of a group as far as it goes: each `every`-th."""

    group: str
    every: int


def epoch_order(shard_sizes: Sequence[int], seed: int, epoch: int, window: int = WINDOW) -> np.ndarray:
    """The samples' numbers (N,) in the order of an epoch.

    Shards come in random order; as many as reach `window` samples are shuffled together, then the next ones. So an
    epoch reads few shards at a time, and a catalogue sorted by brand still comes mixed.
    """
    random = np.random.default_rng(seed_sequence(seed, epoch))
    begins = np.concatenate([[0], np.cumsum(shard_sizes, dtype=np.int64)])
    order: list[np.ndarray] = []
    waiting: list[np.ndarray] = []
    for shard in random.permutation(len(shard_sizes)):
        waiting.append(np.arange(begins[shard], begins[shard + 1]))
        if sum(map(len, waiting)) >= window:
            order.append(random.permutation(np.concatenate(waiting)))
            waiting = []
    return np.concatenate([*order, *([random.permutation(np.concatenate(waiting))] if waiting else [])])


def grouped_order(
    order_N: np.ndarray, group_N: np.ndarray, batch_size: int, seed: int, epoch: int, window: int = WINDOW
) -> np.ndarray:
    """The order of an epoch (N,) with samples of a group one after the other, and the batches of this in random order.

    Windows of the order stay windows. What a window has over whole batches stands at its end.

    Args:
        order_N: as `epoch_order` gives it.
        group_N: the group of each sample, by its number.
        batch_size: samples a batch.
        seed, epoch: of the groups' order and of that of batches.
        window: samples among which they are put together.
    """
    random = np.random.default_rng(seed_sequence(seed, GROUP_SALT, epoch))
    parts, left, window = [], [], max(batch_size, window // batch_size * batch_size)
    for begin in range(0, len(order_N), window):
        part = order_N[begin : begin + window]
        place = random.permutation(int(group_N.max()) + 1)[group_N[part]]
        part = part[np.argsort(place, kind="stable")]
        whole = len(part) // batch_size * batch_size
        batches = part[:whole].reshape(-1, batch_size)
        parts.append(batches[random.permutation(len(batches))].reshape(-1))
        left.append(part[whole:])
    return np.concatenate([*parts, *left])


class Loader:
    """Batches of the training split: this rank's share of each.

    Args:
        shards: folder of shards; its training split is compared with the manifest before anything else.
        inputs: what the model reads of a sample.
        batch_size: of all ranks together; fewer if the split has fewer. An epoch's last, shorter batch is left out.
        seed: of the order and the augmentation.
        world: trainer processes that share each batch, in equal slices; on a GPU batches lie in pinned memory.
        hardware: worker processes, prefetching, and what to do about damaged samples.
        augment: random crops and colours; None: photos as they are.
        feature_noise: standard deviation of noise on features of photos, in that of each value.
        grouped: which epochs put products that share an entity into batches of their own; None: none does.
        store: where features of frozen towers lie, or a cross-encoder's patches; None: both towers read pixels and
            tokens.
        pairs: as `read_pairs`: a batch then holds `batch_size` triggers and, behind them, the positive of each.
        self_pair_probability: share of the draws in which a trigger is paired with itself.
        another_view: of pairs, whether triggers come in another view too, where photos are read as features.

    Raises:
        SettingsError: a batch cannot be shared out evenly among the ranks.
        CorruptOutputError: samples are not as the manifest says and are not to be left out, or none is left.
    """

    def __init__(
        self,
        shards: Path,
        inputs: ModelInputs,
        *,
        batch_size: int,
        seed: int,
        world: World = ALONE,
        hardware: HardwareSettings = HardwareSettings(),  # noqa: B008 - frozen
        augment: AugmentSettings | None = None,
        feature_noise: float = 0.0,
        grouped: Grouped | None = None,
        store: FeatureStore | PatchStore | None = None,
        pairs: pa.Table | None = None,
        self_pair_probability: float = 0.0,
        another_view: bool = False,
    ) -> None:
        self.checked = checked = valid_shards(shards, "train", hardware.corrupt_samples)
        self.quarantined: list[Finding] = [finding for shard in checked for finding in shard.findings]
        self.shard_sizes = [len(shard.index) for shard in checked]
        self.samples = sum(self.shard_sizes)
        ranks = world.size
        if batch_size % ranks:
            raise SettingsError(
                f"batch_size {batch_size} cannot be shared evenly among {ranks} processes; choose a multiple of {ranks}"
            )
        self.batch_size = min(batch_size, self.samples) // ranks * ranks
        if not self.batch_size:
            raise SettingsError(
                f"{self.samples} training samples are too few for {ranks} processes; lower EICLIP_HARDWARE__PROCESSES"
            )
        self.steps = self.samples // self.batch_size
        self.seed, self.world = seed, world
        index = pa.concat_tables([shard.index for shard in checked])
        split = None if store is None else SplitFeatures(store, [IndexedShard(s.path, s.index) for s in checked])
        self.texts = Texts(index, inputs, None if split is None else split.texts(inputs.text))
        self.draws = PairDraws(NO_PAIRS if pairs is None else pairs, index["product_id"], seed, self_pair_probability)
        self._paired = pairs is not None
        self._photos = Photos(checked, inputs.photo_size, seed, augment)
        ids = index["image_id"].to_pylist()
        self._features = None if split is None else PhotoViews.of(split, ids, seed, augment, feature_noise)
        self._grouped, self._group_N = grouped, np.zeros(self.samples, dtype=np.int64)
        self.groups = 0
        """Entities that batches are made by."""
        if grouped is not None:
            self._group_N, self.groups = _first_entities(index, grouped.group)
        self._another_view = another_view and self._paired and self._features is not None
        if self._another_view and self._features is not None and self._features.views < 2:
            raise SettingsError(
                "the image tower is frozen and one view of each photo is kept, but the consistency term compares two; "
                "set EICLIP_TRAINING__FEATURE_VIEWS to 2 or more, or EICLIP_TRAINING__STYLE__CONSISTENCY to 0"
            )
        self._pinned, self._prefetch = world.device.startswith("cuda"), hardware.prefetch
        self._workers = hardware.workers
        if self._workers is None:  # the cores of this machine, shared out among the trainers on it (as torchrun says)
            cores, here = len(os.sched_getaffinity(0)), int(os.environ.get("LOCAL_WORLD_SIZE", ranks))
            self._workers = max(1, cores // here) if self._pinned else 0
        self._pool: list[DataLoader[Tensor]] = []
        self._tasks: list[Task] = []

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """This rank's share of the batches `start` to the last of an epoch.

        Raises:
            CorruptOutputError: a photo cannot be read or decoded.
        """
        order_N = epoch_order(self.shard_sizes, self.seed, number)
        if self._grouped is not None and self.groups and number % self._grouped.every == self._grouped.every - 1:
            order_N = grouped_order(order_N, self._group_N, self.batch_size, self.seed, number)
        sides = [order_N, self.draws.of(number)[order_N]] if self._paired else [order_N]
        share, tasks = self.batch_size // self.world.size, []
        for step in range(start, self.steps):
            place = step * self.batch_size + self.world.rank * share
            samples_B = np.concatenate([side_N[place : place + share] for side_N in sides])
            tasks.append(Task(number, len(sides) * place, samples_B))
        for task, images in zip(tasks, self._images(tasks), strict=True):
            tokens_BL, ids_BKM, features = self.texts.of(task.samples_B)
            if self._pinned:
                tokens_BL, ids_BKM = tokens_BL.pin_memory(), ids_BKM.pin_memory()
            product_B = torch.from_numpy(self.draws.product_N[task.samples_B])
            yield Batch(images, tokens_BL, ids_BKM, product_B, features, torch.from_numpy(task.samples_B))

    def items(self, samples_B: np.ndarray) -> Batch:
        """Any samples, whose photos are read as features; augmented and noisy they are not."""
        assert self._features is not None
        tokens_BL, ids_BKM, features = self.texts.of(samples_B)
        images = self._features.photos.of(self._features.row_N[samples_B])
        return Batch(images, tokens_BL, ids_BKM, torch.from_numpy(self.draws.product_N[samples_B]), features)

    def _images(self, tasks: list[Task]) -> Iterator[Tensor]:
        if self._features is not None:
            return (self._features.batch(task, self._another_view) for task in tasks)
        if not self._workers:
            return map(self._photos.__getitem__, tasks) if self._photos.augment else _prefetched(self._photos, tasks)
        self._tasks[:] = tasks
        if not self._pool:  # worker processes end with this loader, and before multiprocessing joins them at exit
            pool = DataLoader(
                self._photos,
                batch_size=None,  # a task is a whole batch
                sampler=self._tasks,  # those of the epoch under way
                num_workers=self._workers,
                prefetch_factor=self._prefetch,
                persistent_workers=True,
                pin_memory=self._pinned,
                worker_init_fn=init_worker,
                generator=torch.Generator().manual_seed(0),  # not the trainer's own, which would move on
            )
            self._pool.append(pool)
            weakref.finalize(self, self._pool.clear)
            atexit.register(self._pool.clear)
        return iter(self._pool[0])

    @property
    def skipped(self) -> list[str]:
        """The damaged samples that are left out."""
        return [str(finding) for finding in self.quarantined if finding.lost]

    def close(self) -> None:
        """End the worker processes, if there are any; the next epoch starts others."""
        self._pool.clear()


def _first_entities(index: pa.Table, group: str) -> tuple[np.ndarray, int]:
    """The number of each sample's first entity of a group (N,), one number for those without; how many entities."""
    names = [
        next((names[0] for own, names in pairs if own == group and names), "")
        for pairs in index["entities"].to_pylist()
    ]
    known, number_N = np.unique(np.array(names), return_inverse=True)
    return number_N.astype(np.int64), len(known) - ("" in known)


def _prefetched(photos: Photos, tasks: list[Task]) -> Iterator[Tensor]:
    """The tasks' photos, the next ones decoded in a thread meanwhile: decoding releases the interpreter's lock.

    Batches are allocated in this thread: what others free, glibc gives back to the kernel sooner.
    """
    with ThreadPoolExecutor(1, "photos") as pool:
        coming: tuple[Tensor, Future[None]] | None = None
        for task in [*tasks, None]:
            current = coming
            if task is not None:
                place_BHWC = empty_batch(len(task.samples_B), photos.size)
                coming = place_BHWC, pool.submit(photos.fill, place_BHWC, task)
            if current is not None:
                current[1].result()
                yield current[0]
