"""What is kept on disk between searches: the same as made anew, and never that of another model or of other texts."""

import shutil

import numpy as np
import pytest

from eiclip.errors import RawDataError, SettingsError
from eiclip.inference import EntityClip
from eiclip.search import kept
from eiclip.search.kept import KeptTexts
from eiclip.search.words import Tokenizer, WordIndex
from eiclip.storage.cache import read_record
from tests.search.conftest import DATASET

TEXTS, TAGS = ["a coat", "boots", "a coat"], [{"brand": "b0"}, {}, {"brand": ["b1"], "season": "fw2016"}]


@pytest.fixture
def folder(home):
    return home.checkpoint(DATASET, "eiclip")


def without_weights(folder, place):
    """The folder as far as it can be read without a model: whatever encodes with it fails."""
    shutil.copytree(folder, place)
    (place / "open_clip_model.safetensors").write_bytes(b"")
    return place


def test_vectors_and_gates_are_the_models_and_need_no_weights_again(folder, tmp_path):
    plain, first = EntityClip.from_folder(folder), KeptTexts(folder, tmp_path / "kept")
    for model in (first, KeptTexts(without_weights(folder, tmp_path / "bare"), tmp_path / "kept")):
        assert np.allclose(model.encode_text(TEXTS, TAGS), plain.encode_text(TEXTS, TAGS), atol=1e-6)
        assert model.encode_text("boots").shape == (1, plain.width)
        assert model.encode_text([]).shape == (0, plain.width)
        for own, wanted in zip(model.gates(TAGS), plain.gates(TAGS), strict=True):
            assert own == pytest.approx(wanted)
    assert not any("coat" in file.read_text() for file in (tmp_path / "kept").iterdir()), "words are not stored"


def test_of_another_model_nothing_is_taken(home, tmp_path):
    for variant in ("eiclip", "clip_description"):
        folder = home.checkpoint(DATASET, variant)
        found = KeptTexts(folder, tmp_path / "kept").encode_text("a coat")
        assert np.allclose(found, EntityClip.from_folder(folder).encode_text("a coat"), atol=1e-6)
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_the_eldest_go_and_damaged_files_are_made_again(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 3)
    model = KeptTexts(folder, tmp_path)
    for text in "abcde":
        model.encode_text(text)
    assert len(list(tmp_path.iterdir())) == 3
    wanted = model.encode_text("e")
    for file in tmp_path.iterdir():
        file.write_text("{")
    assert np.array_equal(model.encode_text("e"), wanted)


def test_wrong_input_is_told_as_by_the_model(folder, tmp_path):
    model = KeptTexts(folder, tmp_path)
    with pytest.raises(SettingsError, match="1 texts with 2 entities"):
        model.encode_text("x", [{}, {}])
    with pytest.raises(SettingsError, match="did you mean 'brand'"):
        model.encode_text("x", {"brnd": "b0"})
    with pytest.raises(RawDataError, match="text 0: 7 is not a text"):
        model.encode_text([7])


FIELDS = {"title": ["red coat", "blue coats", None], "description": ["a", "warm wool", "red leather"], "tag": [""] * 3}
TAGGED = FIELDS | {"tag": ["acme", "", "nike"]}


def test_a_word_index_on_disk_answers_as_one_made_of_its_texts(tmp_path):
    plain, other, made = Tokenizer(), Tokenizer([["red", "wool"]]), []
    for fields, tokenizer in ((FIELDS, plain), (FIELDS, plain), (TAGGED, plain), (FIELDS, other)):
        own, found = WordIndex(fields, tokenizer), WordIndex.kept(tmp_path / "words", fields, tokenizer)
        for text in ("red wool coat", "leather from nike", "unheard", ""):
            scores, wanted = found.scores(found.tokens(text)), own.scores(own.tokens(text))
            assert scores.keys() == wanted.keys()
            assert all(np.array_equal(scores[name], wanted[name]) for name in wanted)
            assert [found.knows(word) for word in text.split()] == [own.knows(word) for word in text.split()]
        made.append(read_record(tmp_path / "words")[0]["content"])
    assert made[0] == made[1]
    assert len(set(made)) == 3
