"""Shards to batches, in an order that is a function of (seed, epoch)."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from eiclip.shards import Sample, read_manifest, read_samples, shard_paths

BUFFER = 8192
"""Samples among which the order is shuffled (JPEG bytes: some 20 MB of small photos, 200 MB of large ones)."""


class Loader:
    """Batches of the training split.

    Args:
        shards: folder of shards.
        batch_size: samples a batch; fewer if the split has fewer. The last, shorter batch of an epoch is left out.
        seed: of the order.
    """

    def __init__(self, shards: Path, batch_size: int, seed: int) -> None:
        self.paths = shard_paths(shards, "train")
        self.samples = int(read_manifest(shards)["samples"]["train"])
        self.batch_size = min(batch_size, self.samples)
        self.seed = seed

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return self.samples // self.batch_size

    def epoch(self, number: int) -> Iterator[list[Sample]]:
        """The batches of one epoch."""
        generator = random.Random(f"{self.seed}/{number}")
        paths = self.paths.copy()
        generator.shuffle(paths)
        batch: list[Sample] = []
        for sample in _shuffled(paths, generator):
            batch.append(sample)
            if len(batch) == self.batch_size:
                yield batch
                batch = []


def _shuffled(paths: Sequence[Path], generator: random.Random) -> Iterator[Sample]:
    """Samples through a buffer: each new one takes the place of a random one, which leaves."""
    buffer: list[Sample] = []
    for sample in read_samples(paths):
        if len(buffer) < BUFFER:
            buffer.append(sample)
            continue
        place = generator.randrange(BUFFER)
        buffer[place], leaving = sample, buffer[place]
        yield leaving
    generator.shuffle(buffer)
    yield from buffer
