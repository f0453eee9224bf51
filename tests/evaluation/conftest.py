"""Cross-encoders over the small shop's photos."""

import pytest
import torch

from eiclip.features.patches import PatchStore
from eiclip.features.reader import features_of
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers
from eiclip.model.variants import get_variant
from eiclip.settings.cross_modal import CrossSettings
from eiclip.settings.training import TrainingSettings
from eiclip.shards import shard_paths, write_shards


@pytest.fixture(scope="session")
def shop_shards(shop, tmp_path_factory):
    """The small shop as a test split."""
    folder = tmp_path_factory.mktemp("crossed") / "shards"
    write_shards((("test", sample) for sample in shop.samples()), folder, photo_size=64)
    return folder


@pytest.fixture(scope="session")
def patches_folder(tmp_path_factory):
    """Where their patches lie."""
    return tmp_path_factory.mktemp("patches")


@pytest.fixture(scope="session")
def crossed(shop, shop_shards, patches_folder):
    """Makes a row's model with weights of no beginning, and the features of the shop's photos."""

    def crossed(variant):
        torch.manual_seed(0)
        training = TrainingSettings(cross=CrossSettings(width=32, layers=2, heads=2))
        model = EntityClipModel(new_towers(SMALL, 0), get_variant(variant), shop.vocabulary, training).eval()
        with torch.no_grad():
            for weight in model.cross.parameters():
                if weight.dim() == 1:
                    weight += 0.1 * torch.randn(weight.shape)
        paths = shard_paths(shop_shards, "test")
        return model, features_of(PatchStore(patches_folder, shop_shards, model), paths)

    return crossed
