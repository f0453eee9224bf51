"""Positives of same-style pairs: for each photo of a trigger one of a positive product, sampled anew each epoch.

Every training photo is a trigger once an epoch, so that trainings on many pairs and on few see as many photos, and a
product that was clicked a lot comes no more often than others.

Shape suffixes: N samples, P products, E pairs.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eiclip.errors import RawDataError
from eiclip.features.augment import seed_sequence

COLUMNS = ("trigger_id", "positive_id", "weight")
NO_PAIRS = pa.table([pa.array([], pa.string()), pa.array([], pa.string()), pa.array([], pa.float64())], COLUMNS)
SALT = 7_919
"""Keeps the draws apart from those of the order of an epoch."""


def read_pairs(path: Path) -> pa.Table:
    """Pairs as mining leaves them: trigger_id, positive_id, weight.

    Raises:
        RawDataError: a column is missing, or a weight is not above 0.
    """
    names = pq.read_schema(path).names
    if absent := [name for name in COLUMNS if name not in names]:
        raise RawDataError(f"{path}: no column {absent[0]!r}; pairs have {', '.join(COLUMNS)}")
    pairs = pq.read_table(path, columns=list(COLUMNS))
    weight_E = pairs["weight"].to_numpy()
    if len(weight_E) and not (np.isfinite(weight_E).all() and weight_E.min() > 0):
        raise RawDataError(f"{path}: a weight is {weight_E.min()}; weights of pairs are finite and above 0")
    return pairs


class PairDraws:
    """The positives of a split's samples.

    Args:
        pairs: columns trigger_id, positive_id, weight; those of a product with itself are left out.
        products: the product of each sample.
        seed: equal seeds draw the same.
        self_pair_probability: of the draws of a trigger that has positives, those in which it is paired with itself.
    """

    def __init__(self, pairs: pa.Table, products: pa.ChunkedArray, seed: int, self_pair_probability: float) -> None:
        encoded = products.combine_chunks().dictionary_encode()
        known = encoded.dictionary
        self.product_N = encoded.indices.to_numpy().astype(np.int64)
        self._seed, self._self_pair_probability = seed, self_pair_probability
        self._photo_begin_P, self._photo_N = _by_owner(self.product_N, len(known))
        trigger_E, positive_E = (
            pc.fill_null(pc.index_in(pairs[name].cast(known.type), known), -1).to_numpy().astype(np.int64)
            for name in COLUMNS[:2]
        )
        found_E = (trigger_E >= 0) & (positive_E >= 0)
        self.unknown = int((~found_E).sum())
        """Pairs left out: a product of theirs has no training sample."""
        kept_E = found_E & (trigger_E != positive_E)
        self.pairs = int(kept_E.sum())
        self._begin_P, order_E = _by_owner(trigger_E[kept_E], len(known))
        self.triggers = int((np.diff(self._begin_P) > 0).sum())
        """Products that have a positive other than themselves."""
        self._positive_E = positive_E[kept_E][order_E]
        self._cumulative_weight_E = np.cumsum(pairs["weight"].to_numpy()[kept_E][order_E])

    def of(self, epoch: int) -> np.ndarray:
        """The sample (N,) that each sample is paired with in an epoch: never itself where its product has another."""
        random = np.random.default_rng(seed_sequence(self._seed, SALT, epoch))
        self_N, which_N, photo_N = random.random((3, len(self.product_N)))
        found_N = self._another_photo(photo_N)
        paired_N = (np.diff(self._begin_P)[self.product_N] > 0) & (self_N >= self._self_pair_probability)
        positive = self._positive(self.product_N[paired_N], which_N[paired_N])
        begin, count = self._photo_begin_P[positive], np.diff(self._photo_begin_P)[positive]
        found_N[paired_N] = self._photo_N[begin + (photo_N[paired_N] * count).astype(np.int64)]
        return found_N

    def _positive(self, product: np.ndarray, which: np.ndarray) -> np.ndarray:
        """A positive of each product, by weight; `which` from 0 to 1."""
        begin, end = self._begin_P[product], self._begin_P[product + 1]
        before = np.where(begin > 0, self._cumulative_weight_E[np.maximum(begin, 1) - 1], 0.0)
        wanted = before + which * (self._cumulative_weight_E[end - 1] - before)
        place = np.searchsorted(self._cumulative_weight_E, wanted, side="right")
        return self._positive_E[np.clip(place, begin, end - 1)]

    def _another_photo(self, photo_N: np.ndarray) -> np.ndarray:
        """Another photo of each sample's product; the sample itself where there is none."""
        begin_N, count_N = self._photo_begin_P[self.product_N], np.diff(self._photo_begin_P)[self.product_N]
        own_N = np.empty(len(photo_N), dtype=np.int64)
        own_N[self._photo_N] = np.arange(len(photo_N))  # where each sample stands among its product's
        step_N = 1 + (photo_N * (count_N - 1)).astype(np.int64)
        return self._photo_N[begin_N + (own_N - begin_N + np.where(count_N > 1, step_N, 0)) % count_N]


def _by_owner(owner_E: np.ndarray, owners: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of entries in the order of their owners, and where those of each owner begin (one more: the end)."""
    begin_P = np.concatenate([[0], np.cumsum(np.bincount(owner_E, minlength=owners))])
    return begin_P, np.argsort(owner_E, kind="stable")
