"""A few samples, and a folder of shards of them."""

import numpy as np
import pytest
from PIL import Image

from eiclip.shards import Sample, encode_photo, write_shards


def make_sample(number, **given):
    pixels = np.random.default_rng(number).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    jpeg = encode_photo(Image.fromarray(pixels), 32)
    fields = {"image_id": f"p{number}_0", "product_id": f"p{number}", "description": f"Veste appliquée {number}"}
    return Sample(**(fields | given), entities={"brand": ["acne studios"], "colour": ["black", "white"]}, jpeg=jpeg)


@pytest.fixture(scope="session")
def sample():
    return make_sample


@pytest.fixture
def folder(tmp_path):
    samples = [("train", make_sample(0)), ("test", make_sample(1)), ("train", make_sample(2, image_id="a.b/../c_0"))]
    write_shards(samples, tmp_path / "shards", photo_size=32)
    return tmp_path / "shards"
