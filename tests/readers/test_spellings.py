import pyarrow.parquet as pq
import pytest

from eiclip.errors import SettingsError
from eiclip.readers.records import SCHEMA as RECORDS
from eiclip.readers.spellings import entity_spellings, read_synonyms


@pytest.fixture
def synonyms(tmp_path):
    def write(text, encoding="utf-8"):
        (tmp_path / "synonyms.csv").write_bytes(text.encode(encoding))
        return tmp_path / "synonyms.csv"

    return write


def test_a_file_of_synonyms_is_read_as_records_spell_entities(synonyms):
    file = synonyms('\ufeffspelling,entity\nYSL,Saint  Laurent\n"Yves Saint, Laurent",SAINT LAURENT\nHouse brand,\n')
    found = {"ysl": "saint laurent", "yves saint, laurent": "saint laurent", "house brand": ""}
    assert read_synonyms(file) == found
    assert read_synonyms(None) == {}
    assert read_synonyms(synonyms("spelling,entity\nsaint laurent,Saint Laurent\nysl,saint laurent")) == {
        "saint laurent": "saint laurent", "ysl": "saint laurent"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("brand,name\n", "first line is to be 'spelling,entity', it is .'brand', 'name'."),
        ("", "first line is to be 'spelling,entity', it is None"),
        ("spelling,entity\nysl\n", "line 2: 2 cells are expected"),
        ("spelling,entity\nysl,a,b\n", "line 2: 2 cells are expected"),
        ("spelling,entity\n ,a\n", "line 2: the spelling is empty"),
        ("spelling,entity\nysl,a\nYSL,b\n", "line 3: 'ysl' means 'b' here and 'a' above"),
        ('spelling,entity\n"ysl,a\n', "cannot be read as synonyms"),
    ],
)
def test_what_is_wrong_in_a_file_of_synonyms_is_told_with_its_place(synonyms, text, error):
    file = synonyms(text)
    with pytest.raises(SettingsError, match=error) as raised:
        read_synonyms(file)
    assert str(file) in str(raised.value)


def test_a_file_that_is_not_there_or_no_utf_8_is_told(synonyms, tmp_path):
    with pytest.raises(SettingsError, match=r"none.csv: cannot be read as synonyms"):
        read_synonyms(tmp_path / "none.csv")
    with pytest.raises(SettingsError, match="write a CSV file in UTF-8"):
        read_synonyms(synonyms("spelling,entity\nhermès,hermes\n", "cp1252"))


@pytest.mark.parametrize(
    ("synonyms", "error"),
    [
        ({"ysl": "a", "a": "b"}, "'ysl' means 'a', which means 'b'; name the last"),
        (
            {"ysl": "saint laurent", "y.s.l.": "other"},
            "'ysl' means 'saint laurent', and 'y.s.l.', the same name, 'other'",
        ),
        ({"nike inc": "nike", "nike™": "jordan"}, "'nike inc' means 'nike', which means 'jordan'"),
    ],
)
def test_synonyms_that_contradict_each_other_are_refused(tmp_path, synonyms, error):
    pq.write_table(RECORDS.empty_table(), tmp_path / "records")
    with pytest.raises(SettingsError, match=error):
        entity_spellings([tmp_path / "records"], "d", synonyms, (), fold=True)
