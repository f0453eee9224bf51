"""One training step, again and again on one batch in memory: what a variant or a hardware setting costs.

No loader and no disk: rows differ by what the model does alone. Every side is given the same batch.
"""

import statistics
import time
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from benchmarks.measure import Work, memory_now, peak_memory
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.sources import SMALL
from eiclip.model.towers import image_size, new_towers
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import UNKNOWN, Vocabulary
from eiclip.settings.training import HardwareSettings, TrainingSettings
from eiclip.system.devices import mixed_precision, use_threads
from eiclip.train.encoder import Encoder
from eiclip.train.optimizers import Optimizers

EMBEDDED = {"brand": 190, "subcategory": 40, "season": 12, "composition": 500}
FASHIONGEN = {"brand": 786, "subcategory": 121, "season": 12, "composition": 16_844}
"""Entities by group: of the synthetic catalogue, and of the real one (paper, section 4.1, and its raw files)."""


@dataclass(frozen=True)
class Case:
    """What is timed: `steps` training steps."""

    variant: str = "eiclip"
    model: str = "small"
    """`small`, or open_clip's name of a model, untrained."""
    batch: int = 64
    length: int = 32
    """Tokens of every text."""
    steps: int = 8
    threads: int = 1
    device: str = "cpu"
    entities: tuple[tuple[str, int], ...] = tuple(EMBEDDED.items())
    hardware: HardwareSettings = field(default_factory=HardwareSettings)

    def using(self, **hardware: object) -> "Case":
        """The same with other hardware settings."""
        return replace(self, hardware=HardwareSettings.model_validate(self.hardware.model_dump() | hardware))


def towers_of(model: str) -> torch.nn.Module:
    """Untrained towers: `small`, or open_clip's of that name."""
    if model == "small":
        return new_towers(SMALL, 0)
    import open_clip

    config = open_clip.get_model_config(model)
    assert config is not None, f"open_clip has no model {model}"
    return new_towers(config, 0)


Built = tuple[EntityClipModel, Encoder, Optimizers, tuple[Tensor, Tensor, Tensor]]


def built(case: Case) -> Built:
    """Model, encoder, optimizers and a batch of a case."""
    torch.manual_seed(0)
    vocabulary = Vocabulary({group: [UNKNOWN, *map(str, range(1, n))] for group, n in case.entities}, {})
    training = TrainingSettings(warmup_steps=0)
    model = EntityClipModel(towers_of(case.model), get_variant(case.variant), vocabulary, training).to(case.device)
    encoder = Encoder(model.train(), case.hardware)
    return model, encoder, Optimizers(model, training, case.hardware, 1000, case.device), _batch(case, model)


def prepare(case: Case) -> Work:
    """Build everything, take two steps, then time the others."""
    use_threads(case.threads)
    ready = built(case)
    before = memory_now()
    _steps(case, ready, 2)
    return lambda: _timed(case, ready, before)


def _batch(case: Case, model: EntityClipModel) -> tuple[Tensor, Tensor, Tensor]:
    size = image_size(model.towers)
    pixels = torch.randint(0, 256, (case.batch, size, size, 3), dtype=torch.uint8)
    tokens = torch.randint(1, 40_000, (case.batch, case.length))
    tokens[:, -1] = 49_407  # the end mark
    ids = torch.stack([torch.randint(0, n, (case.batch, 1)) for _, n in case.entities], dim=1)
    pixels, tokens, ids = (part.to(case.device) for part in (pixels, tokens, ids))
    return pixels, tokens, ids


def _steps(case: Case, ready: Built, count: int) -> None:
    model, encoder, optimizers, batch = ready
    for _ in range(count):
        with mixed_precision(case.device, case.hardware.precision):
            encoded = encoder(*batch)
        terms = model.loss(encoded.image_BD, encoded.text, encoded.scale)
        optimizers.step(terms.total(model.loss_terms))
        model.bound_scale()
    if case.device.startswith("cuda"):
        torch.cuda.synchronize()


def _timed(case: Case, ready: Built, before: int) -> dict[str, float]:
    """Median seconds of a step, and the most memory that steps took beyond weights and batch."""
    seconds = []
    for _ in range(case.steps):
        begin = time.perf_counter()
        _steps(case, ready, 1)
        seconds.append(time.perf_counter() - begin)
    peak = torch.cuda.max_memory_allocated() if case.device.startswith("cuda") else peak_memory() - before
    return {"seconds": statistics.median(seconds), "peak": float(peak)}
