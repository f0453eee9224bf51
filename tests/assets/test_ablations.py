"""The ablations' assets on a handful of products: what is trained, what is not trained again, and what stays."""

import json
import shutil

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from assets import ablations, training
from assets.common import Project
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers, save_towers
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import read_vocabulary
from eiclip.settings.load import AMAZON, FASHIONGEN, DatasetSettings, load_settings
from eiclip.shards import Sample, encode_photo, merge_parts, write_shards
from eiclip.storage.cache import LOG_FILE, MANIFEST, make_once
from eiclip.storage.catalogue import connect
from eiclip.storage.files import digest, whole_folder, write_json
from eiclip.storage.home import Paths
from eiclip.studies.ranks import RANKS_SCHEMA
from eiclip.studies.trials import ABLATIONS
from eiclip.train.job import LOG_SCHEMA
from eiclip.train.loop import train
from pipelines.definitions import build_definitions
from pipelines.factory import Recipe, build

SHOP = DatasetSettings(kind="fashiongen", entity_groups=("brand", "season"))
BRANDS, SEASONS = ["diesel", "coach", "top"], ["fw2015", "top"]


def product(number, split):
    colour = np.random.default_rng(number).integers(0, 255, 3)
    jpeg = encode_photo(Image.fromarray(np.full((64, 64, 3), colour, dtype=np.uint8)), 64)
    entities = {"brand": [BRANDS[number % 3]], "season": [SEASONS[number % 2]]}
    return split, Sample(f"p{number}_0", f"p{number}", f"Item {number} in {colour}", entities, jpeg)


def tables(samples):
    """The relations that training and ablations read, as they would be."""
    tagged = [
        {
            "dataset": "shop",
            "product_id": s.product_id,
            "split": split,
            "entity_group": group,
            "entity": entity,
            "ordinal": 1,
        }
        for split, s in samples
        for group, [entity] in s.entities.items()
    ]
    vocabulary = [
        {"dataset": "shop", "entity_group": group, "entity_id": n, "entity": entity, "product_count": 5}
        for group, names in (("brand", BRANDS), ("season", SEASONS))
        for n, entity in enumerate(["<unk>", *names])
    ]
    prior = [("top", "brand", 0.4), ("top", "season", 0.6), ("diesel", "brand", 1.0), ("coach", "brand", 1.0)]
    return {
        "tagged_entities": tagged,
        "product_entities": [row | {"entity_id": 1} for row in tagged],
        "entity_vocabulary": vocabulary,
        "semantic_prior": [{"dataset": "shop", "entity": e, "entity_group": g, "prior": p} for e, g, p in prior],
        "products": [
            {"dataset": "shop", "product_id": s.product_id, "split": split, "description": s.description}
            for split, s in samples
        ],
    }


def fill(home):
    """Everything upstream of the ablations, with the records that say it was made."""
    splits = ["train"] * 20 + ["validation"] * 4 + ["test"] * 8
    samples = [product(number, split) for number, split in enumerate(splits)]

    def shards():
        write_shards(samples, home.shards("shop") / "part", photo_size=64)
        return merge_parts(home.shards("shop"), ["part"])["samples"]

    def towers():
        with whole_folder(home.pretrained) as part:
            save_towers(new_towers(SMALL, 0), part)
            write_json(part / MANIFEST, {})
        return {}

    make_once(home.shards("shop"), {}, shards)
    make_once(home.pretrained, {}, towers)
    for table, rows in tables(samples).items():
        rows = pa.Table.from_pylist(rows)
        make_once(home.lake.path(table, "shop"), {}, lambda t=table, r=rows: {"at": str(home.lake.write(r, t, "shop"))})


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    root = tmp_path_factory.mktemp("filled")
    fill(Paths(root))
    return root


def no_training(job):
    """A checkpoint of a training that took no time: a step log alone, and the seed to draw ranks with."""
    with whole_folder(job.output) as part:
        pq.write_table(pa.Table.from_pylist([], schema=LOG_SCHEMA), part / LOG_FILE)
        came_of_it = {"verdict": "learned", "message": "", "batch_size": 10, "loss": 1.0, "loss_at_chance": 2.0}
        came_of_it |= {"validation": None, "validation_chance": None}
        write_json(part / "eiclip.json", {"dataset": "shop", "variant": job.variant, "steps": 2, "outcome": came_of_it})
        write_json(part / MANIFEST, {"job": digest(job.model_dump(mode="json", exclude={"output"}))})
    facts = {"epochs": job.training.epochs, "steps": 2 * job.training.epochs, "seconds": 0.1}
    return facts | {"outcome": came_of_it}


def drawn_ranks(checkpoint, shards, device, *_):
    """Ranks of the test products that depend on the checkpoint."""
    draw = np.random.default_rng(int(json.loads((checkpoint / MANIFEST).read_text())["job"], 16))
    rows = [
        {"direction": way, "query_id": f"p{n}", "product_id": f"p{n}", "rank": int(draw.integers(1, 9))}
        for way in ("i2t", "t2i")
        for n in range(24, 32)
    ]
    return pa.Table.from_pylist(rows, schema=RANKS_SCHEMA)


class Shop:
    """A home, and the trainings that were asked for in it: they take place in this process, or not `really`."""

    def __init__(self, root, monkeypatch, *, really):
        given = {"training": {"epochs": 1, "batch_size": 10}, "pretrained": "general", "datasets": {"shop": SHOP}}
        settings = load_settings(home=root, **given)
        self.project, self.trained, self.really = Project(settings, Paths(settings.home)), [], really
        if not really:
            monkeypatch.setattr("eiclip.studies.ranks.rank_checkpoint", drawn_ranks)

    def train(self, context, job, path):
        """The trainer of steps that train."""
        write_json(path, job.model_dump(mode="json"))
        self.trained.append(job)
        return train(job, context.log.info) if self.really else no_training(job)

    def ablation(self, name, recipe=None):
        """Materialise an ablation; returns its metadata."""
        [step] = [step for step in ablations.steps(self.project, "shop", SHOP) if step.key[-1] == name]
        result = self.materialize(step, recipe)
        [event] = result.get_asset_materialization_events()
        return event.materialization.metadata

    def materialize(self, step, recipe=None):
        resources = {"pipes": self, "recipe": Recipe(training=recipe or {})}
        return dg.materialize([build(self.project, step)], resources=resources)

    def row(self, variant):
        """Train a row as full_eval does."""
        self.materialize(training.checkpoint_step(self.project, "shop", SHOP, get_variant(variant)))

    def results(self, name):
        return pq.read_table(self.project.paths.lake.path("ablation_results", "shop", name)).to_pylist()

    @property
    def folders(self):
        return [path for path in (self.project.paths.root / "ablations" / "shop").iterdir() if path.name != "neutral"]


@pytest.fixture
def home(filled, tmp_path):
    shutil.copytree(filled, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def shop(home, monkeypatch):
    monkeypatch.setattr("pipelines.factory.shown", lambda *_: {})  # plots take longer than all the rest
    return Shop(home, monkeypatch, really=False)


def test_an_ablation_is_a_table_and_is_shown(home, monkeypatch):
    shop = Shop(home, monkeypatch, really=False)
    metadata = shop.ablation("ablation_losses")
    assert {"verdict", "table", "plot", "trials", "dagster/row_count"} <= set(metadata)
    assert metadata["trained_here"].value == 4
    rows = shop.results("ablation_losses")
    assert [row["value"] for row in rows] == ["all three", "without joint", "without description", "without entities"]
    assert {(row["products"], row["epochs"], row["steps"], row["x"]) for row in rows} == {(8, 1, 2, None)}
    with connect(shop.project.paths.root) as connection:
        assert connection.execute("SELECT count(*) FROM ablation_results").fetchall() == [(4,)]


def test_of_a_trial_ranks_log_and_job_stay_and_the_weights_go(home, monkeypatch):
    shop = Shop(home, monkeypatch, really=True)
    shop.ablation("ablation_prior")
    assert len(shop.folders) == 2
    for folder in shop.folders:
        assert {path.name for path in folder.iterdir()} == {
            ".lock", "job.json", "ranks.parquet", "ranks.parquet.made.json", LOG_FILE,
        }  # fmt: skip
    job = shop.trained[-1]
    again = train(job.model_copy(update={"output": shop.project.paths.root / "by_hand"}))
    assert again["steps"] == 2, "the job that stays trains the trial again"


def test_nothing_is_trained_again_where_nothing_has_changed(shop):
    shop.ablation("ablation_losses")
    before = shop.results("ablation_losses")
    shop.trained.clear()
    shop.ablation("ablation_losses")
    assert shop.trained == []
    assert shop.results("ablation_losses") == before


def test_a_row_that_full_eval_has_trained_is_not_trained_again(shop):
    shop.row("eiclip")
    shop.trained.clear()
    metadata = shop.ablation("ablation_losses")
    assert metadata["trained_here"].value == len(shop.trained) == 3
    assert all(job.training.loss_terms != ("joint", "description", "entities") for job in shop.trained)


def test_a_row_trained_otherwise_is_not_taken_for_the_trial(shop):
    shop.row("eiclip")
    shop.trained.clear()
    metadata = shop.ablation("ablation_losses", {"epochs": 2})
    assert metadata["trained_here"].value == 4
    assert {job.training.epochs for job in shop.trained} == {2}, "the run's configuration holds for the trials"


def test_ablations_share_their_trials(shop):
    shop.ablation("ablation_losses")
    shop.trained.clear()
    shop.ablation("ablation_prior")
    [job] = shop.trained
    assert not job.training.prior_mixture
    rows = shop.results("ablation_prior")
    assert [(row["subset"], row["value"]) for row in rows] == [
        (subset, value) for subset in ("all", "several meanings") for value in ("mixture", "own group alone")
    ]
    assert rows[2]["products"] < rows[0]["products"] == 8


def test_each_group_alone_is_trained_alone(shop):
    shop.ablation("ablation_entities")
    assert {job.entity_groups for job in shop.trained} == {("brand",), ("season",), ("brand", "season")}


def test_with_neutral_names_row_5_is_trained_on_the_same(shop):
    """But for the brand that shared its name with a season, which no longer does."""
    shop.ablation("ablation_ambiguity")
    neutral = shop.project.paths.root / "ablations" / "shop" / "neutral"
    jobs = [job for job in shop.trained if job.shards == neutral / "shards"]
    assert [(job.variant, job.training.epochs) for job in jobs] == [
        ("clip_entities_text", 4), ("clip_entities_text", 1), ("eiclip", 1),
    ]  # fmt: skip
    real, made_up = (
        read_vocabulary(job.entity_groups, job.entity_vocabulary, job.semantic_prior)
        for job in (shop.trained[0], jobs[0])
    )
    assert real.priors.keys() == {"top"}
    assert made_up.priors == {}
    assert made_up.names["season"] == real.names["season"]
    assert not set(made_up.names["brand"][1:]) & set(real.names["brand"])
    assert len(shop.results("ablation_ambiguity")) == 7


def test_the_seeds_are_summed_up(shop):
    shop.ablation("seed_study")
    assert {job.seed for job in shop.trained} == {0, 1, 2}
    summary = pq.read_table(shop.project.paths.lake.path("seed_study_summary", "shop")).to_pylist()
    assert [(row["row"], row["seeds"]) for row in summary] == [(row, 3) for row in range(2, 7)]
    assert all(row["reference"] == f"row 3, seed {row['seed']}" for row in shop.results("seed_study") if row["row"] > 3)
    compared = pq.read_table(shop.project.paths.lake.path("seed_study_comparisons", "shop")).to_pylist()
    assert {(row["variant"], row["baseline"]) for row in compared} >= {
        ("eiclip", "clip_entities_text"), ("eiclip_plus", "eiclip"),
    }  # fmt: skip
    assert {row["seeds"] for row in compared} == {3}


def test_a_training_that_fails_leaves_no_weights_and_is_tried_again(shop, monkeypatch):
    def broken(context, job, path):
        job.output.mkdir(parents=True)
        raise dg.Failure("loss is nan", allow_retries=False)

    with monkeypatch.context() as changed:
        changed.setattr(shop, "train", broken)
        with pytest.raises(dg.Failure, match="loss is nan"):
            shop.ablation("ablation_losses")
    assert not any((folder / "weights").exists() for folder in shop.folders)
    shop.ablation("ablation_losses")
    assert len(shop.trained) == 4


def test_ablations_that_cannot_be_asked_are_not_there(tmp_path):
    one, other = AMAZON, FASHIONGEN.model_copy(update={"entity_groups": ("season", "subcategory")})
    project = Project(load_settings(home=tmp_path, datasets={"one": one, "other": other}), Paths(tmp_path))
    assert {key[-1] for key in ablations.ablation_keys(project) if key[0] == "one"} == set(ABLATIONS) - {
        "ablation_entities", "ablation_prior",
    }  # fmt: skip
    assert {key[-1] for key in ablations.ablation_keys(project) if key[0] == "other"} == set(ABLATIONS)
    defs = build_definitions(load_settings(home=tmp_path, pretrained="general", datasets={"one": one}))
    selected = defs.resolve_job_def("ablation_entities").asset_layer.selected_asset_keys
    assert {key.to_user_string() for key in selected} == {
        "one/model_cards", "results/catalogue", "results/verdict", "results/report",
    }  # fmt: skip
