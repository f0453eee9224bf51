"""A tiny home with every kind of output, made in this process: from nothing, the same bytes each time."""

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import Project
from assets.datasets import declared
from assets.outputs import Output
from assets.report import page
from assets.steps import PartedStep, Step
from eiclip.readers.known_photos import known_of
from eiclip.report.about import About
from eiclip.settings.load import AMAZON, FASHIONGEN, STYLES, Settings, load_settings
from eiclip.storage.cache import LOG_FILE, inputs_digest, read_record, record_of, recorded
from eiclip.storage.catalogue import refresh_catalogue
from eiclip.storage.home import Paths
from eiclip.train.job import TrainJob

SIZES = {
    "fashiongen_train": 60, "fashiongen_test": 24, "amazon": 40, "styles": 24, "general_images": 64,
    "pretraining_epochs": 1,
}  # fmt: skip
STUDIES = {("fashiongen", "ablation_prior"), ("fashiongen", "ablation_ambiguity")}
"""Those of the studies that are made: each trial of one is a training."""
LOG = logging.getLogger("benchmarks.cache")


def tiny_settings(home: Path, quick: bool = False) -> Settings:
    """Settings of the tiny home; `quick`: of one dataset."""
    datasets = {"fashiongen": FASHIONGEN} | ({} if quick else {"amazon": AMAZON, "styles": STYLES})
    training = {"epochs": 1, "batch_size": 16, "log_every": 1}
    hardware = {"checkpoint_every": 1000}
    return load_settings(
        home=home, datasets=datasets, pretrained="general", embedded=SIZES, training=training, hardware=hardware
    )


TIMES = ("seconds", "pairs_per_second")


class Here:
    """A trainer that trains in this process, and keeps no times: with them no report would be the same twice."""

    def train(self, context: Any, job: TrainJob, path: Path) -> dict[str, Any]:
        """Train a job; returns its facts."""
        from eiclip.train.loop import train

        facts = train(job, LOG.debug)
        log = pq.read_table(job.output / LOG_FILE)
        none = pa.array([0.0] * len(log), pa.float32())
        for name in TIMES:
            log = log.set_column(log.schema.get_field_index(name), name, none)
        pq.write_table(log, job.output / LOG_FILE)
        return facts | dict.fromkeys(TIMES, 0.0)


@dataclass
class Made:
    """What became of a home's outputs, by name."""

    inputs: dict[str, str] = field(default_factory=dict)
    """Digest of what each was made from, by which the cache decides."""
    codes: dict[str, str] = field(default_factory=dict)
    """Version of the code of each."""
    places: dict[str, str] = field(default_factory=dict)
    """Where each lies, below the home: elsewhere there is no record of it, so that it is made."""
    contents: dict[str, str] = field(default_factory=dict)
    called: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Functions of the project (file, qualified name) that ran while it was made."""
    failed: str = ""
    """The output whose making ended in an error; its inputs are there, its content is not."""
    error: str = ""

    def note(self, name: str, inputs: Mapping[str, Any]) -> None:
        """Note what an output is made from, as recorded."""
        self.inputs[name], self.codes[name] = inputs_digest(inputs), str(inputs["code"]["version"])


def steps_of(project: Project, quick: bool = False) -> list[Step | PartedStep]:
    """Every declared step but most studies, and the report; `quick`: as far as no model is trained."""
    found = [step for step in declared(project) if not (isinstance(step, PartedStep) and step.trains)]
    if quick:
        return [step for step in found if step.group.endswith(("/ingestion", "/relations", "/shards", "/profile"))]
    found += [step for step in declared(project) if step.assets()[0] in STUDIES]
    return [*found, Step("results__report", "results", [page(project, About())])]


def make_all(home: Path, *, quick: bool = False, forget: Collection[str] = (), watch: bool = False) -> Made:
    """Make everything that is not there as it would be; ends at the first output that cannot be made.

    Args:
        home: empty, or one that this has made.
        quick: one dataset, and nothing that is trained.
        forget: outputs to make again whatever is known of them.
        watch: note the functions that run while each is made.
    """
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    settings = tiny_settings(home, quick)
    project, made = Project(settings, Paths(settings.home)), Made()
    context = SimpleNamespace(log=LOG, run=SimpleNamespace(run_id="tiny"))
    for step in steps_of(project, quick):
        for name, output in outputs_of(project, step):
            place = output.at(project)
            made.places[name] = str(place.relative_to(settings.home))
            if name in forget:
                record_of(place).unlink(missing_ok=True)
                known_of(place).unlink(missing_ok=True)  # nothing is to be taken over
            try:
                made.note(name, recorded(output.made_from(project)))
                with _watched(made.called.setdefault(name, [])) if watch else contextlib.nullcontext():
                    output.make_once(project, context, Here())
            except Exception as error:
                made.failed, made.error = name, repr(error)[:200]
                return made
            known, _ = read_record(place)
            assert known is not None
            made.note(name, known["inputs"])
            made.contents[name] = known["content"]
        refresh_catalogue(project.paths.lake)
    return made


@contextlib.contextmanager
def _watched(called: list[tuple[str, str]]) -> Iterator[None]:
    seen: set[CodeType] = set()

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            seen.add(frame.f_code)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        called += sorted({(code.co_filename, code.co_qualname) for code in seen})


def outputs_of(project: Project, step: Step | PartedStep) -> Iterator[tuple[str, Output]]:
    """The outputs of a step with their names, each asked for once those before it are made."""
    if isinstance(step, Step):
        yield from (("/".join(output.key), output) for output in step.declared())
        return
    if step.prepare is not None:
        step.prepare({}, LOG)
    parts: dict[str, str] = {}
    for label in step.plan({}):
        output = step.part({}, label)
        yield "/".join(output.key), output
        known, _ = read_record(output.at(project))
        assert known is not None
        parts[label] = known["content"]
    yield from (("/".join(output.key), output) for output in step.whole({}, parts))
