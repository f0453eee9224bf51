"""Saved states of a training that is under way: what a killed run goes on from, to the same bytes at the end.

`<output>.resume/<key>/step-<n>/` holds `state.safetensors` (the weights that are trained, the same at the best
measurement so far, and the optimizers' moments), `state.json` (their other numbers, the step, what was measured,
checksums) and `log.parquet` (the step log so far); the key is `eiclip.train.key`'s. No random state is in it: the order
of samples, augmentation and every draw of a step are functions of (seed, epoch, step).
"""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from eiclip.errors import CorruptOutputError
from eiclip.storage.files import sha256_file, whole_folder, write_json

logger = logging.getLogger(__name__)

TENSORS, NUMBERS, LOG = "state.safetensors", "state.json", "log.parquet"


@dataclass(frozen=True)
class State:
    """A training after `step` steps; `numbers` are what the optimizers hold beside their moments."""

    step: int
    pairs: int
    seconds: float
    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    numbers: dict[str, Any]
    log: pa.Table
    best: dict[str, Tensor] = field(default_factory=dict)
    measured: list[tuple[int, float]] = field(default_factory=list)
    """Steps taken and SumR on the validation split; `best` are the weights at the best of them."""


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """Return what training changes of a model, by name: all buffers, and the weights that take a gradient."""
    every = model.named_parameters(remove_duplicate=False)
    frozen = {name for name, weight in every if not weight.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def restore(model: nn.Module, trained: Mapping[str, Tensor]) -> None:
    """Give a model what `trained_state` gave; its other weights stay those that it started from."""
    model.load_state_dict(model.state_dict() | dict(trained))


class States:
    """The states of the training of a key that is to end in `output`; those of others are left alone until `clear`."""

    def __init__(self, output: Path, key: str) -> None:
        self.root, self.key = output.with_name(f"{output.name}.resume"), key
        self.folder = self.root / key

    def save(self, state: State) -> Path:
        """Write a state, whole or not at all, then remove those older than the one before it."""
        tensors = {f"weights/{name}": value for name, value in state.weights.items()}
        tensors |= {f"moments/{name}": value for name, value in state.moments.items()}
        tensors |= {f"best/{name}": value for name, value in state.best.items()}
        folder = self.folder / f"step-{state.step:08d}"
        with whole_folder(folder) as part:
            save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, part / TENSORS)
            pq.write_table(state.log, part / LOG)
            sums = {name: sha256_file(part / name) for name in (TENSORS, LOG)}
            facts = {"key": self.key, "step": state.step, "pairs": state.pairs, "seconds": state.seconds}
            facts |= {"numbers": state.numbers, "measured": state.measured}
            write_json(part / NUMBERS, facts | {"sha256": sums})
        for old in sorted(self.folder.glob("step-*"))[:-2]:  # should the last one be damaged, there is one before it
            shutil.rmtree(old)
        return folder

    def last(self) -> State | None:
        """The newest whole state; None where there is none. A damaged one is named in the log and skipped."""
        for folder in sorted(self.folder.glob("step-*"), reverse=True):
            try:
                return _read(folder)
            except CorruptOutputError as error:
                logger.warning("%s; going on from the state before it, if there is one", error)
        return None

    def clear(self) -> None:
        """Remove the states of this output, those of other keys too: the training has ended."""
        shutil.rmtree(self.root, ignore_errors=True)


def _read(folder: Path) -> State:
    try:
        facts = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        damaged = [name for name, known in facts["sha256"].items() if sha256_file(folder / name) != known]
        if damaged:
            raise CorruptOutputError(f"{folder}: {', '.join(damaged)} not as written")
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "moments": {}, "best": {}}
        for name, value in load_file(folder / TENSORS).items():
            part, _, name_in_part = name.partition("/")
            parts[part][name_in_part] = value
        log = pq.read_table(folder / LOG)
        measured = [(step, sum_r) for step, sum_r in facts["measured"]]
        own = parts["weights"], parts["moments"], facts["numbers"], log, parts["best"], measured
        return State(facts["step"], facts["pairs"], facts["seconds"], *own)
    except (OSError, ValueError, KeyError) as error:
        raise CorruptOutputError(f"{folder}: not a whole state ({error})") from error
