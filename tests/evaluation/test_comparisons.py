"""Tables of intervals and comparisons against figures by hand, and against what must hold of any ranks."""

import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eiclip.errors import EiclipError
from eiclip.evaluation.bootstrap import RESAMPLES
from eiclip.evaluation.comparisons import COMPARISONS, INTERVALS, PAIRS, metric_intervals, row_comparisons
from eiclip.model.variants import VARIANTS


def ranks(rank_VQ, products, *, protocol="full", direction="t2i", variants=tuple(VARIANTS), draw=0):
    """`retrieval_ranks` with these ranks, a line of them for each variant."""
    columns = {name: [] for name in ("variant", "query_id", "product_id", "rank")}
    for variant, rank_Q in zip(variants, rank_VQ, strict=False):
        columns["variant"] += [variant] * len(products)
        columns["query_id"] += [f"{product}_{place}" for place, product in enumerate(products)]
        columns["product_id"] += list(products)
        columns["rank"] += [int(rank) for rank in rank_Q]
    ranked = np.array(columns["rank"], dtype=np.int64)
    size = len(ranked)
    fixed = {"dataset": ["d"] * size, "protocol": [protocol] * size, "direction": [direction] * size}
    ndcg = np.where(ranked <= 10, 1 / np.log2(1 + ranked), 0.0)
    return pa.table(
        fixed | columns | {"draw": [draw] * size, "rank_text_equal": np.maximum(ranked - 1, 1), "ndcg10": ndcg}
    )


def drawn_ranks(products=40, *, seed=0, variants=tuple(VARIANTS), photos=3):
    """Both directions of every row, each better than the last; products of one to three photos."""
    drawing = np.random.default_rng(seed)
    names = np.array([f"p{n:03}" for n in range(products)])
    owners = {"i2t": np.repeat(names, drawing.integers(1, photos + 1, size=products)), "t2i": names}
    skill = dict(zip(names, drawing.normal(size=products), strict=True))
    tables = []
    for direction, owner_Q in owners.items():
        level_Q = np.array([skill[owner] for owner in owner_Q])
        rows = [
            1 + np.floor(np.exp(2 - 0.2 * v - level_Q + drawing.normal(size=len(owner_Q))))
            for v in range(len(VARIANTS))
        ]
        rows = [rows[list(VARIANTS).index(name)] for name in variants]
        tables.append(ranks(rows, owner_Q, direction=direction, variants=variants))
    return pa.concat_tables(tables)


def found(table, **wanted):
    [row] = [row for row in table.to_pylist() if all(row[name] == value for name, value in wanted.items())]
    return row


def test_equal_rows_differ_by_nothing():
    alike = ranks([[1, 3, 12, 1]] * len(VARIANTS), ["a", "a", "b", "c"])
    for line in row_comparisons(alike).to_pylist():
        assert (line["difference"], line["low"], line["high"], line["p_value"]) == (0, 0, 0, 1)


def test_figures_are_the_means_over_queries():
    table = drawn_ranks(seed=4)
    made = metric_intervals(table)
    assert made.schema.equals(INTERVALS)
    frame = {name: np.array(table[name].to_pylist()) for name in ("variant", "direction", "rank", "ndcg10")}
    here = (frame["variant"] == "eiclip") & (frame["direction"] == "i2t")
    rank_Q = frame["rank"][here]
    wanted = {
        "r1": (rank_Q <= 1).mean(), "r5": (rank_Q <= 5).mean(), "r10": (rank_Q <= 10).mean(),
        "mrr": (1 / rank_Q).mean(), "ndcg10": frame["ndcg10"][here].mean(), "text_equal_r1": (rank_Q <= 2).mean(),
    }  # fmt: skip
    for measure, value in wanted.items():
        row = found(made, variant="eiclip", direction="i2t", measure=measure)
        assert row["value"] == pytest.approx(100 * value)
        assert (row["queries"], row["products"], row["resamples"]) == (len(rank_Q), 40, RESAMPLES)
        assert row["low"] < row["value"] < row["high"]
    total = found(made, variant="eiclip", measure="sum_r")
    parts = [r["value"] for r in made.to_pylist() if r["variant"] == "eiclip" and r["measure"] in ("r1", "r5", "r10")]
    assert total["direction"] == "both"
    assert total["value"] == pytest.approx(sum(parts))
    assert total["queries"] == len(rank_Q) + 40


def test_sum_r_is_resampled_as_a_whole():
    """R@1, 5 and 10 of both directions rise and fall together: adding up their intervals' ends would be too wide."""
    table = drawn_ranks(seed=4)
    made = [row for row in metric_intervals(table).to_pylist() if row["variant"] == "eiclip"]
    [total] = [row for row in made if row["measure"] == "sum_r"]
    parts = [row for row in made if row["measure"] in ("r1", "r5", "r10")]
    widths = [row["high"] - row["low"] for row in parts]
    assert max(widths) < total["high"] - total["low"] < sum(widths)
    assert total["high"] - total["low"] > np.sqrt(np.square(widths).sum())


def test_comparisons_are_of_the_pairs_that_are_named():
    made = row_comparisons(drawn_ranks())
    assert made.schema.equals(COMPARISONS)
    rows = made.to_pylist()
    assert list(dict.fromkeys((row["variant"], row["baseline"]) for row in rows)) == list(PAIRS)
    assert PAIRS[0] == ("eiclip", "clip_entities_text")
    values = {
        (row["variant"], row["direction"], row["measure"]): row for row in metric_intervals(drawn_ranks()).to_pylist()
    }
    for row in rows:
        ours, theirs = (values[row[name], row["direction"], row["measure"]] for name in ("variant", "baseline"))
        assert row["value"] == ours["value"]
        assert row["difference"] == pytest.approx(ours["value"] - theirs["value"])
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["relative"] == pytest.approx(100 * row["difference"] / theirs["value"])
        assert 1e-4 <= row["p_value"] <= 1


def test_a_change_relative_to_nothing_is_null():
    table = ranks([[50, 60, 70, 2], [1, 2, 3, 1]], "abcd", variants=("clip_entities_text", "eiclip"))
    row = found(row_comparisons(table), measure="r1")
    assert (row["relative"], row["relative_low"], row["relative_high"]) == (None, None, None)
    assert row["difference"] == 50
    row = found(row_comparisons(table), measure="r5")  # of four products, a resample leaves the one out now and then
    assert (row["relative"], row["relative_low"], row["relative_high"]) == (None, None, None)
    assert found(row_comparisons(table), measure="mrr")["relative"] is not None


@pytest.mark.parametrize(
    ("kept", "pairs"), [(["eiclip"], 0), (["eiclip", "clip_entities_text"], 1), (["clip_pretrained", "eiclip"], 0)]
)
def test_a_partial_run_has_the_rows_it_has(kept, pairs):
    table = drawn_ranks(variants=kept)
    assert len({row["variant"] for row in metric_intervals(table).to_pylist()}) == len(kept)
    compared = {(row["variant"], row["baseline"]) for row in row_comparisons(table).to_pylist()}
    assert len(compared) == pairs


def test_one_direction_alone_has_no_sum():
    table = ranks([[1, 2, 3]] * len(VARIANTS), "abc")
    assert "sum_r" not in metric_intervals(table)["measure"].to_pylist()


def test_a_single_product_has_figures_without_width():
    row = found(metric_intervals(ranks([[1, 30]], ["a", "a"])), measure="r1")
    assert (row["value"], row["low"], row["high"]) == (50, 50, 50)


def test_no_ranks_no_intervals():
    empty = drawn_ranks().slice(0, 0)
    assert metric_intervals(empty).num_rows == row_comparisons(empty).num_rows == 0


def test_draws_of_a_product_are_one_cluster():
    """Five repeats of the same queries say no more than one, and their intervals must not be narrower."""
    rank_VQ = np.random.default_rng(3).integers(1, 4, size=(len(VARIANTS), 60))
    products = [f"p{n}" for n in range(60)]
    once = metric_intervals(ranks(rank_VQ, products))
    draws = [ranks(rank_VQ, products, protocol="sample100_5x1000", draw=draw) for draw in range(1, 6)]
    repeated = metric_intervals(pa.concat_tables(draws))
    for one, many in zip(once.to_pylist(), repeated.to_pylist(), strict=True):
        assert many["queries"] == 5 * one["queries"]
        for name in ("value", "low", "high", "products"):
            assert many[name] == pytest.approx(one[name])


def test_protocols_may_ask_for_different_products():
    some = ranks([[1, 2, 3, 4]] * len(VARIANTS), "abcd")
    other = ranks([[1, 5]] * len(VARIANTS), "xy", protocol="sample100", direction="i2t")
    made = metric_intervals(pa.concat_tables([some, other]))
    assert found(made, variant="eiclip", protocol="full", measure="r1")["products"] == 4
    assert found(made, variant="eiclip", protocol="sample100", measure="r5")["value"] == 100


def test_the_order_of_rows_and_the_run_make_no_difference():
    table = drawn_ranks()
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    for make in (metric_intervals, row_comparisons):
        assert make(table).equals(make(table))
        assert not make(table).equals(make(table, seed=1))
        for row, other in zip(make(table).to_pylist(), make(shuffled).to_pylist(), strict=True):
            assert row == pytest.approx(other)  # but for the rounding of sums in another order


def test_variants_that_rank_other_queries_are_refused():
    fewer = pa.concat_tables([ranks([[1, 2]], "ab"), ranks([[1]], "a", variants=["eiclip"])])
    with pytest.raises(EiclipError, match=r"d, full: eiclip ranks other queries than clip_pretrained"):
        metric_intervals(fewer)


def test_ranks_of_two_datasets_are_refused():
    one = ranks([[1, 2]], "ab")
    other = one.set_column(one.schema.get_field_index("dataset"), "dataset", pa.array(["e"] * one.num_rows))
    with pytest.raises(EiclipError, match="several datasets"):
        metric_intervals(pa.concat_tables([one, other]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.tuples(st.integers(1, 20), st.integers(1, 20))), min_size=1, max_size=25)
)
def test_what_holds_of_any_ranks(queries):
    products = [f"p{product}" for product, _ in queries]
    rank_VQ = np.array([pair for _, pair in queries]).T
    table = ranks(rank_VQ, products, variants=("clip_entities_text", "eiclip"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        intervals, compared = metric_intervals(table, resamples=200), row_comparisons(table, resamples=200)
    for row in intervals.to_pylist():
        assert 0 <= row["low"] <= row["high"] <= 100
        assert 0 <= row["value"] <= 100
    for row in compared.to_pylist():
        assert -100 <= row["low"] <= row["high"] <= 100
        assert 0 < row["p_value"] <= 1
        mirrored = found(
            row_comparisons(_swapped(table), resamples=200), measure=row["measure"], direction=row["direction"]
        )
        assert mirrored["difference"] == pytest.approx(-row["difference"])
        assert [mirrored["low"], mirrored["high"]] == pytest.approx([-row["high"], -row["low"]])
        assert mirrored["p_value"] == row["p_value"]
        break


def _swapped(table):
    other = {"clip_entities_text": "eiclip", "eiclip": "clip_entities_text"}
    names = pa.array([other[name] for name in table["variant"].to_pylist()])
    return table.set_column(table.schema.get_field_index("variant"), "variant", names)
