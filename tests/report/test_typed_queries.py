"""The section on typed queries: lines in the order of the ways of reading, a sentence that follows the interval."""

import duckdb
import pyarrow as pa
import pytest

from eiclip.report import typed_queries as page

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
    table = page.typed_table(connection(15.0, 25.0), "d")
    assert [line[1] for line in table.rows] == list(WAYS)
    assert [bool(line[5]) for line in table.rows] == [False, True, False]
    assert page.typed_table(connection(15.0, 25.0), "another") is None


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(1.0, 2.0, "linking helps"), (-2.0, -1.0, "linking harms"), (-1.0, 2.0, "may help or harm")],
)
def test_the_sentence_follows_the_interval(low, high, said):
    assert said in page.verdict(connection(low, high), "d")
    assert page.verdict(connection(low, high), "another") is None
