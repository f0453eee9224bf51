"""Products enough for a training of seconds: flat colours, two brands."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from eiclip.settings.training import HardwareSettings, TrainingSettings
from eiclip.shards import Sample, encode_photo, write_shards
from eiclip.train.job import TrainJob

BRANDS = ("diesel", "coach")
SIZE = 64
"""Pixels of a photo's side."""


def tiny_job(
    folder: Path, *, train: int = 24, validation: int = 8, epochs: int = 3, validations: int = 0, **hardware: int
) -> TrainJob:
    """A training of row 5 on products that are written below `folder`; its job lies in `folder/job.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_shards(_products(train, validation), folder / "shards", photo_size=SIZE)
    vocabulary = {"entity_group": ["brand"] * 3, "entity_id": [0, 1, 2], "entity": ["<unk>", *BRANDS]}
    pq.write_table(pa.table(vocabulary), folder / "vocabulary.parquet")
    prior = {"entity": BRANDS, "entity_group": ["brand"] * 2, "prior": [1.0, 1.0]}
    pq.write_table(pa.table(prior), folder / "prior.parquet")
    job = TrainJob(
        dataset="shop",
        variant="eiclip",
        shards=folder / "shards",
        initial=None,
        entity_groups=("brand",),
        entity_vocabulary=folder / "vocabulary.parquet",
        semantic_prior=folder / "prior.parquet",
        output=folder / "model",
        training=TrainingSettings(
            epochs=epochs, batch_size=8, tower_lr=1e-3, warmup_steps=2, log_every=1, validations=validations
        ),
        hardware=HardwareSettings.model_validate(hardware),
    )
    (folder / "job.json").write_text(job.model_dump_json(), encoding="utf-8")
    return job


def _products(train: int, validation: int) -> Iterator[tuple[str, Sample]]:
    for number in range(train + validation):
        colour = np.random.default_rng(number).integers(0, 255, 3)
        pixels = np.full((SIZE, SIZE, 3), colour, dtype=np.uint8)
        entities = {"brand": [BRANDS[number % 2]]} if number % 5 else {}
        photo = encode_photo(Image.fromarray(pixels), SIZE)
        sample = Sample(f"p{number}_0", f"p{number}", f"Item {number} in {colour}", entities, photo)
        yield ("train" if number < train else "validation"), sample
