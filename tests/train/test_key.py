"""What tells one training from another."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.errors import CorruptOutputError
from eiclip.settings.training import StyleLossSettings
from eiclip.train import key
from eiclip.train.key import training_code, training_inputs, training_key

STYLE = {"training": {"style": StyleLossSettings(caption=0.5)}}


def test_a_trainer_that_is_told_its_code_does_not_compute_it(job, monkeypatch):
    wanted = training_key(job)
    told = job.model_copy(update={"code": training_code().digest})
    monkeypatch.setattr(key, "code_version", None)
    assert training_key(told) == wanted


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"output": Path("elsewhere")}, True),
        ({"threads": 7}, True),
        ({"hardware": {"processes": 2, "workers": 3, "prefetch": 1, "checkpoint_every": 5}}, True),
        (STYLE, True),  # of a row without pairs
        ({"seed": 1}, False),
        ({"variant": "eiclip_equal"}, False),
        ({"code": "0123456789abcdef"}, False),
        ({"entity_groups": ()}, False),
        ({"training": {"tower_lr": 2e-3}}, False),
        ({"hardware": {"precision": "bf16"}}, False),
        ({"hardware": {"chunk_size": 4}}, False),
    ],
    ids=str,
)
def test_what_counts_and_what_does_not(job, changed, change, same):
    assert (training_key(job) == training_key(changed(job, **change))) is same


def test_damaged_samples_that_are_left_out_make_another_training(job):
    assert training_key(job) != training_key(job, ["p1"])


def test_the_loss_of_pairs_counts_where_there_are_pairs(job, changed):
    paired = changed(job, pairs=job.entity_vocabulary)
    assert training_key(changed(paired, **STYLE)) != training_key(paired) != training_key(job)


def test_other_data_are_another_training(job):
    before = training_key(job)
    table = pq.read_table(job.semantic_prior)
    pq.write_table(table.set_column(2, "prior", pa.array([1.0, 0.5])), job.semantic_prior)
    assert training_key(job) != before


def test_sources_are_named_and_those_that_are_not_there_are_told(job, changed, tmp_path):
    assert training_inputs(job)["sources"].keys() == {"initial", "shards", "entity_vocabulary", "semantic_prior"}
    with pytest.raises(CorruptOutputError, match="not made yet"):
        training_inputs(changed(job, initial=tmp_path / "nowhere"))
