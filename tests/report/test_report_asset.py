"""The report and the cards as steps of a run: made once, made again when something they read has changed."""

import json

import pytest

from assets import cards
from assets.cards import CARD
from assets.common import Project
from assets.report import RESULTS, page
from eiclip.model.entity_clip import EntityClipModel, save_checkpoint
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers
from eiclip.model.variants import VARIANTS, get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.report.source import Source
from eiclip.settings.load import FASHIONGEN, load_settings
from eiclip.settings.training import TrainingSettings
from eiclip.storage.cache import make_once
from eiclip.storage.home import Paths
from pipelines.definitions import build_definitions
from pipelines.factory import Recipe
from pipelines.results import _about, _summary

SECRET = "s3://key:secret@bucket/shards"


@pytest.fixture
def project(fake, monkeypatch):
    monkeypatch.setattr(Source, "picture", lambda *given: None)  # plots have tests of their own
    fake.results("fashiongen")
    fake.sure("fashiongen")
    fake.studied("fashiongen")
    fake.data("fashiongen")
    fake.refresh()
    dataset = FASHIONGEN.model_copy(update={"publish": SECRET})
    return Project(load_settings(home=fake.root, datasets={"fashiongen": dataset}), Paths(fake.root))


def make_report(project, about, seconds):
    """Make the page, unless it is as it would be; returns its record."""
    return page(project, about, seconds).make_once(project)


def make_cards(project):
    """Make the cards, unless they are as they would be; returns their record, and where they are listed."""
    [step] = cards.steps(project, "fashiongen", project.datasets()["fashiongen"])
    [output] = step.declared()
    return output.make_once(project), output.at(project)


def test_the_report_is_made_once(project, fake):
    about = _about(project, Recipe(training={"epochs": 2}))
    assert [make_report(project, about, seconds).reused for seconds in (12.3, 45.6)] == [False, True]
    page = project.paths.report.read_text(encoding="utf-8")
    assert "job seconds until this report" in page
    assert ">12<" in page
    fake.kept_run("fashiongen", "run-9", 9)
    fake.refresh()
    assert not make_report(project, about, 1.0).reused


def test_what_a_run_was_is_told_without_its_secrets(project):
    about = _about(project, Recipe(training={"epochs": 2}))
    assert {"seed", "device", "processor", "memory"} <= set(about.facts)
    assert about.provenance == {"fashiongen": "Drawn by this project, seed 0: not real products."}
    assert {"python", "torch", "open_clip_torch", "duckdb", "dagster", "numpy"} <= set(about.versions)
    settings = json.loads(about.settings)
    assert settings["training as run, by dataset"]["fashiongen"]["epochs"] == 2
    assert settings["settings"]["datasets"]["fashiongen"]["publish"] == "s3://bucket/shards"
    assert "secret" not in about.settings


def test_the_terminal_is_told_the_headline(project):
    made = make_report(project, _about(project, Recipe()), 1.0)
    lines = _summary(project, made, 7.0).splitlines()
    assert "fashiongen: EI-CLIP (row 5) beats CLIP with the entities as text (row 3). Recall@1" in "\n".join(lines)
    assert lines[-1] == "job seconds: 7"


def test_every_result_that_the_catalogue_waits_for_is_an_asset(project):
    keys = build_definitions(project.settings).resolve_asset_graph().get_all_asset_keys()
    made = {key.path[-1] for key in keys if key.path[0] == "fashiongen"}
    assert set(RESULTS) <= made


def test_cards_lie_beside_every_model_and_come_back(project, fake):
    vocabulary = Vocabulary({"brand": ["<unk>", "diesel"]}, {})
    for name in VARIANTS:
        folder = project.paths.checkpoint("fashiongen", name)
        model = EntityClipModel(new_towers(SMALL, 0), get_variant(name), vocabulary, TrainingSettings())
        make_once(folder, {}, lambda m=model, f=folder: save_checkpoint(m, f, {"dataset": "fashiongen"}) or {})
    made, output = make_cards(project)
    assert list(json.loads(output.read_text())) == list(VARIANTS)
    assert made.facts["cards"] == [f"models/fashiongen/{name}/{CARD}" for name in VARIANTS]
    assert make_cards(project)[0].reused
    card = project.paths.checkpoint("fashiongen", "eiclip") / CARD
    text = card.read_text(encoding="utf-8")
    assert str(fake.root) not in text
    card.unlink()
    assert not make_cards(project)[0].reused
    assert card.read_text(encoding="utf-8") == text
