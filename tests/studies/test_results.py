"""What trials come to: recalls by hand, and intervals that are paired."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.errors import EiclipError
from eiclip.storage.lake import Lake
from eiclip.studies.results import RESULTS_SCHEMA, SEED_COMPARISONS_SCHEMA, Outcome, results_table, seed_comparisons
from eiclip.studies.trials import Trial

WAYS = ("i2t", "t2i")


def table(ranks):
    """Ranks of {direction: {product: [rank of each query]}}."""
    rows = [
        {"direction": way, "query_id": f"{product}/{n}", "product_id": product, "rank": rank}
        for way, products in ranks.items()
        for product, found in products.items()
        for n, rank in enumerate(found)
    ]
    return pa.Table.from_pylist(rows)


def outcome(label, ranks, reference=None, variant="eiclip", seed=0):
    trial = Trial(label, variant, "batch_size", "16", ("brand",), seed, x=16.0, reference=reference)
    return Outcome(trial, table(ranks), epochs=3, steps=30, budget=1.0, seconds=1.5, x=16.0)


SMALL = {"i2t": {"a": [1, 6], "b": [3], "c": [11]}, "t2i": {"a": [2], "b": [1], "c": [8]}}


def drawn(seed, products=60, better=0):
    draw = np.random.default_rng(seed)
    names = [f"p{n}" for n in range(products)]
    return {
        way: {name: list(np.maximum(1, draw.integers(1, 20, 2 if way == "i2t" else 1) - better)) for name in names}
        for way in WAYS
    }


def test_recalls_by_hand():
    [row] = results_table("shop", "ablation_x", [outcome("one", SMALL)], {"all": None}, resamples=50).to_pylist()
    assert [row[f"i2t_r{k}"] for k in (1, 5, 10)] == [25, 50, 75]
    assert [row[f"t2i_r{k}"] for k in (1, 5, 10)] == pytest.approx([100 / 3, 200 / 3, 100])
    assert row["sum_r"] == pytest.approx(350)
    assert row["i2t_mrr"] == pytest.approx(100 * (1 + 1 / 6 + 1 / 3 + 1 / 11) / 4)
    assert row["t2i_mrr"] == pytest.approx(100 * (1 / 2 + 1 + 1 / 8) / 3)
    assert (row["row"], row["products"], row["steps"], row["x"]) == (5, 3, 30, 16.0)
    assert row["sum_r_low"] <= row["sum_r"] <= row["sum_r_high"]
    assert row["reference"] is row["sum_r_gain"] is row["gain_low"] is None


def test_a_subset_is_its_products_alone():
    some = frozenset({"a", "gone"})
    subsets = {"all": None, "some": some, "none": frozenset()}
    rows = results_table("shop", "x", [outcome("one", SMALL)], subsets).to_pylist()
    assert [(row["subset"], row["products"]) for row in rows] == [("all", 3), ("some", 1)]
    assert [rows[1][f"i2t_r{k}"] for k in (1, 5, 10)] == [50, 50, 100]


def test_a_gain_over_an_equal_trial_is_nothing_for_sure():
    ranks = drawn(1)
    rows = results_table("shop", "x", [outcome("one", ranks), outcome("two", ranks, "one")], {"all": None}).to_pylist()
    assert (rows[1]["sum_r_gain"], rows[1]["gain_low"], rows[1]["gain_high"]) == (0, 0, 0)
    assert rows[1]["sum_r_low"] < rows[1]["sum_r"], "though the trial itself has an interval"


def test_a_gain_on_every_product_is_surer_than_the_trials_themselves():
    """The trials are compared product by product: what makes a product hard for both is no uncertainty of the gain."""
    outcomes = [outcome("one", drawn(2)), outcome("two", drawn(2, better=1), "one")]
    first, second = results_table("shop", "x", outcomes, {"all": None}).to_pylist()
    assert second["sum_r_gain"] == pytest.approx(second["sum_r"] - first["sum_r"])
    assert 0 < second["gain_low"] < second["sum_r_gain"] < second["gain_high"]
    assert second["gain_high"] - second["gain_low"] < first["sum_r_high"] - first["sum_r_low"]


def test_the_rows_of_a_table_may_come_in_any_order():
    ranks = table(drawn(3))
    turned = ranks.take(list(range(len(ranks)))[::-1])
    trial = outcome("one", SMALL).trial
    one, other = (
        results_table("shop", "x", [Outcome(trial, rows, 3, 30, 1.0, 1.5, None)], {"all": None}, resamples=50)
        for rows in (ranks, turned)
    )
    assert one.equals(other)


def test_trials_ranked_on_other_queries_are_refused():
    fewer = {way: {name: ranks for name, ranks in products.items() if name != "c"} for way, products in SMALL.items()}
    for odd in (fewer, SMALL | {"i2t": SMALL["i2t"] | {"b": [3, 4]}}):
        with pytest.raises(EiclipError, match="two ranks other queries than one"):
            results_table("shop", "x", [outcome("one", SMALL), outcome("two", odd, "one")], {"all": None})


def test_a_trial_without_ranks_is_refused():
    outcomes = [outcome("one", SMALL), outcome("two", SMALL)]
    outcomes[1] = replace(outcomes[1], ranks=outcomes[1].ranks.slice(0, 0))
    with pytest.raises(EiclipError, match="two ranks no query"):
        results_table("shop", "x", outcomes, {"all": None})


def test_the_seeds_summary_is_mean_and_spread(tmp_path):
    outcomes = [outcome(f"row 5, seed {seed}", drawn(seed), seed=seed) for seed in range(3)]
    outcomes.append(outcome("row 3, seed 0", drawn(9), variant="clip_entities_text"))
    lake = Lake(tmp_path)
    results = results_table("shop", "seed_study", outcomes, {"all": None, "some": frozenset({"p1"})}, resamples=50)
    assert results.schema == RESULTS_SCHEMA
    place = lake.write(results, "ablation_results", "shop", "seed_study")
    output = lake.path("seed_study_summary", "shop")
    assert lake.query("evaluation/seed_study_summary", output, {"ablation_results": [place]}, {}) == 2
    single, several = pq.read_table(output).to_pylist()
    assert (single["variant"], single["seeds"], single["sum_r_spread"]) == ("clip_entities_text", 1, None)
    assert (several["row"], several["seeds"]) == (5, 3)
    rows = [row for row in results.to_pylist() if row["variant"] == "eiclip" and row["subset"] == "all"]
    for name in ("i2t_r1", "t2i_r10", "sum_r"):
        values = [row[name] for row in rows]
        assert several[name] == pytest.approx(np.mean(values))
        assert several[f"{name}_spread"] == pytest.approx(np.std(values, ddof=1))


def seeds_of(**better):
    """Ranks by row and seed, those of a row better by so many places."""
    names = {"row3": "clip_entities_text", "row5": "eiclip", "row6": "eiclip_plus"}
    return {
        (names[row], seed): table(drawn(10 * seed, better=places))
        for row, places in better.items()
        for seed in range(3)
    }


def test_rows_are_compared_over_seeds_by_their_means():
    ranks = seeds_of(row3=0, row5=2)
    rows = seed_comparisons("shop", ranks, resamples=400)
    assert rows.schema.equals(SEED_COMPARISONS_SCHEMA)
    found = {row["measure"]: row for row in rows.to_pylist()}
    assert set(found) == {"i2t_r1", "t2i_r1", "sum_r"}

    def mean(variant, way, k):
        firsts = [
            np.mean([r["rank"] <= k for r in ranks[variant, seed].to_pylist() if r["direction"] == way])
            for seed in range(3)
        ]
        return 100 * np.mean(firsts)

    for way in WAYS:
        ours, theirs = mean("eiclip", way, 1), mean("clip_entities_text", way, 1)
        row = found[f"{way}_r1"]
        assert (row["value"], row["baseline_value"]) == pytest.approx((ours, theirs))
        assert row["difference"] == pytest.approx(ours - theirs)
        assert row["relative"] == pytest.approx(100 * (ours / theirs - 1))
    total = sum(mean("eiclip", way, k) for way in WAYS for k in (1, 5, 10))
    assert found["sum_r"]["value"] == pytest.approx(total)
    assert all(row["low"] <= row["difference"] <= row["high"] for row in found.values())
    assert all((row["seeds"], row["products"]) == (3, 60) for row in found.values())


def test_a_row_that_is_better_on_every_product_is_ahead_for_sure_and_an_equal_one_is_not():
    found = {
        (row["variant"], row["baseline"], row["measure"]): row
        for row in seed_comparisons("shop", seeds_of(row3=0, row5=0, row6=6), resamples=400).to_pylist()
    }
    equal = found["eiclip", "clip_entities_text", "sum_r"]
    assert (equal["difference"], equal["low"], equal["high"]) == (0, 0, 0), "equal row by row and seed by seed"
    assert found["eiclip_plus", "eiclip", "sum_r"]["relative_low"] > 0


def test_seeds_that_differ_widen_the_interval():
    alike = {("clip_entities_text", s): table(drawn(1)) for s in range(3)}
    alike |= {("eiclip", s): table(drawn(1, better=3)) for s in range(3)}
    apart = alike | {("eiclip", 2): table(drawn(1, better=12))}
    [narrow], [wide] = (
        [r for r in seed_comparisons("shop", ranks, resamples=400).to_pylist() if r["measure"] == "sum_r"]
        for ranks in (alike, apart)
    )
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])


def test_a_baseline_that_finds_nothing_gives_no_ratio():
    far = {way: {f"p{n}": [500] for n in range(5)} for way in WAYS}
    ranks = {("clip_entities_text", 0): table(far), ("eiclip", 0): table(far)}
    for row in seed_comparisons("shop", ranks, resamples=20).to_pylist():
        assert (row["value"], row["relative"], row["relative_low"]) == (0, None, None)


def test_seeds_of_other_queries_are_refused():
    ranks = {("clip_entities_text", 0): table(drawn(0)), ("eiclip", 0): table(drawn(0, products=59))}
    with pytest.raises(EiclipError, match=r"eiclip, seed 0 ranks other queries"):
        seed_comparisons("shop", ranks)
