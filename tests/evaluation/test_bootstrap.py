"""Bootstrap intervals and paired tests against SciPy's, and against the truth of simulations."""

import numpy as np
import pytest
from scipy import stats

from eiclip.evaluation.bootstrap import cluster_weights, interval, paired_p_value, resampled_means

MANY = 20_000
"""Resamples where the chance of the draw itself is to be small."""


def clustered(products, *, seed=0, photos=4, gain=0.5):
    """Hits of two correlated rows on the photos of products that are hard or easy as a whole: sums (P, 2), counts."""
    drawing = np.random.default_rng(seed)
    count_P = drawing.integers(1, photos + 1, size=products)
    skill_P2 = drawing.normal(scale=2, size=products)[:, None] + [gain, 0]
    chance_P2 = 1 / (1 + np.exp(1 - skill_P2))
    return drawing.binomial(count_P[:, None], chance_P2).astype(float), count_P[:, None].astype(float)


@pytest.mark.parametrize("products", [1, 2, 7, 300, 5_000])
def test_weights_are_draws_with_replacement(products):
    weights_BP = cluster_weights(products, seed=3, resamples=400)
    assert weights_BP.nbytes == 400 * products
    assert (weights_BP.sum(axis=1, dtype=np.int64) == products).all()
    assert weights_BP.mean() == pytest.approx(1)
    if products > 1:
        assert weights_BP.var() == pytest.approx(1 - 1 / products, rel=0.15)
    np.testing.assert_array_equal(weights_BP, cluster_weights(products, seed=3, resamples=400))
    if products > 2:
        assert (weights_BP != cluster_weights(products, seed=4, resamples=400)).any()


def test_a_product_weighs_as_many_queries_as_it_has():
    means_BM = resampled_means(
        np.array([[3.0, 0.0], [0.0, 1.0]]), np.array([[3.0], [1.0]]), np.array([[1, 1], [2, 0], [0, 2]], dtype=np.uint8)
    )
    np.testing.assert_allclose(means_BM, [[0.75, 0.25], [1, 0], [0, 1]])


def test_a_mean_over_no_query_is_nan():
    means_BM = resampled_means(
        np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]]), np.array([[0, 2], [1, 1]], dtype=np.uint8)
    )
    assert np.isnan(means_BM[0, 0])
    assert means_BM[1, 0] == 1


def test_resamples_in_chunks_are_those_in_one_piece(monkeypatch):
    sum_P2, count_P1 = clustered(50)
    difference_P1 = sum_P2[:, :1] - sum_P2[:, 1:]
    whole_BP, p = cluster_weights(50), paired_p_value(difference_P1)
    means_B2 = resampled_means(sum_P2, count_P1, whole_BP)
    monkeypatch.setattr("eiclip.evaluation.bootstrap.CHUNK_BYTES", 8 * 50 * 7)
    np.testing.assert_array_equal(whole_BP, cluster_weights(50))
    np.testing.assert_allclose(means_B2, resampled_means(sum_P2, count_P1, whole_BP))
    assert p == paired_p_value(difference_P1)


@pytest.mark.parametrize("photos", [1, 4])
def test_intervals_are_scipys(photos):
    sum_P2, count_P1 = clustered(150, seed=2, photos=photos)

    def mean(sums, counts, axis):
        return sums.sum(axis=axis) / counts.sum(axis=axis)

    weights_BP = cluster_weights(150, resamples=MANY)
    low_2, high_2 = interval(resampled_means(sum_P2, count_P1, weights_BP))
    for row in range(2):
        theirs = stats.bootstrap(
            (sum_P2[:, row], count_P1[:, 0]), mean, paired=True, vectorized=True, n_resamples=MANY,
            method="percentile", random_state=np.random.default_rng(1),
        )  # fmt: skip
        spread = theirs.standard_error
        assert low_2[row] == pytest.approx(theirs.confidence_interval.low, abs=0.1 * spread)
        assert high_2[row] == pytest.approx(theirs.confidence_interval.high, abs=0.1 * spread)


@pytest.mark.parametrize(("gain", "products"), [(0.0, 60), (0.3, 60), (0.6, 60), (0.8, 12)])
def test_p_values_are_scipys(gain, products):
    sum_P2, _ = clustered(products, seed=5, gain=gain)

    def difference(ours, theirs, axis):
        return (ours - theirs).sum(axis=axis)

    theirs = stats.permutation_test(
        (sum_P2[:, 0], sum_P2[:, 1]), difference, permutation_type="samples", vectorized=True, n_resamples=MANY,
        random_state=np.random.default_rng(1),
    )  # fmt: skip
    [ours] = paired_p_value(sum_P2[:, :1] - sum_P2[:, 1:], flips=MANY)
    error = np.sqrt(theirs.pvalue * (1 - theirs.pvalue) / MANY)
    assert ours == pytest.approx(theirs.pvalue, abs=6 * error + 1e-3)


def test_intervals_over_products_cover_the_truth_and_over_queries_they_do_not():
    def cluster_sums(products, seed):
        drawing = np.random.default_rng(seed)
        chance_P = 1 / (1 + np.exp(1 - drawing.normal(scale=2, size=products)))
        return drawing.binomial(6, chance_P), 6

    truth = np.mean(cluster_sums(400_000, seed=9)[0]) / 6
    covered = {"products": 0, "queries": 0}
    weights = {"products": cluster_weights(120), "queries": cluster_weights(720, resamples=500)}
    for seed in range(300):
        hits_P, photos = cluster_sums(120, seed)
        queries_Q = np.concatenate([np.repeat([1, 0], [hits, photos - hits]) for hits in hits_P])
        sums = {"products": (hits_P, photos), "queries": (queries_Q, 1)}
        for unit, (values, count) in sums.items():
            counts = np.full((len(values), 1), float(count))
            low, high = interval(resampled_means(values[:, None].astype(float), counts, weights[unit]))
            covered[unit] += bool(low[0] <= truth <= high[0])
    assert 0.91 <= covered["products"] / 300 <= 0.98
    assert covered["queries"] / 300 < 0.80


def test_wider_intervals_for_few_products_cover_more():
    drawing = np.random.default_rng(0)
    weights_BP, ones = cluster_weights(6), np.ones((6, 1))
    plain, wide = 0, 0
    for _ in range(300):
        values_BM = resampled_means(drawing.normal(size=(6, 1)), ones, weights_BP)
        (low, high), (lower, higher) = interval(values_BM), interval(values_BM, clusters=6)
        assert lower <= low <= high <= higher
        plain, wide = plain + bool(low <= 0 <= high), wide + bool(lower <= 0 <= higher)
    assert plain / 300 < 0.90 < wide / 300


def test_p_values_of_rows_that_do_not_differ_are_uniform():
    drawing = np.random.default_rng(0)
    p_M = paired_p_value(drawing.normal(size=(80, 500)))
    assert stats.kstest(p_M, "uniform").pvalue > 0.01


def test_the_smallest_p_value_is_one_in_ten_thousand():
    [p] = paired_p_value(np.ones((100, 1)))
    assert p == 1 / 10_000


def test_a_paired_interval_is_narrower_than_an_unpaired_one():
    sum_P2, count_P1 = clustered(200, seed=1)
    first_B2, second_B2 = (resampled_means(sum_P2, count_P1, cluster_weights(200, seed=seed)) for seed in (0, 1))
    paired, unpaired = (np.diff(interval(first_B2[:, 0] - other_B2[:, 1]))[0] for other_B2 in (first_B2, second_B2))
    assert paired < 0.75 * unpaired
