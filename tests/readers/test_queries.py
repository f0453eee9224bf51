"""Files of queries: every form says the same, what cannot be used is kept with its reason, and errors say where."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.errors import RawDataError, SettingsError
from eiclip.readers.queries import read_queries, read_query_file
from eiclip.settings.load import load_settings
from eiclip.settings.queries import QueryColumns, QuerySettings

EXPECTED = [("red coat", "10", 2), ("coat, wide", "011", 1), ("red coat", "12", 0)]
FORMS = {
    "comma.csv": 'query,product_id,grade\nred coat,10,2\n"coat, wide",011,\nred coat,12,0\n\n',
    "semicolon.csv": "\ufeffgrade;product_id;query\n2;10; red  coat\n1;011; coat, wide \n0.0;12;red coat\n",
    "lines.jsonl": '{"query": "red coat", "product_id": 10, "grade": 2}\n\n'
    '{"product_id": "011", "query": "coat, wide"}\n{"query": "red coat", "product_id": 12.0, "grade": "0"}\n',
    "lists.jsonl": '{"query": "red coat", "product_ids": [10], "grade": 2}\n'
    '{"product_ids": ["011"], "query": "coat, wide"}\n{"query": "red coat", "product_ids": ["12"], "grade": 0}\n',
    "array.json": '[{"query": "red coat", "product_id": 10, "grade": 2},\n{"product_id": "011", "query": "coat, wide"},'
    '{"query": "red coat", "product_id": "12", "grade": 0}]',
}
WITH_TEXTS = {
    "qrels.txt": "q1 0 10 2\nq2 Q0 011 1\nq1 0 12 -1\n\n",
    "qrels.tsv": "query-id\tcorpus-id\tscore\nq1\t10\t2\nq2\t011\t1\nq1\t12\t0\n",
    "qrels.json": '{"q1": {"10": 2, "12": 0}, "q2": {"011": 1}}',
}
TEXTS = {"t.tsv": "q1\tred coat\nq2\tcoat, wide\n", "t.jsonl": '{"_id": "q1", "text": "red coat"}\n'
         '{"_id": "q2", "text": "coat, wide", "metadata": {}}\n'}  # fmt: skip


def judgements(file):
    return [(row["query"], row["product_id"], row["grade"]) for row in file.rows.to_pylist()]


def written(folder, name, content, *, packed=False):
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(gzip.compress(data) if packed else data)
    return folder / name


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_tables_of_every_form_say_the_same(tmp_path, name, packed):
    found = read_queries(written(tmp_path, name, FORMS[name], packed=packed))
    assert judgements(found) == EXPECTED
    assert (found.rows["kind"].unique().to_pylist(), len(found.rejected), found.notes) == (["file"], 0, [])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("texts", TEXTS)
@pytest.mark.parametrize("name", WITH_TEXTS)
def test_files_of_ids_take_their_words_from_another(tmp_path, name, texts, packed):
    words = written(tmp_path, texts, TEXTS[texts])
    found = read_queries(written(tmp_path, name, WITH_TEXTS[name], packed=packed), texts=words)
    assert sorted(judgements(found)) == sorted(EXPECTED)


@pytest.mark.parametrize("indent", [None, 1])
def test_beirs_json_may_have_words_lists_and_any_layout(tmp_path, indent):
    content = json.dumps({"red coat": {"10": 2, "12": 0}, "coat, wide": ["011"]}, indent=indent)
    assert sorted(judgements(read_queries(written(tmp_path, "q.json", content)))) == sorted(EXPECTED)
    one = written(tmp_path, "one.jsonl", '{"query": "a", "product_id": "1"}')
    assert judgements(read_queries(one)) == [("a", "1", 1)], "one row of a table is no such object"


def test_parquet_has_ids_of_any_type_and_lists(tmp_path):
    file = tmp_path / "queries.parquet"
    for ids in ([10, 11], ["10", "11"], [10.0, 11.0], [[10], [11]]):
        pq.write_table(pa.table({"query": ["coat", "shoe"], "product_id": ids}), file)
        assert judgements(read_queries(file)) == [("coat", "10", 1), ("shoe", "11", 1)]
    pq.write_table(pa.table({"query": ["coat"], "product_id": [["a", "b"]], "grade": [3.0]}), file)
    assert judgements(read_queries(file)) == [("coat", own, 3) for own in "ab"]


def test_columns_may_have_other_names_and_the_file_another_encoding(tmp_path):
    file = written(tmp_path, "q.csv", "suche;sku;note\nKleid für Mädchen;1;3\n".encode("cp1252"))
    settings = QuerySettings(
        file="q", encoding="cp1252", columns=QueryColumns(query="suche", product_id="sku", grade="note")
    )
    assert judgements(read_queries(file, settings)) == [("Kleid für Mädchen", "1", 3)]


def test_a_log_counts_clicks_and_doubles_them_for_each_grade(tmp_path):
    clicks = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 9}
    rows = [("Red Coat" if n % 2 else "red  coat", own) for own, many in clicks.items() for n in range(many)]
    file = written(tmp_path, "log.csv", "query,product_id\n" + "".join(f"{q},{p}\n" for q, p in rows))
    found = read_queries(file, QuerySettings(file="log.csv", log=True))
    assert judgements(found) == [("red coat", "a", 1), ("red coat", "b", 2), ("red coat", "c", 2),
                                 ("red coat", "d", 3), ("red coat", "e", 4)]  # fmt: skip
    counted = written(tmp_path, "counted.csv", "query,product_id,grade\nred coat,e,4\nred coat,e,5\nred coat,x,0\n")
    found = read_queries(counted, QuerySettings(file="counted.csv", log=True))
    assert judgements(found) == [("red coat", "e", 4), ("red coat", "x", 0)]


def test_rows_of_no_use_are_kept_with_place_and_reason_and_the_others_are_read(tmp_path):
    bad = "query,product_id,grade\n,1,1\nred,,1\nred,1,high\nred,1,0.5\n\nred,2,3\nred,2,1\nred,9,1e9\na,b\n"
    found = read_query_file(written(tmp_path, "q.csv", bad))
    assert judgements(found) == [("red", "2", 3)]
    assert [(row["source"], row["place"], row["reason"].split(":")[0]) for row in found.rejected.to_pylist()] == [
        ("q.csv", 1, "no query"), ("q.csv", 2, "no product"), ("q.csv", 3, "bad grade"), ("q.csv", 4, "bad grade"),
        ("q.csv", 8, "bad grade"), ("q.csv", 9, "bad row"),
    ]  # fmt: skip
    assert found.notes == ["rows that repeat a query and product, of which the highest grade counts: 1 ('red')"]


def test_words_of_no_use_are_kept_too_and_ids_without_words(tmp_path):
    texts = written(tmp_path, "t.tsv", "q1\tred\n\nq1\tblue\nno tab\n\tgreen\nq4\t \nq2\tred\n")
    file = written(tmp_path, "qrels", "q1 0 1 1\nq9 0 1 1\nq2 0 2 1\nq1 0 1\n")
    found = read_query_file(file, texts=texts)
    assert judgements(found) == [("red", "1", 1), ("red", "2", 1)]
    assert [(row["source"], row["place"], row["reason"].split(":")[0]) for row in found.rejected.to_pylist()] == [
        ("t.tsv", 3, "repeated id"), ("t.tsv", 4, "no tab between the id and the words"),
        ("t.tsv", 5, "no id before the words"), ("t.tsv", 6, "no words"), ("qrels", 2, "no words"),
        ("qrels", 4, "bad row"),
    ]  # fmt: skip
    assert found.notes == ["ids whose words another id has too, and whose judgements are put together: 1 ('red')"]


def test_a_key_that_json_has_twice_is_not_lost(tmp_path):
    found = read_query_file(written(tmp_path, "q.json", '{"red": {"1": 1, "1": 2}, "red": {"2": 1}, "blue": {}}'))
    assert judgements(found) == [("red", "1", 2), ("red", "2", 1)]
    assert [(row["place"], row["reason"]) for row in found.rejected.to_pylist()] == [(4, "no product: of 'blue'")]
    assert found.notes[0].endswith("counts: 1 ('red')")


BAD = [
    ("q.csv", "query,sku\nred,1\n", "no column 'product_id'; it has 'query', 'sku'. Rename"),
    ("q.csv", "query,product_id\n", "no queries; write a query and the id"),
    ("q.csv", "query,product_id\nred,1\n \t,2\n", "q.csv: row 2: no query; mend it"),
    ("q.csv", "query,product_id\nred,1\n\nblue,\n", "q.csv: row 3: no product: of 'blue'; mend it"),
    ("q.csv", "query,product_id\nred,1\nred, wide,1\n", "q.csv: row 2: bad row: 3 cells, the header has 2; mend it"),
    ("q.csv", "query,product_id\nred, wide,1\n", "rows that cannot be used, row 1: bad row: 3 cells"),
    ("q.csv", "", "empty; remove it, or give it a header"),
    ("q.jsonl", '{"query": "red", "product_id": "1"}\n{"query": \n', "q.jsonl: row 2: broken JSON"),
    ("q.jsonl", '{"query": "red"}\n{"query": "red", "product_ids": []}\n', "row 1: no product: of 'red'"),
    ("q.jsonl", '{"query": "red", "product_ids": ["1", null]}\n', "q.jsonl: row 1: no product: of 'red'"),
    ("q.jsonl", '{"query": ["red"], "product_id": 1}\n', "row 1: no query"),
    ("qrels", "q1 0 d1 1\n", "TREC qrels, which have ids of queries; name the file of their words too (texts)"),
]


@pytest.mark.parametrize(("name", "content", "said"), BAD)
def test_a_file_that_is_wrong_says_where(tmp_path, name, content, said):
    file = written(tmp_path, name, content)
    with pytest.raises(RawDataError) as error:
        read_queries(file)
    assert str(error.value).startswith(str(file))
    assert said in str(error.value)


def test_no_file_and_no_parquet(tmp_path):
    with pytest.raises(RawDataError, match=r"none\.csv: no such file; put it there"):
        read_queries(tmp_path / "none.csv")
    with pytest.raises(RawDataError, match=r"cut\.parquet: damaged or cut short"):
        read_queries(written(tmp_path, "cut.parquet", b"PAR1 and no more"))
    pq.write_table(pa.table({"query": [None, "a"], "product_id": ["1", "2"]}), tmp_path / "null.parquet")
    with pytest.raises(RawDataError, match=r"null\.parquet: row 1: no query"):
        read_queries(tmp_path / "null.parquet")
    with pytest.raises(RawDataError, match="no words of queries"):
        read_queries(written(tmp_path, "qrels", "q1 0 1 1\n"), texts=written(tmp_path, "t.tsv", "nothing here\n"))


def test_settings_name_files_beside_their_own(tmp_path, monkeypatch):
    file = written(
        tmp_path, "eiclip.toml", '[datasets.amazon.queries]\nfile = "q/qrels"\ntexts = "q/t.tsv"\nmost = 7\n'
    )
    monkeypatch.setenv("EICLIP_SETTINGS", str(file))
    queries = load_settings(home=tmp_path).datasets["amazon"].queries
    assert (queries.file, queries.texts, queries.most) == (str(tmp_path / "q/qrels"), str(tmp_path / "q/t.tsv"), 7)
    for wrong, said in (("log = true", "queries.log is of a file"), ('file = "q"\nencoding = "utf-16"', "encoding")):
        written(tmp_path, "eiclip.toml", f"[datasets.amazon.queries]\n{wrong}\n")
        with pytest.raises(SettingsError, match=said):
            load_settings(home=tmp_path)
