"""Same-style ranks summed by style: what every interval and comparison is computed from.

Shape suffixes: P styles, K rankings (a variant, a seed and a pair of views), M measures.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from eiclip.errors import EiclipError

MEASURES = ("mrr", "r1", "r5", "r10")
"""Measures of a query, in percent; a figure is their mean over queries."""


@dataclass(frozen=True, order=True)
class Ranking:
    """What was ranked: by which variant, trained with which seed, from which view to which."""

    variant: str
    seed: int
    view_pair: str


@dataclass(frozen=True)
class StyleSums:
    """Each style's measures, summed over its queries, in every ranking; and how many queries it has in each."""

    dataset: str
    styles: tuple[str, ...]
    rankings: tuple[Ranking, ...]
    sum_PKM: np.ndarray
    count_P: np.ndarray

    @classmethod
    def of(cls, ranks: pa.Table) -> "StyleSums":
        """From `same_style_ranks` of one dataset, in any order of rows.

        Raises:
            EiclipError: the ranks are of several datasets, or two rankings are of different queries.
        """
        datasets = ranks["dataset"].unique().to_pylist()
        if len(datasets) > 1:
            raise EiclipError(f"same_style_ranks of several datasets ({', '.join(datasets)}): give those of one")
        style_Q, styles = _numbered(ranks, "style_id")
        ranking_Q, rankings = _rankings(ranks)
        shape = (len(styles), len(rankings))
        place_Q = style_Q * len(rankings) + ranking_Q
        count_PK = np.bincount(place_Q, minlength=shape[0] * shape[1]).reshape(shape)
        _require_same_queries(count_PK, rankings)
        rank_Q = ranks["rank"].to_numpy()
        sums = [np.bincount(place_Q, measured, shape[0] * shape[1]).reshape(shape) for measured in _measures(rank_Q)]
        count_P = count_PK[:, 0] if rankings else np.zeros(0, dtype=np.int64)
        return cls(datasets[0] if datasets else "", styles, rankings, np.stack(sums, axis=-1), count_P)

    @property
    def queries(self) -> int:
        """Queries of each ranking."""
        return int(self.count_P.sum())

    def share_PKM(self) -> np.ndarray:
        """Each style's share in the means over all queries."""
        shares: np.ndarray = self.sum_PKM / max(1, self.queries)
        return shares


def _measures(rank_Q: np.ndarray) -> list[np.ndarray]:
    """The measures of each query, in the order of `MEASURES`."""
    return [100.0 / rank_Q, *(100.0 * (rank_Q <= k) for k in (1, 5, 10))]


def _rankings(ranks: pa.Table) -> tuple[np.ndarray, tuple[Ranking, ...]]:
    """A number per row for its ranking, and the rankings in their order."""
    columns = [_numbered(ranks, name) for name in ("variant", "seed", "view_pair")]
    shape = tuple(max(1, len(values)) for _, values in columns)
    found, ranking_Q = np.unique(np.ravel_multi_index([place_Q for place_Q, _ in columns], shape), return_inverse=True)
    places = zip(*np.unravel_index(found, shape), strict=True)
    rankings = (Ranking(*(columns[axis][1][place] for axis, place in enumerate(each))) for each in places)
    return ranking_Q, tuple(rankings)


def _numbered(ranks: pa.Table, column: str) -> tuple[np.ndarray, tuple[Any, ...]]:
    """A number per row for its value, by the order of values, and the values."""
    encoded = ranks[column].combine_chunks().dictionary_encode()
    found = encoded.dictionary.to_pylist()
    order = sorted(range(len(found)), key=found.__getitem__)
    recoded = np.empty(len(found), dtype=np.int64)
    recoded[order] = np.arange(len(found))
    return recoded[encoded.indices.to_numpy()], tuple(found[place] for place in order)


def _require_same_queries(count_PK: np.ndarray, rankings: tuple[Ranking, ...]) -> None:
    """Rankings can be compared, and drawn together, only over the same queries."""
    if not rankings:
        return
    odd_K = (count_PK != count_PK[:, :1]).any(axis=0)
    if odd_K.any():
        one, other = rankings[int(np.argmax(odd_K))], rankings[0]
        raise EiclipError(
            f"same_style_ranks: {one.variant}, seed {one.seed}, {one.view_pair} ranks other queries than "
            f"{other.variant}, seed {other.seed}, {other.view_pair}; materialise same_style_ranks again"
        )
