"""Shards, vocabulary and towers to train on: the synthetic catalogue's products, at the photo size a model wants."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import h5py
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.model.vocabulary import UNKNOWN
from eiclip.settings.training import HardwareSettings, TrainingSettings
from eiclip.shards import Sample, encode_photo, write_shards
from eiclip.synthetic.fashiongen import write_fashiongen
from eiclip.train.job import TrainJob

GROUPS = ("brand", "subcategory", "season", "composition")
PRODUCTS = 1600


def make(folder: Path, photo_size: int, products: int = PRODUCTS) -> None:
    """Write `shards`, `vocabulary.parquet` and `prior.parquet` into `folder`."""
    write_fashiongen(folder / "raw", seed=0, train_products=products, test_products=10)
    with h5py.File(folder / "raw" / "fashiongen_256_256_train.h5") as raw:
        samples = list(_samples(raw, photo_size))
    write_shards((("train", sample) for sample in samples), folder / "shards", photo_size=photo_size)
    _write_tables(folder, samples)


def _samples(raw: h5py.File, photo_size: int) -> Iterator[Sample]:
    texts = {key: raw[f"input_{key}"][:, 0] for key in (*GROUPS, "description", "productID")}
    for row, photo in enumerate(raw["input_image"]):
        entities = {group: texts[group][row].decode("latin-1").lower() for group in GROUPS}
        known = {group: [entity] for group, entity in entities.items() if entity}
        description = texts["description"][row].decode("latin-1")
        yield Sample(f"{row:06d}", str(texts["productID"][row]), description, known, encode_photo(photo, photo_size))


def _write_tables(folder: Path, samples: list[Sample]) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        for group, names in sample.entities.items():
            found[group].update(names)
    rows = [
        {"entity_group": group, "entity_id": number, "entity": entity, "prior": 1.0}
        for group in GROUPS
        for number, entity in enumerate([UNKNOWN, *sorted(found[group])])
    ]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table.drop_columns(["prior"]), folder / "vocabulary.parquet")
    pq.write_table(table.drop_columns(["entity_id"]), folder / "prior.parquet")


def job(
    folder: Path, initial: Path, output: Path, variant: str, training: TrainingSettings, hardware: HardwareSettings
) -> TrainJob:
    """A training on what `make` wrote."""
    return TrainJob(
        dataset="benchmark",
        variant=variant,
        shards=folder / "shards",
        initial=initial,
        entity_groups=GROUPS,
        entity_vocabulary=folder / "vocabulary.parquet",
        semantic_prior=folder / "prior.parquet",
        output=output,
        training=training,
        hardware=hardware,
    )
