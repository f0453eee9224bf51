"""Patches of photos by an image tower that stays as it is, kept for cross-encoders: a file a shard, made when wanted.

Shape suffixes: B batch, H height, W width, C channels, S side of the grid, N photos, F all values of a photo.
"""

import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from eiclip.features.files import as_bytes, as_texts, half, read_features, read_of, write_features
from eiclip.features.store import BATCH, IDS, ahead
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.inputs import normalise
from eiclip.model.patches import KALEIDO_SIDES, PatchReader
from eiclip.model.pretext import TURNS, KaleidoViews
from eiclip.model.towers import image_size
from eiclip.shards.read import index_of, indexed_samples
from eiclip.storage.files import digest
from eiclip.storage.lock import exclusive
from eiclip.system.devices import mixed_precision

GRID, GREY, TURNED = "grid", "grey", "turned"
GREY_SIDE = KALEIDO_SIDES[3]
MOST_TOWERS = 3
"""Towers whose patches are kept: row 5 has others after each training, where its image tower is trained."""
FORMAT = 1
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a grey value (ITU-R BT.601), as Pillow's."""


class PatchStore:
    """The patches of the photos of the shards below `shards`, by a model's image tower.

    Each tower has a folder of its own, of which the last few that were used are kept; files of other photos are made
    again. With `tasks` a photo's values are followed by those of its grey view and of the three turned ones, which
    Kaleido-BERT is trained on.

    Args:
        folder: where those folders lie.
        shards: the folder of the shards.
        model: whose towers it is.
        tasks: whether the views of Kaleido-BERT's tasks are read as well.
        device: where patches are computed.

    Raises:
        SettingsError: the towers have no patches that can be read.
    """

    has_photos, has_texts = True, False

    def __init__(
        self, folder: Path, shards: Path, model: EntityClipModel, *, tasks: bool = False, device: str = "cpu"
    ) -> None:
        self.shards, self.model, self.tasks, self.device = shards, model, tasks, device
        self.reader = PatchReader(model.towers)
        self._key = f"{FORMAT}/{self.reader.digest()}"
        self.folder = folder / self._key.replace("/", "-")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.touch()
        for other in sorted(folder.iterdir(), key=lambda one: one.stat().st_mtime)[:-MOST_TOWERS]:
            shutil.rmtree(other, ignore_errors=True)

    def photos(self, shard: Path) -> tuple[list[str], Tensor]:
        """Return the image ids of a shard and all values of its photos (N, 1, F), in float16.

        Raises:
            CorruptOutputError: a file of theirs is damaged, or a photo cannot be read.
            NonFiniteError: a value is NaN or infinite.
        """
        names = [GRID, *([GREY, TURNED] if self.tasks else [])]
        parts = [self._part(shard, name) for name in names]
        values_NF = torch.cat([part[name].flatten(1) for name, part in zip(names, parts, strict=True)], dim=1)
        return as_texts(parts[0][IDS]), values_NF[:, None]

    def _part(self, shard: Path, name: str) -> dict[str, Tensor]:
        place = self.folder / shard.relative_to(self.shards).with_suffix(f".{name}.safetensors")
        index = index_of(shard)
        of = digest([self._key, name, *(index[column].to_pylist() for column in ("image_id", "jpeg_bytes"))])
        place.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(place.with_suffix(".lock")):
            if place.is_file() and read_of(place) == of:
                return read_features(place, way_out="delete it: it is then computed again")
            values = self._computed(shard, name)
            write_features(place, {IDS: as_bytes(index["image_id"].to_pylist()), name: values}, of)
            return read_features(place, lambda _: of)

    def _computed(self, shard: Path, name: str) -> Tensor:
        index, size = index_of(shard), image_size(self.model.towers)
        self.model.towers.visual.to(self.device, memory_format=torch.channels_last)

        def pixels(start: int) -> Tensor:
            photos = indexed_samples(shard, index.slice(start, BATCH))
            return torch.from_numpy(np.stack([sample.pixels(size) for sample in photos]))

        found: list[Tensor] = []
        for pixels_BHWC in ahead(pixels, range(0, len(index), BATCH)):
            with torch.inference_mode(), mixed_precision(self.device):
                found.append(half(self._values(pixels_BHWC.to(self.device), name)))
        return torch.cat(found)

    def _values(self, pixels_BHWC: Tensor, name: str) -> Tensor:
        if name == GRID:
            return self.read(pixels_BHWC)
        if name == GREY:
            return F.adaptive_avg_pool2d(self.read(grey(pixels_BHWC)), GREY_SIDE)
        turned = [self.read(pixels_BHWC.rot90(times, (1, 2))).mean(dim=(2, 3)) for times in range(1, TURNS)]
        return torch.stack(turned, dim=1)

    def read(self, pixels_BHWC: Tensor) -> Tensor:
        """Patches (B, C, S, S) of uint8 RGB photos (B, H, W, 3)."""
        return self.reader.read(normalise(self.model, pixels_BHWC.contiguous()).contiguous())


def split_values(
    values_BF: Tensor, channels: int, side: int, *, tasks: bool = False
) -> tuple[Tensor, KaleidoViews | None]:
    """Split all values (B, F) of photos into grids (B, C, S, S) and the views of Kaleido-BERT's tasks."""
    sizes = [channels * side**2, *([channels * GREY_SIDE**2, channels * (TURNS - 1)] if tasks else [])]
    grid_BF, *others = values_BF.float().split(sizes, dim=1)
    grid_BCSS = grid_BF.unflatten(1, (channels, side, side))
    if not others:
        return grid_BCSS, None
    grey_BCQ = others[0].unflatten(1, (channels, GREY_SIDE**2))
    return grid_BCSS, KaleidoViews(others[1].unflatten(1, (TURNS - 1, channels)), grey_BCQ.mT)


def grey(pixels_BHWC: Tensor) -> Tensor:
    """Grey photos, uint8 (B, H, W, 3) with three equal channels."""
    weight_C = torch.tensor(LUMA, device=pixels_BHWC.device)
    return (pixels_BHWC.float() @ weight_C).round().to(torch.uint8)[..., None].expand(pixels_BHWC.shape)
