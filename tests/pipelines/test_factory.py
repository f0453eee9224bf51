"""Assets in parts, run by Dagster's own executor."""

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.common import Project
from assets.outputs import Check, Output
from assets.steps import PartedStep, Step
from eiclip.settings.load import load_settings
from eiclip.storage.cache import content_digest
from eiclip.storage.catalogue import refresh_catalogue
from eiclip.storage.home import Paths
from eiclip.storage.lake import Lake
from pipelines.factory import Recipe, build, shown, table_metadata

KEY = ("d", "photos")


class Work:
    """Parts that are listed, made and put together, and a note of what was asked for."""

    def __init__(self, home, parts=("raw-h5-00000", "raw-h5-00001"), broken=()):
        self.project = Project(load_settings(home=home), Paths(home))
        self.parts, self.broken, self.calls = parts, broken, []
        self.recipes, self.trainers, self.facts = [], [], {}

    def file(self, part):
        """Where a part lies."""
        return self.project.paths.root / f"{self.parts.index(part)}.txt"

    @property
    def together(self):
        """Where the parts lie when they are put together."""
        return self.project.paths.root / "together.txt"

    def contents(self):
        """Content of every part, by its name."""
        return {part: content_digest(self.file(part)) for part in sorted(self.parts)}

    def plan(self, recipe):
        self.recipes.append(recipe)
        self.calls.append("plan")
        return self.parts

    def part(self, recipe, part):
        def make(given):
            self.calls.append(part)
            self.trainers.append(given.trainer)
            if part in self.broken:
                raise ValueError(f"{part} is broken")
            given.output.write_text(f"content of {part}")
            return self.facts

        self.recipes.append(recipe)
        return Output((*KEY, part), make=make, place=self.file(part), inputs=lambda: {"part": part})

    def whole(self, recipe, parts):
        def make(given):
            self.calls.append(dict(parts))
            given.output.write_text("+".join(self.file(part).read_text() for part in parts))
            return {}

        self.recipes.append(recipe)
        return [Output(KEY, make=make, place=self.together, inputs=lambda: {"parts": dict(parts)})]

    def asset(self, **given):
        step = PartedStep(KEY, "g", frozenset(), "Photos.", ("records",), self.plan, self.part, self.whole, **given)
        return build(self.project, step)


@dg.asset(key=["d", "records"])
def upstream():
    return None


def test_parts_are_made_one_by_one_and_put_together_in_order(tmp_path):
    work = Work(tmp_path, ("raw-h5-00001", "raw-h5-00000"))
    result = dg.materialize([upstream, work.asset()])
    assert result.success
    assert work.calls[0] == "plan"
    assert sorted(work.calls[1:3]) == ["raw-h5-00000", "raw-h5-00001"]
    assert list(work.calls[3].items()) == list(work.contents().items())
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(KEY)]
    assert event.materialization.metadata["parts"].value == 2
    assert work.together.read_text() == "content of raw-h5-00000+content of raw-h5-00001"
    assert event.materialization.tags["dagster/data_version"] == content_digest(work.together)


def test_a_part_tells_how_many_photos_were_examined(tmp_path):
    work = Work(tmp_path, ("one",))
    work.facts = {"examined": 1, "taken_over": 1200}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([upstream, work.asset()], instance=instance)
        told = [entry.user_message for entry in instance.all_logs(result.run_id)]
    [line] = [text for text in told if text.startswith("d/photos/one: made")]
    assert ", photos examined: 1, unchanged: 1,200 (" in line
    outputs = [event.step_output_data for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    [facts] = [output.metadata for output in outputs if "taken_over" in output.metadata]
    assert {name: value.value for name, value in facts.items()} == {"examined": 1, "taken_over": 1200, "reused": False}


def test_the_asset_comes_after_what_is_upstream(tmp_path):
    asset = Work(tmp_path).asset()
    assert asset.key == dg.AssetKey(KEY)
    assert asset.dependency_keys == {dg.AssetKey(["d", "records"])}


def test_a_part_that_fails_keeps_them_from_being_put_together(tmp_path):
    work = Work(tmp_path, broken=("raw-h5-00001",))
    result = dg.materialize([upstream, work.asset()], raise_on_error=False)
    assert not result.success
    assert {"raw-h5-00000", "raw-h5-00001"} <= set(work.calls[1:])
    assert not any(isinstance(call, dict) for call in work.calls)


def test_every_step_finds_the_resources_it_asks_for(tmp_path):
    work, recipe = Work(tmp_path), {"epochs": 3}
    resources = {"recipe": Recipe(training=recipe), "pipes": dg.ResourceDefinition.hardcoded_resource("hot")}
    assert dg.materialize([upstream, work.asset(trains=True)], resources=resources).success
    assert work.recipes == [recipe] * 4
    assert work.trainers == ["hot"] * 2


def test_parts_may_be_named_in_words(tmp_path):
    work = Work(tmp_path, ("row 5, batch 16", "row 5, batch-16", "größe: 3/4"))
    assert dg.materialize([upstream, work.asset()]).success
    assert sorted(work.calls[-1]) == sorted(work.parts)


@pytest.mark.parametrize("parts", [(), ("one",)])
def test_few_parts_are_parts_as_well(tmp_path, parts):
    work = Work(tmp_path, parts)
    assert dg.materialize([upstream, work.asset()]).success
    assert work.calls[-1] == work.contents()
    assert list(work.calls[-1]) == list(parts)


@pytest.mark.parametrize("passed", [True, False])
def test_a_check_of_parts_put_together_stops_what_comes_after(tmp_path, passed):
    work = Work(tmp_path)
    checks = (
        Check("usable", "Some are usable.", summary=lambda: (passed, "1 of 2.", {"usable": 1})),
        Check("whole", "All are there.", summary=lambda: (work.together.is_file(), "", {})),
    )

    @dg.asset(deps=[dg.AssetKey(KEY)])
    def after():
        return None

    result = dg.materialize([upstream, work.asset(checks=checks), after], raise_on_error=False)
    assert result.success is passed
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert ("after" in made) is passed
    found = {e.check_name: (e.passed, e.description) for e in result.get_asset_check_evaluations()}
    assert found == {"usable": (passed, "1 of 2."), "whole": (True, None)}


@pytest.mark.parametrize("blocking", [True, False])
def test_a_check_that_does_not_block_is_a_warning(tmp_path, blocking):
    project = Project(load_settings(home=tmp_path), Paths(tmp_path))
    check = Check("small", "It is small.", holds=lambda made, place: (False, {"bytes": 3}), blocking=blocking)
    place = tmp_path / "made.txt"

    def make(given):
        given.output.write_text("abc")
        return {}

    plain = ("eiclip.storage.files:digest",)
    output = Output(("d", "made"), make=make, place=place, inputs=dict, checks=(check,), code_of=plain)
    made = build(project, Step("d__made", "d", [output]))

    @dg.asset(deps=[dg.AssetKey(["d", "made"])])
    def after() -> None:
        """What is made of it."""

    result = dg.materialize([made, after], raise_on_error=False, resources={"recipe": Recipe()})
    [evaluation] = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert evaluation.severity == (dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN)
    assert len(result.asset_materializations_for_node("after")) == (0 if blocking else 1)


def test_columns_are_described_also_where_a_table_lies_outside_the_lake(tmp_path):
    file = tmp_path / "search" / "shop" / "eiclip.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(pa.table({name: ["a"] for name in ("product_id", "joint", "content")}), file)
    columns = table_metadata([file], "search_index")["dagster/column_schema"].columns
    assert {column.name: column.description for column in columns}.items() >= {
        ("joint", "vector of both together"), ("product_id", "id of the product in the raw files"),
    }  # fmt: skip
    assert all(column.description for column in columns)


def test_numbers_that_an_asset_shows_are_plotted_by_dagster(tmp_path):
    lake = Lake(tmp_path)
    row = {"dataset": "shop", "protocol": "full", "paper_row": 5, "variant": "eiclip", "sum_r": 250.5, "t2i_r1": None}
    row |= dict.fromkeys(("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r5", "t2i_r10"), 30.0)
    lake.write(pa.Table.from_pylist([row]), "leaderboard", "shop")
    refresh_catalogue(lake)
    project = Project(load_settings(home=tmp_path), Paths(tmp_path))
    found = shown(project, "shop", {"recalls": "eiclip.report.answers:recalls"})
    assert {name: value.value for name, value in found.items()} == {"sum_r_eiclip": 250.5, "i2t_r1_eiclip": 30.0}
    assert {type(value) for value in found.values()} == {dg.FloatMetadataValue}
