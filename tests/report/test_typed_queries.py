"""The section on typed queries: lines in the order of the ways of reading, a sentence that follows the interval."""

import duckdb
import pyarrow as pa
import pytest

from tests.report.reading import cells, said

WAYS = {"typed": 10.0, "typed and linked": 30.0, "tags given": 35.0}


def connection(low, high):
    found = duckdb.connect()
    metrics = [
        {
            "dataset": "d",
            "variant": f"eiclip, {way}",
            "view_pair": "t-i",
            "mrr": mrr,
            "r1": 5.0,
            "r10": 50.0,
            "queries": 7,
        }
        for way, mrr in WAYS.items()
    ]
    shared = {"dataset": "d", "view_pair": "t-i", "measure": "mrr", "difference": (low + high) / 2}
    compared = [shared | {"variant": "eiclip, typed and linked", "low": low, "high": high}]
    found.register("typed_query_metrics", pa.Table.from_pylist(metrics))
    found.register("typed_query_comparisons", pa.Table.from_pylist(compared))
    return found


def test_lines_go_from_words_to_tags_with_the_gain_where_it_was_measured():
    head, *lines = cells(connection(15.0, 25.0), "d", "queries.typed")
    assert [dict(zip(head, line, strict=True))["Read as"] for line in lines] == list(WAYS)
    assert [line[0] for line in lines] == ["text → photo"] * 3
    assert [line[5] for line in lines] == ["–", "+20.0 [+15.0, +25.0]", "–"]
    assert cells(connection(15.0, 25.0), "another", "queries.typed") == []


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.0, 2.0, "linking helps"), (-2.0, -1.0, "linking harms"), (-1.0, 2.0, "may help or harm")],
)
def test_the_sentence_follows_the_interval(low, high, verdict):
    assert verdict in said(connection(low, high), "d", "queries.typed_verdict")
    assert said(connection(low, high), "another", "queries.typed_verdict") == ""


def test_there_is_no_verdict_on_a_model_that_has_not_learned():
    found = connection(1.0, 2.0)
    row = {"dataset": "d", "variant": "eiclip", "verdict": "at ln(batch)", "message": "loss is still at ln(64)"}
    found.register("training_outcomes", pa.Table.from_pylist([row]))
    told = said(found, "d", "queries.typed_verdict")
    assert told.startswith("No verdict on row 5: not every row has learned")
    assert "helps" not in told
