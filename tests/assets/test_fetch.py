"""The asset `pretrained` with weights from outside: read once, again when they change, kept as safetensors alone."""

import json

import pytest
import torch

from assets.common import Project
from assets.shards import photo_form as shards_form
from assets.training import pretrained
from eiclip.errors import WeightsError
from eiclip.model.sources import CONFIG_FILE, PICKLE_FILE, SMALL, WEIGHTS_FILE
from eiclip.model.towers import load_towers, new_towers, photo_form
from eiclip.settings.load import load_settings
from eiclip.shards import PhotoForm
from eiclip.storage.cache import MANIFEST
from eiclip.storage.home import Paths


def hub_copy(folder, seed):
    folder.mkdir(exist_ok=True)
    towers = new_towers(SMALL, seed)
    torch.save(towers.state_dict(), folder / PICKLE_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps({"model_cfg": SMALL, "preprocess_cfg": {}}))
    return towers


@pytest.fixture
def project(tmp_path):
    settings = load_settings(home=tmp_path / "home", pretrained=str(tmp_path / "copy"))
    return Project(settings, Paths(settings.home))


def fetch(project):
    """Make the output `pretrained`, unless it is as it would be."""
    [output] = pretrained(project).declared()
    return output.make_once(project)


def same(folder, towers):
    loaded = load_towers(folder).state_dict()
    return all(torch.equal(value, loaded[name]) for name, value in towers.state_dict().items())


def test_a_home_holds_the_towers_as_safetensors_and_notices_other_weights(project, tmp_path):
    folder, towers = project.paths.pretrained, hub_copy(tmp_path / "copy", 0)
    first = fetch(project)
    assert {file.name for file in folder.iterdir()} == {CONFIG_FILE, WEIGHTS_FILE, MANIFEST}
    assert same(folder, towers)
    assert fetch(project).reused
    others = hub_copy(tmp_path / "copy", 1)
    second = fetch(project)
    assert same(folder, others)
    assert (second.reused, second.content == first.content) == (False, False)


def test_refused_weights_leave_the_home_as_it_was(project, tmp_path):
    folder, towers = project.paths.pretrained, hub_copy(tmp_path / "copy", 0)
    fetch(project)
    torch.save(torch.nn.Linear(2, 2), tmp_path / "copy" / PICKLE_FILE)
    with pytest.raises(WeightsError, match="a pickle can run code"):
        fetch(project)
    assert same(folder, towers)
    assert [file.name for file in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(("photos", "mode"), [("own", "shortest"), ("pad", "longest")])
def test_towers_and_shards_prepare_photos_in_one_way(tmp_path, photos, mode):
    settings = load_settings(home=tmp_path / "home", pretrained=str(tmp_path / "copy"), photos=photos)
    project, _ = Project(settings, Paths(settings.home)), hub_copy(tmp_path / "copy", 0)
    fetch(project)
    form = photo_form(load_towers(project.paths.pretrained))
    assert form.resize_mode == mode
    parameters = shards_form(project)
    assert PhotoForm(parameters["photo_size"], **parameters["photos"]) == form
