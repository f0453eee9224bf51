"""Token counts as the models' own tokenizer makes them, and the context that descriptions are cut at."""

import json
import random
import string

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.errors import WeightsError
from eiclip.model.sources import CONFIG_FILE, SMALL
from eiclip.model.tokenizer import clip_tokenizer
from eiclip.model.towers import new_towers
from eiclip.profile.tokens import LONGEST_WORD, TOKENS_SCHEMA, configured_context_length, token_counts, token_table

TEXTS = ["", "A coat.", "Skinny-fit jeans in black & navy.", "Logo appliqué — 'tonal'", "&amp;lt;b&amp;gt; 100% silk!",
         "コート", "don't I'M",
         "tab\there\x00\x07", "<start_of_text> x <end_of_text>", "12345", "ﬁne   print\u00a0",
         "hot!🔥 sneaker", "!™!®"]  # fmt: skip


@given(st.lists(st.text(max_size=60) | st.text(string.printable, max_size=60) | st.sampled_from(TEXTS), max_size=6))
def test_counts_are_those_of_the_models_tokenizer(texts):
    assert token_counts(texts).tolist() == [clip_tokenizer().count(text) + 2 for text in texts]


@pytest.mark.parametrize("text", TEXTS)
def test_counts_are_the_lengths_of_what_the_models_read(text):
    [count] = token_counts([text])
    assert clip_tokenizer(200).lengths(clip_tokenizer(200)([text])).tolist() == [count]


def test_counts_are_of_the_text_before_any_cut():
    assert token_counts(["coat " * 300]).tolist() == [302]
    assert clip_tokenizer().lengths(clip_tokenizer()(["coat " * 300])).tolist() == [77]


def test_endless_words_are_counted_in_pieces():
    word = "".join(random.Random(0).choices(string.ascii_lowercase, k=100 * LONGEST_WORD))
    [count] = token_counts([word])
    pieces = [word[start : start + LONGEST_WORD] for start in range(0, len(word), LONGEST_WORD)]
    assert count - 2 == sum(token_counts(pieces)) - 2 * len(pieces)


def test_table_has_a_row_per_product_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr("eiclip.profile.tokens.BATCH", 2)
    products = {
        "dataset": ["d"] * 4,
        "product_id": ["c", "a", "b", "d"],
        "description": ["A coat.", None, "", "A coat."],
    }
    pq.write_table(pa.table(products), tmp_path / "products.parquet")
    table = token_table(tmp_path / "products.parquet", "d")
    assert table.schema == TOKENS_SCHEMA
    assert table["product_id"].to_pylist() == products["product_id"]
    assert table["tokens"].to_pylist() == [5, 2, 2, 5]
    pq.write_table(pa.table(products).slice(0, 0), tmp_path / "none.parquet")
    assert token_table(tmp_path / "none.parquet", "d").num_rows == 0


def test_context_of_the_small_model_of_released_ones_and_of_a_folder(tmp_path):
    assert configured_context_length("ViT-B-32", "general") == new_towers(SMALL, 0).context_length == 64
    assert configured_context_length("ViT-B-32", "openai") == 77
    (tmp_path / CONFIG_FILE).write_text(json.dumps({"model_cfg": {"text_cfg": {"context_length": 40}}}))
    assert configured_context_length("ViT-B-32", str(tmp_path)) == 40


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"model_cfg": {}}', '{"model_cfg": 1}', '{"model_cfg": {"text_cfg": 1}}']
)
def test_a_folder_that_is_not_open_clips_is_refused(tmp_path, content):
    (tmp_path / CONFIG_FILE).write_text(content)
    with pytest.raises(WeightsError, match=CONFIG_FILE):
        configured_context_length("ViT-B-32", str(tmp_path))


def test_an_unknown_model_is_refused():
    with pytest.raises(WeightsError, match="no-such-model"):
        configured_context_length("no-such-model", "openai")
