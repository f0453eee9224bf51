"""What a step of a same-style row minimises: three thirds of photos, two of texts, and photos moved a little."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from eiclip.errors import SettingsError
from eiclip.features.augment import moved
from eiclip.model.entity_clip import load_checkpoint
from eiclip.settings.training import StyleLossSettings
from eiclip.train.job import LOG_SCHEMA
from eiclip.train.loop import start, train
from eiclip.train.objective import objective
from eiclip.train.world import ALONE


@pytest.fixture
def paired(job, tmp_path):
    ids = {"trigger_id": [f"p{n}" for n in range(24)], "positive_id": [f"p{n ^ 1}" for n in range(24)]}
    pq.write_table(pa.table(ids | {"weight": [1.0] * 24}), tmp_path / "pairs.parquet")
    return job.model_copy(update={"variant": "same_style", "pairs": tmp_path / "pairs.parquet"})


def quiet(_):
    pass


def test_a_batch_is_triggers_and_behind_them_their_positives(paired, changed):
    style = StyleLossSettings(self_pair_probability=0.0)
    run = start(changed(paired, training={"style": style}), ALONE, quiet)
    batch = next(run.loader.epoch(0))
    assert len(batch.images) == len(batch.product_B) == len(batch.tokens_BL) == 2 * run.loader.batch_size
    trigger, positive = batch.product_B.chunk(2)
    number = {code: n for n, code in enumerate(run.loader.draws.product_N.tolist())}
    for one, other in zip(trigger.tolist(), positive.tolist(), strict=True):
        assert number[other] == number[one] ^ 1  # p0 with p1, p2 with p3, ...


def test_training_learns_pairs_writes_the_fusion_and_loads_again(paired, changed):
    said = []
    train(changed(paired, training={"epochs": 12}), said.append)
    log = pq.read_table(paired.output / "training_log.parquet")
    assert log.schema.equals(LOG_SCHEMA)
    rows = log.to_pylist()
    assert {name for name, _ in rows[0]["loss_views"]} == {
        "i-i", "t-t", "m-m", "i-t", "t-i", "i-m", "m-i", "t-m", "m-t", "caption", "consistency",
    }  # fmt: skip
    assert rows[0]["loss_joint"] is None
    assert np.mean([row["loss"] for row in rows[-4:]]) < 0.8 * rows[0]["loss"]
    assert any("24 pairs of 24 triggers" in sentence for sentence in said)
    model = load_checkpoint(paired.output)
    assert model.views is not None
    assert float(model.views.gate.weight.detach().abs().sum()) > 0  # it began at zero


def test_chunks_have_the_loss_and_the_gradients_of_the_whole_batch(paired, changed):
    found = []
    for chunk in (None, 3):
        run = start(changed(paired, hardware={"chunk_size": chunk}), ALONE, quiet)
        torch.manual_seed(5)
        result = objective(run.encoder, next(run.loader.epoch(0)), run.job, run.world)
        result.loss.backward()
        found.append([result.loss.detach(), *(p.grad for p in run.model.parameters() if p.grad is not None)])
    for whole, parts in zip(*found, strict=True):
        assert torch.allclose(whole, parts, atol=1e-5)


def test_a_row_of_pairs_without_pairs_is_refused(paired):
    with pytest.raises(SettingsError, match="name them in the job's `pairs`"):
        train(paired.model_copy(update={"pairs": None}), quiet)


def test_moved_photos_are_shifted_and_mirrored_and_stay_themselves():
    torch.manual_seed(0)
    photo = torch.full((16, 16, 3), 255, dtype=torch.uint8)
    photo[6:10, 4:7] = 0
    found = moved(photo.expand(64, -1, -1, -1))
    assert found.dtype == torch.uint8
    dark = (found == 0).all(-1).flatten(1).sum(1)
    assert set(dark.tolist()) == {12}  # the garment is whole: its ground is repeated at the edges
    places = {tuple((one == 0).all(-1).nonzero()[0].tolist()) for one in found}
    assert len({y for y, _ in places}) > 2
    assert {x < 8 for _, x in places} == {True, False}
