"""A handful of products as shards, and the tables their training needs."""

import shutil
import socket

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from eiclip.model.towers import new_towers, save_towers
from eiclip.settings.training import TrainingSettings
from eiclip.shards import Sample, encode_photo, write_shards
from eiclip.train.job import TrainJob

BRANDS = ["diesel", "coach"]
TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 64, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
"""Towers that are saved often, so that they had better be small."""


def product(number):
    colour = np.random.default_rng(number).integers(0, 255, 3)
    jpeg = encode_photo(Image.fromarray(np.full((64, 64, 3), colour, dtype=np.uint8)), 64)
    entities = {"brand": [BRANDS[number % 2]]} if number % 5 else {}
    return Sample(f"p{number}_0", f"p{number}", f"Item {number} in {colour}", entities, jpeg)


@pytest.fixture(scope="session")
def job_in(tmp_path_factory):
    """Puts a copy of the same data into a folder and returns the job there."""
    data = tmp_path_factory.mktemp("shop")
    samples = [("train" if number < 24 else "validation", product(number)) for number in range(32)]
    write_shards(samples, data / "shards", photo_size=64)
    vocabulary = {"entity_group": ["brand"] * 3, "entity_id": [0, 1, 2], "entity": ["<unk>", *BRANDS]}
    pq.write_table(pa.table(vocabulary), data / "vocabulary.parquet")
    prior = {"entity": BRANDS, "entity_group": ["brand"] * 2, "prior": [1.0, 1.0]}
    pq.write_table(pa.table(prior), data / "prior.parquet")
    (data / "towers").mkdir()
    save_towers(new_towers(TINY, 0), data / "towers")

    def job_in(folder):
        shutil.copytree(data, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("towers"))
        return TrainJob(
            dataset="shop",
            variant="eiclip",
            shards=folder / "shards",
            initial=data / "towers",
            entity_groups=("brand",),
            entity_vocabulary=folder / "vocabulary.parquet",
            semantic_prior=folder / "prior.parquet",
            output=folder / "model",
            training=TrainingSettings(epochs=4, batch_size=8, tower_lr=1e-3, warmup_steps=2, log_every=1),
        )

    return job_in


@pytest.fixture
def job(job_in, tmp_path):
    return job_in(tmp_path)


@pytest.fixture(scope="session")
def changed():
    """Returns a job with other values; of its settings those that are named."""

    def changed(job, **changes):
        given = {k: getattr(job, k).model_copy(update=v) if isinstance(v, dict) else v for k, v in changes.items()}
        return job.model_copy(update=given)

    return changed


@pytest.fixture
def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
