"""A shop small enough to embed in every test that needs one."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image

from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.settings.cross_modal import CrossSettings
from eiclip.settings.training import OWN, TrainingSettings
from eiclip.shards import Sample, encode_photo


class SmallShop:
    """Six products of two photos each, their vocabulary, and untrained models of it."""

    products = 6
    vocabulary = Vocabulary({"brand": ["<unk>", "b0", "b1", "b2"], "season": ["<unk>", "fw2016"]}, {})

    def samples(self) -> Iterator[Sample]:
        """Two photos of each product; every product is of one season, the last has no brand."""
        for number in range(self.products):
            entities = {"season": ["fw2016"]} | ({"brand": [f"b{number % 3}"]} if number < self.products - 1 else {})
            for place in range(2):
                name, photo = f"p{number}", self._photo(10 * number + place)
                yield Sample(f"{name}_{place}", name, f"item number {number}", entities, photo)

    def _photo(self, number: int) -> bytes:
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        return encode_photo(Image.fromarray(pixels), 64)

    def model(self, variant: str = "eiclip") -> EntityClipModel:
        """An untrained model with the parts that its row has, the same every time."""
        torch.manual_seed(0)
        training = TrainingSettings(**OWN.get(variant, {}))
        return EntityClipModel(new_towers(SMALL, 0), get_variant(variant), self.vocabulary, training).eval()

    def reranker(self, first: int = 4) -> EntityClipModel:
        """An untrained re-ranker of `model("eiclip")`, which scores its first answers again."""
        training = TrainingSettings(cross=CrossSettings(width=32, layers=2, heads=2, first=first))
        return reranker_of(self.model(), training)


def reranker_of(ranked: EntityClipModel, training: TrainingSettings) -> EntityClipModel:
    """An untrained re-ranker with a model's towers and entities, the same every time."""
    torch.manual_seed(1)
    model = EntityClipModel(new_towers(SMALL, 0), get_variant("eiclip_rerank"), ranked.vocabulary, training)
    model.load_state_dict(ranked.state_dict(), strict=False)
    return model.eval()


@pytest.fixture(scope="session")
def shop() -> SmallShop:
    """The small shop."""
    return SmallShop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole jobs and programs first: with several processes the long files must not begin last."""
    items.sort(key=lambda item: item.path.parent.name not in ("tests", "pipelines"))
