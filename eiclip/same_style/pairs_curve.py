"""Duplicate detection: all pairs of test products that score above a threshold are predicted to be of one style.

Scores are counted in narrow bins, block by block, so that no more than a block of them is ever held. Pairs of one bin
count as tied: precision, recall and average precision are exact but for scores closer than `WIDTH`.

Shape suffixes: N products, B and C products of one block's sides, T bins, highest score first, 2 all pairs and relevant
ones, D embedding width.
"""

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from eiclip.evaluation.score_counts import full_precision, spans
from eiclip.same_style.evaluate import Truth, product_views

BINS = 2**18
"""Bins between cosines -1 and 1; 0 and 1 are in the middle of one, where many scores may tie."""
WIDTH = 2 / BINS
"""Of a bin: 7.6e-6."""
POINTS = 200
"""Thresholds of a curve at most: one for every 1 / 200 of recall."""
ROWS, COLUMNS = 512, 8192
"""Of one block: some 100 MB with what is made of its scores."""

_COLUMNS = ("dataset", "variant", "seed", "view", "threshold", "precision", "recall", "pairs", "average_precision")
_TYPES = dict.fromkeys(("dataset", "variant", "view"), pa.string()) | dict.fromkeys(("seed", "pairs"), pa.int64())
CURVE = pa.schema([(name, _TYPES.get(name, pa.float64())) for name in _COLUMNS])


def same_style_pr_curve(
    views: pa.Table, styles: pa.Table, dataset: str, variant: str, seed: int, groups: pa.Table | None = None
) -> pa.Table:
    """Return precision and recall of pairs of test products by threshold on their cosine, for each view.

    Relevant pairs are those of one style; a product of no known style is in none. Columns (schema `CURVE`): `view` (i,
    t or m), `threshold` (pairs that score at least so), `precision` and `recall` (0 to 1), `pairs` (how many score so),
    `average_precision` (0 to 1, of the whole curve: the mean of the precision where each relevant pair is found, tied
    pairs found at once).

    Args:
        views: as for `same_style_ranks`.
        styles: product_id and style_id.
        groups: product_id and group_id of known duplicates; pairs of them of two styles are ignored.

    Returns:
        At most `POINTS` rows a view, thresholds falling; none where no two products are of one style.

    Raises:
        EiclipError: as `same_style_ranks`.
    """
    truth = Truth.of(views["product_id"].to_pylist(), styles, groups)
    view_of, same = dict(product_views(views)), truth.others().any()
    parts = [
        _curve((dataset, variant, seed, letter), _counts(view_ND, truth, with_duplicates=groups is not None))
        for letter, view_ND in view_of.items()
        if same
    ]
    return pa.concat_tables([CURVE.empty_table(), *parts])


def _counts(view_ND: Tensor, truth: Truth, *, with_duplicates: bool) -> np.ndarray:
    """How many pairs, and relevant pairs, score within each bin (2, T), the highest bin first."""
    counts_2T = np.zeros((2, BINS + 1), dtype=np.int64)
    products = len(view_ND)
    for rows in spans(0, products, ROWS):
        for columns in spans(rows.start, products, COLUMNS):
            with full_precision():
                score_BC = view_ND[rows] @ view_ND[columns].T
                bin_BC = ((score_BC + 1) * (BINS / 2)).round_().clamp_(0, BINS).to(torch.int32).numpy()
            relevant_BC = truth.style_N[rows, None] == truth.style_N[columns]
            # Each pair once, and no product with itself.
            counted_BC = np.arange(products)[columns] > np.arange(products)[rows, None]
            if with_duplicates:
                counted_BC &= relevant_BC | (truth.duplicates_N[rows, None] != truth.duplicates_N[columns])
            for place, chosen_BC in enumerate((counted_BC, counted_BC & relevant_BC)):
                counts_2T[place] += np.bincount(bin_BC[chosen_BC], minlength=BINS + 1)
    return counts_2T[:, ::-1]


def _curve(named: tuple[str | int, ...], counts_2T: np.ndarray) -> pa.Table:
    found_T, relevant_T = counts_2T.cumsum(axis=1)
    precision_T = relevant_T / np.maximum(found_T, 1)
    average = float((precision_T * counts_2T[1]).sum() / relevant_T[-1])
    # The highest threshold that reaches each level of recall.
    levels = np.ceil(np.arange(1, POINTS + 1) / POINTS * relevant_T[-1])
    places = np.unique(np.searchsorted(relevant_T, levels))
    fixed = [pa.repeat(value, len(places)) for value in (*named, average)]
    recall_T, threshold = relevant_T / relevant_T[-1], 1 - WIDTH * (places + 0.5)
    measured = [threshold, precision_T[places], recall_T[places], found_T[places]]
    return pa.table([*fixed[:-1], *measured, fixed[-1]], schema=CURVE)
