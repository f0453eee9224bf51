"""The section on judged queries: one variant, kinds of tags together, and a sentence that follows the interval."""

import duckdb
import pyarrow as pa
import pytest

from tests.report.reading import cells, said

READINGS = ("hybrid", "words", "plain words", "chance", "hybrid - better of the others")
MEASURES = ("mrr10", "ndcg10", "p10", "r1", "r10")


def connection(low=1.0, high=2.0, variants=("eiclip", "same_style"), kinds=("names", "subcategory", "tags")):
    found = duckdb.connect()
    same = {"dataset": "d", "queries": 7, "mrr10_low": low, "mrr10_high": high} | dict.fromkeys(MEASURES, 5.0)
    rows = [same | {"variant": variant, "kind": kind, "reading": reading}
            for variant in variants for kind in kinds for reading in READINGS]  # fmt: skip
    results = [
        {"dataset": "d", "variant": variant, "reading": reading, "kind": "names", "query": f"{variant} {n}",
         "relevant": 1, "rank": 20 - n, "ndcg10": float(n // 2)}
        for variant in variants for reading in ("words", "hybrid") for n in range(15)
    ]  # fmt: skip
    found.register("judged_query_metrics", pa.Table.from_pylist(rows))
    found.register("judged_query_results", pa.Table.from_pylist(results))
    return found


def test_the_table_is_of_the_variant_that_is_served_and_takes_tags_together():
    _, *rows = cells(connection(), "d", "queries.judged")
    assert "; model: Same style, constrained pairs and entities" in said(connection(), "d", "queries.judged")
    assert [tuple(line[:2]) for line in rows] == [
        (kind, reading) for kind in ("tags", "names") for reading in ("plain words", "words", "hybrid", "chance")
    ]
    assert rows[0][2] == "5.0 [1.0, 2.0]"
    _, *alone = cells(connection(kinds=("subcategory",)), "d", "queries.judged")
    assert {line[0] for line in alone} == {"subcategory"}
    assert cells(connection(), "another", "queries.judged") == []


def test_the_worst_queries_are_those_of_hybrid_search_alone():
    _, *rows = cells(connection(), "d", "queries.worst")
    assert [line[0] for line in rows] == [f"same_style {n}" for n in range(10)]
    assert cells(connection(), "another", "queries.worst") == []


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.0, 2.0, "is ahead of"), (-2.0, -1.0, "is behind"), (-1.0, 2.0, "cannot be told from")],
)
def test_the_sentence_follows_the_interval(low, high, verdict):
    assert verdict in said(connection(low, high), "d", "queries.judged_verdict")
    assert said(connection(low, high), "another", "queries.judged_verdict") == ""
