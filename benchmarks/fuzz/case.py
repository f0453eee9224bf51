"""What a case is: raw files with one mutation, and what is known about them without reading them back."""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from eiclip.settings.load import DatasetSettings

Plan = dict[str, Any]
"""What Hypothesis drew: plain values that say in full what a mutation does, so that a failure can be told."""
Place = tuple[str, int]
"""Name of a raw file, and the row (from 0) or line (from 1) in it."""

RAW, OUTSIDE, HOME = "raw", "outside", "home"
"""Folders of a case: the dataset, what must not be opened, and what ingestion writes."""


@dataclass
class Case:
    """Raw files that were written, and what has to become of their rows."""

    dataset: DatasetSettings
    rows: int | None = None  # raw rows, counted while they were written; None where only a reader can tell
    untouched: dict[Place, str] = field(default_factory=dict)  # rows that must be used -> their product ids
    prices: dict[Place, float | None] = field(default_factory=dict)  # rows -> the price that they must have
    conflicts: dict[str, set[str]] | None = None  # ids -> what their rows differ in; None where nobody knows
    photos: dict[Place, str] = field(default_factory=dict)  # rows -> digest of the photo's file that must be used
    titles: dict[Place, str] = field(default_factory=dict)  # rows -> the title that they must have
    spellings: dict[str, str] | None = None  # brands as they are written -> the entity that each must be
    same_name: dict[str, str] | None = None  # brands as they are written -> a name: one entity where it is the same
    brightness: dict[Place, int] = field(default_factory=dict)  # rows -> mean of the photo's pixels
    key: str | None = None  # what a refusal has to name beside the file
    clicks: dict[int, tuple[str, str]] | None = None  # of a click log: row -> session and item; it has `log_rows` rows
    log_rows: int = 0


@dataclass(frozen=True)
class FuzzClass:
    """One kind of damage: what there is to draw, and how a drawn plan is carried out in a case's folder."""

    name: str
    plans: SearchStrategy[Plan]
    write: Callable[[Path, Plan], Case]

    def draw(self, count: int, number: int) -> list[Plan]:
        """At most `count` plans, the same ones for the same `number`; fewer where there are no more."""
        drawn: list[Plan] = []

        @seed(zlib.crc32(f"{number}:{self.name}".encode()))
        @settings(
            max_examples=count, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(self.plans)
        def collect(plan: Plan) -> None:
            drawn.append(plan)

        state = random.getstate()  # Hypothesis seeds the global one
        collect()
        random.setstate(state)
        return drawn
