import doctest
import time

import pytest

from eiclip.readers import cells, texts
from eiclip.readers.amazon import metadata as amazon_records
from eiclip.readers.texts import clean_description, normalise_entity, storable


@pytest.mark.parametrize("module", [texts, cells, amazon_records])
def test_examples_in_docstrings_hold(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("appliqu\u00e9 at collar", "appliqu\u00e9 at collar"),
        ("a<BR/>b<br >c", "a b c"),
        ("<style>.a{color:red}</style>Dress", "Dress"),
        ("Dress<script>var a = 1;", "Dress"),
        ("5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        ("tab\tline\r\nnul\x00bell\x07", "tab line nul bell"),
        ("zero\u200bwidth \ufeffmark soft\u00adhyphen", "zerowidth mark softhyphen"),
        ("cut at the end \u00ef\u00bf", "cut at the end"),
        ("na\u00efve", "na\u00efve"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("e\u0301", "\u00e9"),
        ("&#" + "1" * 5000 + ";x", "x"),
        (" \ufffd\ufffd ", ""),
    ],
)
def test_clean_description(raw, clean):
    assert clean_description(raw) == clean


@pytest.mark.parametrize("piece", ["<style", "<style>", "<!--", "<a ", "</style ", "&amp;", "\u00ef", "&#"])
def test_cleaning_stays_linear_on_hostile_text(piece):
    started = time.process_time()
    clean_description(piece * 100_000)
    assert time.process_time() - started < 2  # a quadratic pattern takes minutes


def test_entities_of_one_name_agree():
    assert {normalise_entity(text) for text in ("Chlo\u00e9", " CHLOE\u0301 ", "Chlo&eacute;")} == {"chlo\u00e9"}


def test_storable_text_can_be_encoded():
    assert storable("\udfff\x00").encode() == "\ufffd\ufffd".encode()
