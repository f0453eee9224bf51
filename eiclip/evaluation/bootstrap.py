"""Confidence intervals by a cluster bootstrap, and paired randomization tests over clusters.

The queries of one product (or of the products of one style) are not independent: clusters are sampled, each with all
its queries. A figure is a mean over queries, thus a sum over clusters divided by a count.

Shape suffixes: B bootstrap samples, P clusters, M figures, Q queries, K rankings, C clusters of a chunk.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from eiclip.errors import EiclipError

RESAMPLES = 2000
"""Bootstrap samples of an interval."""
FLIPS = 9_999
"""Random sign patterns of a paired test: the smallest p-value it can give is 1 / 10,000."""
CONFIDENCE = 0.95
CHUNK_BYTES = 32 << 20
"""Memory of one chunk of weights or signs as numbers."""


def cluster_weights(clusters: int, *, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Return how often each cluster is in each bootstrap sample: as many draws with replacement as there are clusters.

    The same seed and number of clusters give the same counts: (resamples, clusters), one byte each.

    >>> cluster_weights(3, resamples=2).sum(axis=1).tolist()
    [3, 3]
    """
    drawing = np.random.default_rng(seed)
    weights_BP = np.empty((resamples, clusters), dtype=np.uint8)  # a count beyond 255 has no chance worth naming
    for start, stop in _chunks(resamples, clusters):
        drawn_CP = drawing.integers(clusters, size=(stop - start, clusters))
        drawn_CP += np.arange(stop - start)[:, None] * clusters
        counts = np.bincount(drawn_CP.ravel(), minlength=drawn_CP.size)
        weights_BP[start:stop] = counts.reshape(drawn_CP.shape)
    return weights_BP


def resampled_means(sums: np.ndarray, counts: np.ndarray, weights_BP: np.ndarray) -> np.ndarray:
    """Return the mean over queries of each figure in each bootstrap sample.

    Args:
        sums: figures summed over a cluster's queries, (P, ...).
        counts: queries of a cluster: (P,) or (P, 1) where all figures have the same, else as `sums`.
        weights_BP: `cluster_weights`.

    Returns:
        (B, ...); NaN where a sample holds no query.
    """
    sum_PM, count_PM = sums.reshape(len(sums), -1), counts.reshape(len(counts), -1)
    means_BM = np.empty((len(weights_BP), sum_PM.shape[1]))
    for start, stop in _chunks(*weights_BP.shape):
        weights_CP = weights_BP[start:stop].astype(np.float64)
        with np.errstate(invalid="ignore"):
            means_BM[start:stop] = (weights_CP @ sum_PM) / (weights_CP @ count_PM)
    return means_BM.reshape(-1, *sums.shape[1:])


def interval(values: np.ndarray, *, clusters: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the low and high end of each figure's 95 % percentile interval, (...) each; NaN where a sample is NaN.

    Args:
        values: figures by bootstrap sample, (B, ...).
        clusters: where given, the interval is widened for how few clusters there are (`widened`).
    """
    tail = (1 - (CONFIDENCE if clusters is None else widened(CONFIDENCE, clusters))) / 2
    low, high = np.quantile(values, [tail, 1 - tail], axis=0)
    return low, high


def widened(confidence: float, clusters: int) -> float:
    """Return the share of bootstrap samples that covers the truth `confidence` of the time with so few clusters.

    Samples of P clusters spread too little by the factor sqrt((P - 1) / P), and a normal curve has thinner tails than
    Student's: the usual correction of a mean's interval, applied to the shares (nothing to speak of from 100 clusters).

    >>> round(widened(0.95, 5), 4), round(widened(0.95, 1000), 4)
    (0.9981, 0.9504)
    """
    from scipy.special import stdtrit

    if clusters < 2:
        return 1.0
    reach = float(stdtrit(clusters - 1, (1 + confidence) / 2)) * (clusters / (clusters - 1)) ** 0.5
    return 2 * NormalDist().cdf(reach) - 1


def paired_p_value(differences: np.ndarray, *, seed: int = 0, flips: int = FLIPS) -> np.ndarray:
    """Return two-sided p-values of a paired randomization test over clusters.

    Were two rows alike, either could have had the other's ranks on any cluster: the sign of each cluster's difference
    is flipped at random, all its queries and figures at once, and the p-value is how often the total then lies as far
    from zero as the observed one, which is counted in.

    Args:
        differences: a cluster's share in the difference of two means, summed over its queries, (P, ...).
        seed: the same seed gives the same flips.
        flips: random sign patterns.

    Returns:
        (...), from 1 / (1 + flips) to 1.
    """
    drawing = np.random.default_rng(seed)
    difference_PM = differences.reshape(len(differences), -1)
    total_M = difference_PM.sum(axis=0)
    least_M = np.abs(total_M) - 1e-9 * np.abs(difference_PM).sum(axis=0)  # equal but for rounding is equal
    hits_M = np.zeros(len(total_M), dtype=np.int64)
    for start, stop in _chunks(flips, len(differences)):
        words = drawing.integers(1 << 64, size=(stop - start, -(-len(differences) // 64)), dtype=np.uint64)
        flipped_CP = np.unpackbits(words.view(np.uint8), axis=1, count=len(differences)).astype(np.float64)
        hits_M += (np.abs(total_M - 2 * flipped_CP @ difference_PM) >= least_M).sum(axis=0)
    return ((1 + hits_M) / (1 + flips)).reshape(differences.shape[1:])


def _chunks(rows: int, columns: int) -> list[tuple[int, int]]:
    """Spans of rows whose numbers take `CHUNK_BYTES` at most."""
    size = max(1, CHUNK_BYTES // (8 * max(1, columns)))
    return [(start, min(start + size, rows)) for start in range(0, rows, size)]


def measures_of(rank_Q: np.ndarray) -> dict[str, np.ndarray]:
    """Return what ranks count for, in percent: recall@1, 5 and 10 and the reciprocal rank of each query.

    >>> {name: values.tolist() for name, values in measures_of(np.array([1, 8])).items()}
    {'r1': [100.0, 0.0], 'r5': [100.0, 0.0], 'r10': [100.0, 100.0], 'mrr': [100.0, 12.5]}
    """
    return {f"r{k}": 100.0 * (rank_Q <= k) for k in (1, 5, 10)} | {"mrr": 100.0 / rank_Q}


def sums_by(
    ranks: pa.Table, measures: Sequence[np.ndarray], columns: Sequence[str], order: Mapping[str, Sequence[Any]] = {}
) -> tuple[list[tuple[Any, ...]], np.ndarray, np.ndarray]:
    """Sum measures of queries by the values of some columns, the first of which is the cluster.

    Args:
        ranks: a row a query, one at least.
        measures: by query, (Q,) each.
        columns: the axes of the result.
        order: values that come first on an axis, in this order; the others are sorted.

    Returns:
        The values of each column, the sums (P, ..., M) and the numbers of queries (P, ...).
    """
    numbers, values = [], []
    for name in columns:
        first, encoded = order.get(name, ()), ranks[name].combine_chunks().dictionary_encode()
        found = encoded.dictionary.to_pylist()
        ordered = sorted(found, key=lambda value: (first.index(value) if value in first else len(first), value))
        place_of = {value: place for place, value in enumerate(ordered)}
        recoded = np.array([place_of[value] for value in found], dtype=np.int64)
        numbers.append(recoded[encoded.indices.to_numpy()])
        values.append(tuple(ordered))
    shape = tuple(map(len, values))
    place_Q, size = np.ravel_multi_index(numbers, shape), math.prod(shape)
    sums = [np.bincount(place_Q, measure_Q, size).reshape(shape) for measure_Q in measures]
    return values, np.stack(sums, axis=-1), np.bincount(place_Q, minlength=size).reshape(shape)


def require_same_queries(counts: np.ndarray, names: Sequence[str], place: str, remedy: str) -> None:
    """Refuse rankings (the second axis of `counts`) of other queries than the first one's.

    They cannot be compared, nor sampled together.

    Raises:
        EiclipError: names some of them, and `place`.
    """
    flat_PKM = counts.reshape(*counts.shape[:2], -1)
    odd_K = (flat_PKM != flat_PKM[:, :1]).any(axis=(0, 2))
    if odd_K.any():
        odd = ", ".join(names[row] for row in np.flatnonzero(odd_K)[:5])
        raise EiclipError(f"{place}: {odd} ranks other queries than {names[0]}; {remedy}")


def only_dataset(ranks: pa.Table) -> str:
    """Return the dataset that all ranks are of; an empty name without ranks.

    Raises:
        EiclipError: they are of several datasets.
    """
    datasets = ranks["dataset"].unique().to_pylist()
    if len(datasets) > 1:
        raise EiclipError(f"ranks of several datasets ({', '.join(datasets)}): give those of one")
    return str(datasets[0]) if datasets else ""
