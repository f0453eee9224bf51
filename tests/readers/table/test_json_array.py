"""A JSON array is read an object at a time, to the same rows as a reading of the whole."""

import gzip
import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eiclip.errors import RawDataError
from eiclip.readers import lines
from eiclip.readers.cells import UnusableRowError
from eiclip.readers.table.files import JsonArrayTable, open_table

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text('aé\\"[]{},: \n中', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def read(path, **options):
    table = JsonArrayTable(path, (), **options)
    rows = [str(row) if isinstance(row, UnusableRowError) else row for row in table.rows()]
    assert table.count() == len(rows)
    return rows


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(VALUES, max_size=6), indent=st.sampled_from([None, 0, 2]), ascii_only=st.booleans(),
       piece=st.integers(1, 40), packed=st.booleans())  # fmt: skip
def test_rows_are_those_of_the_whole_however_it_is_cut(tmp_path, monkeypatch, items, indent, ascii_only, piece, packed):
    content = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode()
    (tmp_path / "array").write_bytes(gzip.compress(content) if packed else content)
    monkeypatch.setattr(lines, "_PIECE", piece)
    expected = [item if isinstance(item, dict) else f"not an object: {type(item).__name__}" for item in items]
    assert repr(read(tmp_path / "array")) == repr(expected)


def test_a_row_that_is_not_in_the_encoding_is_rejected_alone(tmp_path):
    (tmp_path / "array").write_bytes(b'[{"a": "caf\xe9"},\n {"a": "caf\xc3\xa9"}]')
    assert read(tmp_path / "array") == ["not UTF-8: its byte 11 is 0xe9", {"a": "café"}]
    assert read(tmp_path / "array", encoding="cp1252") == [{"a": "café"}, {"a": "cafÃ©"}]
    (tmp_path / "array").write_bytes('[{"a": "運\\n"}]'.encode("big5"))
    assert read(tmp_path / "array", encoding="big5") == [{"a": "運\n"}]


def test_what_python_writes_that_is_no_number_is_read(tmp_path):
    (tmp_path / "array").write_text('[{"price": NaN, "most": -Infinity}]')
    [row] = read(tmp_path / "array")
    assert math.isnan(row["price"])
    assert row["most"] == -math.inf


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ('[{"a": 1},\n{"a": tru}\n]', "item 2 of the array, line 2: Expecting value, near"),
        ('[{"a": 1}\n{"a": 2}]', "item 1 of the array, line 2: { where a comma or ] is expected"),
        ('[{"a": 1},\n\n', "item 2 of the array, line 3: Expecting value"),
        ('[{"a": 1}', "item 1 of the array, line 1: the end of the file where"),
        ('[{"a": 1},]', "item 2 of the array, line 1: Expecting value"),
        ('[{"a": 1}]\n{"a": 2}', "item 1 of the array, line 2: { after the end of the array"),
        ('[{"a": "open},\n{"a": "b"}]', "item 1 of the array, line 1: Invalid control character at"),
        ('[{"a": ' + "[" * 100_000 + "]}]", "item 1 of the array, line 1: "),
        ('[{"a": "' + "x" * (6 * 2**20), "item 1 of the array, line 1: Unterminated string"),
    ],
)  # fmt: skip
def test_a_broken_array_says_where(tmp_path, content, where):
    (tmp_path / "array").write_text(content)
    with pytest.raises(RawDataError) as error:
        read(tmp_path / "array")
    assert str(error.value).startswith(f"{tmp_path / 'array'}: broken JSON in {where}")
    assert "mend it there, or write one object a line (JSONL)" in str(error.value)
    assert len(str(error.value)) < 600


def test_memory_stays_as_it_is_however_long_the_array_is(tmp_path):
    import tracemalloc

    def peak(count):
        (tmp_path / "array").write_text(json.dumps([{"sku": f"{n}", "text": "x" * 1000} for n in range(count)]))
        table = open_table(tmp_path / "array", ("sku",), "text")
        tracemalloc.start()
        assert sum(1 for _ in table.rows()) == table.count() == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(16_000) < 1.2 * peak(8_000)
