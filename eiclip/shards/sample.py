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


@dataclass(frozen=True)
class PhotoForm:
    """How photos are made square, in open_clip's words; as it is, whole and on white (their hem must be seen)."""

    size: int
    """Side in pixels."""
    resize_mode: str = "longest"
    """`longest`: whole and padded, `shortest`: cropped at the centre, `squash`: made square."""
    interpolation: str = "bicubic"
    """`bicubic` or `bilinear`."""
    fill_color: int = 255
    """Grey of the padding."""

    @classmethod
    def of(cls, form: "PhotoForm | int") -> "PhotoForm":
        """A form; a number is the side of photos padded with white."""
        return form if isinstance(form, PhotoForm) else cls(form)


def fit_square(photo: Image.Image, form: PhotoForm | int) -> Image.Image:
    """Return the photo as a square, to the pixel as open_clip's own transforms make it."""
    form = PhotoForm.of(form)
    size, photo = form.size, photo.convert("RGB")
    resampling = Image.Resampling.BILINEAR if form.interpolation == "bilinear" else Image.Resampling.BICUBIC
    if form.resize_mode == "squash":
        return photo.resize((size, size), resampling)
    if form.resize_mode == "shortest":  # cut, not rounded, and cropped by the half, rounded
        width, height = (int(size * side / min(photo.size)) for side in photo.size)
        left, top = round((width - size) / 2), round((height - size) / 2)
        return photo.resize((width, height), resampling).crop((left, top, left + size, top + size))
    scale = size / max(photo.size)
    width, height = (max(1, round(side * scale)) for side in photo.size)
    square = Image.new("RGB", (size, size), (form.fill_color,) * 3)
    square.paste(photo.resize((width, height), resampling), ((size - width) // 2, (size - height) // 2))
    return square


def encode_photo(photo: Image.Image | np.ndarray, form: PhotoForm | int) -> bytes:
    """Return JPEG bytes of the photo (an image, or pixels: uint8 (H, W, 3), RGB) at training resolution."""
    form = PhotoForm.of(form)
    if isinstance(photo, np.ndarray) and photo.shape[:2] != (form.size, form.size):
        photo = Image.fromarray(photo)
    pixels = photo if isinstance(photo, np.ndarray) else np.asarray(fit_square(photo, form))
    pixels = np.ascontiguousarray(pixels)
    return bytes(simplejpeg.encode_jpeg(pixels, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="444"))


def encode_photos(reader: RawReader, refs: Sequence[str], form: PhotoForm | int) -> Iterator[bytes]:
    """Yield JPEG bytes at training resolution of the photos of `refs`, in their order. Raises RawDataError."""
    # Pixels as they lie in the raw file, where the reader has such: they need not become images first.
    photos: Iterator[Image.Image | np.ndarray] = getattr(reader, "pixels", reader.photos)(refs)
    return (encode_photo(photo, form) for photo in photos)
