"""Where processes are killed: in the trainer, in one of two trainers, in the step around it, and the run itself."""

import random
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.crash.fuse import Fuse

Kind = Literal["trainer", "two trainers", "step", "run"]
STEPS, EPOCHS, EVERY, VALIDATIONS = 9, 3, 2, 4
"""Of the tiny training: steps in all, epochs, steps between two states, measurements along the way."""
STATES = STEPS // EVERY


@dataclass(frozen=True)
class Point:
    """A place in the work where a process is killed, by a fuse at one of the first `calls` calls."""

    name: str
    target: str = ""
    when: Literal["before", "half", "after"] = "before"
    calls: int = 1
    kind: Kind = "trainer"
    among: str = ""
    rank: str = "0"
    number: int = signal.SIGKILL
    then: tuple["Point", ...] = field(default=())
    """Where the run that goes on is killed again."""

    def fuses(self, seed: int, folder: Path) -> list[Fuse]:
        """The fuses of the runs that do not end, with call numbers drawn for this seed."""
        draw = random.Random(f"{seed}/{self.name}")
        return [
            Fuse(p.target, str(folder / f"mark{place}"), p.when, draw.randint(1, p.calls), p.among, p.rank, p.number)
            for place, p in enumerate((self, *self.then))
            if p.target
        ]


FORWARD = "eiclip.model.entity_clip:EntityClipModel.encode_description"
OPTIMIZER = "torch.optim:AdamW.step"

POINTS = (
    Point("in the forward pass, the photos encoded and the texts not", FORWARD, calls=STEPS),
    Point("between the backward pass and the optimizer's step", OPTIMIZER, calls=STEPS),
    Point("after the optimizer's step, before anything is noted of it", OPTIMIZER, "after", STEPS),
    Point("a state's tensors half written", "eiclip.train.state:save_file", "half", STATES),
    Point("a state's log half written", "eiclip.train.state:pq.write_table", "half", STATES, among=".step-"),
    Point("a state written, not yet under its name", "pathlib:Path.rename", calls=STATES, among="/.step-"),
    Point("a state under its name, the one before the last still there", "shutil:rmtree", among="/step-"),
    Point("an old state half removed", "shutil:rmtree", "half", STATES - 2, among="/step-"),
    Point("between two epochs", "eiclip.train.loader:Loader.epoch", calls=EPOCHS),
    Point("before a measurement along the way, or the evaluation", "eiclip.train.validation:embed_samples",
          calls=VALIDATIONS + 1),
    Point("in one of them, the photos embedded and the texts not", "eiclip.evaluation.embed:embed_images", "after",
          calls=VALIDATIONS + 1),
    Point("the checkpoint's entity encoders half written", "eiclip.model.entity_clip:save_file", "half"),
    Point("the checkpoint written, not yet under its name", "pathlib:Path.rename", among="/.model."),
    Point("the checkpoint under its name, all states still there", "eiclip.train.state:States.clear"),
    Point("killed in a step, stopped by SIGTERM, killed after a step", FORWARD, calls=3, then=(
        Point("", OPTIMIZER, "before", 3, number=signal.SIGTERM), Point("", OPTIMIZER, "after", 2))),
    Point("one of two trainers, between backward pass and step", OPTIMIZER, calls=STEPS, kind="two trainers", rank="1"),
    Point("the one of two trainers that writes, in a state", "eiclip.train.state:save_file", "half", STATES,
          kind="two trainers"),
    Point("the step, its trainer ended, the record not written", "eiclip.storage.cache:content_digest", kind="step"),
    Point("the step, the log half in the lake", "pyarrow.parquet:write_table", "half", kind="step",
          among="training_log"),
    Point("the whole run, its trainer training", kind="run"),
)  # fmt: skip
