"""The peer: a plain dataset over Fashion-Gen's HDF5, a row at a time, of the kind that public code uses."""

import multiprocessing
from pathlib import Path
from typing import Any

import h5py
import torch
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD, get_tokenizer
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.loader.data import HDF5, SIZE
from benchmarks.measure import Work

BATCH = 128


class Rows(Dataset[Any]):
    """Rows of the file: a normalised photo and its text's token ids."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: h5py.File | None = None
        self.tokenizer: Any = get_tokenizer("ViT-B-32")
        with h5py.File(path) as file:
            self.rows = int(file["input_image"].shape[0])
        self.transform = transforms.Compose(
            [
                transforms.Resize(SIZE, interpolation=transforms.InterpolationMode.BICUBIC),
                transforms.CenterCrop(SIZE),
                transforms.ToTensor(),
                transforms.Normalize(OPENAI_DATASET_MEAN, OPENAI_DATASET_STD),
            ]
        )

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.file = self.file or h5py.File(self.path)  # each worker opens its own
        text = self.file["input_description"][row][0].decode("latin-1")
        return self.transform(Image.fromarray(self.file["input_image"][row])), self.tokenizer(text)[0]


def prepare_plain(folder: str, workers: int) -> Work:
    """A warm epoch of shuffled batches."""
    multiprocessing.set_start_method("fork", force=True)
    torch.set_num_threads(1)
    rows = Rows(Path(folder) / HDF5)
    loader = DataLoader(rows, BATCH, shuffle=True, num_workers=workers, persistent_workers=True, drop_last=True)
    for _ in loader:
        pass
    return lambda: {"photos": float(sum(len(pixels) for pixels, _ in loader))}
