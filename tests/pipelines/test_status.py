"""`eiclip status`: what the next run would make, looked at in a small home."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from assets.common import Project
from assets.current import outdated
from benchmarks.cache.home import tiny_settings
from eiclip.errors import SettingsError
from eiclip.storage.cache import record_of
from eiclip.storage.code_version import CodeVersion
from eiclip.storage.home import Paths
from pipelines import status
from pipelines.cli import main
from pipelines.definitions import build_definitions
from pipelines.status import print_status, statuses

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A home in which everything up to shards and profile has been made."""
    script = "import sys; from pathlib import Path; from benchmarks.cache.home import make_all"
    script += "; make_all(Path(sys.argv[1]), quick=True)"
    home = tmp_path_factory.mktemp("status") / "home"
    subprocess.run([sys.executable, "-c", script, str(home)], cwd=ROOT, check=True)  # it silences logging
    return home


@pytest.fixture
def home(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "home")
    return tmp_path / "home"


def project(home, **given):
    settings = tiny_settings(home, quick=True).model_copy(update=given)
    return Project(settings, Paths(settings.home))


def found(project):
    """By name: state and reason, of what is not trained."""
    trained = ("checkpoint", "embeddings", "ablation", "seed_study", "retrieval", "typed", "gate", "leaderboard")
    return {s.name: (s.state, s.reason) for s in statuses(project) if not any(word in s.name for word in trained)}


def ingested(told):
    return {name: state for name, state in told.items() if state[0] != "not made"}


def test_everything_that_is_as_it_would_be_is_told_so(home):
    told = ingested(found(project(home)))
    assert {"fashiongen/records", "fashiongen/photos", "fashiongen/products", "fashiongen/shards"} <= told.keys()
    assert {state for state, _ in told.values()} == {"made"}


def test_what_was_never_made_is_told_so(home):
    told = {s.name: s.state for s in statuses(project(home))}
    assert told["fashiongen/checkpoint/eiclip"] == told["fashiongen/ablation_losses"] == "not made"


def test_an_edited_table_is_stale_and_what_is_made_of_it_depends(home):
    table = home / "lake" / "products" / "folder=fashiongen" / "data.parquet"
    table.write_bytes(table.read_bytes()[:-1])
    told = found(project(home))
    assert told["fashiongen/products"] == ("stale", "data.parquet was edited after it was made")
    assert told["fashiongen/records"][0] == "made"
    assert told["fashiongen/images"] == ("upstream", "fashiongen/products is stale")


def test_changed_settings_are_named(home):
    told = found(project(home, seed=7))
    assert told["fashiongen/raw_files"] == ("stale", "seed 0 -> 7")
    assert told["fashiongen/records"] == ("upstream", "fashiongen/raw_files is stale")
    assert told["fashiongen/entity_spellings"] == ("upstream", "fashiongen/records may change")


def test_what_results_are_older_than_is_named_by_where_it_begins(home):
    assert outdated(project(home), "products") == {}
    assert outdated(project(home, seed=7), "products") == {"fashiongen": "fashiongen/raw_files: seed 0 -> 7"}
    assert outdated(project(home, seed=7), "products", data_alone=True) == {}, "other settings are no other data"
    assert outdated(project(home, seed=7), "leaderboard") == {}, "it was never made"


@pytest.mark.parametrize("data_alone", [False, True])
def test_changed_data_are_other_data_whatever_is_asked(home, data_alone):
    raw = next((home / "raw" / "fashiongen").glob("*train.h5"))
    raw.write_bytes(raw.read_bytes() + b"more")
    found = outdated(project(home), "products", data_alone=data_alone)
    assert f"{raw.name} was edited after it was made" in found["fashiongen"]


def test_changed_packages_and_files_are_named(home, monkeypatch):
    real = CodeVersion.recorded

    def later(self):
        known = real(self)
        packages = {name: "99" if name == "duckdb" else version for name, version in known["packages"].items()}
        files = {
            name: "0" if name == "eiclip/readers/records.py" else digest for name, digest in known["files"].items()
        }
        return {"version": known["version"] + "x", "files": files, "packages": packages}

    duckdb = json.loads(record_of(home / "lake/products/folder=fashiongen/data.parquet").read_text())
    before = duckdb["inputs"]["code"]["packages"]["duckdb"]
    monkeypatch.setattr(CodeVersion, "recorded", later)
    told = found(project(home))
    assert told["fashiongen/products"] == ("stale", f"duckdb {before} -> 99")
    assert told["fashiongen/records"] == ("stale", f"eiclip/readers/records.py changed; duckdb {before} -> 99")


def test_a_part_of_an_asset_that_is_gone_is_named(home):
    [part] = [f for f in (home / "shards" / "fashiongen").iterdir() if f.is_dir() and "train" in f.name]
    shutil.rmtree(part)
    assert found(project(home))["fashiongen/shards"] == ("stale", f"1 of 2 parts: {part.name}: the output is gone")


def test_a_record_that_cannot_be_read_is_told_and_never_a_traceback(home):
    record = record_of(home / "lake/records/folder=fashiongen/data.parquet")
    record.write_text(record.read_text()[:100])
    told = found(project(home))
    assert told["fashiongen/records"] == ("stale", "its record cannot be read (JSONDecodeError)")
    behind = ("records is stale", "photos may change", "split_groups may change")
    assert told["fashiongen/products"] == ("upstream", "; ".join(f"fashiongen/{one}" for one in behind))


def test_looking_changes_nothing(home):
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    list(statuses(project(home, seed=7)))
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_the_command_prints_a_line_an_output_and_counts(home, monkeypatch, capsys):
    monkeypatch.setattr(status, "load_settings", lambda: project(home, seed=7).settings)
    assert main(["status", "fashiongen", "--stale"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["fashiongen/raw_files", "stale"]
    assert lines[0].endswith("seed 0 -> 7")
    assert lines[-1].startswith(f"{home}: ")
    assert " stale" in lines[-1]
    assert not any(line.split()[1] == "made" for line in lines[:-1])
    with pytest.raises(SettingsError, match="there are fashiongen"):
        print_status("shop")


def test_in_an_empty_home_nothing_is_made(tmp_path):
    assert {state.state for state in statuses(project(tmp_path / "new"))} == {"not made"}


def test_the_quick_home_is_the_same_each_time(finished, tmp_path):
    script = (
        "import sys, json, dataclasses; from pathlib import Path; from benchmarks.cache.home import make_all;"
        "print(json.dumps(make_all(Path(sys.argv[1]), quick=True).contents))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "again")], cwd=ROOT, check=True, capture_output=True
    )
    again = json.loads(run.stdout)
    known = {
        name: json.loads(
            record_of(finished / "lake" / name.split("/")[1] / "folder=fashiongen" / "data.parquet").read_text()
        )
        for name in ("fashiongen/products", "fashiongen/images", "fashiongen/semantic_prior")
    }
    assert {name: record["content"] for name, record in known.items()} == {name: again[name] for name in known}


def stale_in_the_ui(settings, instance):
    """Assets that Dagster's UI shows as stale or unsynced, and why."""
    graph = build_definitions(settings).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    found = {key: resolver.get_status(key) for key in graph.get_all_asset_keys()}
    return {
        key.to_user_string(): [cause.reason for cause in resolver.get_stale_root_causes(key)]
        for key, state in found.items()
        if state not in (StaleStatus.FRESH, StaleStatus.MISSING)
    }


def test_the_ui_agrees(tmp_path):
    """Dagster's own staleness, as its UI asks for it: fresh after a run, stale where a setting is another."""
    settings = tiny_settings(tmp_path, quick=True)
    with dg.DagsterInstance.ephemeral() as instance:
        build_definitions(settings).resolve_job_def("ingest").execute_in_process(instance=instance)
        assert stale_in_the_ui(settings, instance) == {}
        assert {state for state, _ in ingested(found(project(tmp_path))).values()} <= {"made", "reused"}
        other = settings.model_copy(update={"seed": 3})
        assert stale_in_the_ui(other, instance) == {"fashiongen/raw_files": ["has a new code version"]}
        assert found(project(tmp_path, seed=3))["fashiongen/raw_files"] == ("stale", "seed 0 -> 3")
