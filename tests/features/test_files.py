"""Files of features come back as they were written, or not at all."""

import pytest
import torch

from eiclip.errors import CorruptOutputError, NonFiniteError
from eiclip.features.files import as_bytes, as_texts, read_features, write_features

TENSORS = {"photos": torch.randn(5, 2, 3), "ids": as_bytes(["a", "ü"]), "lengths": torch.tensor([1, 2]).int()}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "features" / "shard-0.safetensors"
    write_features(path, TENSORS, "these towers")
    return path


def test_they_come_back_in_half_precision(file):
    found = read_features(file, lambda tensors: "these towers")
    assert found["photos"].dtype == torch.float16
    assert torch.allclose(found["photos"].float(), TENSORS["photos"], atol=2e-3)
    assert torch.equal(found["lengths"], TENSORS["lengths"])
    assert as_texts(found["ids"]) == ["a", "ü"]


@pytest.mark.parametrize("place", [9, 300, -1])
def test_a_flipped_byte_is_found(file, place):
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorruptOutputError, match="materialise `features` again"):
        read_features(file)


def test_every_flipped_byte_of_the_tensors_is_found(file):
    content = file.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    for place in range(begin, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 128
        file.write_bytes(damaged)
        with pytest.raises(CorruptOutputError, match="not as they were written"):
            read_features(file)


@pytest.mark.parametrize("length", [0, 5, 200, -1])
def test_half_a_file_is_found(file, length):
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(CorruptOutputError, match="features are missing or half written"):
        read_features(file)


def test_a_missing_file_and_one_of_something_else_are_refused(file):
    with pytest.raises(CorruptOutputError, match="other towers, settings or photos"):
        read_features(file, lambda tensors: "other towers")
    file.unlink()
    with pytest.raises(CorruptOutputError, match="missing or half written"):
        read_features(file)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e5])
def test_what_is_not_finite_in_half_precision_is_not_written(tmp_path, value):
    path = tmp_path / "shard.safetensors"
    with pytest.raises(NonFiniteError, match="photos: a feature is NaN"):
        write_features(path, {"photos": torch.tensor([1.0, value])}, "these towers")
    assert list(tmp_path.iterdir()) == []
