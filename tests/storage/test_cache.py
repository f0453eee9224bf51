"""What identifies an output, and when it is made again."""

import json
from pathlib import Path

import pytest

from eiclip.files import whole_folder, write_json, write_text
from eiclip.storage.cache import MANIFEST, content_digest, make_once, remembered


def fill(folder, **contents):
    with whole_folder(folder) as part:
        for name, text in contents.items():
            (part / name).write_text(text)
    return folder


def test_a_file_is_identified_by_its_bytes_alone(tmp_path):
    write_text(tmp_path / "a", "same")
    write_text(tmp_path / "b", "same")
    write_text(tmp_path / "c", "other")
    assert content_digest(tmp_path / "a") == content_digest(tmp_path / "b") != content_digest(tmp_path / "c")


@pytest.mark.parametrize(
    "other", [{"a": "1", "b": "3"}, {"a": "1"}, {"a": "1", "c": "2"}, {"a": "2", "b": "1"}, {"a": "12", "b": ""}]
)
def test_a_folder_is_identified_by_its_names_and_contents(tmp_path, other):
    here = content_digest(fill(tmp_path / "one", a="1", b="2"))
    assert content_digest(fill(tmp_path / "two", b="2", a="1")) == here
    assert content_digest(fill(tmp_path / "three", **other)) != here


def test_a_folder_with_a_manifest_is_identified_by_it(tmp_path):
    folder = fill(tmp_path / "model", **{"weights": "1", MANIFEST: '{"weights": "x"}'})
    here = content_digest(folder)
    (folder / "training_log.parquet").write_text("timings, different every run")
    assert content_digest(folder) == here
    write_json(folder / MANIFEST, {"weights": "y"})
    assert content_digest(folder) != here


def test_a_folder_that_is_gone_or_has_lost_its_record_is_made_again(tmp_path):
    output, calls = tmp_path / "out", []

    def make():
        calls.append(fill(output, a="1"))
        return {"files": 1}

    made = make_once(output, {}, make)
    assert make_once(output, {}, make).reused
    (output / "a").unlink()
    output.rmdir()
    assert make_once(output, {}, make).content == made.content
    (tmp_path / "out.made.json").unlink()
    assert not make_once(output, {}, make).reused
    assert len(calls) == 3


def test_inputs_are_compared_by_value_and_the_old_is_not_brought_back(tmp_path):
    output = tmp_path / "out"
    made = []
    for inputs in ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}, {"a": 1, "b": [2, 1]}, {"a": 1, "b": [1, 2]}):
        text = json.dumps(inputs)
        made.append(make_once(output, inputs, lambda text=text: write_text(output, text) or {}))
    assert [record.reused for record in made] == [False, True, False, False]
    assert output.read_text() == '{"a": 1, "b": [1, 2]}'


def test_a_failed_remaking_leaves_the_old_output_but_not_its_record(tmp_path):
    output = tmp_path / "out"
    make_once(output, {"seed": 1}, lambda: write_text(output, "old") or {})

    def fail():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_once(output, {"seed": 2}, fail)
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    assert output.read_text() == "old"


def test_inputs_may_hold_what_their_digest_takes(tmp_path):
    """`digest` writes a path as its text: the record has to as well, or an hour's work ends in a TypeError."""
    output = tmp_path / "out"
    made = make_once(output, {"raw": Path("/data/raw")}, lambda: write_text(output, "rows") or {})
    assert not made.reused
    assert make_once(output, {"raw": Path("/data/raw")}, dict).reused


def test_what_took_long_is_remembered_for_as_long_as_its_key_holds(tmp_path):
    record, calls = tmp_path / "part" / "photos.json", []

    def compute(value):
        return lambda: calls.append(value) or value

    assert remembered(record, {"raw": "1", "rows": [1, 2]}, compute("a")) == "a"
    assert remembered(record, {"rows": [1, 2], "raw": "1"}, compute("b")) == "a"
    assert remembered(record, {"raw": "2", "rows": [1, 2]}, compute("c")) == "c"
    assert remembered(record, {"raw": "1", "rows": [1, 2]}, compute("d")) == "d", "one value is kept, not a history"
    record.unlink()
    assert remembered(record, {"raw": "1", "rows": [1, 2]}, compute("e")) == "e"
    assert calls == ["a", "c", "d", "e"]


def test_a_failure_to_compute_is_not_remembered(tmp_path):
    def fail():
        raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk"):
        remembered(tmp_path / "photos.json", 1, fail)
    assert remembered(tmp_path / "photos.json", 1, lambda: "a") == "a"
