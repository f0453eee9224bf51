"""The reader of a dataset's raw files: the synthetic catalogue's, or the user's own."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from eiclip.errors import RawDataError
from eiclip.readers.amazon.reader import AmazonReader
from eiclip.readers.base import RawReader
from eiclip.readers.fashiongen.reader import SPLITS, FashionGenReader
from eiclip.readers.table.files import open_table
from eiclip.readers.table.reader import TableReader
from eiclip.settings.load import ColumnSettings, DatasetSettings
from eiclip.storage.home import Paths
from eiclip.storage.locations import local_file, local_files, local_folder

STYLES_FILE = "products.parquet"
"""Raw file of the synthetic catalogue of styles."""


def open_reader(home: Paths, name: str, dataset: DatasetSettings) -> RawReader:
    """Return a dataset's reader; what is at a URL is fetched first. Raises RawDataError, SettingsError."""
    raw, fetched = home.raw(name), home.fetched(name)
    if dataset.kind == "fashiongen":
        if dataset.folder is None:
            return FashionGenReader(raw, dataset.entity_groups, dataset.placeholders)
        files = [local_file(f"{dataset.folder.rstrip('/')}/{file}", fetched) for file in SPLITS]
        return FashionGenReader(files[0].parent, dataset.entity_groups, dataset.placeholders)
    images = None if dataset.images is None else local_folder(dataset.images, fetched / "images")
    downloads = home.downloads(name)
    if dataset.kind == "amazon":
        if dataset.metadata is None:
            metadata, photos = raw / "meta_Fashion.json.gz", raw / "images"
        else:
            metadata, photos = local_file(dataset.metadata, fetched), images or downloads
        if dataset.download is not None:
            downloads.mkdir(parents=True, exist_ok=True)  # a folder to list, before the first photo is there
        kept = None if dataset.download is None else downloads
        return AmazonReader(
            metadata, photos, dataset.entity_groups,
            downloads=kept, subset=dataset.subset, placeholders=dataset.placeholders,
        )  # fmt: skip
    # The synthetic catalogue of styles names no files: the settings ask a table for its own.
    files = [raw / STYLES_FILE] if dataset.files is None else local_files(dataset.files, fetched)
    columns = fitting_columns(dataset.layouts, files)
    return TableReader(files, columns, images, dataset.entity_groups, downloads, dataset.encoding, dataset.placeholders)


def fitting_columns(layouts: Sequence[ColumnSettings], files: Sequence[Path]) -> ColumnSettings:
    """Return the layout of which the first file has the most columns; the first one where nothing can tell."""

    def held(columns: ColumnSettings) -> int:
        with contextlib.suppress(RawDataError):  # whoever reads the rows says what is wrong
            # Headers are ASCII, so that the encoding need not be found out.
            names = open_table(files[0], (columns.product_id,), columns.photo, "utf-8").names()
            return len(set(columns.names) & set(names))
        return 0

    return max(layouts, key=held) if len(layouts) > 1 and files else layouts[0]
