"""Trainings recorded by the version of this project before code versions were computed, taken over where they hold.

That version counted a text's length wrongly where token id 0 is in it (a "!" right before a symbol). Its trainings on
texts without that token come out the same today, to the last byte, and need not be done again. To be removed once
no home of that version is left.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from eiclip.model.variants import get_variant
from eiclip.shards.index import read_index
from eiclip.shards.read import read_manifest
from eiclip.train.job import TrainJob
from eiclip.train.key import training_settings, training_sources

CODE = "e66b1d2b5caf8f0f"
"""What that version recorded as the code of a training."""
RANKS = (None, "41e67acdf59e72a9", "d2d899cb25be8981")
"""And as the code that ranks a trial of an ablation, or of a study of same-style retrieval."""
OTHER_NAMES = {"pretrained": "initial"}


def would_be_the_same(recorded: Mapping[str, Any], job: TrainJob) -> bool:
    """Whether a record of that version holds this training's inputs, and no text of it was read wrongly."""
    sources = {"pretrained": recorded.get("pretrained"), "shards": recorded.get("shards"), **recorded.get("tables", {})}
    found = {OTHER_NAMES.get(name, name): content for name, content in sources.items() if content is not None}
    if recorded.get("code") != CODE or recorded.get("ranks") not in RANKS or found != training_sources(job):
        return False
    return recorded.get("job") == training_settings(job) and not _misread(job)


def _misread(job: TrainJob) -> bool:
    """Whether a text of the training has token id 0 in it: only those with an exclamation mark are looked at."""
    suspects = {text for text in _texts(job) if any(mark in text for mark in ("!", "！", "&#", "&excl"))}
    if not suspects:
        return False
    from eiclip.model.towers import text_lengths, tokenizer

    tokens_TL = tokenizer()(sorted(suspects), context_length=job_context(job))
    return bool(((tokens_TL != 0).sum(dim=1) != text_lengths(tokens_TL)).any())


def job_context(job: TrainJob) -> int:
    """Tokens that the text tower of a job takes."""
    from eiclip.model.sources import CONFIG_FILE, SMALL, read_config

    config = SMALL if job.initial is None else read_config(job.initial / CONFIG_FILE)["model_cfg"]
    return int(config["text_cfg"].get("context_length", 77))


def _texts(job: TrainJob) -> Iterator[str]:
    """Every text that the row reads of the shards, of any split."""
    from eiclip.model.inputs import compose_text

    as_text, first = get_variant(job.variant).entities_as_text, job.training.entities_first
    for shard in read_manifest(job.shards)["shards"]:
        index = read_index(job.shards, shard)
        for description, tags in zip(index["description"].to_pylist(), index["entities"].to_pylist(), strict=True):
            text = str(description)
            yield compose_text(text, dict(tags), job.entity_groups, entities_first=first) if as_text else text
