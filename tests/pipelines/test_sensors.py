"""The sensor of raw files, on real files that come, grow, are touched and go."""

import json
import os

import dagster as dg
import fsspec
import pytest

from assets.common import Project
from eiclip.readers.fashiongen.reader import SPLITS
from eiclip.settings.load import DatasetSettings, load_settings
from eiclip.storage.home import Paths
from pipelines.sensors import DATASETS_TAG, raw_files_sensor


def own(folder, **more):
    return DatasetSettings(kind="table", files=f"{folder}/*.csv", columns={"title": "title"}, **more)


@pytest.fixture
def watch(tmp_path):
    """Return a function that starts a sensor over datasets and gives a function that takes one look."""

    def start(**datasets):
        settings = load_settings(home=tmp_path / "home", datasets=datasets)
        sensor = raw_files_sensor(Project(settings, Paths(settings.home)))
        tables = ("products", "shards", "ablation_budget")
        keys = [[name, table] for name in datasets for table in tables] + [["results", "report"]]
        job = dg.define_asset_job("full_eval", selection='* and not key:"*/ablation_budget"')
        definitions = dg.Definitions([dg.AssetSpec(key) for key in keys], jobs=[job], sensors=[sensor])
        memory = {"cursor": None}

        def look(cursor=None):
            context = dg.build_sensor_context(
                dg.DagsterInstance.ephemeral(),
                cursor=cursor or memory["cursor"],
                repository_def=definitions.get_repository_def(),
            )
            result = sensor.evaluate_tick(context)
            memory["cursor"] = result.cursor
            return result

        return look

    return start


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "a.csv").write_text("title\ncoat\n")
    return folder


def settled(look):
    """Look until the files that are there have been asked for."""
    look()
    assert len(look().run_requests) == 1


def test_it_is_started_by_hand_and_looks_once_a_minute(tmp_path):
    sensor = raw_files_sensor(Project(load_settings(home=tmp_path), Paths(tmp_path)))
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    assert (sensor.minimum_interval_seconds, sensor.job_name) == (60, "full_eval")


def test_new_files_are_asked_for_once_at_the_second_look(watch, raw):
    look = watch(shop=own(raw))
    first, second, third = look(), look(), look()
    assert not first.run_requests
    assert "shop" in first.skip_message
    [request] = second.run_requests
    assert request.tags[DATASETS_TAG] == "shop"
    assert request.asset_selection is None, "the whole job"
    assert not third.run_requests
    assert third.skip_message == "raw files are as they were"


@pytest.mark.parametrize("change", ["new file", "appended", "touched", "removed", "replaced by one of the same size"])
def test_every_change_is_noticed(watch, raw, change):
    (raw / "b.csv").write_text("title\nhat\n")
    look = watch(shop=own(raw))
    settled(look)
    if change == "new file":
        (raw / "c.csv").write_text("title\nbelt\n")
    elif change == "appended":
        with (raw / "a.csv").open("a") as stream:
            stream.write("shoe\n")
    elif change == "touched":
        os.utime(raw / "a.csv", ns=(1, 1))
    elif change == "removed":
        (raw / "b.csv").unlink()
    else:
        (raw / "new").write_text("title\ncape\n")
        (raw / "new").replace(raw / "a.csv")
    assert not look().run_requests
    assert len(look().run_requests) == 1
    assert not look().run_requests


def test_a_file_that_is_being_written_is_waited_for(watch, raw):
    look = watch(shop=own(raw))
    settled(look)
    for _ in range(3):
        with (raw / "a.csv").open("a") as stream:
            stream.write("more\n")
        found = look()
        assert not found.run_requests
        assert "being written" in found.skip_message
    assert len(look().run_requests) == 1


def test_a_file_under_a_hidden_name_is_not_there_yet(watch, raw):
    look = watch(shop=own(raw))
    settled(look)
    (raw / ".b.csv.part").write_text("half")
    assert look().skip_message == "raw files are as they were"


def test_a_missing_place_is_named_and_found_when_it_comes(watch, tmp_path):
    look = watch(shop=own(tmp_path / "nowhere"))
    found = look()
    assert not found.run_requests
    assert "shop: " in found.skip_message
    assert "nowhere/*.csv: nothing there" in found.skip_message
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere" / "a.csv").write_text("a")
    settled(look)


def test_a_place_that_is_away_for_a_while_asks_for_nothing(watch, raw, tmp_path):
    look = watch(shop=own(raw))
    settled(look)
    raw.rename(tmp_path / "unmounted")
    assert "nothing there" in look().skip_message
    (tmp_path / "unmounted").rename(raw)
    assert look().skip_message == "raw files are as they were"


def test_one_dataset_that_is_not_ready_does_not_hold_up_another(watch, raw, tmp_path):
    look = watch(shop=own(raw), late=own(tmp_path / "late"))
    look()
    [request] = look().run_requests
    assert request.tags[DATASETS_TAG] == "shop"
    assert {tuple(key.path) for key in request.asset_selection} == {
        ("shop", "products"),
        ("shop", "shards"),
        ("results", "report"),
    }


def test_two_changed_datasets_are_one_run_of_everything(watch, raw, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.csv").write_text("b")
    look = watch(shop=own(raw), other=own(other))
    look()
    [request] = look().run_requests
    assert request.tags[DATASETS_TAG] == "shop,other"
    assert request.asset_selection is None


def test_the_run_key_is_of_the_files_and_repeats_only_if_the_look_does(watch, raw):
    look = watch(shop=own(raw))
    settled(look)
    keys = []
    for text in ("title\nred\n", "title\nblue\n", "title\nred\n"):
        (raw / "a.csv").write_text(text)
        os.utime(raw / "a.csv", ns=(len(text), 1_000))
        waiting = look().cursor
        [request] = look().run_requests
        [again] = look(waiting).run_requests
        assert again.run_key == request.run_key, "a look that was repeated after a crash starts no second run"
        keys.append(request.run_key)
    assert len(set(keys)) == 3, "back to earlier content is a change like any other"


@pytest.mark.parametrize(
    "cursor",
    [
        "", "garbage", "[]", "7", "null", '{"shop": "abc"}', '{"datasets": {"shop": 7}, "requests": 0}',
        '{"datasets": {"gone": {"seen": "x", "requested": "y"}}, "requests": 3}', '{"datasets": [], "requests": 1}',
    ],
)  # fmt: skip
def test_a_cursor_of_an_older_version_is_begun_anew(watch, raw, cursor):
    look = watch(shop=own(raw))
    found = look(cursor)
    assert not found.run_requests
    assert set(json.loads(found.cursor)["datasets"]) == {"shop"}
    assert len(look().run_requests) == 1


def test_synthetic_datasets_have_nothing_to_watch(watch):
    look = watch(fashiongen=DatasetSettings(kind="fashiongen"))
    assert "synthetic" in look().skip_message


def test_of_fashiongen_only_the_two_files_are_looked_at(watch, tmp_path):
    folder = tmp_path / "fg"
    folder.mkdir()
    look = watch(fashiongen=DatasetSettings(kind="fashiongen", folder=str(folder)))
    assert "fashiongen_256_256_train.h5: nothing there" in look().skip_message
    for name in SPLITS:
        (folder / name).write_bytes(b"h5")
    settled(look)
    (folder / "notes.txt").write_text("mine")
    assert look().skip_message == "raw files are as they were"


def test_photos_are_not_gone_through_but_a_new_one_is_noticed(watch, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.jpg").write_bytes(b"a")
    (tmp_path / "meta.json").write_text("{}")
    (tmp_path / "reviews.json").write_text("{}")
    places = {name: str(tmp_path / file) for name, file in {"metadata": "meta.json", "reviews": "reviews.json"}.items()}
    look = watch(amazon=DatasetSettings(kind="amazon", images=str(images), **places))
    settled(look)
    (images / "b.jpg").write_bytes(b"b")
    settled(look)
    (tmp_path / "reviews.json").write_text("{}\n{}")
    settled(look)


def test_places_at_urls_are_watched_too(watch):
    folder = "memory://sensor-raw"
    with fsspec.open(f"{folder}/a.csv", "wb") as stream:
        stream.write(b"one")
    look = watch(shop=own(folder, images="memory://sensor-photos"))
    assert "sensor-photos: nothing there" in look().skip_message
    with fsspec.open("memory://sensor-photos/a.jpg", "wb") as stream:
        stream.write(b"a")
    settled(look)
    with fsspec.open(f"{folder}/a.csv", "wb") as stream:
        stream.write(b"two")
    settled(look)


def test_a_protocol_without_its_package_is_said_and_nothing_else_stops(watch, raw):
    look = watch(shop=own(raw), far=own("no-such://bucket"))
    assert "no-such" in look().skip_message
    assert len(look().run_requests) == 1
