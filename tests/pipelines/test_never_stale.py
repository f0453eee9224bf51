"""Settings are changed and one job alone is run: nothing of before is shown as if it were of now, and cards stay."""

import json
import re
import shutil

import dagster as dg
import duckdb
import pytest

from assets.common import Project
from assets.current import left_out, statuses
from assets.report import RESULT_TABLES
from benchmarks.cache.home import Here
from eiclip.model.variants import VARIANTS
from eiclip.settings.load import STYLES, load_settings
from eiclip.storage.cache import read_record
from eiclip.storage.home import Paths
from eiclip.storage.left_out import connect_without
from pipelines import definitions, results
from pipelines.definitions import build_definitions
from pipelines.jobs import job_of

SIZES = {"styles": 24, "general_images": 64, "pretraining_epochs": 1}
AGAIN = {"clip_pretrained", "clip_description", "eiclip"}
"""Rows of Table 1 that same-style retrieval is measured beside."""


class Home:
    """A small catalogue with both kinds of rows, and its jobs; trainings are real, in this process."""

    def __init__(self, root):
        self.root = root
        self.configure(1, STYLES.entity_groups)

    def configure(self, epochs, groups):
        """Change the settings."""
        dataset = STYLES.model_copy(update={"table_1": True, "entity_groups": groups})
        self.settings = load_settings(
            home=self.root, datasets={"styles": dataset}, pretrained="general", embedded=SIZES,
            training={"epochs": epochs, "batch_size": 16, "log_every": 1},
        )  # fmt: skip

    def run(self, job, **config):
        """Run a job."""
        recipe = {"resources": {"recipe": {"config": {"training": config}}}} if config else None
        with dg.DagsterInstance.ephemeral() as instance:
            made = build_definitions(self.settings).resolve_job_def(job)
            made.execute_in_process(instance=instance, run_config=recipe)

    @property
    def facts(self):
        """What is recorded of the report."""
        return read_record(self.root / "report.html")[0]["facts"]

    @property
    def page(self):
        """The report."""
        return (self.root / "report.html").read_text()

    def cards(self):
        """Text by variant, of every folder of a row that holds a model."""
        folders = [self.root / "models" / "styles" / variant for variant in VARIANTS]
        return {f.name: (f / "README.md").read_text() for f in folders if (f / "open_clip_model.safetensors").is_file()}

    def epochs_of(self, stale=()):
        """Epochs by variant, of the log of trainings without what is left out."""
        with connect_without(self.root, stale) as connection:
            return dict(connection.execute("SELECT variant, 1 + max(epoch) FROM training_log GROUP BY ALL").fetchall())

    def stale(self):
        """What the report of now leaves out."""
        project = Project(self.settings, Paths(self.root))
        found = list(statuses(project, tables=RESULT_TABLES))
        return left_out(project, found, RESULT_TABLES, lambda key: job_of(project, key))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A home after `full_eval`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(definitions, "trainer_client", Here)
        home = Home(tmp_path_factory.mktemp("never_stale") / "home")
        home.run("full_eval")
        yield home


@pytest.fixture(scope="module")
def changed(first, tmp_path_factory):
    """The same with other settings, after `same_style_eval` alone."""
    home = Home(tmp_path_factory.mktemp("changed") / "home")
    shutil.copytree(first.root, home.root)
    home.configure(2, STYLES.entity_groups[:3])
    home.run("same_style_eval")
    return home


def test_after_everything_was_run_all_is_shown(first):
    assert first.stale() == []
    assert first.facts["not_shown"] == {}
    assert "rows" in first.facts["sections"]["styles"]
    assert first.cards().keys() == VARIANTS.keys()
    assert all("Nothing has been measured" not in text for text in first.cards().values())


def test_table_1_of_before_is_not_shown_and_one_line_says_what_makes_it_again(first, changed):
    told = changed.facts["not_shown"]["styles"]
    assert "leaderboard" in told
    assert "training.epochs 1, now 2" in told
    assert "entity_groups" in told
    assert "`dagster job execute -j full_eval`" in told
    assert {"verdict", "where"} <= {*first.facts["sections"]["styles"]} - {*changed.facts["sections"]["styles"]}
    assert "All test items are candidates" in first.page
    assert "All test items are candidates" not in changed.page
    assert "row 3" not in (changed.facts["headline"]["styles"] or "")
    assert changed.page.count("Not shown, made with other settings") == 1
    with duckdb.connect(str(changed.root / "eiclip.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT count(*) > 0 FROM leaderboard").fetchall() == [(True,)], "it is still there"


def test_no_table_of_the_report_mixes_epochs(changed):
    there, shown = changed.epochs_of(), changed.epochs_of(changed.stale())
    assert set(there.values()) == {1, 2}
    assert set(shown.values()) == {2}
    assert shown.keys() & VARIANTS.keys() == AGAIN - {"clip_pretrained"}


def test_every_model_has_its_card_and_no_card_quotes_another_model(changed):
    cards = changed.cards()
    assert cards.keys() == VARIANTS.keys()
    assert all("Nothing has been measured" in text for text in cards.values())
    for variant in VARIANTS.keys() - {"clip_pretrained"}:
        described = json.loads((changed.root / "models" / "styles" / variant / "eiclip.json").read_text())
        assert described["training"]["epochs"] == (2 if variant in AGAIN else 1)
        assert re.search(rf"epochs +\| {described['training']['epochs']}\b", cards[variant])


def test_full_eval_brings_all_back(changed):
    changed.run("full_eval")
    assert [one.table for one in changed.stale()] == ["profile_compositions"], "the group is no longer asked for"
    assert changed.facts["not_shown"] == {}
    assert "rows" in changed.facts["sections"]["styles"]
    assert set(changed.epochs_of().values()) == {2}
    assert all("Nothing has been measured" not in text for text in changed.cards().values())


def test_a_recipe_of_one_run_is_that_of_its_own_report(first, monkeypatch, tmp_path):
    """The report step of a run with `-c` compares with that: all that the run trained is of now."""
    asked = []
    monkeypatch.setattr(results, "statuses", lambda project, recipe, **given: asked.append(dict(recipe)) or [])
    home = Home(tmp_path / "home")
    shutil.copytree(first.root, home.root)
    defs = build_definitions(home.settings)
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [defs.resolve_assets_def(dg.AssetKey(["results", "report"]))], instance=instance,
            run_config={"resources": {"recipe": {"config": {"training": {"epochs": 4}}}}},
        )  # fmt: skip
    assert asked == [{"epochs": 4}]
