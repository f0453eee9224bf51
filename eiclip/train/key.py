"""Cache key of a training run: equal inputs give equal weights, wherever they and the job lie."""

from collections.abc import Sequence
from typing import Any

from eiclip.errors import CorruptOutputError
from eiclip.model.variants import get_variant
from eiclip.storage.cache import content_digest
from eiclip.storage.code_version import CodeVersion, code_version
from eiclip.storage.files import digest
from eiclip.train.job import TrainJob

SOURCES = ("initial", "shards", "entity_vocabulary", "semantic_prior", "pairs")
"""Fields of a job that name what it reads."""
MACHINE = {"processes", "workers", "prefetch", "checkpoint_every"}
"""Hardware settings that change how fast and how safe a training is, and nothing of what is computed but rounding."""
TRAINER = ("eiclip.train.loop:train",)


def training_code() -> CodeVersion:
    """Return the version of the code that decides the weights."""
    return code_version(TRAINER)


def training_settings(job: TrainJob) -> dict[str, Any]:
    """Return the settings that decide the weights."""
    described = job.model_dump(mode="json", exclude={*SOURCES, "features", "patches", "output", "threads", "code"})
    if job.pairs is None:
        del described["training"]["style"]  # what a row does not read does not make it another
    if get_variant(job.variant).cross == "none":
        del described["training"]["cross"]
    described["hardware"] = {k: v for k, v in described["hardware"].items() if k not in MACHINE}
    return described


def training_sources(job: TrainJob) -> dict[str, str]:
    """Digest the contents of what a training reads; CorruptOutputError where something of it is not there."""
    paths = {name: path for name in SOURCES if (path := getattr(job, name)) is not None}
    for path in paths.values():
        if not path.exists():
            raise CorruptOutputError(f"{path}: not made yet; materialise the asset that makes it first")
    return {name: content_digest(path) for name, path in paths.items()}


def training_inputs(job: TrainJob) -> dict[str, Any]:
    """Return everything that decides the weights: code, settings and sources. Raises as `training_sources`."""
    return {"code": training_code(), "parameters": training_settings(job), "sources": training_sources(job)}


def training_key(job: TrainJob, skipped: Sequence[str] = ()) -> str:
    """Digest the inputs, and the damaged samples that are left out: states of a training are kept under this key.

    Where the job says its code's version, that is not computed again.
    """
    return digest([job.code or training_code().digest, training_settings(job), training_sources(job), *skipped])
