"""What linking is worth, against counts by hand and ranks by brute force."""

import numpy as np
import pyarrow as pa
import pytest

from eiclip.errors import EiclipError
from eiclip.search.evaluate import TypedQuery, linked_query_ranks, linking_quality, typed_queries
from eiclip.search.linking import Known, Linker
from eiclip.storage.lake import Lake
from tests.search.conftest import DATASET


def test_a_typed_query_has_the_brands_words_at_an_end(home):
    queries = typed_queries(home.lake, DATASET, "test", "brand")
    assert [query.product_id for query in queries] == ["p3", "p4"], "p5 has no brand"
    for query in queries:
        assert query.text in (f"{query.entity} {query.description}", f"{query.description} {query.entity}")
        assert query.entities == {"brand": [query.entity], "season": ["fw2016"]}
    assert queries == typed_queries(home.lake, DATASET, "test", "brand")
    seasons = typed_queries(home.lake, DATASET, "test", "season")
    assert [query.entity for query in seasons] == ["fw2016"] * 3
    with pytest.raises(EiclipError, match="no table products of 'other'"):
        typed_queries(home.lake, "other", "test", "brand")


def test_ends_are_drawn(tmp_path):
    """By the product's id alone: over many products both ends come up, for one always the same."""
    many = Lake(tmp_path)
    ids = [f"q{n}" for n in range(60)]
    base = {"dataset": "d", "split": "test"}
    many.write(
        pa.Table.from_pylist([base | {"product_id": own, "description": "coat"} for own in ids]), "products", "d"
    )
    tags = [base | {"product_id": own, "entity_group": "brand", "entity": "b", "ordinal": 1} for own in ids]
    many.write(pa.Table.from_pylist(tags), "product_entities", "d")
    texts = [query.text for query in typed_queries(many, "d", "test", "brand")]
    assert 15 < texts.count("b coat") < 45
    assert texts.count("b coat") + texts.count("coat b") == 60


def test_linking_quality_counts_by_hand():
    sure, general = Known("diesel", ("brand",), 9, 1), Known("needles", ("brand",), 1, 9)
    linker = Linker([sure, general], ["engine", "coat"])
    queries = [
        TypedQuery("1", "diesel coat", "coat", "diesel", {}),
        TypedQuery("2", "needles coat", "coat", "needles", {}),
        TypedQuery("3", "coach diesel engine", "diesel engine", "coach", {}),
        TypedQuery("4", "diesel diesel coat", "diesel coat", "diesel", {}),
    ]
    found = linking_quality(linker, queries, "brand")
    assert found == {"precision": 2 / 4, "recall": 2 / 4, "f1": 0.5}, "2 are correct, 2 wrong, 2 missed"
    eager = linking_quality(Linker([sure, general], ["engine", "coat"], sure=0), queries, "brand")
    assert eager == {"precision": 3 / 5, "recall": 3 / 4, "f1": 6 / 9}, "3 are correct, 2 wrong, 1 missed"
    both = [TypedQuery("5", "coach diesel engine", "diesel engine", "coach", {"brand": ["coach", "diesel"]})]
    assert np.isnan(linking_quality(linker, both, "brand")["precision"]), "a product's other entity is not wrong"
    nothing = linking_quality(linker, [], "brand")
    assert np.isnan([nothing["precision"], nothing["recall"]]).all()
    assert nothing["f1"] == 0


def rank_of(query, candidates, right, wrong):
    """1 + the wrong candidates that are at least as near as the nearest right one."""
    scores = candidates.astype(np.float64) @ query.astype(np.float64)
    return 1 + sum(scores[row] >= max(scores[right]) - 1e-6 for row in wrong)


def vectors(engine, query):
    """How each row reads a query, by the model alone."""
    encode = engine.model.encode_text
    return {
        "typed": encode(query.text)[0],
        "typed and linked": encode(query.description, {"brand": query.entity})[0],
        "tags given": encode(query.description, query.entities)[0],
    }


@pytest.mark.parametrize("row", ["engine", "engine_of_row_6"])
def test_ranks_without_styles_are_of_the_product_itself(row, home, request):
    engine = request.getfixturevalue(row)
    table = linked_query_ranks(engine, home.lake, 7, group="brand").to_pylist()
    found = {(row["variant"], row["view_pair"], row["product_id"]): row["rank"] for row in table}
    rows = engine.index.rows_of_split("test")
    assert len(found) == len(table) == 3 * 2 * 2
    for query in typed_queries(home.lake, DATASET, "test", "brand"):
        own = [engine.index.product_ids[row] for row in rows].index(query.product_id)
        for name, vector in vectors(engine, query).items():
            for pair, view in (("t-i", "image"), ("t-m", "joint")):
                expected = rank_of(vector, engine.index.views[view][rows], [own], [n for n in range(3) if n != own])
                assert found[f"{engine.index.variant}, {name}", pair, query.product_id] == expected
    assert {(row["dataset"], row["seed"], row["right"], row["style_id"] == row["product_id"]) for row in table} == {
        ("shop", 7, 1, True)
    }


def test_ranks_with_styles_are_of_another_product_of_the_style(engine, home):
    styles = pa.table({"product_id": ["p0", "p3", "p5", "p4"], "style_id": ["s", "s", "s", "other"]})
    table = linked_query_ranks(engine, home.lake, 0, group="brand", styles=styles).to_pylist()
    rows = engine.index.rows_of_split("test")
    assert {row["product_id"] for row in table} == {"p3"}, "p4's style has no other test product, p5 no brand"
    [query] = [query for query in typed_queries(home.lake, DATASET, "test", "brand") if query.product_id == "p3"]
    for row in table:
        view = {"t-i": "image", "t-m": "joint"}[row["view_pair"]]
        vector = vectors(engine, query)[row["variant"].removeprefix("eiclip, ")]
        assert row["rank"] == rank_of(vector, engine.index.views[view][rows], [2], [1])
        assert (row["style_id"], row["right"]) == ("s", 1)
