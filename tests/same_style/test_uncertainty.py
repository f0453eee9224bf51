"""Intervals and comparisons of same-style ranks against plain loops; samples of styles and seeds."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import t as student

from eiclip.errors import EiclipError
from eiclip.evaluation.bootstrap import cluster_weights, interval
from eiclip.same_style import VIEW_PAIRS
from eiclip.same_style.evaluate import RANKS_SCHEMA
from eiclip.same_style.uncertainty import (
    COMPARISONS,
    INTERVALS,
    MEASURES,
    PAIRS,
    same_style_comparisons,
    same_style_intervals,
    seed_noise,
)

STYLES = 40


def ranks_table(places, dataset="d", styles=STYLES):
    """Ranks by (variant, seed, view pair): a list each, of the styles' 2 or 3 products in turn."""
    sizes = [2 + number % 2 for number in range(styles)]
    products = [(f"s{number:03}", f"p{number:03}{place}") for number in range(styles) for place in range(sizes[number])]
    rows = [
        {"dataset": dataset, "variant": variant, "seed": seed, "view_pair": pair, "product_id": product,
         "style_id": style, "rank": int(rank), "right": sizes[int(style[1:])] - 1}
        for (variant, seed, pair), ranks in places.items()
        for (style, product), rank in zip(products, ranks, strict=True)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=RANKS_SCHEMA)


def drawn(seed, chance, count=STYLES // 2 * 5):
    return np.random.default_rng(seed).geometric(chance, count)


def measured(rank_Q):
    return {"mrr": 100 * (1 / rank_Q).mean()} | {f"r{k}": 100 * (rank_Q <= k).mean() for k in (1, 5, 10)}


def only(table, **wanted):
    found = [row for row in table.to_pylist() if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1
    return found[0]


def test_intervals_are_of_samples_of_styles():
    rank_Q = drawn(0, 0.3)
    ranks = ranks_table({("eiclip", 5, "i-i"): rank_Q, ("eiclip", 5, "m-m"): drawn(1, 0.5)})
    shuffled = ranks.take(np.random.default_rng(2).permutation(len(ranks)))
    found = same_style_intervals(shuffled, resamples=300)
    assert found.schema == INTERVALS
    assert found.num_rows == 2 * len(MEASURES)
    style_Q = np.repeat(np.arange(STYLES), [2 + number % 2 for number in range(STYLES)])
    samples = {name: [] for name in MEASURES}
    for weights_P in cluster_weights(STYLES, resamples=300):
        again_Q = np.repeat(rank_Q, weights_P[style_Q])
        for name, value in measured(again_Q).items():
            samples[name].append(value)
    for name, value in measured(rank_Q).items():
        row = only(found, view_pair="i-i", measure=name)
        low, high = interval(np.array(samples[name])[:, None], clusters=STYLES)
        assert [row["value"], row["low"], row["high"]] == pytest.approx([value, low[0], high[0]])
        assert (row["seed"], row["seeds"], row["queries"], row["styles"]) == (5, 1, 100, STYLES)


def test_several_seeds_have_a_row_of_their_mean_with_the_spread_between_them():
    by_seed = {("same_style", seed, "m-m"): drawn(seed, 0.2 + 0.15 * seed) for seed in range(3)}
    ranks = ranks_table(by_seed | {("clip_pretrained", 0, "m-m"): drawn(9, 0.2)})
    found = same_style_intervals(ranks, resamples=500)
    together = only(found, variant="same_style", seed=None, measure="mrr")
    alone = [only(found, variant="same_style", seed=seed, measure="mrr") for seed in range(3)]
    assert together["value"] == pytest.approx(np.mean([row["value"] for row in alone]))
    assert together["seeds"] == 3
    width = together["high"] - together["low"]
    assert width > 1.5 * max(row["high"] - row["low"] for row in alone), "the seeds differ by much more than styles say"
    assert not [row for row in found.to_pylist() if row["variant"] == "clip_pretrained" and row["seed"] is None]


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_noise_of_seeds_spreads_as_students_interval_of_their_mean(seeds):
    value_SM = np.random.default_rng(0).normal(size=(seeds, 2))
    noise_BM = seed_noise(value_SM, resamples=50_000)
    reach_M = student.ppf(0.975, seeds - 1) * value_SM.std(axis=0, ddof=1) / seeds**0.5
    assert 1.96 * noise_BM.std(axis=0) == pytest.approx(reach_M, rel=0.03)
    assert noise_BM.mean(axis=0) == pytest.approx([0, 0], abs=0.05 * reach_M.max())


def test_equal_seeds_add_nothing():
    assert not seed_noise(np.full((3, 2), 7.0)).any()
    assert not seed_noise(np.array([[7.0, 8.0]])).any()
    same = drawn(0, 0.3)
    found = same_style_intervals(ranks_table({("same_style", seed, "i-i"): same for seed in range(3)}), resamples=200)
    rows = [only(found, seed=seed, measure="r1") for seed in (0, None)]
    assert [rows[0][name] for name in ("value", "low", "high")] == pytest.approx(
        [rows[1][name] for name in ("value", "low", "high")]
    )


def test_differences_are_paired_by_style():
    better = drawn(0, 0.3)
    worse = better + 1  # always one place behind: the difference hardly varies, while both values do
    ranks = ranks_table({("same_style", 0, "m-m"): better, ("same_style_plain", 0, "m-m"): worse})
    found = same_style_comparisons(ranks, resamples=300)
    assert found.schema == COMPARISONS
    assert found.num_rows == len(MEASURES)
    row = only(found, measure="mrr")
    assert (row["variant"], row["baseline"], row["view_pair"], row["baseline_view_pair"]) == (
        "same_style", "same_style_plain", "m-m", "m-m",
    )  # fmt: skip
    assert row["difference"] == pytest.approx(measured(better)["mrr"] - measured(worse)["mrr"])
    assert row["difference"] == pytest.approx(row["value"] - row["baseline_value"])
    assert row["low"] > 0
    assert row["p_value"] == pytest.approx(1e-4)
    intervals = same_style_intervals(ranks, resamples=300)
    wide = only(intervals, variant="same_style", measure="mrr")
    assert row["high"] - row["low"] < wide["high"] - wide["low"]


def test_equal_rows_do_not_differ():
    same = drawn(0, 0.3)
    ranks = ranks_table({(name, 0, "i-i"): same for name in ("same_style", "clip_description")})
    for row in same_style_comparisons(ranks, resamples=100).to_pylist():
        assert (row["difference"], row["low"], row["high"], row["p_value"]) == (0, 0, 0, 1)


def test_every_pair_of_rows_that_is_there_in_every_pair_of_views():
    variants = ("same_style", "same_style_unconstrained", "clip_pretrained")
    places = {(name, 0, pair): drawn(number, 0.3) for number, name in enumerate(variants) for pair in VIEW_PAIRS}
    found = same_style_comparisons(ranks_table(places | {("pixels", 0, "i-i"): drawn(8, 0.1)}), resamples=50)
    between = [row for row in found.to_pylist() if row["variant"] != row["baseline"]]
    assert {(row["variant"], row["baseline"]) for row in between} == {
        pair for pair in PAIRS if set(pair) <= set(variants)
    }
    assert len(between) == 2 * len(VIEW_PAIRS) * len(MEASURES)
    assert all(row["view_pair"] == row["baseline_view_pair"] for row in between)


def test_the_joint_view_is_compared_with_the_better_single_one_of_each_measure():
    # Image: often first, else far behind; text: hardly ever first, always near.
    image, text = np.where(np.arange(100) % 2, 1, 500), np.where(np.arange(100) % 4, 4, 1)
    places = {("eiclip", 0, "i-i"): image, ("eiclip", 0, "t-t"): text, ("eiclip", 0, "m-m"): np.full(100, 2)}
    found = same_style_comparisons(ranks_table(places), resamples=50)
    against = {row["measure"]: row["baseline_view_pair"] for row in found.to_pylist()}
    assert against == {"mrr": "i-i", "r1": "i-i", "r5": "t-t", "r10": "t-t"}
    assert only(found, measure="r5")["difference"] == 0
    alike = ranks_table(places | {("eiclip", 0, "t-t"): image})
    assert same_style_comparisons(alike, resamples=50).num_rows == len(MEASURES), "one row a measure where both tie"


def test_seeds_stand_beside_each_other_and_a_single_one_beside_all():
    places = {("same_style", seed, "m-m"): drawn(seed, 0.5) for seed in range(3)}
    places |= {("same_style_unconstrained", seed, "m-m"): drawn(10 + seed, 0.3) for seed in (1, 2, 3)}
    places |= {("clip_pretrained", 0, "m-m"): drawn(20, 0.2)}
    found = same_style_comparisons(ranks_table(places), resamples=100)
    rows = [row for row in found.to_pylist() if row["measure"] == "r1"]
    trained = {row["seed"]: row for row in rows if row["baseline"] == "same_style_unconstrained"}
    assert sorted(trained, key=str) == [1, 2, None]
    expected = np.mean([measured(drawn(seed, 0.5))["r1"] - measured(drawn(10 + seed, 0.3))["r1"] for seed in (1, 2)])
    assert trained[None]["difference"] == pytest.approx(expected)
    assert (trained[None]["p_value"], trained[None]["seeds"]) == (None, 2)
    untrained = {row["seed"]: row for row in rows if row["baseline"] == "clip_pretrained"}
    assert sorted(untrained, key=str) == [0, 1, 2, None]
    alone = measured(drawn(20, 0.2))["r1"]
    assert [row["baseline_value"] for row in untrained.values()] == pytest.approx([alone] * 4)


def test_nothing_ranked_is_an_empty_table():
    empty = RANKS_SCHEMA.empty_table()
    assert same_style_intervals(empty).schema == INTERVALS
    assert same_style_comparisons(empty).schema == COMPARISONS
    alone = ranks_table({("pixels", 0, "i-i"): drawn(0, 0.3)})
    assert same_style_comparisons(alone).num_rows == 0


def test_ranks_that_cannot_be_compared_are_named():
    ranks = ranks_table({("eiclip", 0, "i-i"): drawn(0, 0.3), ("pixels", 0, "i-i"): drawn(1, 0.3)})
    with pytest.raises(EiclipError, match="pixels, seed 0, i-i ranks other queries than eiclip, seed 0, i-i"):
        same_style_intervals(ranks.slice(0, len(ranks) - 1))
    with pytest.raises(EiclipError, match="several datasets"):
        same_style_intervals(pa.concat_tables([ranks, ranks_table({("a", 0, "i-i"): drawn(0, 0.3)}, "e")]))
