"""Where everything of a home lies: one place that knows the folders' names."""

from pathlib import Path

from eiclip.lake import Lake
from eiclip.readers import AmazonReader, FashionGenReader, RawReader
from eiclip.settings import DatasetSettings


class Home:
    """Paths below `EICLIP_HOME`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lake = Lake(root)

    def raw(self, dataset: str) -> Path:
        """Generated raw files of an embedded dataset (or of the `general` corpus)."""
        return self.root / "raw" / dataset

    def shards(self, dataset: str) -> Path:
        """WebDataset tars and their manifest."""
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

    def reader(self, name: str, dataset: DatasetSettings) -> RawReader:
        """The reader of a dataset's raw files, embedded or the user's own."""
        if dataset.kind == "fashiongen":
            return FashionGenReader(dataset.folder or self.raw(name), dataset.entity_groups)
        metadata = dataset.metadata or self.raw(name) / "meta_Fashion.json.gz"
        return AmazonReader(metadata, dataset.images or self.raw(name) / "images", dataset.entity_groups)
