"""What identifies an output, and when it is made again."""

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest

from eiclip.errors import CorruptOutputError
from eiclip.storage.cache import MANIFEST, content_digest, content_of, differences, make_once, remembered, why_stale
from eiclip.storage.code_version import CodeVersion
from eiclip.storage.files import whole_folder, write_json, write_text


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
        made.append(make_once(output, inputs, lambda text=text: write_text(output, text) or {"text": text}))
        assert json.loads((tmp_path / "out.made.json").read_text())["inputs"] == inputs
    assert [record.reused for record in made] == [False, True, False, False]
    assert made[1].facts == {"text": '{"a": 1, "b": [1, 2]}'}
    assert made[0].content == made[1].content == made[3].content == content_of(output)
    assert output.read_text() == '{"a": 1, "b": [1, 2]}'


def test_a_failed_remaking_leaves_the_old_output_but_not_its_record(tmp_path):
    output = tmp_path / "out"

    def make():
        return write_text(output, "old") or {}

    def fail():
        raise OSError("disk full")

    make_once(output, {"seed": 1}, make)
    with pytest.raises(OSError, match="disk full"):
        make_once(output, {"seed": 2}, fail)
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    assert output.read_text() == "old"
    with pytest.raises(CorruptOutputError, match="materialise"):
        content_of(output)
    assert not make_once(output, {"seed": 1}, make).reused


def test_a_step_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(CorruptOutputError, match="without writing"):
        make_once(tmp_path / "out", {}, dict)


def test_inputs_may_hold_what_their_digest_takes(tmp_path):
    """`digest` writes a path as its text: the record has to as well, or an hour's work ends in a TypeError."""
    output = tmp_path / "out"
    made = make_once(output, {"raw": Path("/data/raw")}, lambda: write_text(output, "rows") or {})
    assert not made.reused
    assert make_once(output, {"raw": Path("/data/raw")}, dict).reused


def test_what_took_long_is_remembered_for_as_long_as_its_key_holds(tmp_path):
    record, calls = tmp_path / "part" / "photos.json", []

    def once(key, value):
        return remembered(record, key, lambda: calls.append(value) or value)

    def fail():
        raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk"):
        remembered(record, {"raw": "1", "rows": [1, 2]}, fail)
    assert once({"raw": "1", "rows": [1, 2]}, "a") == "a", "a failure is not remembered"
    assert once({"rows": [1, 2], "raw": "1"}, "b") == "a"
    assert once({"raw": "2", "rows": [1, 2]}, "c") == "c"
    assert once({"raw": "1", "rows": [1, 2]}, "d") == "d", "one value is kept, not a history"
    record.unlink()
    assert once({"raw": "1", "rows": [1, 2]}, "e") == "e"
    assert calls == ["a", "c", "d", "e"]
    for damaged in ("", "{", "[]", '{"key": 1}'):
        record.write_text(damaged)
        assert once(1, damaged) == damaged


class Made:
    """An output of a file and of a folder with a manifest, and how often they were made."""

    def __init__(self, root):
        self.file, self.folder, self.calls = root / "rows.parquet", root / "model", 0

    def once(self, output, inputs=None, **given):
        def make():
            self.calls += 1
            if output == self.file:
                write_text(self.file, "rows")
            else:
                fill(self.folder, weights="w" * 9, **{MANIFEST: json.dumps({"weights": sha256(b"w" * 9).hexdigest()})})
            return {"calls": self.calls}

        return make_once(output, inputs or {"parameters": {"seed": 1}}, make, **given)


@pytest.fixture(params=["file", "folder"])
def made(request, tmp_path):
    """Of one of the two: how it is made, where it lies, the file of it to damage, and its record."""
    known = Made(tmp_path)
    output = getattr(known, request.param)
    known.once(output)
    return known, output, output if output.is_file() else output / "weights", tmp_path / f"{output.name}.made.json"


RECORDS = {
    "empty": lambda text: "",
    "cut": lambda text: text[: len(text) // 2],
    "no JSON": lambda text: "not json",
    "another thing": lambda text: "[1, 2]",
    "of an older version": lambda text: text.replace('"format": 2', '"format": 1'),
    "without a version": lambda text: text.replace('"format": 2,', ""),
    "without its content": lambda text: text.replace('"content"', '"contents"'),
    "with inputs of another kind": lambda text: json.dumps(json.loads(text) | {"inputs": 3}),
    "with stamps of another kind": lambda text: json.dumps(json.loads(text) | {"stamps": None}),
    "not text": lambda text: "\udcff",
}


@pytest.mark.parametrize("damage", RECORDS.values(), ids=RECORDS)
def test_a_record_that_cannot_be_gone_by_is_never_a_traceback_and_never_reused(made, damage):
    known, output, _, record = made
    record.write_text(damage(record.read_text()), encoding="utf-8", errors="surrogateescape")
    reason = why_stale(output, {"parameters": {"seed": 1}})
    assert reason
    assert "record" in reason
    with pytest.raises(CorruptOutputError, match="record .*materialise"):
        content_of(output)
    again = known.once(output)
    assert (again.reused, again.reason, known.calls) == (False, reason, 2)
    assert known.once(output).reused
    assert json.loads(record.read_text())["reason"] == reason


def test_an_output_that_is_gone_is_made_again(made):
    known, output, file, record = made
    file.unlink()
    assert known.once(output).reason.endswith("gone")
    record.unlink()
    assert "no record" in known.once(output).reason
    assert known.calls == 3


@pytest.mark.parametrize("same_size", [True, False])
def test_an_output_that_was_edited_is_made_again_and_never_taken_as_a_source(made, same_size):
    known, output, file, _ = made
    content = file.read_text()
    file.write_text("x" * len(content) if same_size else content + "x")
    with pytest.raises(CorruptOutputError, match="edited"):
        content_of(output)
    again = known.once(output)
    assert again.reason == f"{file.name} was edited after it was made"
    assert known.once(output).reused
    assert file.read_text() == content


def test_an_output_that_was_only_copied_or_touched_is_reused(made):
    known, output, file, record = made
    os.utime(file, ns=(1, 1))
    assert known.once(output).reused
    assert json.loads(record.read_text())["stamps"]["" if output == file else "weights"][1] == 1, "not read again"


def test_a_file_added_to_a_folder_with_a_manifest_is_not_its_content(made):
    known, output, _, _ = made
    if output.is_dir():
        (output / "README.md").write_text("a card")
    assert known.once(output).reused


def test_files_written_beside_an_output_are_there_with_it_or_made_again(tmp_path):
    output, beside, calls = tmp_path / "a", tmp_path / "b", []

    def make():
        calls.append(1)
        write_text(output, "a")
        write_text(beside, f"b{len(calls)}")
        return {}

    def once():
        return make_once(output, {"seed": 1}, make, beside=[beside])

    once()
    assert once().reused
    assert content_of(beside) == content_digest(beside)
    beside.unlink()
    assert "gone" in once().reason
    beside.write_text("other")
    assert "edited" in once().reason
    assert once().reused
    assert len(calls) == 3


def code(files, packages, digest="d"):
    return {"version": digest, "files": files, "packages": packages}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"a.py": "1"}, {"a.py": "2"}, ["a.py changed"]),
        ({"a.py": "1"}, {"a.py": "1", "b.py": "1"}, ["b.py is used now"]),
        ({"a.py": "1", "b.py": "1"}, {"a.py": "1"}, ["b.py is no longer used"]),
        (dict.fromkeys("abcde", "1"), {}, [*(f"{name} is no longer used" for name in "abc"), "2 more source files"]),
    ],
)
def test_changes_of_code_are_named_by_file(old, new, told):
    assert differences({"code": code(old, {})}, {"code": code(new, {}, "e")}) == told


def test_changes_of_packages_settings_and_sources_are_named():
    old = {
        "code": code({}, {"torch": "2.12.1", "duckdb": "2.0.0"}),
        "parameters": {"job": {"seed": 0, "training": {"epochs": 3}}},
        "sources": {"shards": "a", "products": "b", "raw_files": {"x.h5": [1, 2], "y.h5": [1, 2], "z.h5": [1, 1]}},
    }
    new = {
        "code": code({}, {"torch": "2.13.0", "duckdb": "2.0.0"}, "e"),
        "parameters": {"job": {"seed": 0, "training": {"epochs": 6}}},
        "sources": {"shards": "a", "products": "c", "raw_files": {"x.h5": [1, 3], "y.h5": [2, 2], "w.h5": [1, 1]}},
    }
    assert differences(old, new) == [
        "torch 2.12.1 -> 2.13.0",
        "job.training.epochs 3 -> 6",
        "products changed",
        "4 raw files changed",
    ]


def test_one_raw_file_is_named():
    old, new = ({"sources": {"raw_files": {"x.h5": [1, time], "y.h5": [1, 2]}}} for time in (2, 3))
    assert differences(old, new) == ["1 raw file changed: x.h5"]


def test_code_that_only_lies_elsewhere_is_the_same(tmp_path):
    output = tmp_path / "out"
    here, there = (CodeVersion("d", {name: "1"}, {}) for name in ("a.py", "b.py"))
    make_once(output, {"code": here}, lambda: write_text(output, "x") or {})
    assert make_once(output, {"code": there}, dict).reused


def test_code_edited_while_an_output_is_made_makes_it_again(tmp_path, monkeypatch):
    """What was loaded after the edit may be new, what before it old: nobody can say which version made it."""
    output, edits = tmp_path / "out", [["eiclip/a.py"], []]
    monkeypatch.setattr(CodeVersion, "edited", lambda self: edits.pop(0))
    version = CodeVersion("d", {"eiclip/a.py": "1"}, {})
    for _ in range(2):
        made = make_once(output, {"code": version}, lambda: write_text(output, "x") or {})
        assert not made.reused
    assert made.reason == "its code was edited while it ran: eiclip/a.py"
    assert make_once(output, {"code": version}, dict).reused
