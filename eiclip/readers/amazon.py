"""Amazon review data: a metadata file with one product a line, and a folder of photos named by product id."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from eiclip.errors import RawDataError
from eiclip.files import digest
from eiclip.readers.amazon_records import AmazonProduct, UnusableRowError, parse_line, product_of
from eiclip.readers.base import Accepted, Rejected, check_groups
from eiclip.readers.lines import MAX_LINE_BYTES, count_lines, numbered_lines
from eiclip.readers.photo_files import PhotoFacts, PhotoFolder, UnusablePhotoError
from eiclip.readers.texts import normalise_entity

GROUPS = ("brand", "category", "subcategory")


class AmazonReader:
    """Rows and photos of a metadata file (2014, 2018 or 2023 edition, gzipped or plain) and `images/<id>.jpg`."""

    def __init__(self, metadata: Path, images: Path, groups: Sequence[str] = ("brand",)) -> None:
        """Raises SettingsError for a group that the metadata does not hold; files are looked at later."""
        self.metadata = metadata
        self.images = images
        self.groups = check_groups(groups, GROUPS, "Amazon")
        self._lines_read: int | None = None

    def fingerprint(self) -> str:
        """Digest of the metadata file's and every photo's name, size and time, and of the groups.

        Raises RawDataError where the file or the folder is missing.
        """
        try:
            stat = self.metadata.stat()
        except OSError as error:
            raise RawDataError(f"{self.metadata}: {error.strerror}; set the metadata to where it is") from error
        facts = (self.metadata.name, stat.st_size, stat.st_mtime_ns)
        return digest(["amazon", facts, list(PhotoFolder(self.images).listing()), self.groups])

    def rows_in(self) -> int:
        """Number of lines, as counted by the last full pass, else by a pass of its own. Raises RawDataError."""
        return count_lines(self.metadata) if self._lines_read is None else self._lines_read

    def rows(self) -> Iterator[Accepted | Rejected]:
        """Yield one item per line of the metadata, blank ones too. Raises RawDataError."""
        photos = PhotoFolder(self.images)
        accepted_ids: set[str] = set()  # a line whose first namesake was unusable gets its chance
        self._lines_read = None
        number = 0
        for number, line in numbered_lines(self.metadata):
            yield self._row(f"line {number}", line, photos, accepted_ids)
        self._lines_read = number

    def _row(
        self, locator: str, line: bytes | None, photos: PhotoFolder, accepted_ids: set[str]
    ) -> Accepted | Rejected:
        product_id: str | None = None
        try:
            if line is None:
                raise UnusableRowError(f"line too long: over {MAX_LINE_BYTES:,} bytes")
            product = product_of(parse_line(line))
            product_id = product.product_id
            if product_id in accepted_ids:
                raise UnusableRowError(f"duplicate id: {product_id}", product_id)
            photo, facts = photos.check(product_id)
        except UnusableRowError as error:
            return Rejected(self.metadata.name, locator, error.product_id, str(error))
        except UnusablePhotoError as error:
            return Rejected(self.metadata.name, locator, product_id, str(error))
        accepted_ids.add(product_id)
        return self._accepted(locator, product, photo, facts)

    def _accepted(self, locator: str, product: AmazonProduct, photo: str, facts: PhotoFacts) -> Accepted:
        named = {group: normalise_entity(getattr(product, group)) for group in self.groups}
        return Accepted(
            source=self.metadata.name, locator=locator, product_id=product.product_id,
            image_id=f"{product.product_id}_1", photo=photo, source_split=None, title=product.title,
            description=product.description, description_raw=product.description_raw, category=product.category,
            subcategory=product.subcategory, pose="", department="", gender="", price=product.price,
            entities={group: entity for group, entity in named.items() if entity},
            photo_width=facts.width, photo_height=facts.height, photo_sha256=facts.sha256,
        )  # fmt: skip

    def photos(self, refs: Sequence[str]) -> Iterator[Image.Image]:
        """Yield the RGB photos of `refs` ('images/<name>') in their order. Raises RawDataError."""
        photos = PhotoFolder(self.images)
        for ref in refs:
            yield photos.load(ref)
