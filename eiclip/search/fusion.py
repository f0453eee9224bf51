"""Signals of how a product answers a query, and the weights that make one score of them.

The weights are those of a logistic regression: learned on queries of the validation split whose relevant products are
known, kept as a small table (`search_weights`), and the defaults below where no job has learned them. A score is the
log-odds that the product is relevant.

Shape suffixes: Q queries, N products, F signals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

ENTITY = "entity "  # before the name of a group: agreement with the entities of that group
DEFAULTS: Mapping[str, float] = {
    "title words": 6.0,
    "description words": 2.0,
    "tag words": 4.0,
    "coverage": 6.0,
    ENTITY.strip(): 2.0,
    "photo": 3.0,
    "text": 4.0,
}
"""About what is learned on a real catalogue (Myntra) and on drawn ones."""
CONSTANT = -10.0
CONSTANT_ROW = "constant"
PULL = 3e-3
"""Strength of the L2 penalty on how far learned weights are from the defaults: it decides those of signals that queries
do not tell apart. Validation queries can all be answered by words: without the pull, photos would count for nothing."""
WEIGHTS_TABLE = "search_weights"
WEIGHTS = pa.schema(
    [("asked", pa.string()), ("signal", pa.string()), ("weight", pa.float64()), ("queries", pa.int64())]
)
MATCH = 0.0
"""Least log-odds of a product that is shown as a match: as probably relevant as not."""

Signals = Mapping[str, np.ndarray]
"""By name, (N,) float32."""


class Example(NamedTuple):
    """A query whose relevant products are known."""

    kind: str
    """Kinds of queries count equally, however many queries they have."""
    signals: Signals
    relevant_N: np.ndarray
    """Bool. None relevant: the query is used for the constant alone."""
    complete: bool = True
    """Whether all relevant products are known. Else those that score as high as one known may be relevant, too."""


def default_weight(signal: str) -> float:
    """Return the weight of a signal where none was learned."""
    return DEFAULTS[ENTITY.strip() if signal.startswith(ENTITY) else signal]


@dataclass(frozen=True)
class Weights:
    """Weights by signal, and the constant: log-odds are constant + the sum of weight * signal."""

    by_signal: Mapping[str, float]
    constant: float
    queries: int = 0
    """That they were learned from; 0: the defaults."""

    @classmethod
    def default(cls) -> Self:
        """Return the weights of a home where none were learned."""
        return cls({}, CONSTANT)

    def weight(self, signal: str) -> float:
        """Return a signal's weight."""
        return self.by_signal[signal] if signal in self.by_signal else default_weight(signal)

    def scores(self, signals: Signals) -> np.ndarray:
        """Return the log-odds (N,) that each product is relevant."""
        scores_N = sum(np.float32(self.weight(name)) * value_N for name, value_N in signals.items())
        return np.asarray(scores_N + np.float32(self.constant))

    def table(self, asked: str) -> pa.Table:
        """Return them as a table, schema `WEIGHTS`: of queries by words, or by a product."""
        rows = {**self.by_signal, CONSTANT_ROW: self.constant}
        return pa.table(
            [[asked] * len(rows), list(rows), list(rows.values()), [self.queries] * len(rows)], schema=WEIGHTS
        )

    @classmethod
    def of_table(cls, table: pa.Table, asked: str) -> Self:
        """Return the weights that `table` has written; the defaults where there are none."""
        found = [row for row in table.to_pylist() if row["asked"] == asked]
        weights = {row["signal"]: row["weight"] for row in found}
        return cls(weights, weights.pop(CONSTANT_ROW), found[0]["queries"]) if found else cls.default()

    @classmethod
    def learned(cls, examples: Sequence[Example], pull: float = PULL) -> Self:
        """Learn weights from queries, none negative; the defaults where no query has a relevant product.

        First their direction, so that relevant products come before others of the same query: the likelihood of each
        relevant product among itself and the irrelevant ones. Then scale and constant, by logistic regression over all
        pairs of query and product whose relevance is known. The scale is at most that of the first step: queries that a
        small catalogue answers without a fault would make every score 0 or 1.
        """
        ranked = [one for one in examples if one.relevant_N.any() and not one.relevant_N.all()]
        if not ranked:
            return cls.default()
        names = list(dict.fromkeys(name for one in examples for name in one.signals))
        spread_F = np.array([_spread([one.signals[name] for one in examples if name in one.signals]) for name in names])
        start_F = np.array([default_weight(name) for name in names]) * spread_F
        from scipy.optimize import minimize  # it takes as long to import as a search does
        from scipy.special import logsumexp

        share = _shares([one.kind for one in ranked])
        matrices = [(_matrix(one, names) / spread_F, one.relevant_N) for one in ranked]

        def loss(weight_F: np.ndarray) -> tuple[float, np.ndarray]:
            apart_F = weight_F - start_F
            total, slope_F = pull * float(apart_F @ apart_F), 2 * pull * apart_F
            for own, (value_NF, relevant_N) in zip(share, matrices, strict=True):
                score_N = value_NF @ weight_F
                right_K, others = score_N[relevant_N], logsumexp(score_N[~relevant_N])
                whole_K = np.logaddexp(right_K, others)
                total += own * float((whole_K - right_K).mean())
                slope_N = np.empty_like(score_N)
                slope_N[relevant_N] = (np.exp(right_K - whole_K) - 1) / len(right_K)
                slope_N[~relevant_N] = np.exp(score_N[~relevant_N] + logsumexp(-whole_K)) / len(right_K)
                slope_F = slope_F + own * (slope_N @ value_NF)
            return total, slope_F

        found_F = minimize(loss, start_F, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(names)).x / spread_F
        scale, constant = _calibrated(examples, names, found_F)
        weights = {name: float(scale * weight) for name, weight in zip(names, found_F, strict=True)}
        return cls(weights, constant, len(ranked))


def _matrix(one: Example, names: Sequence[str]) -> np.ndarray:
    zero_N = np.zeros(len(one.relevant_N), dtype=np.float32)
    return np.stack([one.signals.get(name, zero_N) for name in names], axis=1).astype(np.float64)


def _spread(values: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(np.mean([value_N.var() for value_N in values]))) or 1.0


def _shares(kinds: Sequence[str]) -> list[float]:
    """The share of each query, so that kinds count equally."""
    return [1 / (len(set(kinds)) * kinds.count(kind)) for kind in kinds]


def _calibrated(examples: Sequence[Example], names: Sequence[str], weight_F: np.ndarray) -> tuple[float, float]:
    """Return scale and constant of the logistic regression of relevance on the scores by `weight_F`."""
    from scipy.optimize import minimize

    parts = []
    for one, share in zip(examples, _shares([own.kind for own in examples]), strict=True):
        score_N = _matrix(one, names) @ weight_F
        known_N = one.relevant_N | (one.complete | (score_N < score_N[one.relevant_N].min(initial=np.inf)))
        parts.append(np.stack([score_N, one.relevant_N, np.full(len(score_N), share)])[:, known_N])
    score_P, relevant_P, share_P = np.concatenate(parts, axis=1)
    middle, spread = score_P.mean(), score_P.std() or 1.0
    standard_P = (score_P - middle) / spread

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        odds_P = line[0] * standard_P + line[1]
        slope_P = share_P * (1 / (1 + np.exp(-odds_P)) - relevant_P)
        return float(share_P @ (np.logaddexp(0, odds_P) - relevant_P * odds_P)), np.array(
            [slope_P @ standard_P, slope_P.sum()]
        )

    bounds = [(1e-3 * spread, spread), (None, None)]
    start = np.array([min(1.0, spread), -3.0])
    scale, constant = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(scale / spread), float(constant - scale * middle / spread)
