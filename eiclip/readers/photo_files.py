"""A folder of photos named by product id: finding them, and proving that they can be decoded.

Photos come from the web, so they are taken as hostile: only three formats are tried, the declared size is held
against a cap before a pixel is decoded, and only names that a listing of the folder gave are ever opened.
"""

import contextlib
import difflib
import functools
import hashlib
import io
import os
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, ImageCms, ImageOps

from eiclip.errors import RawDataError
from eiclip.readers.base import PhotoFacts, UnusablePhotoError
from eiclip.readers.texts import without_addresses
from eiclip.storage.files import digest

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")  # in order of preference
FORMATS = ("JPEG", "PNG", "WEBP")
PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow's mode of the pixels that a colour profile describes, by the profile's colour space."""
MAX_PIXELS = 50_000_000
MAX_FILE_BYTES = 64 * 2**20
MAX_PROFILE_BYTES = 4 * 2**20
"""Of a colour profile; printers' have one or two."""
COMPARED = 20_000
"""Names among which the one most like a missing one is looked for."""


class PhotoFolder:
    """The photos of one folder, by the stem of their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name if folder.name not in {"", ".."} else folder.resolve().name  # opens every reference

    @cached_property
    def names(self) -> dict[str, str]:
        """Stem -> file name, the preferred extension where there are several. Raises RawDataError."""
        try:
            # is_file keeps pipes and devices out, which would hang the reader; a link has to stay in the folder: an
            # archive could bring along one that does not.
            folder = os.path.realpath(self.folder)
            names = [
                file.name for file in self.folder.iterdir()
                if _rank(file.name) < len(EXTENSIONS) and file.is_file()
                and (not file.is_symlink() or Path(os.path.realpath(file)).is_relative_to(folder))
            ]  # fmt: skip
        except OSError as error:
            way_out = "set the dataset's images to the folder of <id>.jpg"
            raise RawDataError(f"{self.folder}: cannot list the photos ({error.strerror}); {way_out}") from error
        names.sort(key=lambda name: (_rank(name), name), reverse=True)
        return {Path(name).stem: name for name in names}

    def name_of(self, stem: str) -> str | None:
        """The file of that stem, else of the stem in capitals or in small letters; stems are ids, in ASCII.

        Raises UnusablePhotoError where there are both, RawDataError.
        """
        if (name := self.names.get(stem)) is not None:
            return name
        found = [self.names[other] for other in (stem.upper(), stem.lower()) if other in self.names]
        if len(found) > 1:
            raise UnusablePhotoError(f"ambiguous photo: {stem} may be {self.name}/{' or '.join(found)}; rename one")
        return found[0] if found else None

    def holds(self, stem: str) -> bool:
        """Whether there is a file of that stem, or more than one that could be it. Raises RawDataError."""
        return any(other in self.names for other in (stem, stem.upper(), stem.lower()))

    def nearest(self, stem: str) -> Path | None:
        """The photo whose name is most like that of a missing one; None for an empty folder. Raises RawDataError."""
        found = nearest_name(f"{stem}.jpg", self.names.values())
        return None if found is None else self.folder.absolute() / found

    def stamps(self, stems: Sequence[str]) -> list[str]:
        """Digests of the name, size and time of each photo; a missing one counts as such. Raises RawDataError."""
        facts = []
        for stem in stems:
            name = None
            with contextlib.suppress(UnusablePhotoError):
                name = self.name_of(stem)
            stat = None if name is None else (self.folder / name).stat()
            facts.append((self.name, name or stem, stat.st_size if stat else -1, stat.st_mtime_ns if stat else -1))
        return [digest(fact) for fact in facts]

    def check(self, stem: str) -> PhotoFacts:
        """Return the facts of the photo of that stem, having decoded it in full. Raises UnusablePhotoError."""
        name = self.name_of(stem)
        if name is None:
            for candidate in (self.folder / f"{stem}{extension}" for extension in EXTENSIONS):
                if candidate.is_symlink():
                    where = f"{self.name}/{candidate.name}"
                    raise UnusablePhotoError(f"photo outside the folder: {where} is a link to elsewhere")
            raise UnusablePhotoError(f"photo missing: {self.name}/{stem}.jpg")
        ref = f"{self.name}/{name}"
        facts = photo_facts(photo_bytes(self.folder / name, ref), ref)
        return replace(facts, other_name=Path(name).stem != stem)

    def has(self, ref: str) -> bool:
        """Whether `load` would find the file of this reference here."""
        folder, _, name = ref.rpartition("/")
        return folder == self.name and self.names.get(Path(name).stem) == name

    def load(self, ref: str) -> Image.Image:
        """Return the RGB photo of a reference that `check` gave. Raises RawDataError."""
        folder, _, name = ref.rpartition("/")
        if folder != self.name or name in {"", ".", ".."} or "\0" in name:
            raise RawDataError(f"photo {ref!r} is not of the form '{self.name}/<name>'; rebuild the catalog")
        try:
            return decode_rgb(photo_bytes(self.folder / name, ref), ref)
        except UnusablePhotoError as error:
            way_out = "it changed after the catalog was made, rebuild the catalog"
            raise RawDataError(f"{self.folder / name}: {error}; {way_out}") from error


def photo_facts(content: bytes, ref: str) -> PhotoFacts:
    """Return the facts of a photo's bytes, having decoded it in full. Raises UnusablePhotoError."""
    photo = decode_rgb(content, ref)
    if all(low == high for low, high in photo.getextrema()):  # type: ignore[misc]
        raise UnusablePhotoError(f"blank photo: {ref} is one colour, {photo.getpixel((0, 0))}")
    return PhotoFacts(ref, *photo.size, hashlib.sha256(content).hexdigest(), perceptual_hash(photo))


def decode_rgb(content: bytes, ref: str) -> Image.Image:
    """Decode a photo in full to upright 8-bit sRGB, transparent parts on white. Raises UnusablePhotoError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about size, where our own cap is stricter, and about metadata
            photo: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
            if photo.width * photo.height > MAX_PIXELS:
                raise UnusablePhotoError(f"photo too large: {ref} has {photo.width} x {photo.height} pixels")
            photo.load()
            with contextlib.suppress(Exception):  # damaged EXIF does not make the pixels worse
                photo = ImageOps.exif_transpose(photo)
            return rgb_on_white(photo)
    except (UnusablePhotoError, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # Pillow's own cap comes first for the largest
        raise UnusablePhotoError(f"photo too large: {ref} has over {MAX_PIXELS:,} pixels") from error
    except Image.UnidentifiedImageError as error:
        raise UnusablePhotoError(f"unreadable photo: {ref} is not a JPEG, PNG or WEBP") from error
    except Exception as error:  # on damaged files Pillow raises nearly anything: OSError, SyntaxError, struct.error
        raise UnusablePhotoError(f"unreadable photo: {ref}: {without_addresses(str(error))}") from error


def rgb_on_white(photo: Image.Image) -> Image.Image:
    """Return the photo as 8-bit sRGB, transparent parts on white.

    Of 16 bits the upper 8 count, also of 32 where one value is above 255; floats are from 0 to 1 (to 255 where one is
    above 1), and colours of another profile
    that the photo carries (Adobe RGB, Display P3, a printer's CMYK) are converted. A profile that cannot be read, or is
    of another kind of pixels, is left aside.
    """
    profile = photo.info.get("icc_profile")
    if photo.mode.startswith("I") or photo.mode == "F":
        photo = Image.fromarray(_eight_bits(np.asarray(photo)))
    elif photo.has_transparency_data:  # a cut-out would turn black, its shops show it on white
        photo = photo.convert("RGBA")
        photo = Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo).convert("RGB")
    elif photo.mode == "P":
        photo = photo.convert("RGB")
    is_profile = isinstance(profile, bytes) and len(profile) <= MAX_PROFILE_BYTES
    transform = _to_srgb(profile, photo.mode) if is_profile else None
    return photo.convert("RGB") if transform is None else ImageCms.applyTransform(photo, transform) or photo


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Pixels of one channel as uint8."""
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = np.nan_to_num(pixels)
        return (pixels * (255 if pixels.max() <= 1 else 1)).clip(0, 255).round().astype(np.uint8)
    # Of 32 bits it cannot be told but by the values.
    scale = 256 if pixels.dtype == np.uint16 or pixels.max(initial=0) > 255 else 1
    return (pixels.clip(0, 65_535) // scale).astype(np.uint8)


@functools.lru_cache(maxsize=64)  # a shop's photos share a few profiles
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What brings pixels of a profile to sRGB; None where they are it already, or it is not of pixels of this mode."""
    try:
        found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        is_of_mode = PROFILE_MODES.get(found.profile.xcolor_space.strip()) == mode
        if not is_of_mode or "sRGB" in (found.profile.profile_description or ""):
            return None
        return ImageCms.buildTransform(found, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def photo_bytes(path: Path, ref: str) -> bytes:
    """Return a photo file's bytes, up to the cap. Raises UnusablePhotoError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnusablePhotoError(f"unreadable photo: {ref}: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise UnusablePhotoError(f"photo too large: {ref} has over {MAX_FILE_BYTES:,} bytes")
    return content


def fold_name(name: str) -> str:
    """Return the form in which two file names are equal that differ in case, or in how letters are put together.

    >>> fold_name("Robe-Brode\u0301e.JPG") == fold_name("robe-brod\u00e9e.jpg")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def same_letters(first: str, second: str) -> bool:
    """Whether names differ in how letters are put together at most: as one character, or with an accent's own."""
    return unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", second)


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is most like another one, among the first `COMPARED`; None where there are none."""
    folded = {fold_name(held): held for held in islice(names, COMPARED)}
    found = difflib.get_close_matches(fold_name(name), folded, n=1, cutoff=0.0)
    return folded[found[0]] if found else None


def _rank(name: str) -> int:
    extension = Path(name).suffix.lower()
    return EXTENSIONS.index(extension) if extension in EXTENSIONS else len(EXTENSIONS)


def perceptual_hash(photo: Image.Image) -> int:
    """The photo's 64-bit pHash (signs of the 8 x 8 lowest cosine frequencies): like photos differ in few bits."""
    return int(np.packbits(imagehash.phash(photo).hash).view(">i8")[0])
