"""A handful of products as shards, and the tables their training needs."""

import socket

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from eiclip.settings.training import TrainingSettings
from eiclip.shards import Sample, encode_photo, write_shards
from eiclip.train.job import TrainJob

BRANDS = ["diesel", "coach"]


def product(number):
    colour = np.random.default_rng(number).integers(0, 255, 3)
    pixels = np.full((64, 64, 3), colour, dtype=np.uint8)
    jpeg = encode_photo(Image.fromarray(pixels), 64)
    entities = {"brand": BRANDS[number % 2]} if number % 5 else {}
    return Sample(f"p{number}_0", f"p{number}", f"Item {number} in {colour}", entities, jpeg)


@pytest.fixture
def job(tmp_path):
    return _job_in(tmp_path)


@pytest.fixture(scope="session")
def job_in():
    """Writes the same data into another folder and returns the job there."""
    return _job_in


def _job_in(tmp_path):
    samples = [("train" if number < 24 else "validation", product(number)) for number in range(32)]
    write_shards(samples, tmp_path / "shards", photo_size=64)
    names = ["<unk>", *BRANDS]
    vocabulary = {"entity_group": ["brand"] * 3, "entity_id": [0, 1, 2], "entity": names}
    pq.write_table(pa.table(vocabulary), tmp_path / "vocabulary.parquet")
    prior = {"entity": BRANDS, "entity_group": ["brand"] * 2, "prior": [1.0, 1.0]}
    pq.write_table(pa.table(prior), tmp_path / "prior.parquet")
    return TrainJob(
        dataset="shop",
        variant="eiclip",
        shards=tmp_path / "shards",
        initial=None,
        entity_groups=("brand",),
        entity_vocabulary=tmp_path / "vocabulary.parquet",
        semantic_prior=tmp_path / "prior.parquet",
        output=tmp_path / "model",
        training=TrainingSettings(epochs=4, batch_size=8, tower_lr=1e-3, warmup_steps=2, log_every=1),
    )


@pytest.fixture
def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
