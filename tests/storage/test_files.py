"""Whole or not at all, and fingerprints."""

import pytest

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
