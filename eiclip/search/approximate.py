"""Approximate search for catalogues where comparing with every product takes too long: beyond a million or so.

Products are put into lists by the nearest of some thousand centres (faiss's inverted file), and a query is compared
with the products of the lists nearest to it. Vectors are kept whole, so that scores are the exact ones, and only
products of lists that were not looked into are missed; `recall` says how many. The search engine itself stays exact.

Shape suffixes: Q queries, N products, K nearest, D embedding width.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np

from eiclip.errors import CorruptOutputError, SettingsError
from eiclip.search.engine import best
from eiclip.storage.files import whole_file

LISTS = 32
"""Lists that a search looks into, unless told otherwise: 998 of 1,000 neighbours at a million products in clusters."""


class ApproximateIndex:
    """One view's vectors in lists. How many of them a search looks into weighs recall against time."""

    def __init__(self, lists: Any) -> None:
        self._lists = lists

    @classmethod
    def build(cls, product_ND: np.ndarray) -> Self:
        """Make an index of unit vectors (N, D), float32: `SearchIndex.views[...]`. Equal vectors give an equal index.

        Raises SettingsError where faiss is not installed.
        """
        faiss = _faiss()
        count, width = product_ND.shape
        lists = max(1, min(int(4 * count**0.5), count // 39))  # faiss wants 39 products a list at least
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.max_points_per_centroid, index.cp.niter = 64, 10  # more of either bought no recall
        vectors = np.ascontiguousarray(product_ND, dtype=np.float32)
        index.train(vectors)
        index.add(vectors)
        return cls(index)

    def __len__(self) -> int:
        return int(self._lists.ntotal)

    def search(self, query_QD: np.ndarray, top: int, lists: int = LISTS) -> tuple[np.ndarray, np.ndarray]:
        """Return the `top` (K) nearest products of unit vectors (Q, D) in the `lists` nearest to each, best first.

        Twice as many lists take twice as long; all of them give the exact answer. Returned are rows (Q, K) int64, -1
        where the lists held fewer, and scores (Q, K) float32.
        """
        parameters = _faiss().SearchParametersIVF(nprobe=min(lists, int(self._lists.nlist)))
        queries = np.ascontiguousarray(np.atleast_2d(query_QD), dtype=np.float32)
        score_QK, row_QK = self._lists.search(queries, top, params=parameters)
        return row_QK, score_QK

    def save(self, path: Path) -> None:
        """Write the index, whole, in faiss's own format (it holds the vectors too)."""
        with whole_file(path) as temporary:
            _faiss().write_index(self._lists, str(temporary))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read an index written by `save`. Raises CorruptOutputError where there is none, or faiss cannot read it."""
        try:
            return cls(_faiss().read_index(str(path)))
        except RuntimeError as error:
            raise CorruptOutputError(f"{path}: {str(error).splitlines()[0]}; build the index again") from error


def recall(found_QK: np.ndarray, product_ND: np.ndarray, query_QD: np.ndarray) -> float:
    """Return the share of the exact K nearest products of each query that are among those found (Q, K)."""
    top = found_QK.shape[1]
    exact_QK = [best(product_ND @ query_D, top) for query_D in query_QD]
    hits = [len(np.intersect1d(rows, exact)) for rows, exact in zip(found_QK, exact_QK, strict=True)]
    return float(np.mean(hits)) / top


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        way = "python -m pip install 'faiss-cpu>=1.12'"
        raise SettingsError(f"approximate search needs faiss, which is not installed: {way}") from error
    return faiss
