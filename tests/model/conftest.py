"""Towers small enough to be saved in every form that weights come in."""

import json

import open_clip
import pytest
import torch

from eiclip.model.sources import CONFIG_FILE, SMALL, WEIGHTS_FILE
from eiclip.model.towers import new_towers, save_towers

QUICK = SMALL | {"quick_gelu": True}
GREY = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


@pytest.fixture(scope="session")
def quick():
    """Small towers with another GELU than open_clip's own."""
    return new_towers(QUICK, 0).eval()


@pytest.fixture
def small_model(tmp_path, monkeypatch):
    """open_clip's list of models with a small one of the name `small`, so that bare files can be of it."""
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "small.json").write_text(json.dumps(QUICK))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", [*open_clip.factory._MODEL_CONFIG_PATHS])
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    open_clip.add_model_config(configs)


@pytest.fixture(scope="session")
def hub_copy():
    """Writes a hub repository's files: the configuration, a card, and the weights in one of open_clip's two forms."""
    return _hub_copy


def _hub_copy(folder, towers, *, weights=WEIGHTS_FILE, preprocess=GREY, config=QUICK):
    folder.mkdir(parents=True)
    save_towers(towers, folder)
    (folder / CONFIG_FILE).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    (folder / "README.md").write_text("# A model\n")
    if weights != WEIGHTS_FILE:
        torch.save(towers.state_dict(), folder / weights)
        (folder / WEIGHTS_FILE).unlink()
    return folder
