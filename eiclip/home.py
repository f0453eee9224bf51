"""Where everything of a home lies: one place that knows the folders' names."""

from pathlib import Path

from eiclip.lake import Lake
from eiclip.locations import local_file, local_files, local_folder
from eiclip.readers import AmazonReader, FashionGenReader, RawReader, TableReader
from eiclip.readers.fashiongen import SPLITS
from eiclip.settings import DatasetSettings

STYLES_FILE, CLICKS_FILE = "products.parquet", "clicks.parquet"
"""Raw files of the embedded catalogue of styles."""


class Home:
    """Paths below `EICLIP_HOME`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lake = Lake(root)

    def raw(self, dataset: str) -> Path:
        """Generated raw files of an embedded dataset (or of the `general` corpus)."""
        return self.root / "raw" / dataset

    def fetched(self, dataset: str) -> Path:
        """Copies of raw files that are given as URLs."""
        return self.root / "fetched" / dataset

    def downloads(self, dataset: str) -> Path:
        """Photos fetched from the addresses that raw files hold."""
        return self.root / "downloads" / dataset

    def shards(self, dataset: str) -> Path:
        """WebDataset tars, a folder a part, and their manifest."""
        return self.root / "shards" / dataset

    @property
    def pretrained(self) -> Path:
        """The towers that every variant starts from."""
        return self.root / "models" / "pretrained"

    def checkpoint(self, dataset: str, variant: str) -> Path:
        """A variant's checkpoint folder."""
        return self.root / "models" / dataset / variant

    def job(self, dataset: str, variant: str) -> Path:
        """The training job as it was run, for `python -m eiclip.train`."""
        return self.root / "jobs" / f"{dataset}-{variant}.json"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    def clicks(self, name: str, dataset: DatasetSettings) -> str | None:
        """The click log of a dataset: the user's (a path, a URL or a pattern), the embedded one, or none."""
        if dataset.same_style is None:
            return None
        embedded = str(self.raw(name) / CLICKS_FILE) if dataset.kind == "styles" else None
        return dataset.same_style.log or embedded

    def reader(self, name: str, dataset: DatasetSettings) -> RawReader:
        """The reader of a dataset's raw files, embedded or the user's own; what is at a URL is fetched first."""
        if dataset.kind == "fashiongen":
            return self._fashiongen(name, dataset)
        return self._amazon(name, dataset) if dataset.kind == "amazon" else self._table(name, dataset)

    def _fashiongen(self, name: str, dataset: DatasetSettings) -> FashionGenReader:
        if dataset.folder is None:
            return FashionGenReader(self.raw(name), dataset.entity_groups)
        files = [local_file(f"{dataset.folder.rstrip('/')}/{file}", self.fetched(name)) for file in SPLITS]
        return FashionGenReader(files[0].parent, dataset.entity_groups)

    def _amazon(self, name: str, dataset: DatasetSettings) -> AmazonReader:
        metadata, images = self.raw(name) / "meta_Fashion.json.gz", self.raw(name) / "images"
        if dataset.metadata is not None:
            metadata = local_file(dataset.metadata, self.fetched(name))
            images = self._images(name, dataset) or self.downloads(name)
        downloads = self.downloads(name) if dataset.download is not None else None
        if downloads is not None:
            downloads.mkdir(parents=True, exist_ok=True)  # a folder to list, before the first photo is there
        return AmazonReader(metadata, images, dataset.entity_groups, downloads=downloads, subset=dataset.subset)

    def _table(self, name: str, dataset: DatasetSettings) -> TableReader:
        if dataset.files is None:  # the embedded catalogue of styles: the settings ask a table for its files
            files = [self.raw(name) / STYLES_FILE]
        else:
            files = local_files(dataset.files, self.fetched(name))
        images = self._images(name, dataset)
        return TableReader(files, dataset.columns, images, dataset.entity_groups, downloads=self.downloads(name))

    def _images(self, name: str, dataset: DatasetSettings) -> Path | None:
        return None if dataset.images is None else local_folder(dataset.images, self.fetched(name) / "images")
