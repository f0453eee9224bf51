"""Cross-encoders through the trainer: they learn, repeat to the byte, and go on where they were killed."""

import pyarrow.parquet as pq
import pytest
import torch

from eiclip.errors import SettingsError
from eiclip.features.patches import PatchStore, split_values
from eiclip.model.entity_clip import load_checkpoint
from eiclip.model.towers import load_towers
from eiclip.model.variants import CROSS_VARIANTS
from eiclip.settings.cross_modal import CrossSettings
from eiclip.shards import shard_paths
from eiclip.storage.cache import LOG_FILE, MANIFEST
from eiclip.train.job import LOG_SCHEMA
from eiclip.train.key import training_key
from eiclip.train.loop import train
from eiclip.train.state import trained_state

ROWS = ["fashionbert", "kaleidobert", "eiclip_rerank"]
SMALL = {"width": 32, "layers": 2, "heads": 2, "lr": 3e-3, "negatives": 2, "lists": 4, "words": 16}
TERMS = {
    "fashionbert": {"match", "words", "patches"},
    "kaleidobert": {"match", "words", "patches", "turned", "jigsaw", "camouflage", "grey", "alignment"},
    "eiclip_rerank": {"photo to text", "text to photo", "whole sides"},
}


@pytest.fixture
def crossed(job, changed, tmp_path):
    """Makes the job of a row, its towers' patches in a folder of their own."""

    def crossed(variant, hardware=None, cross=None, **training):
        settings = {"epochs": 2, "cross": CrossSettings(**(SMALL | (cross or {})))} | training
        return changed(job, variant=variant, patches=tmp_path / "patches", training=settings, hardware=hardware or {})

    return crossed


class Killed(BaseException):
    """Ends a training as a signal that cannot be caught would."""


def weights_and_log(output):
    log = pq.read_table(output / LOG_FILE).drop_columns(["seconds", "pairs_per_second"])
    return (output / MANIFEST).read_bytes(), log


@pytest.mark.parametrize("variant", ROWS)
def test_each_learns_and_its_checkpoint_is_whole(crossed, variant):
    job = crossed(variant, epochs=8)
    said = []
    facts = train(job, said.append)
    log = pq.read_table(job.output / LOG_FILE)
    assert log.schema.equals(LOG_SCHEMA)
    rows = log.to_pylist()
    assert len(rows) == facts["steps"] == 24
    assert {name for row in rows for name, _ in row["loss_views"]} == TERMS[variant]
    first, last = (sum(row["loss"] for row in part) for part in (rows[:6], rows[-6:]))
    assert last < first
    assert set(facts["validation"]) == {f"{way}_r{k}" for way in ("i2t", "t2i") for k in (1, 5, 10)} | {"sum_r"}
    assert ("mix" in facts) == (variant == "eiclip_rerank")
    model = load_checkpoint(job.output)
    start = load_towers(job.initial).state_dict()
    assert all(torch.equal(value, start[name]) for name, value in model.towers.state_dict().items())
    if variant == "eiclip_rerank":
        assert model.cross.mix.tolist() == pytest.approx([1.0, facts["mix"]["weight"]])
    assert torch.isfinite(model.cross.patches.deviation).all()


@pytest.mark.parametrize("variant", ROWS)
def test_equal_runs_and_killed_ones_end_with_the_same_bytes(crossed, variant):
    whole = crossed(variant)
    train(whole, lambda _: None)
    wanted = weights_and_log(whole.output)
    job = crossed(variant, {"checkpoint_every": 2}).model_copy(update={"output": whole.output.with_name("killed")})

    def die(said):
        if "epoch 1 of" in said:
            raise Killed

    with pytest.raises(Killed):
        train(job, die)
    said = []
    train(job, said.append)
    assert any("goes on after step 2" in sentence for sentence in said)
    assert weights_and_log(job.output) == wanted


def test_states_hold_the_cross_encoder_alone(shop):
    model = shop.model("fashionbert")
    model.freeze()
    assert all(name.startswith("cross.") for name in trained_state(model))


def test_patches_are_scaled_as_training_photos_have_them(crossed):
    job = crossed("fashionbert")
    train(job, lambda _: None)
    model = load_checkpoint(job.output)
    store = PatchStore(job.patches, job.shards, model)
    values = torch.cat([store.photos(path)[1][:, 0] for path in shard_paths(job.shards, "train")])
    grid, _ = split_values(values, model.cross.channels, model.cross.grid_side)
    wanted = grid.permute(0, 2, 3, 1).flatten(0, 2).double().numpy()
    deviation = wanted.std(axis=0)
    moving = deviation > 1e-2
    assert moving.sum() > 10
    found = model.cross.patches
    assert found.mean.numpy()[moving] == pytest.approx(wanted.mean(axis=0)[moving], rel=1e-3, abs=1e-3)
    assert found.deviation.numpy()[moving] == pytest.approx(deviation[moving], rel=5e-2, abs=1e-3)


def test_a_job_without_a_folder_for_patches_is_told(crossed):
    job = crossed("fashionbert").model_copy(update={"patches": None})
    with pytest.raises(SettingsError, match="shop/fashionbert: name the folder for patches"):
        train(job, lambda _: None)


def test_settings_of_cross_encoders_are_part_of_their_keys_alone(crossed):
    for variant in CROSS_VARIANTS:
        keys = {training_key(crossed(variant)), training_key(crossed(variant, cross={"width": 64}))}
        assert len(keys) == 2, variant
    for variant in ("clip_description", "clip_entities_text", "eiclip_equal", "eiclip", "eiclip_plus"):
        assert training_key(crossed(variant)) == training_key(crossed(variant, cross={"width": 64})), variant


def test_a_folder_of_patches_is_no_part_of_the_key(crossed, tmp_path):
    job = crossed("fashionbert")
    assert training_key(job) == training_key(job.model_copy(update={"patches": tmp_path / "elsewhere"}))
    assert len({training_key(crossed(variant)) for variant in CROSS_VARIANTS}) == 5
