"""Where everything of a home lies: one place that knows the folders' names."""

from collections.abc import Sequence
from pathlib import Path

from eiclip.storage.lake import Lake


class Paths:
    """Paths below `EICLIP_HOME`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lake = Lake(root)

    def raw(self, dataset: str) -> Path:
        """Generated raw files of a synthetic dataset (or of the `general` corpus)."""
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

    def features(self, dataset: str) -> Path:
        """Features of frozen towers, a file a shard."""
        return self.root / "features" / dataset

    def patches(self, dataset: str) -> Path:
        """Patches of photos that cross-encoders read, a folder for each image tower."""
        return self.root / "patches" / dataset

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

    def trials(self, dataset: str) -> Path:
        """Trainings of a dataset that answer a question: ablations and studies of seeds."""
        return self.root / "ablations" / dataset

    def tuned(self, dataset: str) -> Path:
        """What the job `tune` chose, as lines of a settings file."""
        return self.root / "tuned" / f"{dataset}.toml"

    def search_index(self, dataset: str, variant: str) -> Path:
        """Views of a dataset's products under a variant, as search reads them (Parquet)."""
        return self.root / "search" / dataset / f"{variant}.parquet"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    def place(self, key: Sequence[str]) -> Path:
        """Where the output of an asset key lies: a table or a part of one, unless it is one of the folders."""
        dataset, kind, *part = key
        if list(key) == ["general", "pretrained"]:
            return self.pretrained
        if kind == "checkpoint":
            return self.checkpoint(dataset, part[0])
        if kind == "search_index":
            return self.search_index(dataset, part[0])
        folders = {"raw_files": self.raw, "shards": self.shards, "features": self.features}
        return folders[kind](dataset) if kind in folders else self.lake.path(kind, dataset, *part)
