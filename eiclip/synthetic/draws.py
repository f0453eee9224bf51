"""Random draws that depend on nothing but (seed, purpose, index).

Each product, photo and caption has a generator of its own, so that a picture is the same whether it is drawn alone,
in another order or by another process, and so that a new kind of draw does not disturb the old ones.
"""

import bisect
import itertools
import zlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from eiclip.errors import SettingsError

T = TypeVar("T")


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Make the generator of one purpose and index; equal arguments give equal draws."""
    if seed < 0:
        raise SettingsError(f"seed {seed} is negative: choose 0 or more")
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *indices])


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Draw True with the given probability."""
    return bool(rng.random() < probability)


def pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    """Draw one of the items, all equally likely."""
    return items[int(rng.integers(len(items)))]


def pick_weighted(rng: np.random.Generator, items: Sequence[T], weights: Sequence[float]) -> T:
    """Draw one of the items, in proportion to its weight."""
    cumulative = list(itertools.accumulate(weights))
    place = bisect.bisect_right(cumulative, rng.random() * cumulative[-1])
    return items[min(place, len(items) - 1)]


def zipf_weights(count: int, exponent: float) -> list[float]:
    """Return weights 1 / rank^exponent: the long tail of brand and composition counts."""
    return [1.0 / rank**exponent for rank in range(1, count + 1)]


def require_count(name: str, value: int) -> None:
    """Raise SettingsError unless `value` is at least 1."""
    if value < 1:
        raise SettingsError(f"{name} is {value}: it must be at least 1")
