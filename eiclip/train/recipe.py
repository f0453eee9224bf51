"""How long a training is, how large its batches are, and when it is measured: as set, or chosen by the data's size.

The constants hold for real data; a length that is set is obeyed.
"""

from dataclasses import dataclass

from eiclip.settings.training import TrainingSettings

EPOCHS = 20
LEAST_STEPS, MOST_STEPS = 1_000, 20_000
"""Chosen by size: so many epochs, but not fewer steps than a small catalogue needs, nor more than a large one does."""
BATCH, LEAST_BATCH, LEAST_BATCHES = 128, 16, 8
"""Chosen by size: this batch; a smaller power of two, down to the second, where an epoch had fewer batches than these.
"""
VALIDATIONS, PATIENCE = 20, 5
"""Where the length is chosen by size: measurements along the training, and those without a new best that end it."""


@dataclass(frozen=True)
class Plan:
    """The course of a training: at most `steps` steps, those after which it is measured, and when it gives up."""

    steps: int
    measured_after: tuple[int, ...] = ()
    """Steps taken by then; evenly, and the last one among them."""
    patience: int = 0
    """Measurements without a new best that end it; 0: it goes to its end."""


def batch_size_for(training: TrainingSettings, samples: int) -> int:
    """The batch: the one set, else chosen by the number of training photos.

    >>> [batch_size_for(TrainingSettings(), samples) for samples in (20, 300, 600, 2500)]
    [16, 32, 64, 128]
    """
    if training.batch_size is not None:
        return training.batch_size
    batch = BATCH
    while batch > LEAST_BATCH and samples // batch < LEAST_BATCHES:
        batch //= 2
    return batch


def planned(training: TrainingSettings, samples: int, batch_size: int) -> Plan:
    """The course of a training on `samples` photos in batches of `batch_size`.

    >>> [planned(TrainingSettings(), samples, 128).steps for samples in (2_500, 60_000, 1_000_000)]
    [1000, 9360, 20000]
    >>> planned(TrainingSettings(epochs=3), 1_000, 64)
    Plan(steps=45, measured_after=(), patience=0)
    """
    epoch = samples // batch_size
    steps = training.steps or (training.epochs or 0) * epoch
    by_size = not steps
    steps = steps or min(max(EPOCHS * epoch, LEAST_STEPS), MOST_STEPS)
    steps = max(1, round(steps * training.budget))
    measured = by_size or bool(training.patience)
    validations = training.validations if training.validations is not None else VALIDATIONS * measured
    patience = training.patience if training.patience is not None else PATIENCE * by_size
    times = min(validations, steps)
    return Plan(steps, tuple(round(steps * time / times) for time in range(1, times + 1)), patience if times else 0)
