"""What a training comes to depends on: equal inputs give equal weights, wherever they and the job lie."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eiclip.errors import CorruptOutputError
from eiclip.files import digest, source_version
from eiclip.stage import content_digest
from eiclip.train.job import TrainJob

PLACES = {"output", "shards", "initial", "entity_vocabulary", "semantic_prior", "pairs"}
MACHINE = {"processes", "workers", "prefetch", "checkpoint_every"}
"""Hardware settings that change how fast and how safe a training is, and nothing of what is computed but rounding."""


def training_code() -> str:
    """Version of the code that decides what a training comes to."""
    return source_version("eiclip.model", "eiclip.train", "eiclip.embed")


def training_inputs(job: TrainJob) -> dict[str, Any]:
    """Code, settings, and the contents of what a training reads.

    Raises:
        CorruptOutputError: something it reads is not there.
    """
    tables = {"entity_vocabulary": job.entity_vocabulary, "semantic_prior": job.semantic_prior, "pairs": job.pairs}
    described = job.model_dump(mode="json", exclude={*PLACES, "threads"})
    if job.pairs is None:
        del described["training"]["style"]  # what a row does not read does not make it another
    described["hardware"] = {k: v for k, v in described["hardware"].items() if k not in MACHINE}
    return {
        "code": training_code(),
        "pretrained": _content(job.initial) if job.initial else None,
        "shards": _content(job.shards),
        "tables": {table: _content(path) for table, path in tables.items() if path},
        "job": described,
    }


def training_key(job: TrainJob, left_out: Sequence[str] = ()) -> str:
    """Digest of the inputs: states of a training are kept under it, so that no other training goes on from them.

    Args:
        job: the training.
        left_out: its damaged samples: without them the order of all others is another.
    """
    return digest([training_inputs(job), *left_out])


def _content(path: Path) -> str:
    if not path.exists():
        raise CorruptOutputError(f"{path}: not made yet; materialise the asset that makes it first")
    return content_digest(path)
