"""Token counts as the models' own tokenizer makes them, and the context that descriptions are cut at."""

import random
import string

import open_clip
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.errors import WeightsError
from eiclip.model.pretrained import configured_tokenizer
from eiclip.model.sources import SMALL
from eiclip.model.tokenizer import Tokenizer, clip_tokenizer
from eiclip.model.towers import new_towers
from eiclip.profile.tokens import LONGEST_WORD, TOKENS_SCHEMA, token_counts, token_table
from tests.kinds import KINDS, make

TEXTS = ["", "A coat.", "Skinny-fit jeans in black & navy.", "Logo appliqué — 'tonal'", "&amp;lt;b&amp;gt; 100% silk!",
         "コート", "don't I'M",
         "tab\there\x00\x07", "<start_of_text> x <end_of_text>", "12345", "ﬁne   print\u00a0",
         "hot!🔥 sneaker", "!™!®"]  # fmt: skip

CLIP = clip_tokenizer()


@given(st.lists(st.text(max_size=60) | st.text(string.printable, max_size=60) | st.sampled_from(TEXTS), max_size=6))
def test_counts_are_those_of_the_models_tokenizer(texts):
    assert token_counts(texts, CLIP).tolist() == [clip_tokenizer().count(text) + 2 for text in texts]


@pytest.mark.parametrize("text", TEXTS)
def test_counts_are_the_lengths_of_what_the_models_read(text):
    [count] = token_counts([text], CLIP)
    assert clip_tokenizer(200).lengths(clip_tokenizer(200)([text])).tolist() == [count]


def test_counts_are_of_the_text_before_any_cut():
    assert token_counts(["coat " * 300], CLIP).tolist() == [302]
    assert clip_tokenizer().lengths(clip_tokenizer()(["coat " * 300])).tolist() == [77]


def test_endless_words_are_counted_in_pieces():
    word = "".join(random.Random(0).choices(string.ascii_lowercase, k=100 * LONGEST_WORD))
    [count] = token_counts([word], CLIP)
    pieces = [word[start : start + LONGEST_WORD] for start in range(0, len(word), LONGEST_WORD)]
    assert count - 2 == sum(token_counts(pieces, CLIP)) - 2 * len(pieces)


def test_table_has_a_row_per_product_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr("eiclip.profile.tokens.BATCH", 2)
    products = {
        "dataset": ["d"] * 4,
        "product_id": ["c", "a", "b", "d"],
        "description": ["A coat.", None, "", "A coat."],
    }
    pq.write_table(pa.table(products), tmp_path / "products.parquet")
    table = token_table(tmp_path / "products.parquet", "d", CLIP)
    assert table.schema == TOKENS_SCHEMA
    assert table["product_id"].to_pylist() == products["product_id"]
    assert table["tokens"].to_pylist() == [5, 2, 2, 5]
    pq.write_table(pa.table(products).slice(0, 0), tmp_path / "none.parquet")
    assert token_table(tmp_path / "none.parquet", "d", CLIP).num_rows == 0


@pytest.mark.parametrize("kind", ["siglip", "bert", "own end"])
def test_counts_are_those_of_the_towers_own_tokenizer(tmp_path, kind):
    make(kind, tmp_path / "copy")
    tokenizer = configured_tokenizer("ignored", str(tmp_path / "copy"))
    text = KINDS[kind]["text_cfg"]
    theirs = open_clip.tokenizer.HFTokenizer(str(tmp_path / "copy"), 400, **text.get("tokenizer_kwargs", {}))
    end = theirs.tokenizer.eos_token_id
    wanted = [row.index(end) + 1 for row in theirs([*TEXTS, "coat " * 90]).tolist()]
    assert token_counts([*TEXTS, "coat " * 90], tokenizer).tolist() == wanted
    assert tokenizer.context_length == 20


def test_counts_with_clips_tokenizer_set_up_otherwise():
    tokenizer = Tokenizer({"text_cfg": {"tokenizer_kwargs": {"clean": "canonicalize"}}})
    assert token_counts(["A coat.", "a coat"], tokenizer).tolist() == [4, 4]


def test_tokenizers_of_the_settings():
    for named in ("general", "openai", "starter"):
        towers = new_towers(SMALL, 0) if named == "general" else None
        found = configured_tokenizer("ViT-B-32", named)
        assert found.context_length == {"general": 64, "openai": 77, "starter": 128}[named]
        assert towers is None or towers.context_length == found.context_length
    assert configured_tokenizer("ViT-B-32", "starter").count("a coat") == 2


def test_an_unknown_model_is_refused():
    with pytest.raises(WeightsError, match="no-such-model"):
        configured_tokenizer("no-such-model", "openai")
