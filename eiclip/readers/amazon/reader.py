"""Amazon review data: a metadata file with one product a line or row, and photos named by product id."""

import contextlib
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
from PIL import Image

from eiclip.readers.amazon.files import EXPECTED, AmazonFile
from eiclip.readers.amazon.json_lines import FIELDS, opens_like_json, write_json_records
from eiclip.readers.amazon.metadata import GROUPS, check_in_paper_subset, listing_of
from eiclip.readers.base import Listing, PhotoFacts, Rejected, UnusablePhotoError, check_groups, stamps_of
from eiclip.readers.cells import UnusableRowError
from eiclip.readers.photo_files import PhotoFolder
from eiclip.readers.texts import entity_spelling
from eiclip.storage.files import digest


class AmazonReader:
    """Rows of a metadata file (2014, 2018 or 2023 edition, in any format) and photos `<images>/<id>.jpg`."""

    unit = "line"
    """Of Parquet or CSV a row, of a JSON array an item, counted from 1 too."""
    photos_in_rows = False
    expected = EXPECTED

    def __init__(
        self, metadata: Path, images: Path, groups: Sequence[str] = ("brand",), *,
        downloads: Path | None = None, subset: str = "all", placeholders: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Raises SettingsError for a group that the metadata does not hold; files are looked at later.

        `downloads` holds photos that `images` lacks: listings keep their addresses then. `subset` "paper" is fashion
        products with a brand alone. `placeholders` are further texts that say nothing.
        """
        self.metadata = metadata
        self.file = AmazonFile(metadata, FIELDS)
        self.folders = [PhotoFolder(folder) for folder in dict.fromkeys([images, downloads]) if folder is not None]
        self.groups = check_groups(groups, GROUPS, "Amazon data")
        self.keep_urls = downloads is not None
        self.subset = subset
        self.placeholders = frozenset(map(entity_spelling, placeholders))

    def stamps(self) -> dict[str, list[int]]:
        """Size and time of the metadata file. Raises RawDataError where it is missing."""
        return stamps_of([self.metadata], "the metadata")

    def rows_in(self) -> int:
        """Number of lines, as counted by the last full pass, else by a pass of its own. Raises RawDataError."""
        return self.file.count() if self.file.lines_read is None else self.file.lines_read

    def rows(self, wanted: Container[int] | None = None) -> Iterator[Listing | Rejected]:
        """Yield one item per line, blank ones too, or per line of the numbers `wanted`. Raises RawDataError."""
        for number, record in self.file.records(wanted):
            yield self.row(number, record)

    def write(self, dataset: str, output: Path) -> bool:
        """Write the metadata's `records` to `output` the fast way; False where it has to be read line by line.

        So are other formats, Python literals (2014), a file with blank lines, and one that DuckDB refuses. Raises
        RawDataError.
        """
        self.file.lines_read = None
        if self.file.table is None and opens_like_json(self.metadata):
            options = {"groups": list(self.groups), "urls": self.keep_urls, "paper": self.subset == "paper"}
            options["placeholders"] = sorted(self.placeholders)
            with contextlib.suppress(duckdb.Error):
                lines = write_json_records(self.metadata, dataset, output, options, self.rows)
                if self.file.lines_read is None:
                    self.file.lines_read = self.file.count()  # not what DuckDB counted
                return lines == self.file.lines_read
        return False

    def row(self, number: int, record: dict[str, Any] | UnusableRowError) -> Listing | Rejected:
        """The listing of one record, or why there is none."""
        try:
            if isinstance(record, UnusableRowError):
                raise record
            product = listing_of(
                record, self.metadata.name, number, self.groups, urls=self.keep_urls, placeholders=self.placeholders
            )
            if self.subset == "paper":
                check_in_paper_subset(product)
            return product
        except UnusableRowError as error:
            return Rejected(self.metadata.name, number, error.product_id, str(error))

    def examine(self, refs: Sequence[str]) -> Iterator[PhotoFacts | UnusablePhotoError]:
        """Facts of the photos of the product ids `refs`, in their order. Raises RawDataError: no such folder."""
        for ref in refs:
            try:
                yield next((folder for folder in self.folders if folder.holds(ref)), self.folders[0]).check(ref)
            except UnusablePhotoError as error:
                yield error

    def missing(self, refs: Sequence[str]) -> dict[str, str]:
        """The product ids of `refs` without a photo in the folder of photos. Raises RawDataError: no such folder."""
        return {ref: ref for ref in refs if not self.folders[0].holds(ref)}

    def nearest(self, ref: str) -> Path | None:
        """The photo in the folder of photos whose name is most like an id. Raises RawDataError: no such folder."""
        return self.folders[0].nearest(ref)

    def photo_stamps(self, refs: Sequence[str]) -> list[str]:
        """Digests of the names, sizes and times of the photos of the product ids `refs`. Raises RawDataError."""
        return [digest(both) for both in zip(*(folder.stamps(refs) for folder in self.folders), strict=True)]

    def photos(self, refs: Sequence[str]) -> Iterator[Image.Image]:
        """Yield the RGB photos of `refs` ('<folder>/<name>') in their order. Raises RawDataError."""
        for ref in refs:
            yield next((folder for folder in self.folders if folder.has(ref)), self.folders[0]).load(ref)
