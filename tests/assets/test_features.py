"""The asset of features: a file a shard, made again where it is not as it would be, and read by training."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from assets import features
from assets.common import Project
from assets.training import recipe_of
from eiclip.errors import CorruptOutputError, SettingsError
from eiclip.model.sources import SMALL
from eiclip.model.towers import load_towers, new_towers, save_towers
from eiclip.settings.load import DatasetSettings, load_settings
from eiclip.settings.same_style import SameStyleSettings
from eiclip.shards import Sample, encode_photo, merge_parts, write_shards
from eiclip.storage.cache import MANIFEST, make_once
from eiclip.storage.files import sha256_file, whole_folder, write_json
from eiclip.storage.home import Paths
from eiclip.train.job import TrainJob
from eiclip.train.loop import train

SHOP = DatasetSettings(kind="amazon", entity_groups=("brand",))
FROZEN = {"image_tower": "heads", "text_tower": "heads", "epochs": 2, "batch_size": 8, "head_lr": 1e-2}


def sample(number):
    colour = np.random.default_rng(number).integers(0, 255, 3)
    jpeg = encode_photo(Image.fromarray(np.full((64, 64, 3), colour, dtype=np.uint8)), 64)
    return Sample(f"p{number}_0", f"p{number}", f"item {number}", {"brand": ["diesel", "coach"][: number % 3]}, jpeg)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A home that holds shards and towers, with the records that say they were made."""
    home = Paths(tmp_path_factory.mktemp("filled"))

    def shards():
        splits = ["train"] * 16 + ["validation"] * 4 + ["test"] * 4
        samples = ((split, sample(number)) for number, split in enumerate(splits))
        write_shards(samples, home.shards("shop") / "part", photo_size=64)
        return merge_parts(home.shards("shop"), ["part"])["samples"]

    make_once(home.shards("shop"), {}, shards)
    make_once(home.pretrained, {}, lambda: save(home, 0))
    return home.root


def save(home, seed):
    with whole_folder(home.pretrained) as part:
        save_towers(new_towers(SMALL, seed), part)
        write_json(part / MANIFEST, {file.name: sha256_file(file) for file in sorted(part.iterdir())})
    return {}


@pytest.fixture
def project(filled, tmp_path):
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return project_of(tmp_path)


def project_of(root, **training):
    settings = load_settings(home=root, pretrained="general", datasets={"shop": SHOP}, training=FROZEN | training)
    return Project(settings, Paths(settings.home))


def made(project):
    """Make the asset as a run would; returns which parts were made, and not reused."""
    [step] = features.steps(project, "shop", SHOP)
    parts, new = {}, []
    for label in step.plan({}):
        output = step.part({}, label)
        record = output.make_once(project)
        parts[label] = record.content
        new += [] if record.reused else [label]
    step.tidy(parts)
    for output in step.whole({}, parts):
        output.make_once(project)
    return new


def job(project, **changes):
    given = {"dataset": "shop", "variant": "clip_description", "shards": project.paths.shards("shop")}
    given |= {"initial": project.paths.pretrained, "features": project.paths.features("shop")}
    given |= {"output": project.paths.root / "model", "training": project.settings.training}
    return TrainJob(**(given | changes))


def test_a_file_a_shard_and_no_second_time(project):
    labels = [f"part/{split}-000000.safetensors" for split in ("train", "validation", "test")]
    assert sorted(made(project)) == sorted(labels)
    assert made(project) == []
    assert project.paths.features("shop").joinpath(MANIFEST).is_file()


def test_only_what_is_damaged_or_gone_is_made_again(project):
    second, first, _ = sorted(made(project))  # of the test split and of the training split
    place = project.paths.features("shop")
    content = bytearray((place / first).read_bytes())
    content[-1] ^= 1
    (place / first).write_bytes(content)
    with pytest.raises(CorruptOutputError, match="not as they were written"):
        train(job(project))
    (place / second).unlink()
    (place / "part" / "train-000077.safetensors").write_bytes(b"of a shard that is no more")
    assert sorted(made(project)) == [second, first]
    assert not (place / "part" / "train-000077.safetensors").exists()


def test_other_towers_or_modes_make_them_again(project):
    made(project)
    assert len(made(project_of(project.paths.root, text_tower="frozen"))) == 3
    make_once(project.paths.pretrained, {"seed": 1}, lambda: save(project.paths, 1))
    with pytest.raises(CorruptOutputError, match="other towers"):
        train(job(project))
    assert len(made(project)) == 3


def test_training_reads_them_and_leaves_frozen_weights_alone(project):
    made(project)
    shutil.move(project.paths.shards("shop") / "part" / "train-000000.tar", project.paths.root / "aside.tar")
    with pytest.raises(CorruptOutputError):  # shards are compared with their manifest all the same
        train(job(project))
    shutil.move(project.paths.root / "aside.tar", project.paths.shards("shop") / "part" / "train-000000.tar")
    facts = train(job(project))
    assert facts["steps"] == 4
    before, after = (load_towers(f).state_dict() for f in (project.paths.pretrained, project.paths.root / "model"))
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed == {"visual.proj", "text_projection", "logit_scale"}


def test_without_features_frozen_towers_read_pixels_and_learn_the_same(project):
    made(project)
    with_features, without = (
        train(job(project, features=folder, output=project.paths.root / name))
        for folder, name in ((project.paths.features("shop"), "with"), (None, "without"))
    )
    heads = [load_towers(project.paths.root / name).state_dict()["visual.proj"] for name in ("with", "without")]
    start = load_towers(project.paths.pretrained).state_dict()["visual.proj"]
    first, second = ((head - start).flatten() for head in heads)
    assert torch.cosine_similarity(first, second, dim=0) > 0.9, "Adam's steps are large where gradients are small"
    assert with_features["steps"] == without["steps"]


def test_towers_that_are_trained_whole_have_no_features(project):
    assert features.steps(project_of(project.paths.root, image_tower="full", text_tower="full"), "shop", SHOP) == []


def test_same_style_keeps_a_second_view_to_compare_with(project):
    with_clicks = SHOP.model_copy(update={"same_style": SameStyleSettings()})
    assert recipe_of(project, SHOP, {}).feature_views == 1
    assert recipe_of(project, with_clicks, {}).feature_views == 2
    assert recipe_of(project, with_clicks, {"image_tower": "full"}).feature_views == 1
    assert recipe_of(project, with_clicks, {"feature_views": 4}).feature_views == 4


@pytest.mark.parametrize(
    ("pretrained", "training", "recipe", "message"),
    [
        ("starter", {"text_tower": "frozen"}, {}, "untrained head"),
        ("general", {"feature_views": 3}, {}, "would never be read"),
        ("general", {"image_tower": "full", "feature_views": 3, "augment": {}}, {}, "would never be read"),
        ("general", {}, {"image_tower": "full", "text_tower": "full"}, "cannot switch"),
        ("general", {"image_tower": "full", "text_tower": "full"}, {"text_tower": "heads"}, "cannot switch"),
        ("general", {}, {"image_tower": "last:0"}, "'last:0' is none of full, last:N"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path, pretrained, training, recipe, message):
    settings = load_settings(home=tmp_path, pretrained=pretrained, datasets={"shop": SHOP}, training=FROZEN | training)
    with pytest.raises(SettingsError, match=message):
        recipe_of(Project(settings, Paths(settings.home)), SHOP, recipe)
