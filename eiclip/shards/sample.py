"""A photo with its product's text and tags, and how photos become JPEG bytes of the training resolution."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import simplejpeg
from PIL import Image

from eiclip.errors import CorruptOutputError
from eiclip.readers.base import RawReader

JPEG_QUALITY = 92


@dataclass(frozen=True)
class Sample:
    """One photo of a product with the product's text and tags."""

    image_id: str
    product_id: str
    description: str
    entities: dict[str, list[str]] = field(default_factory=dict)  # by group; one without entities is absent
    jpeg: bytes = b""

    def pixels(self, size: int) -> np.ndarray:
        """Return the photo as uint8 (size, size, 3), RGB. Raises CorruptOutputError where it cannot be decoded."""
        try:
            photo: np.ndarray = simplejpeg.decode_jpeg(self.jpeg, colorspace="RGB")
        except ValueError as error:
            raise CorruptOutputError(f"photo {self.image_id}: {error}; make the shards again") from error
        if photo.shape[:2] != (size, size):
            photo = np.asarray(fit_square(Image.fromarray(photo), size))
        return photo


def fit_square(photo: Image.Image, size: int) -> Image.Image:
    """Return the whole photo in a square of side `size`, bicubic, padded with white (its hem must be seen)."""
    scale = size / max(photo.size)
    width, height = (max(1, round(side * scale)) for side in photo.size)
    resized = photo.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (size, size), "white")
    square.paste(resized, ((size - width) // 2, (size - height) // 2))
    return square


def encode_photo(photo: Image.Image | np.ndarray, size: int) -> bytes:
    """Return JPEG bytes of the photo (an image, or pixels: uint8 (H, W, 3), RGB) at training resolution."""
    if isinstance(photo, np.ndarray) and photo.shape[:2] != (size, size):
        photo = Image.fromarray(photo)
    pixels = photo if isinstance(photo, np.ndarray) else np.asarray(fit_square(photo, size))
    pixels = np.ascontiguousarray(pixels)
    return bytes(simplejpeg.encode_jpeg(pixels, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="444"))


def encode_photos(reader: RawReader, refs: Sequence[str], size: int) -> Iterator[bytes]:
    """Yield JPEG bytes at training resolution of the photos of `refs`, in their order. Raises RawDataError."""
    # Pixels as they lie in the raw file, where the reader has such: they need not become images first.
    photos: Iterator[Image.Image | np.ndarray] = getattr(reader, "pixels", reader.photos)(refs)
    return (encode_photo(photo, size) for photo in photos)
