"""The tuning's asset: as many trainings of both rows, judged on the validation split, nothing of which is lost."""

import json
import math
import shutil
import tomllib

import pyarrow.parquet as pq
import pytest

from assets import tuning
from assets.common import Project
from assets.training import recipe_of
from eiclip.errors import NonFiniteError, SettingsError
from eiclip.settings.load import load_settings
from eiclip.settings.training import RowSettings
from eiclip.shards import read_manifest
from eiclip.storage.files import write_json
from eiclip.storage.home import Paths
from tests.assets.test_ablations import SHOP, Shop, fill, no_training

BEST = 8e-4
"""The towers' rate that suits this shop best."""


class Tuned(Shop):
    """A shop in which a training of no time is the better the nearer its rate is to `BEST`, and diverges far above."""

    def __init__(self, root, monkeypatch, trainings):
        super().__init__(root, monkeypatch, really=False)
        settings = load_settings(
            home=root, training={"epochs": 1, "batch_size": 10}, pretrained="general", datasets={"shop": SHOP},
            tune={"trainings": trainings},
        )  # fmt: skip
        self.project = Project(settings, Paths(settings.home))

    def train(self, context, job, path):
        write_json(path, {})
        self.trained.append(job)
        if job.training.tower_lr > 4e-3:
            job.output.with_name(f"{job.output.name}.resume").mkdir(parents=True)
            raise NonFiniteError("loss is nan")
        return no_training(job) | {"validation": {"sum_r": 100 - 10 * abs(math.log(job.training.tower_lr / BEST))}}

    def tune(self):
        [step] = tuning.steps(self.project, "shop", SHOP)
        [event] = self.materialize(step).get_asset_materialization_events()
        return event.materialization.metadata

    @property
    def rows(self):
        return pq.read_table(self.project.paths.lake.path("tuning_results", "shop")).to_pylist()


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    root = tmp_path_factory.mktemp("filled")
    fill(Paths(root))
    return root


@pytest.fixture
def home(filled, tmp_path):
    shutil.copytree(filled, tmp_path / "home")
    return tmp_path / "home"


def test_the_budget_is_spent_evenly_and_the_best_of_each_row_is_written(home, monkeypatch):
    shop = Tuned(home, monkeypatch, 6)
    metadata = shop.tune()
    assert sorted(job.variant for job in shop.trained) == ["clip_entities_text"] * 6 + ["eiclip"] * 6
    assert {"table", "chosen"} <= set(metadata)
    rows = shop.rows
    for variant in ("clip_entities_text", "eiclip"):
        own = [row for row in rows if row["variant"] == variant]
        assert [row["trial"] for row in own] == list(range(6))
        [chosen] = [row for row in own if row["chosen"]]
        nearest = min(own, key=lambda row: abs(math.log(row["tower_lr"] / BEST)))
        assert chosen["tower_lr"] == nearest["tower_lr"]
    written = tomllib.loads(shop.project.paths.tuned("shop").read_text())["datasets"]["shop"]["rows"]
    assert set(written) == {"clip_description", "clip_entities_text", "eiclip_equal", "eiclip", "eiclip_plus"}
    diverged = [row for row in rows if row["tower_lr"] > 4e-3]
    assert diverged, "or this shows nothing"
    assert all(row["validation"] is None and not row["chosen"] for row in diverged)
    assert not list(home.glob("tuning/shop/*/weights*")), "neither weights nor saved states stay"


def test_nothing_is_trained_again_and_a_larger_budget_trains_only_what_is_new(home, monkeypatch):
    Tuned(home, monkeypatch, 2).tune()
    again = Tuned(home, monkeypatch, 2)
    again.tune()
    assert again.trained == []
    more = Tuned(home, monkeypatch, 3)
    more.tune()
    assert len(more.trained) == 2
    assert len(more.rows) == 6


def test_it_never_opens_the_test_split(home, monkeypatch):
    """Its shards are gone; the trainings are real ones."""
    for shard in read_manifest(home / "shards" / "shop")["shards"]:
        if shard["split"] == "test":
            (home / "shards" / "shop" / shard["name"]).write_bytes(b"")
    shop = Tuned(home, monkeypatch, 1)
    shop.train, shop.really = super(Tuned, shop).train, True
    shop.tune()
    [three, five] = shop.rows
    for row, job in ((three, shop.trained[0]), (five, shop.trained[1])):
        assert row["variant"] == job.variant
        assert row["validation"] > 0
        assert row["chosen"]


def test_without_a_validation_split_there_is_nothing_to_judge_by(home, monkeypatch):
    manifest = home / "shards" / "shop" / "manifest.json"
    known = json.loads(manifest.read_text())
    write_json(manifest, known | {"samples": known["samples"] | {"validation": 0}})
    with pytest.raises(SettingsError, match=r"shop: no validation split.*validation_share"):
        Tuned(home, monkeypatch, 1).tune()


def test_a_rows_own_rates_hold_for_it_alone_and_the_runs_configuration_above_them(tmp_path):
    dataset = SHOP.model_copy(update={"training": {"tower_lr": 1.0}, "rows": {"eiclip": RowSettings(tower_lr=2.0)}})
    project = Project(load_settings(home=tmp_path, datasets={"shop": dataset}), Paths(tmp_path))
    assert recipe_of(project, dataset, {}, "eiclip").tower_lr == 2.0
    assert recipe_of(project, dataset, {}, "eiclip_equal").tower_lr == 1.0
    assert recipe_of(project, dataset, {"tower_lr": 3.0}, "eiclip").tower_lr == 3.0
    assert recipe_of(project, dataset, {}, "eiclip").entity_lr == project.settings.training.entity_lr
