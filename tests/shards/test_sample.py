"""Photos become squares of the training resolution, whole, and pixels again."""

import numpy as np
import pytest
from PIL import Image

from eiclip.errors import CorruptOutputError
from eiclip.shards import Sample, fit_square


def test_the_whole_photo_is_kept_in_a_white_square():
    square = np.asarray(fit_square(Image.new("RGB", (10, 40), "black"), 32))
    assert square.shape == (32, 32, 3)
    assert (square[:, 12:20] < 10).all()
    assert (square[:, :11] == 255).all()


def test_pixels_are_decoded_and_resized_where_needed(sample):
    assert sample(0).pixels(32).shape == (32, 32, 3)
    assert sample(0).pixels(16).shape == (16, 16, 3)
    with pytest.raises(CorruptOutputError, match="p9_0"):
        Sample("p9_0", "p9", "", {}, b"no photo").pixels(32)
