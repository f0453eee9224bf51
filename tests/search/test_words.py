"""Words against BM25 written out; folding, plurals, synonyms, and scripts without spaces."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eiclip.errors import RawDataError
from eiclip.search.words import COVERAGE, SYNONYMS, Tokenizer, WordIndex, read_synonym_table, synonym_table
from eiclip.storage.home import Paths

TITLES = ["Red coat", "Blue coats, blue", "Shoe", None, "Étoile bleue"]
NOTES = ["a warm coat of wool", "", "red leather shoes", "x", "étoile"]


def bm25(texts, tokens, k1=1.5, b=0.75):
    """Lucene's BM25, each token of the query once, by a loop."""
    counts = [Counter(text) for text in texts]
    mean = sum(map(len, texts)) / len(texts)
    scores = np.zeros(len(texts))
    for token in tokens:
        having = sum(token in count for count in counts)
        idf = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
        for row, count in enumerate(counts):
            scores[row] += idf * count[token] / max(1e-9, count[token] + k1 * (1 - b + b * len(texts[row]) / mean))
    return scores


def test_scores_are_bm25_by_field_as_a_share_of_the_rarities():
    index = WordIndex({"title": TITLES, "note": NOTES}, Tokenizer())
    by_field = {"title words": [["red", "coat"], ["blue", "coat", "blue"], ["shoe"], [], ["etoil", "bleue"]],
                "note words": [["warm", "coat", "wool"], [], ["red", "leather", "shoe"], ["x"], ["etoil"]]}  # fmt: skip
    both = [list({*title, *note}) for title, note in zip(*by_field.values(), strict=True)]
    tokens = index.tokens("Coats in RED, red, zebra")
    assert tokens == ["coat", "red", "zebra"]
    rarity = {token: bm25([*both], [token], k1=0).max() for token in tokens}
    rarity["zebra"] = math.log(1 + 5.5 / 0.5)
    whole = sum(rarity.values())
    found = index.scores(tokens)
    for field, texts in by_field.items():
        assert found[field] == pytest.approx(bm25(texts, tokens) / whole, abs=1e-6)
    assert found[COVERAGE] == pytest.approx([sum(rarity[t] for t in set(tokens) & set(own)) / whole for own in both])
    assert all(score_N.dtype == np.float32 for score_N in found.values())


def test_words_that_no_product_has():
    index = WordIndex({"title": TITLES}, Tokenizer())
    assert {name: score_N.tolist() for name, score_N in index.scores(["zebra"]).items()} == {
        COVERAGE: [0.0] * 5,
        "title words": [0.0] * 5,
    }
    assert [index.knows(word) for word in ("coat", "Coats", "zebra", "the", "étoile", "ETOILE", "?")] == [
        *(True, True, False, True, True, True, True)
    ]


def test_a_field_without_any_word_counts_for_nothing():
    found = WordIndex({"title": TITLES, "note": [None] * 5}, Tokenizer()).scores(["coat"])
    assert set(found) == {COVERAGE, "title words"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("grey tee", "gray T-shirts"),
        ("Étoile", "ETOILE"),
        ("dresses", "dress"),
        ("Levi's", "levis"),
        ("trackpants", "track pant"),
        ("rucksack", "Back-pack"),
        ("I'm sure we need some red shoes, please", "sure red shoes"),
    ],
)
def test_what_means_the_same(one, other):
    tokenizer = Tokenizer.open()
    assert tokenizer.tokens(one) == tokenizer.tokens(other)


def test_scripts_without_spaces_are_read_in_pairs_of_letters():
    index = WordIndex({"title": ["赤いリンネルのコート", "青い靴", "กระเป๋าหนัง", "लाल कोट"]}, Tokenizer())
    assert index.scores(index.tokens("コート"))["title words"].argmax() == 0
    assert index.scores(index.tokens("หนัง"))["title words"].argmax() == 2
    assert index.scores(index.tokens("कोट"))["title words"].argmax() == 3


def test_a_home_has_a_table_of_its_own(tmp_path):
    home = Paths(tmp_path)
    assert synonym_table(home) == SYNONYMS
    own = tmp_path / "search" / "synonyms.csv"
    own.parent.mkdir()
    own.write_text("# ours\n\nclog, wooden shoe\n", encoding="utf-8")
    assert Tokenizer.open(synonym_table(home)).tokens("wooden shoes, tee") == ["clog", "tee"]
    own.write_text("clog\n", encoding="utf-8")
    with pytest.raises(RawDataError, match="line 1: 'clog' has no synonym"):
        read_synonym_table(own)


@given(st.text(max_size=60))
def test_no_text_is_too_odd(text):
    tokenizer = Tokenizer.open()
    tokens = tokenizer.tokens(text)
    assert tokens == tokenizer.tokens(text)
    assert all(tokens)
    WordIndex({"title": [text, "coat"]}, tokenizer).scores(tokens)
