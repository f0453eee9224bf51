"""The same made-up photos as shards of 224 pixels and as Fashion-Gen's HDF5 of 256."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from eiclip.shards import Sample, encode_photo, write_shards

RAW_SIZE, SIZE = 256, 224
TEXT_WIDTH = 400
BRANDS, SEASONS = 200, 10
HDF5 = "fashiongen_256_256_train.h5"
WORDS = ("wool", "cotton", "silk", "denim", "coat", "shirt", "collar", "button", "slim", "loose", "tonal", "ribbed")


def draw(number: int) -> np.ndarray:
    """A photo, uint8 (256, 256, 3): soft shapes on white and a little noise; some 12 KB as a JPEG of 224 pixels."""
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (6, 4, 3), dtype=np.uint8))
    garment = np.asarray(coarse.resize((130, 210), Image.Resampling.BICUBIC)).astype(np.int16)
    garment += random.integers(-5, 6, garment.shape, dtype=np.int16)
    photo = np.full((RAW_SIZE, RAW_SIZE, 3), 250, dtype=np.uint8)
    photo[20:230, 60:190] = garment.clip(0, 255)
    return photo


def description(number: int) -> str:
    """Two dozen words, shared by no other product."""
    random = np.random.default_rng([number, 1])
    return f"Item {number}: " + " ".join(WORDS[word] for word in random.integers(0, len(WORDS), 24)) + "."


def entities(number: int) -> dict[str, list[str]]:
    """A brand and a season."""
    return {"brand": [f"brand {number % BRANDS}"], "season": [f"season {number % SEASONS}"]}


def make(folder: Path, photos: int) -> None:
    """Write `shards` and the HDF5 file, laid out and compressed as the synthetic catalogue's, below `folder`."""

    def samples(images: h5py.Dataset) -> Iterator[tuple[str, Sample]]:
        for number in range(photos):
            images[number] = pixels = draw(number)
            jpeg = encode_photo(Image.fromarray(pixels), SIZE)
            yield "train", Sample(f"{number}_0", f"{number}", description(number), entities(number), jpeg)

    with h5py.File(folder / HDF5, "w") as file:
        shape = (photos, RAW_SIZE, RAW_SIZE, 3)
        images = file.create_dataset("input_image", shape, "uint8", chunks=(1, *shape[1:]), compression="lzf")
        texts = [[description(number).encode()] for number in range(photos)]
        file.create_dataset("input_description", data=np.array(texts, dtype=f"S{TEXT_WIDTH}"), compression="gzip")
        write_shards(samples(images), folder / "shards", photo_size=SIZE)
