"""What a declared output is made from, and what its function may look at."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets import datasets
from assets.common import Project
from assets.outputs import Check, Given, Output, Table, described, kinds_of
from assets.sources import key_of
from assets.steps import PartedStep, Step
from eiclip.errors import CorruptOutputError
from eiclip.settings.load import AMAZON, FASHIONGEN, load_settings
from eiclip.storage import definitions
from eiclip.storage.cache import make_once, record_of
from eiclip.storage.home import Paths


@pytest.fixture(autouse=True)
def functions_of_this_file_count(monkeypatch):
    monkeypatch.setattr(definitions, "PACKAGES", (*definitions.PACKAGES, "tests"))
    definitions.names.cache_clear()
    yield
    definitions.names.cache_clear()


@pytest.fixture
def project(tmp_path):
    settings = load_settings(home=tmp_path, datasets={"shop": FASHIONGEN}, pretrained="general")
    return Project(settings, Paths(settings.home))


def put(project, table, rows):
    """A table of the dataset with a record, as if another output had made it."""
    place = project.paths.lake.path(table, "shop")
    make_once(
        place, {"rows": rows}, lambda: {"at": str(project.paths.lake.write(pa.Table.from_pylist(rows), table, "shop"))}
    )


def read(project, table):
    return pq.read_table(project.paths.lake.path(table, "shop"), partitioning=None).to_pylist()


def doubled(given: Given) -> pa.Table:
    """Each number twice, and what is added to it."""
    numbers = [row["n"] * 2 + given.parameters["more"] for row in given.table("numbers").to_pylist()]
    return pa.table({"n": numbers})


def undeclared(given: Given) -> pa.Table:
    """Looks at a table that is none of its sources."""
    return given.table("secrets")


DOUBLED = Output(("shop", "doubled"), make=doubled, sources=("numbers",), settings={"more": 1})


def test_a_function_makes_a_table_once_for_the_same_sources_and_settings(project):
    put(project, "numbers", [{"n": 1}, {"n": 2}])
    first, second = (DOUBLED.make_once(project) for _ in range(2))
    assert (first.reused, first.reason, first.facts) == (False, "not made yet", {"rows": 2})
    assert second.reused
    assert read(project, "doubled") == [{"n": 3}, {"n": 5}]


def test_it_is_made_again_where_a_source_or_a_setting_is_another_and_says_which(project):
    put(project, "numbers", [{"n": 1}])
    DOUBLED.make_once(project)
    assert replace(DOUBLED, settings={"more": 5}).make_once(project).reason == "more 1 -> 5"
    put(project, "numbers", [{"n": 4}])
    assert DOUBLED.why_stale(project) == "more 5 -> 1; numbers changed"
    DOUBLED.make_once(project)
    assert read(project, "doubled") == [{"n": 9}]


def test_the_record_says_all_that_it_was_made_from(project):
    put(project, "numbers", [{"n": 1}])
    DOUBLED.make_once(project)
    record = json.loads(record_of(project.paths.lake.path("doubled", "shop")).read_text())
    inputs = record["inputs"]
    assert inputs["parameters"] == {"more": 1}
    assert inputs["sources"].keys() == {"numbers"}
    assert "eiclip/storage/lake.py" in inputs["code"]["files"]
    assert "pyarrow" in inputs["code"]["packages"]


def test_a_function_cannot_read_what_it_does_not_declare(project):
    put(project, "secrets", [{"n": 1}])
    with pytest.raises(KeyError, match=r"shop/x does not declare 'secrets'"):
        Output(("shop", "x"), make=undeclared).make_once(project)


def test_a_source_that_is_not_there_is_named(project):
    with pytest.raises(CorruptOutputError, match=r"numbers.*not made yet; materialise"):
        DOUBLED.make_once(project)


def test_optional_tables_count_once_they_are_there(project):
    put(project, "numbers", [{"n": 1}])
    output = replace(DOUBLED, optional=("runs",))
    output.make_once(project)
    project.paths.lake.write(pa.table({"n": [1]}), "runs", "shop", "run-1")
    assert output.make_once(project).reason == "1 run changed: run-1"


def test_a_query_makes_a_table_of_its_sources(project):
    put(project, "duplicate_photos", [{"n": 1}])
    with pytest.raises(Exception, match=r"sql/evaluation/leaderboard\.sql"):
        Output(("shop", "leaderboard"), make="evaluation/leaderboard", sources=("duplicate_photos",)).make_once(project)


def test_settings_that_take_time_to_find_out_are_found_out_when_needed(project):
    put(project, "numbers", [{"n": 1}])
    asked = []
    output = replace(DOUBLED, settings=lambda: asked.append(1) or {"more": 1})
    assert asked == []
    output.make_once(project)
    assert asked == [1]


def test_a_check_selects_offenders_or_looks_at_facts(project):
    put(project, "entity_vocabulary", [{"entity_group": "brand", "entity_id": 3, "entity": "a"}])
    place = project.paths.lake.path("entity_vocabulary", "shop")
    check = Check("entity_ids_are_dense", "Ids run from 0.")
    passed, said, metadata = check.result(project, ("shop", "entity_vocabulary"), None, place)
    assert not passed
    assert said.startswith("failed: Ids run from 0. brand")
    assert metadata["offenders"] == 1
    assert metadata["examples"][0].startswith("brand")
    held = Check("any", "It is.", holds=lambda made, place: (place.is_file(), {"seen": 1}))
    assert held.result(project, ("shop", "entity_vocabulary"), None, place) == (True, "", {"seen": 1})
    assert held.result(project, ("shop", "entity_vocabulary"), None, place / "x") == (
        False,
        "failed: It is.",
        {"seen": 1},
    )
    looked = Check("any", "", summary=lambda: (False, "None of 3.", {"seen": 0}))
    assert looked.result(project, ("shop", "entity_vocabulary"), None, place) == (False, "None of 3.", {"seen": 0})


def test_words_and_kinds_come_from_what_makes_it():
    assert described(DOUBLED) == "Each number twice, and what is added to it."
    assert described(Output(("d", "leaderboard"), make="evaluation/leaderboard")).startswith("leaderboard: one row per")
    assert described(Table(("d", "x"), "An own word.")) == "An own word."
    assert kinds_of(DOUBLED) == {"parquet"}
    assert kinds_of(Output(("d", "x"), make="evaluation/leaderboard")) == {"duckdb", "parquet"}


def test_sources_are_of_the_dataset_unless_they_are_general():
    assert key_of("shop", "checkpoint/eiclip") == ("shop", "checkpoint", "eiclip")
    assert key_of("shop", "general/pretrained") == ("general", "pretrained")


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """All that is declared of the embedded catalogue and of a shop's own files."""
    home = tmp_path_factory.mktemp("declared")
    own = AMAZON.model_copy(update={"metadata": str(home / "meta.json.gz"), "images": str(home)})
    found = []
    for given in ({}, {"datasets": {"shop": own}}):
        settings = load_settings(home=home, pretrained="general", **given)
        found += datasets.declared(Project(settings, Paths(settings.home)))
    return found


def test_every_declared_output_has_a_version_and_a_word(steps):
    outputs = [output for step in steps if isinstance(step, Step) for output in step.declared()]
    assert len(outputs) > 100
    for output in outputs:
        assert len(output.code.digest) == 16, output.key
        assert described(output) or "profile" in output.key[-1], output.key
    for step in steps:
        if isinstance(step, PartedStep):
            assert len(step.code.files) > 3, step.key


def test_steps_come_after_those_that_make_their_sources(steps):
    made, raw = set(), {("shop", "raw_files")}  # the shop's own
    known = {key for step in steps for key in step.assets()}
    for step in steps:
        missing = {key for key in step.upstream_keys() if key in known} - made - set(step.assets()) - raw
        assert not missing, (step.assets()[0], missing)
        made |= set(step.assets())


def test_only_functions_of_a_module_can_be_declared():
    """A function within another has no version of its own."""

    def inner(given):
        return pa.table({})

    with pytest.raises(Exception, match="no such function"):
        _ = Output(("shop", "x"), make=inner).code


def test_no_asset_file_lists_code_by_hand():
    for file in (Path(datasets.__file__).parent).glob("*.py"):
        assert "source_version" not in file.read_text()
