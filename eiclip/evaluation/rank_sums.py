"""Ranks summed by product: what every interval, test and breakdown is computed from.

Shape suffixes: P products, V variants, W ways (directions), M measures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eiclip.errors import EiclipError
from eiclip.model.variants import VARIANTS

MEASURES = ("r1", "r5", "r10", "mrr", "ndcg10", "text_equal_r1")
"""Measures of a query, in percent; a figure is their mean over queries."""
SUMMED = slice(0, 3)
"""Those that SumR adds up, over both directions."""
WAYS = ("i2t", "t2i")


@dataclass(frozen=True)
class RankSums:
    """One protocol of one dataset: each product's measures, summed over its queries, and how many queries it has.

    Of a protocol with several draws a product's queries are those of all draws.
    """

    dataset: str
    protocol: str
    products: tuple[str, ...]
    variants: tuple[str, ...]
    ways: tuple[str, ...]
    sum_PVWM: np.ndarray
    count_PW: np.ndarray

    def of_products(self, rows: np.ndarray) -> "RankSums":
        """The same for some of the products."""
        products = tuple(self.products[row] for row in rows)
        return RankSums(
            self.dataset, self.protocol, products, self.variants, self.ways, self.sum_PVWM[rows], self.count_PW[rows]
        )

    def means(self) -> np.ndarray:
        """The measures over all queries, (V, W, M)."""
        means_VWM: np.ndarray = self.sum_PVWM.sum(axis=0) / self.count_PW.sum(axis=0)[None, :, None]
        return means_VWM


def rank_sums(ranks: pa.Table, protocols: Sequence[str] = ()) -> Iterator[RankSums]:
    """The sums of each protocol in `retrieval_ranks` of one dataset (only of `protocols`, where given).

    The order of the rows makes no difference: products are sorted, variants are in the paper's order.

    Raises:
        EiclipError: the ranks are of several datasets, or variants rank different queries.
    """
    datasets = ranks["dataset"].unique().to_pylist()
    if len(datasets) > 1:
        raise EiclipError(f"ranks of several datasets ({', '.join(datasets)}): give those of one")
    for protocol in sorted(ranks["protocol"].unique().to_pylist()):
        if not protocols or protocol in protocols:
            rows = ranks.filter(pc.equal(ranks["protocol"], protocol))
            yield _sums(rows, datasets[0], protocol)


def _sums(ranks: pa.Table, dataset: str, protocol: str) -> RankSums:
    product_Q, products = _codes(ranks, "product_id", ())
    variant_Q, variants = _codes(ranks, "variant", tuple(VARIANTS))
    way_Q, ways = _codes(ranks, "direction", WAYS)
    shape = (len(products), len(variants), len(ways))
    place_Q = np.ravel_multi_index((product_Q, variant_Q, way_Q), shape)
    size = int(np.prod(shape))
    sums = [np.bincount(place_Q, measure_Q, size).reshape(shape) for measure_Q in _measures(ranks)]
    count_PVW = np.bincount(place_Q, minlength=size).reshape(shape)
    _require_same_queries(count_PVW, variants, f"{dataset}, {protocol}")
    return RankSums(dataset, protocol, products, variants, ways, np.stack(sums, axis=-1), count_PVW[:, 0])


def _codes(ranks: pa.Table, column: str, order: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """A column as numbers, and the names they stand for: those of `order` first, then the others as they sort."""
    encoded = ranks[column].combine_chunks().dictionary_encode()
    found = encoded.dictionary.to_pylist()
    names = sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))
    place_of = {name: place for place, name in enumerate(names)}
    recoded = np.array([place_of[name] for name in found], dtype=np.int64)
    return recoded[encoded.indices.to_numpy()], tuple(names)


def _measures(ranks: pa.Table) -> Iterator[np.ndarray]:
    """The measures of each query, in the order of `MEASURES`."""
    rank_Q, text_equal_Q = (ranks[name].to_numpy() for name in ("rank", "rank_text_equal"))
    for k in (1, 5, 10):
        yield 100.0 * (rank_Q <= k)
    yield 100.0 / rank_Q
    yield 100.0 * ranks["ndcg10"].to_numpy()
    yield 100.0 * (text_equal_Q <= 1)


def _require_same_queries(count_PVW: np.ndarray, variants: Sequence[str], place: str) -> None:
    """Rows can be compared, and drawn together, only over the same queries."""
    odd_V = (count_PVW != count_PVW[:, :1]).any(axis=(0, 2))
    if odd_V.any():
        names = [name for name, is_odd in zip(variants, odd_V, strict=True) if is_odd]
        raise EiclipError(
            f"{place}: {', '.join(names)} ranks other queries than {variants[0]}; materialise retrieval_ranks again"
        )
