"""Trainings of the version before code versions were computed: which are taken over."""

import json

import pytest

from benchmarks.crash.data import tiny_job
from eiclip.storage.cache import MANIFEST, content_digest
from eiclip.storage.files import write_json
from eiclip.train.earlier import CODE, RANKS, would_be_the_same
from eiclip.train.key import training_settings


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return tiny_job(tmp_path_factory.mktemp("earlier"))


def record_of(job):
    """The inputs as that version recorded them."""
    return {
        "code": CODE,
        "pretrained": None,
        "shards": content_digest(job.shards),
        "tables": {name: content_digest(getattr(job, name)) for name in ("entity_vocabulary", "semantic_prior")},
        "job": json.loads(json.dumps(training_settings(job))),
    }


def test_the_same_training_is_taken_over(job):
    assert would_be_the_same(record_of(job), job)
    for ranks in RANKS:
        assert would_be_the_same(record_of(job) | {"ranks": ranks}, job)


@pytest.mark.parametrize(
    "other",
    [
        {"code": "0123456789abcdef"},
        {"ranks": "0123456789abcdef"},
        {"shards": "other"},
        {"pretrained": "other"},
        {"tables": {}},
        {"job": {}},
        {"code": None},
    ],
)
def test_another_training_is_not(job, other):
    assert not would_be_the_same(record_of(job) | other, job)


def test_settings_that_changed_make_it_another(job):
    longer = job.model_copy(update={"training": job.training.model_copy(update={"epochs": 9})})
    assert not would_be_the_same(record_of(job), longer)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("A coat! New.", True),
        ("Hot!!! A coat.", True),
        ("A coat!™ of wool", False),
        ("hot!🔥 sneaker", False),
        ("a&#33;/b", False),
    ],
)
def test_a_text_that_was_read_wrongly_trains_again(job, monkeypatch, text, same):
    """Token id 0 is a "!" right before a symbol, and only there."""
    monkeypatch.setattr("eiclip.train.earlier._texts", lambda _: iter(["A plain coat.", text]))
    assert would_be_the_same(record_of(job), job) is same


def test_all_texts_of_the_shards_are_looked_at(job):
    from eiclip.train.earlier import _texts

    assert len(list(_texts(job))) == 32
    row_3 = job.model_copy(update={"variant": "clip_entities_text"})
    assert sum(text.startswith(("diesel. ", "coach. ")) for text in _texts(row_3)) == 25, "those that have a brand"


def test_towers_to_start_from_say_how_long_texts_are(job, tmp_path):
    from eiclip.model.sources import CONFIG_FILE
    from eiclip.train.earlier import job_context

    assert job_context(job) == 64
    config = {"model_cfg": {"embed_dim": 8, "vision_cfg": {}, "text_cfg": {"context_length": 77}}}
    write_json(tmp_path / CONFIG_FILE, config)
    (tmp_path / MANIFEST).write_text("{}")
    assert job_context(job.model_copy(update={"initial": tmp_path})) == 77
