"""Whole or not at all, and fingerprints."""

import json

import pytest

from eiclip.errors import CorruptOutputError
from eiclip.storage.cache import content_of, make_once
from eiclip.storage.files import digest, whole_file, whole_folder, write_json, write_text


def test_a_failed_file_leaves_the_old_one_and_nothing_else(tmp_path):
    place = tmp_path / "deep" / "a.txt"
    write_text(place, "old")
    with pytest.raises(RuntimeError), whole_file(place) as part:
        part.write_text("half")
        raise RuntimeError
    assert place.read_text() == "old"
    assert list(place.parent.iterdir()) == [place]


def test_a_failed_folder_leaves_the_old_one_and_nothing_else(tmp_path):
    place = tmp_path / "folder"
    with whole_folder(place) as part:
        (part / "a").write_text("old")
    with pytest.raises(RuntimeError), whole_folder(place) as part:
        (part / "a").write_text("half")
        raise RuntimeError
    assert (place / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]


def test_a_new_folder_replaces_the_old_one_whole(tmp_path):
    for name in ("a", "b"):
        with whole_folder(tmp_path / "folder") as part:
            (part / name).write_text(name)
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["b"]


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_digests_ignore_key_order_and_see_values():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


class Maker:
    """Writes a file and counts how often."""

    def __init__(self, output, text="content"):
        self.output, self.text, self.calls = output, text, 0

    def __call__(self):
        self.calls += 1
        write_text(self.output, self.text)
        return {"calls": self.calls}


def test_made_once_while_inputs_stay(tmp_path):
    make = Maker(tmp_path / "out")
    first, second = (make_once(make.output, {"seed": 1}, make) for _ in range(2))
    assert (first.reused, second.reused, make.calls) == (False, True, 1)
    assert second.facts == {"calls": 1}
    assert first.content == second.content == content_of(make.output)


def test_made_again_when_inputs_change_or_the_output_is_gone(tmp_path):
    make = Maker(tmp_path / "out")
    make_once(make.output, {"seed": 1}, make)
    make_once(make.output, {"seed": 2}, make)
    make.output.unlink()
    assert not make_once(make.output, {"seed": 2}, make).reused
    assert make.calls == 3


def test_equal_content_has_an_equal_digest_whatever_it_was_made_from(tmp_path):
    make = Maker(tmp_path / "out")
    contents = {make_once(make.output, {"comment": n}, make).content for n in range(2)}
    assert len(contents) == 1


def test_an_interrupted_stage_is_not_taken_for_made(tmp_path):
    make = Maker(tmp_path / "out")
    make_once(make.output, {"seed": 1}, make)

    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make_once(make.output, {"seed": 2}, fail)
    with pytest.raises(CorruptOutputError, match="materialise"):
        content_of(make.output)
    assert not make_once(make.output, {"seed": 1}, make).reused


def test_a_stage_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(CorruptOutputError, match="without writing"):
        make_once(tmp_path / "out", {}, dict)


def test_the_record_says_what_it_was_made_from(tmp_path):
    make = Maker(tmp_path / "out")
    make_once(make.output, {"seed": 1}, make)
    assert json.loads((tmp_path / "out.made.json").read_text())["inputs"] == {"seed": 1}
