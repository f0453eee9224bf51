"""The trainings of the same-style study as data: every row with other seeds, and the served row with parts left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eiclip.model.variants import SAME_STYLE_ROWS
from eiclip.settings.training import VIEW_PAIRS, TrainingSettings

OURS = "same_style"
SEEDS = 3
SAME, CROSSED = ("i-i", "t-t", "m-m"), ("i-t", "t-i")
"""Pairs of one view, and of a photo with a text."""


@dataclass(frozen=True)
class Trial:
    """One training: the row, the seed, and what of the loss is another."""

    label: str
    variant: str
    setting: str
    value: str
    seed: int
    style: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the loss of pairs that differ."""

    def training(self, base: TrainingSettings) -> TrainingSettings:
        """The settings it is trained with.

        Raises:
            pydantic.ValidationError: a change is no valid setting.
        """
        style = base.style.model_dump() | dict(self.style)
        return TrainingSettings.model_validate(base.model_dump() | {"style": style})


def seed_trials(seed: int) -> list[Trial]:
    """Every trained row with `SEEDS` seeds from `seed` on."""
    rows = [name for name, row in SAME_STYLE_ROWS.items() if row.trained]
    return [
        Trial(f"{row}, seed {number}", row, "seed", str(number), number)
        for number in range(seed, seed + SEEDS)
        for row in rows
    ]


def ablation_trials(seed: int) -> list[Trial]:
    """The served row without each part of its loss, and as it is."""
    changes: dict[tuple[str, str], dict[str, Any]] = {
        ("view_pairs", "one view at a time"): {"view_pairs": _only(*SAME)},
        ("view_pairs", "m-m alone"): {"view_pairs": _only("m-m")},
        ("view_pairs", "without i-t and t-i"): {"view_pairs": _only(*(set(VIEW_PAIRS) - set(CROSSED)))},
        ("caption", "without the caption term"): {"caption": 0.0},
        ("consistency", "without consistency"): {"consistency": 0.0},
        ("consistency", "ten times the consistency"): {"consistency": 1.0},
        ("self_pair_probability", "never with itself"): {"self_pair_probability": 0.0},
    }
    whole = Trial("as it is", OURS, "", "as it is", seed)
    return [whole, *(Trial(value, OURS, setting, value, seed, change) for (setting, value), change in changes.items())]


def _only(*pairs: str) -> dict[str, float]:
    return dict.fromkeys(pairs, 1.0)
