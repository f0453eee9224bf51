"""The reader of a dataset's raw files: the synthetic catalogue's, or the user's own."""

from eiclip.readers.amazon.reader import AmazonReader
from eiclip.readers.base import RawReader
from eiclip.readers.fashiongen.reader import SPLITS, FashionGenReader
from eiclip.readers.table.reader import TableReader
from eiclip.settings.load import DatasetSettings
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
    return TableReader(
        files, dataset.columns, images, dataset.entity_groups, downloads, dataset.encoding, dataset.placeholders
    )
