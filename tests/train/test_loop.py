"""Training: it learns, repeats to the byte, logs what it does, and stops where numbers end."""

import json
import shutil
import subprocess
import sys

import open_clip
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from eiclip.errors import CorruptOutputError, NonFiniteError, SettingsError
from eiclip.model.entity_clip import load_checkpoint
from eiclip.model.inputs import ModelInputs, normalise
from eiclip.model.levels import ImageLevels
from eiclip.model.pretrained import resolve_towers
from eiclip.model.sources import PADDED
from eiclip.model.towers import save_towers
from eiclip.shards import read_samples, shard_paths
from eiclip.storage.cache import LOG_FILE, MANIFEST
from eiclip.storage.files import write_json
from eiclip.train.__main__ import read_job
from eiclip.train.job import LOG_SCHEMA
from eiclip.train.loop import train
from tests.kinds import make


def test_it_learns_and_says_so(job, changed):
    said = []
    facts = train(changed(job, training={"epochs": 8}), said.append)
    log = pq.read_table(job.output / LOG_FILE)
    assert log.schema.equals(LOG_SCHEMA)
    rows = log.to_pylist()
    assert [row["step"] for row in rows] == list(range(24))
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    terms = sum(rows[0][f"loss_{name}"] for name in ("joint", "description", "entities"))
    assert rows[0]["loss"] == pytest.approx(terms, rel=1e-5)
    assert facts["steps"] == 24
    assert set(facts["validation"]) == {f"{way}_r{k}" for way in ("i2t", "t2i") for k in (1, 5, 10)} | {"sum_r"}
    assert any("to go" in sentence and "mean gates brand" in sentence for sentence in said)


def test_a_row_of_which_nothing_is_trained_says_so(job, changed):
    for variant, said in (("clip_description", True), ("eiclip", False)):
        lines = []
        frozen = {"epochs": 1, "image_tower": "frozen", "text_tower": "frozen"}
        train(changed(job, variant=variant, training=frozen), lines.append)
        assert any("only its temperature is trained" in line for line in lines) is said


def test_gates_wait(job, changed):
    train(changed(job, training={"gate_freeze": 0.5}), lambda _: None)
    rows = pq.read_table(job.output / LOG_FILE).to_pylist()
    frozen = [dict(row["gates"])["brand"] for row in rows[:7]]
    assert frozen == [0.5] * 7, "the gate of step 6 is the one before its first update"
    assert [row["lr_gates"] > 0 for row in rows[:7]] == [False] * 6 + [True]
    assert dict(rows[-1]["gates"])["brand"] != 0.5


def test_equal_runs_give_equal_bytes(job):
    outputs = [job.output.with_name(name) for name in ("one", "two")]
    for output in outputs:
        train(job.model_copy(update={"output": output}), lambda _: None)
    for file in ("open_clip_model.safetensors", "entities.safetensors", "manifest.json"):
        assert (outputs[0] / file).read_bytes() == (outputs[1] / file).read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_numbers_that_end_stop_it_and_nothing_is_written(job, changed):
    with pytest.raises(NonFiniteError, match=r"shop/eiclip.*"):
        train(changed(job, training={"tower_lr": 1e30, "warmup_steps": 0}), lambda _: None)
    assert not job.output.exists()


def test_an_untrained_variant_is_its_start(job, changed):
    facts = train(changed(job, variant="clip_pretrained", initial=None), lambda _: None)
    assert facts["steps"] == 0
    assert (job.output / "open_clip_model.safetensors").is_file()


@pytest.mark.parametrize("kind", ["siglip", "bert", "own end"])
def test_a_trained_tower_of_any_kind_is_loaded_by_open_clip_alone(job, changed, tmp_path, kind):
    make(kind, tmp_path / "copy")
    (tmp_path / "start").mkdir()
    save_towers(resolve_towers("ignored", str(tmp_path / "copy")), tmp_path / "start")
    trained = changed(job, variant="clip_description", initial=tmp_path / "start", training={"epochs": 2})
    train(trained, lambda _: None)
    shutil.rmtree(tmp_path / "copy")
    shutil.rmtree(tmp_path / "start")
    model = load_checkpoint(job.output)
    assert model.sigmoid == (kind == "siglip")
    exported, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{job.output}")
    texts, photos = ["Item 1", "hot! bag"], torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    tokens_BL = open_clip.get_tokenizer(f"local-dir:{job.output}")(texts)
    with torch.inference_mode():
        theirs = exported.eval().encode_text(tokens_BL)
        assert torch.allclose(model.encode_description(ModelInputs.of(model).token_ids(texts)), theirs, atol=1e-5)
        prepared = torch.stack([preprocess(Image.fromarray(photo.numpy())) for photo in photos])
        theirs = exported.encode_image(prepared)
        assert torch.allclose(model.encode_image(normalise(model, photos)), theirs, atol=1e-5)
    if kind == "siglip":
        assert exported.logit_bias.item() != -10


def test_shards_whose_photos_were_made_square_otherwise_are_refused(job):
    manifest = job.shards / MANIFEST
    found = json.loads(manifest.read_text())
    write_json(manifest, found | {"photos": PADDED})
    train(job.model_copy(update={"variant": "clip_pretrained"}), lambda _: None)
    write_json(manifest, found | {"photos": PADDED | {"resize_mode": "shortest"}})
    with pytest.raises(CorruptOutputError, match="shortest.*longest.*EICLIP_PHOTOS"):
        train(job, lambda _: None)


def test_it_runs_by_itself(job, tmp_path):
    write_json(tmp_path / "job.json", job.model_dump(mode="json"))
    command = [sys.executable, "-m", "eiclip.train", str(tmp_path / "job.json"), "--epochs", "1", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert (facts["steps"], facts["seed"]) == (3, 3)
    assert "epoch 1 of 1" in done.stderr


def test_what_is_not_a_job_is_named(tmp_path):
    (tmp_path / "job.json").write_text('{"dataset": "shop"}')
    with pytest.raises(SettingsError, match=r"job\.json: not a training job"):
        read_job(tmp_path / "job.json")


def test_told_to_stop_it_says_so_and_by_which_signal(job, changed, tmp_path):
    write_json(tmp_path / "job.json", changed(job, training={"epochs": 1000}).model_dump(mode="json"))
    command = [sys.executable, "-m", "eiclip.train", str(tmp_path / "job.json")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while "epoch 1 of" not in process.stderr.readline():
            pass
        process.terminate()
        said = process.stderr.read()
    assert process.returncode == 128 + 15
    assert "its state is saved" in said


LEVELS = {"image_levels": True, "group_batches": "brand"}


@pytest.mark.parametrize("towers", [{}, {"image_tower": "heads", "text_tower": "heads"}])
def test_row_6_learns_and_repeats_to_the_byte(job, changed, towers):
    outputs = [job.output.with_name(name) for name in ("one", "two")]
    for output in outputs:
        train(changed(job, variant="eiclip_plus", output=output, training=LEVELS | towers), lambda _: None)
    for file in ("open_clip_model.safetensors", "entities.safetensors", "levels.safetensors", "manifest.json"):
        assert (outputs[0] / file).read_bytes() == (outputs[1] / file).read_bytes()
    rows = pq.read_table(outputs[0] / LOG_FILE).to_pylist()
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_levels_are_scaled_as_training_photos_have_them(job, changed):
    train(changed(job, variant="eiclip_plus", training=LEVELS | {"epochs": 1}), lambda _: None)
    model, start = load_checkpoint(job.output), resolve_towers("", str(job.initial))
    levels = ImageLevels(start, None)
    samples = list(read_samples(shard_paths(job.shards, "train")))
    pixels = normalise(model, torch.stack([torch.from_numpy(sample.pixels(64).copy()) for sample in samples]))
    with torch.no_grad(), levels.read() as found:
        start.encode_image(pixels)
    values = levels.of(pixels, found).numpy()
    moving = values.std(axis=0) > 1e-3
    assert moving.sum() > 50
    head = model.level_head
    assert head.mean.numpy()[moving] == pytest.approx(values.mean(axis=0)[moving], rel=1e-3, abs=1e-4)
    assert head.deviation.numpy()[moving] == pytest.approx(values.std(axis=0)[moving], rel=5e-2, abs=1e-4)


def test_batches_by_a_group_that_no_product_has_are_mixed_and_it_says_so(job, changed):
    said = []
    train(changed(job, training={"epochs": 1, "group_batches": "season"}), said.append)
    assert any("no training sample has a 'season'" in line for line in said)
