"""A photo's 64-bit perceptual hash: photos that look alike differ in few bits."""

import imagehash
import numpy as np
from PIL import Image


def perceptual_hash(photo: Image.Image) -> int:
    """The photo's pHash (signs of its lowest 8 x 8 cosine frequencies) as a signed 64-bit integer.

    Size, compression and, since it is of the brightness alone, much of the colour do not change it.
    """
    bits = imagehash.phash(photo).hash
    return int(np.packbits(bits).view(">i8")[0])
