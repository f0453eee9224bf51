"""Breakdowns by kind of product against recalls counted by hand, and correlations against SciPy's."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from eiclip.evaluation.bootstrap import cluster_weights, interval, paired_p_value, resampled_means
from eiclip.evaluation.breakdowns import BREAKDOWNS, rank_correlation, recall_breakdowns

ROW_3, ROW_5 = "clip_entities_text", "eiclip"


def ranks(rank_by_variant, products, protocol="full", direction="t2i"):
    rows = [
        {"dataset": "d", "variant": variant, "protocol": protocol, "draw": 0, "direction": direction}
        | {
            "query_id": f"{product}_{place}",
            "product_id": product,
            "rank": rank,
            "rank_text_equal": rank,
            "ndcg10": 0.0,
        }
        for variant, ranked in rank_by_variant.items()
        for place, (product, rank) in enumerate(zip(products, ranked, strict=True))
    ]
    return pa.Table.from_pylist(rows)


def facets(**values):
    """`query_facets` of one facet: products by value."""
    rows = [{"dataset": "d", "product_id": product, "facet": "brand", "value": value}
            for value, products in values.items() for product in products]  # fmt: skip
    return pa.Table.from_pylist(rows)


def rows_of(table, **wanted):
    return [row for row in table.to_pylist() if all(row[name] == value for name, value in wanted.items())]


def test_recalls_of_each_value():
    table = ranks({ROW_3: [1, 3, 20, 1], ROW_5: [1, 1, 4, 2]}, ["a", "a", "b", "c"])
    made = recall_breakdowns(table, facets(diesel=["a", "b"], gap=["c"]))
    assert made.schema.equals(BREAKDOWNS)
    assert [(row["value"], row["variant"]) for row in made.to_pylist()] == [
        (value, variant) for value in ("diesel", "gap") for variant in (ROW_3, ROW_5)
    ]
    [row] = rows_of(made, value="diesel", variant=ROW_5)
    assert (row["products"], row["queries"]) == (2, 3)
    assert row["r1"] == pytest.approx(200 / 3)
    assert row["r10"] == 100
    assert row["mrr"] == pytest.approx(100 * (1 + 1 + 1 / 4) / 3)
    assert row["gain_r1"] == pytest.approx(100 / 3)
    [baseline] = rows_of(made, value="diesel", variant=ROW_3)
    assert baseline["r1"] == pytest.approx(100 / 3)
    assert baseline["gain_r1"] is baseline["p_value"] is None


def test_gains_have_the_intervals_and_tests_of_the_value_s_own_products():
    drawing = np.random.default_rng(0)
    products = [f"p{n:02}" for n in range(30) for _ in range(2)]
    rank_by_variant = {name: drawing.integers(1, 4, size=60).tolist() for name in (ROW_3, ROW_5)}
    table = ranks(rank_by_variant, products)
    inside = [f"p{n:02}" for n in range(0, 30, 2)]
    [row] = rows_of(recall_breakdowns(table, facets(diesel=inside)), variant=ROW_5)
    hits = {name: np.array(ranked).reshape(30, 2)[::2] == 1 for name, ranked in rank_by_variant.items()}
    difference_P1 = 100.0 * (hits[ROW_5].sum(axis=1) - hits[ROW_3].sum(axis=1))[:, None]
    drawn_B1 = resampled_means(difference_P1, np.full((15, 1), 2.0), cluster_weights(15))
    [low], [high] = interval(drawn_B1, clusters=15)
    assert row["gain_r1"] == pytest.approx(difference_P1.sum() / 30)
    assert (row["gain_low"], row["gain_high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["p_value"] == paired_p_value(difference_P1)[0]


@pytest.mark.parametrize(("products", "known"), [(4, False), (5, True)])
def test_too_few_products_have_means_and_no_interval(products, known):
    names = [f"p{n}" for n in range(products)]
    table = ranks({ROW_3: [2] * products, ROW_5: [1] + [2] * (products - 1)}, names)
    [row] = rows_of(recall_breakdowns(table, facets(diesel=names)), variant=ROW_5)
    assert row["gain_r1"] == pytest.approx(100 / products)
    assert [row[name] is not None for name in ("gain_low", "gain_high", "p_value")] == [known] * 3


def test_rows_that_no_product_tells_apart_have_no_interval():
    names = [f"p{n}" for n in range(9)]
    table = ranks({ROW_3: [1, 2] + [9] * 7, ROW_5: [1, 4] + [3] * 7}, names)
    [row] = rows_of(recall_breakdowns(table, facets(diesel=names)), variant=ROW_5)
    assert (row["gain_r1"], row["gain_low"], row["gain_high"], row["p_value"]) == (0, None, None, 1)


def test_without_row_3_there_are_no_gains():
    table = ranks({"eiclip_equal": [1] * 6, ROW_5: [1] * 6}, "abcdef")
    rows = recall_breakdowns(table, facets(diesel="abcdef")).to_pylist()
    assert len(rows) == 2
    assert all(row["gain_r1"] is None and row["r1"] == 100 for row in rows)


def test_other_protocols_and_products_without_ranks_are_left_out():
    table = ranks({ROW_3: [1] * 3, ROW_5: [1] * 3}, "abc", protocol="sample100")
    assert recall_breakdowns(table, facets(diesel="abc")).num_rows == 0
    both = pa.concat_tables([table, ranks({ROW_3: [2], ROW_5: [1]}, "a")])
    rows = recall_breakdowns(both, facets(diesel="az", gap="z")).to_pylist()
    assert {(row["value"], row["products"]) for row in rows} == {("diesel", 1)}
    assert recall_breakdowns(both, facets(diesel="a").slice(0, 0)).num_rows == 0


def test_both_directions():
    table = pa.concat_tables([ranks({ROW_3: [1, 1], ROW_5: [1, 2]}, "ab", direction=way) for way in ("t2i", "i2t")])
    rows = recall_breakdowns(table, facets(diesel="ab")).to_pylist()
    assert [row["direction"] for row in rows] == ["i2t", "i2t", "t2i", "t2i"]


def test_correlations_are_scipys():
    drawing = np.random.default_rng(0)
    x_N = drawing.integers(0, 5, size=40).astype(float)  # with ties
    y_N = x_N + drawing.normal(scale=3, size=40)
    rho, low, high = rank_correlation(x_N, y_N, resamples=5000)
    assert rho == pytest.approx(stats.spearmanr(x_N, y_N).statistic)
    theirs = stats.bootstrap(
        (x_N, y_N), lambda x, y: stats.spearmanr(x, y).statistic, paired=True, vectorized=False, n_resamples=1000,
        method="percentile", random_state=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert (low, high) == (pytest.approx(theirs.low, abs=0.05), pytest.approx(theirs.high, abs=0.05))


def test_a_constant_column_has_no_correlation():
    assert np.isnan(rank_correlation(np.zeros(9), np.arange(9.0))).all()
    _, low, high = rank_correlation(np.array([0.0] * 8 + [1.0]), np.arange(9.0))  # constant in a third of resamples
    assert -1 <= low <= high <= 1
