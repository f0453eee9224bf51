"""Which files of tables are as the settings, the code and the data of now would make them."""

from dataclasses import replace

import pyarrow as pa
import pytest

from assets import current
from assets.common import Project
from assets.current import left_out, statuses
from assets.outputs import Given, Output
from assets.report import RESULT_TABLES
from assets.steps import PartedStep, Step
from eiclip.settings.load import FASHIONGEN, load_settings
from eiclip.storage import definitions
from eiclip.storage.home import Paths
from eiclip.storage.left_out import LeftOut
from eiclip.storage.sql import header, headers


@pytest.fixture(autouse=True)
def functions_of_this_file_count(monkeypatch):
    monkeypatch.setattr(definitions, "PACKAGES", (*definitions.PACKAGES, "tests"))
    definitions.names.cache_clear()
    yield
    definitions.names.cache_clear()


def trained(given: Given) -> pa.Table:
    """A model of as many epochs as the settings say."""
    return pa.table({"epochs": [given.parameters["epochs"]]})


def ranked(given: Given) -> pa.Table:
    """What that model finds."""
    return pa.table({"rank": given.table("model")["epochs"]})


def judged(given: Given) -> pa.Table:
    """What a trial finds."""
    return pa.table({"rank": [given.parameters["epochs"]]})


class Shop:
    """Two shops, each with a model, a board of it, a table of the data, and a study of two trials."""

    def __init__(self, root, monkeypatch):
        settings = load_settings(home=root, datasets={"a": FASHIONGEN, "b": FASHIONGEN}, pretrained="general")
        self.project, self.epochs, self.seed = Project(settings, Paths(settings.home)), {"a": 3, "b": 3}, 0
        monkeypatch.setattr(current, "declared", lambda project: self.steps())

    def steps(self):
        return [step for name in ("a", "b") for step in self.of(name)]

    def of(self, name):
        def model(recipe):
            epochs = recipe.get("epochs", self.epochs[name])
            made = Output((name, "model"), make=trained, settings={"epochs": epochs}, published=("training_log",))
            return [replace(made, publish=self.log)]

        def trial(recipe, label):
            place = self.project.paths.root / "trials" / name / f"{label}.parquet"
            epochs = recipe.get("epochs", self.epochs[name])
            return Output((name, "study", label), make=judged, settings={"epochs": epochs}, place=place)

        whole = Output((name, "ablation_results", "study"), make=judged, settings={"epochs": 0})
        yield Step(f"{name}_model", "", model)
        yield Step(f"{name}_data", "", [Output((name, "products"), make=trained, settings={"epochs": self.seed})])
        yield Step(f"{name}_board", "", [Output((name, "leaderboard"), make=ranked, sources=("model",))])
        yield PartedStep(
            (name, "study"), "", frozenset(), "", ("products",), plan=lambda recipe: ["one", "two"], part=trial,
            whole=lambda recipe, parts: [whole], writes=((name, "ablation_results", "study"),),
        )  # fmt: skip

    def log(self, given):
        table = pa.table({"epochs": [given.parameters["epochs"]]})
        given.project.paths.lake.write(table, "training_log", given.dataset, given.of.key[-1])

    def run(self, *names, recipe=None):
        for step in self.steps():
            parted = isinstance(step, PartedStep)
            if (step.key if parted else step.declared()[0].key)[1] in names:
                outputs = [step.part(recipe or {}, label) for label in step.plan({})] if parted else []
                for output in [*outputs, *(step.whole({}, {}) if parted else step.declared(recipe))]:
                    output.make_once(self.project)

    def left_out(self, *tables, recipe=None, datasets=()):
        found = list(statuses(self.project, recipe or {}, tables=tables, datasets=datasets))
        return left_out(self.project, found, tables, lambda key: f"job of {'/'.join(key)}", datasets)


ALL = ("model", "products", "leaderboard", "study")
TABLES = ("leaderboard", "products", "training_log", "ablation_results", "runs")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    shop = Shop(tmp_path, monkeypatch)
    shop.run(*ALL)
    return shop


def test_after_a_run_of_everything_all_is_current(shop):
    assert shop.left_out(*TABLES) == []


def test_a_changed_setting_leaves_out_what_it_decides_and_what_is_made_of_that(shop):
    shop.epochs["a"] = 5
    reasons, jobs = ("epochs 3, now 5",), "job of a/"
    assert shop.left_out(*TABLES) == [
        LeftOut("a", "leaderboard", "data", reasons, f"{jobs}leaderboard"),
        LeftOut("a", "training_log", "model", reasons, f"{jobs}training_log/model"),
        LeftOut("a", "ablation_results", "study", reasons, f"{jobs}ablation_results/study"),
    ]


def test_what_was_made_again_is_back_and_its_table_mixes_nothing(shop):
    shop.epochs["a"] = 5
    shop.run("model")
    told = [(one.table, one.reasons) for one in shop.left_out(*TABLES)]
    assert told == [("leaderboard", ("leaderboard: model changed",)), ("ablation_results", ("epochs 3, now 5",))]
    shop.run(*ALL)
    assert shop.left_out(*TABLES) == []


def test_a_recipe_of_one_run_is_compared_with_that_run(shop):
    shop.run(*ALL, recipe={"epochs": 9})
    assert shop.left_out(*TABLES, recipe={"epochs": 9}) == []
    assert {one.table for one in shop.left_out(*TABLES)} == {"leaderboard", "training_log", "ablation_results"}


def test_what_is_left_out_of_one_dataset_can_be_asked_alone(shop):
    shop.epochs |= {"a": 5, "b": 5}
    assert {one.dataset for one in shop.left_out(*TABLES, datasets=["b"])} == {"b"}
    asked = {status.name for status in statuses(shop.project, tables=["leaderboard"], datasets=["b"])}
    assert asked == {"b/model", "b/leaderboard"}, "nothing else is looked at"


def test_the_history_of_runs_is_kept_and_a_part_that_nothing_makes_is_not(shop):
    for table in ("runs", "training_log"):
        shop.project.paths.lake.write(pa.table({"n": [1]}), table, "a", "earlier")
    [one] = shop.left_out(*TABLES)
    assert (one.name, one.reasons, one.job) == ("training_log/earlier", (current.UNDECLARED,), "")


def test_an_edited_table_is_left_out_with_what_is_made_of_it(shop):
    file = shop.project.paths.lake.path("products", "a")
    file.write_bytes(file.read_bytes()[:-1])
    [board, study] = shop.left_out(*TABLES)
    assert board.reasons == study.reasons == ("products: data.parquet was edited after it was made",)


def test_every_table_that_the_report_asks_for_is_looked_at():
    """By the headers of its queries; what the search's own page of tuning reads is no part of it."""
    from eiclip.storage.sql import SQL_FOLDER

    asked = {s for file in (SQL_FOLDER / "report").glob("*.sql") for s in header(f"report/{file.stem}").sources}
    assert asked - {"tuning_results"} <= set(RESULT_TABLES)
    assert set(RESULT_TABLES) <= headers().keys()
