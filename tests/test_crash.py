"""The harness of `make crash_test`: its fuses blow where they are told to, and its comparison sees what differs."""

import importlib
import json
import os
import subprocess
import sys
from functools import reduce

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.crash.compare import contents, differences, processes_of
from benchmarks.crash.fuse import Fuse
from benchmarks.crash.points import POINTS
from eiclip.storage.catalogue import refresh_catalogue
from eiclip.storage.lake import Lake

WRITER = """
import os, pathlib, sys
from benchmarks.crash.fuse import light
light()
from eiclip.storage.files import write_text
for number in range(3):
    write_text(pathlib.Path(sys.argv[1]) / f"file{number}", "x" * 100)
"""


def every_point():
    return [one for point in POINTS for one in (point, *point.then) if one.target]


@pytest.mark.parametrize("target", sorted({point.target for point in every_point()}))
def test_every_point_is_a_function_that_there_is(target):
    module, _, path = target.partition(":")
    assert callable(reduce(getattr, path.split("."), importlib.import_module(module)))


def test_there_are_twenty_points_and_a_seed_draws_the_same_again(tmp_path):
    assert len(POINTS) == 20
    assert [point.fuses(3, tmp_path) for point in POINTS] == [point.fuses(3, tmp_path) for point in POINTS]
    assert [point.fuses(3, tmp_path) for point in POINTS] != [point.fuses(4, tmp_path) for point in POINTS]


@pytest.mark.parametrize(("when", "left"), [("before", ["file0"]), ("after", ["file0", "file1"])])
def test_a_fuse_ends_its_process_at_its_call_and_only_once(tmp_path, when, left):
    fuse = Fuse("pathlib:Path.replace", str(tmp_path / "mark0"), when, call=2)
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    environment = os.environ | fuse.in_environment()
    assert subprocess.run(command, env=environment).returncode == -9
    assert [name for name in sorted(contents(tmp_path)) if not name.startswith(".")] == left
    assert any(name.endswith(".part") for name in contents(tmp_path)) == (when == "before")
    assert subprocess.run(command, env=environment).returncode == 0, "it has blown"


def test_folders_are_equal_but_for_times(tmp_path):
    for name, seconds, loss in (("a", 1.0, 0.5), ("b", 2.0, 0.5), ("c", 1.0, 0.25)):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"loss": [loss], "seconds": [seconds]}), tmp_path / name / "training_log.parquet")
        (tmp_path / name / "x.made.json").write_text(json.dumps({"content": "c", "facts": {"seconds": seconds}}))
    wanted = contents(tmp_path / "a")
    assert differences(tmp_path / "b", wanted) == []
    (tmp_path / "c" / ".x.part").touch()
    assert differences(tmp_path / "c", wanted) == ["left over: .x.part", "other content: training_log.parquet"]
    (tmp_path / "b" / "x.made.json").unlink()
    assert differences(tmp_path / "b", wanted) == ["missing: x.made.json"]


def test_homes_are_equal_but_for_their_place_and_the_history_of_what_they_hold(tmp_path):
    for name, time, size, rows in (("a", 1, 9, 2), ("b", 2, 9, 2), ("c", 1, 8, 2), ("d", 1, 9, 1)):
        lake = Lake(tmp_path / name)
        lake.write(pa.table({"product_id": ["p"] * rows}), "products", "shop")
        lake.write(pa.table({"image_id": ["i"]}), "images" if name != "c" else "photos", "shop")
        refresh_catalogue(lake)
        record = {"made": str(time), "reason": f"reason {time}", "stamps": {"": [size, time]}}
        (tmp_path / name / "x.made.json").write_text(json.dumps(record))
        (tmp_path / name / "outputs.jsonl").write_text(f"{time}\n")
    wanted = contents(tmp_path / "a")
    assert differences(tmp_path / "b", wanted) == []
    assert {"other content: eiclip.duckdb", "other content: x.made.json"} <= set(differences(tmp_path / "c", wanted))
    assert differences(tmp_path / "d", wanted) == ["other content: lake/products/folder=shop/data.parquet"]


def test_a_process_is_known_by_its_environment(tmp_path):
    process = subprocess.Popen(["sleep", "60"], env=os.environ | {"CRASH_FOLDER": str(tmp_path)})
    assert [found.pid for found in processes_of("CRASH_FOLDER", str(tmp_path))] == [process.pid]
    process.kill()
    process.wait()
    assert processes_of("CRASH_FOLDER", str(tmp_path)) == []
