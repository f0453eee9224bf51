"""Counts of candidates that score at least as high as a threshold: exact as in float64, nearly as fast as in float32.

A float32 score differs from the true one by at most `rounding`. Below threshold - rounding a candidate surely scores
less, above threshold + rounding surely more; only scores in between are computed again in float64. So counts do not
depend on chunks, threads or the device. Where many are in between (a model that has collapsed), whole blocks are
computed again.

Shape suffixes: Q queries, N candidates, B queries and C candidates of one block, P pairs of a query and a candidate, K
thresholds of a query, highest first, D embedding width, 2 begin and end.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

DEPTH = 10
"""Ranks that measures look at (nDCG@10): counts from here on need be exact for a query's highest threshold alone."""
UNSURE_SHARE = 256
"""One in so many pairs may be scored alone in float64; beyond that a product of the whole block takes less time."""
MOST_QUERIES, MOST_EXACT = 2048, 512
"""Queries of one float32 block, and of one float64 block: more would not be faster."""
BAND = 64
"""Queries of one block with nearby ranges, if there are as many queries as candidates: its scores stay a square."""


class Sizes(NamedTuple):
    """Rows of chunks: of float32 blocks, of float64 blocks, and of pairs."""

    queries: int
    candidates: int
    exact_queries: int
    exact_candidates: int
    pairs: int

    @classmethod
    def of(cls, memory: int, like: Tensor) -> "Sizes":
        """The largest that fit `memory` bytes together, for embeddings as `like`; one row at the least.

        In sixteenths of it: 2 each for float32 chunks of queries and candidates, 4 for their scores and 3 for masks of
        them, 1 each for the two float64 chunks, their scores, and pairs; the rest is for masks and copies of those.
        """
        width, held = max(like.shape[1], 1), like.element_size()
        share = memory // 16
        candidates = max(2 * share // (width * (4 if held == 4 else 4 + held)), 1)
        queries = max(min(MOST_QUERIES, candidates, share // candidates), 1)
        exact_queries = max(min(MOST_EXACT, share // (width * (8 + held))), 1)
        exact_candidates = max(min(share // (width * (8 + held)), share // (8 * exact_queries)), 1)
        return cls(queries, candidates, exact_queries, exact_candidates, max(share // (width * (24 + 2 * held)), 1))


class Candidates:
    """Embeddings in another order, of which only the requested rows are ever copied."""

    def __init__(self, candidate_ND: Tensor, order_N: np.ndarray) -> None:
        in_order = bool((order_N == np.arange(len(order_N))).all())
        self.candidate_ND = candidate_ND
        self.order_N = None if in_order else torch.from_numpy(order_N).to(candidate_ND.device)

    def __len__(self) -> int:
        return len(self.candidate_ND)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        return self.candidate_ND[rows if self.order_N is None else self.order_N[rows]]


def rounding(query_QD: Tensor, candidate_ND: Tensor) -> Tensor:
    """Bound the error of each query's float32 scores (Q,), in float64; infinite where they may overflow.

    A dot product of D terms, summed in any order, is off by at most n u / (1 - n u) times the product of the norms,
    with n = D and u = 2^-24. Some more terms make room for embeddings given in float64, and for the rounding of the
    norms; 2^-100 for products that underflow.
    """
    error = (query_QD.shape[1] + 8) * 2.0**-24
    with threads(1):
        size_Q = _norms(query_QD) * _norms(candidate_ND).max()
    error_Q = size_Q * (error / (1 - 2 * error) if error < 0.25 else torch.inf) + 2.0**-100
    return torch.where(size_Q < 1e38, error_Q, torch.inf)


def _norms(embedding_ND: Tensor) -> Tensor:
    return torch.cat([torch.linalg.vector_norm(rows.float(), dim=1) for rows in embedding_ND.split(1024)]).double()


def pair_scores(query_PD: Tensor, candidate_PD: Tensor) -> Tensor:
    """Compute float64 scores of pairs, (P,) or whatever shape the embeddings broadcast to."""
    return (query_PD.double() * candidate_PD).sum(dim=-1)


def best_scores(
    query_QD: Tensor, candidates: Candidates, range_Q2: Tensor, depth: int, sizes: Sizes, excluded_Q: Tensor | None
) -> Tensor:
    """Return the highest float64 scores of each query in its range of candidates (Q, depth); -inf where it has fewer.

    Queries are taken in the order of their ranges, so that those of one block cover few candidates. `excluded_Q` is a
    candidate that does not count, -1 for none.
    """
    best_QK = torch.full((len(query_QD), depth), -torch.inf, dtype=torch.float64, device=query_QD.device)
    queries = min(math.ceil(BAND * math.sqrt(len(query_QD) / len(candidates))), sizes.exact_queries)
    pairs = int((range_Q2[:, 1] - range_Q2[:, 0]).sum())
    with threads(1 if pairs < BAND * (len(query_QD) + len(candidates)) else torch.get_num_threads()):
        for chosen_B in range_Q2[:, 0].argsort(stable=True).split(queries):
            query_BD, range_B2, best_BK = query_QD[chosen_B].double(), range_Q2[chosen_B], best_QK[chosen_B]
            for columns in spans(int(range_B2[:, 0].min()), int(range_B2[:, 1].max()), sizes.exact_candidates):
                scores_BC = query_BD @ candidates[columns].double().T
                scores_BC.masked_fill_(~_within(range_B2, columns), -torch.inf)
                if excluded_Q is not None:
                    column_C = torch.arange(columns.start, columns.stop, device=scores_BC.device)
                    scores_BC.masked_fill_(column_C == excluded_Q[chosen_B, None], -torch.inf)
                highest = scores_BC.topk(min(depth, scores_BC.shape[1]), dim=1).values
                best_BK = torch.cat([best_BK, highest], dim=1).topk(depth, dim=1).values
            best_QK[chosen_B] = best_BK
    return best_QK


def _within(range_B2: Tensor, columns: slice) -> Tensor:
    column_C = torch.arange(columns.start, columns.stop, device=range_B2.device)
    return (column_C >= range_B2[:, :1]) & (column_C < range_B2[:, 1:])


def spans(begin: int, end: int, step: int) -> Iterator[slice]:
    """Yield slices of `step` that cover begin to end."""
    return (slice(start, min(start + step, end)) for start in range(begin, end, step))


def stride(columns: int) -> int:
    """Return the distance between rows of a block: whole cache lines of 16 floats, and an odd number of them.

    Products into rows that begin anywhere, or a power of two apart, take a quarter to a half longer on a CPU.
    """
    return (math.ceil(columns / 16) | 1) * 16


def block(memory: Tensor, rows: int, columns: int) -> Tensor:
    """View a block (rows, columns) of flat memory, which holds at least `rows * stride(columns)` numbers."""
    return memory[: rows * stride(columns)].view(rows, -1)[:, :columns]


class Count:
    """Counts, for every query and threshold, the candidates outside the query's range that score at least as high."""

    def __init__(
        self, query_QD: Tensor, candidates: Candidates, threshold_QK: Tensor, skip_Q2: Tensor, sizes: Sizes
    ) -> None:
        self.query_QD, self.candidates, self.sizes = query_QD, candidates, sizes
        self.threshold_QK, self.skip_Q2 = threshold_QK, skip_Q2
        self.count_QK = torch.zeros(threshold_QK.shape, dtype=torch.int64, device=query_QD.device)
        # float32 scores below the first bound are truly below the threshold, those from the second on are not.
        infinity = torch.tensor(torch.inf, device=query_QD.device)
        rounding_Q1 = rounding(query_QD, candidates.candidate_ND)[:, None]
        low_QK = torch.nextafter((threshold_QK - rounding_Q1).float(), -infinity)
        self.low_QK = torch.where(threshold_QK == torch.inf, infinity, low_QK)
        self.high_QK = torch.nextafter((threshold_QK + rounding_Q1).float(), infinity)
        self.screens = bool((self.low_QK > -torch.inf).all())

    def run(self) -> Tensor:
        """Return the counts (Q, K); from `DEPTH` on those of all but the first threshold may be too low."""
        rows, columns = min(self.sizes.queries, len(self.query_QD)), min(self.sizes.candidates, len(self.candidates))
        scores = torch.empty(rows * stride(columns), device=self.query_QD.device)
        for column_span in spans(0, len(self.candidates), columns):
            candidate_CD = self.candidates[column_span].float()
            for row_span in spans(0, len(self.query_QD), rows):
                if not (self.screens and self._screen(row_span, column_span, candidate_CD, scores)):
                    self._decide(row_span, column_span)
        return self.count_QK

    def _screen(self, rows: slice, columns: slice, candidate_CD: Tensor, scores: Tensor) -> bool:
        """Count a block by float32 scores; False where too many are undecided, and nothing has been counted."""
        scores_BC = block(scores, rows.stop - rows.start, len(candidate_CD))
        torch.mm(self.query_QD[rows].float(), candidate_CD.T, out=scores_BC)
        skip_B2 = (self.skip_Q2[rows] - columns.start).clamp(0, len(candidate_CD))
        most = scores_BC.numel() // UNSURE_SHARE
        counted = counter(scores)(scores_BC, self.low_QK[rows], self.high_QK[rows], skip_B2, most)
        if counted is None:
            return False
        count_BK, unsure_3P = counted
        self.count_QK[rows] += count_BK
        with threads(1):
            for row_P, level_P, column_P in unsure_3P.split(self.sizes.pairs, dim=1):
                row_P, column_P = row_P + rows.start, column_P + columns.start
                exact_P = pair_scores(self.query_QD[row_P], self.candidates[column_P])
                higher_P = (exact_P >= self.threshold_QK[row_P, level_P]).long()
                self.count_QK.index_put_((row_P, level_P), higher_P, accumulate=True)
        return True

    def _decide(self, rows: slice, columns: slice) -> None:
        """Count a block by float64 scores."""
        for row_span in spans(rows.start, rows.stop, self.sizes.exact_queries):
            query_BD, threshold_BK = self.query_QD[row_span].double(), self.threshold_QK[row_span]
            for column_span in spans(columns.start, columns.stop, self.sizes.exact_candidates):
                scores_BC = query_BD @ self.candidates[column_span].double().T
                skip_B2 = (self.skip_Q2[row_span] - column_span.start).clamp(0, scores_BC.shape[1])
                counted = counter(scores_BC)(scores_BC, threshold_BK, threshold_BK, skip_B2, 0)
                assert counted is not None  # equal bounds leave nothing undecided
                self.count_QK[row_span] += counted[0]


Counted = tuple[Tensor, Tensor]
"""Of one block: how many surely score as high (B, K), and row, threshold and column of undecided scores (3, P)."""


def counter(scores: Tensor) -> Callable[[Tensor, Tensor, Tensor, Tensor, int], Counted | None]:
    """Return the way of counting that is fast on the scores' device."""
    return count_in_numpy if scores.device.type == "cpu" else count_in_torch


def count_in_numpy(scores_BC: Tensor, low_BK: Tensor, high_BK: Tensor, skip_B2: Tensor, most: int) -> Counted | None:
    """Count scores from `high` on as sure, those from `low` to `high` as unsure; None if more than `most` are unsure.

    A row at a time stays in the cache, and numpy's comparison and count are several times faster than torch's sum of
    booleans. Overwrites the skipped scores.
    """
    count_BK, found = np.zeros(low_BK.shape, dtype=np.int64), 0
    unsure = [np.zeros((3, 0), dtype=np.int64)]
    above_C = np.empty(scores_BC.shape[1], dtype=bool)
    bounds = zip(scores_BC.numpy(), low_BK.tolist(), high_BK.tolist(), skip_B2.tolist(), strict=True)
    for row, (score_C, lows, highs, (begin, end)) in enumerate(bounds):
        score_C[begin:end] = -np.inf
        for level, (low, high) in enumerate(zip(lows, highs, strict=True)):
            if low == np.inf:
                break
            possible = int(np.count_nonzero(np.greater_equal(score_C, low, out=above_C)))
            if not possible:
                continue
            sure = int(np.count_nonzero(np.greater_equal(score_C, high, out=above_C)))
            count_BK[row, level:] = sure
            if possible > sure:
                found += possible - sure
                if found > most:
                    return None
                columns = np.flatnonzero((score_C >= low) & (score_C < high))
                unsure.append(np.stack([np.full_like(columns, row), np.full_like(columns, level), columns]))
            if sure >= DEPTH:
                break
    return torch.from_numpy(count_BK), torch.from_numpy(np.concatenate(unsure, axis=1))


def count_in_torch(scores_BC: Tensor, low_BK: Tensor, high_BK: Tensor, skip_B2: Tensor, most: int) -> Counted | None:
    """Count as `count_in_numpy` does, one threshold of all rows at a time: for GPUs."""
    scores_BC.masked_fill_(_within(skip_B2, slice(0, scores_BC.shape[1])), -torch.inf)
    count_BK = torch.zeros(low_BK.shape, dtype=torch.int64, device=scores_BC.device)
    unsure, found = [], 0
    for level in range(low_BK.shape[1]):
        sure_BC = scores_BC >= high_BK[:, level, None]
        count_BK[:, level] = sure_BC.sum(dim=1)
        unsure_BC = (scores_BC >= low_BK[:, level, None]).logical_xor_(sure_BC)
        found += int(unsure_BC.sum())
        if found > most:
            return None
        row_P, column_P = unsure_BC.nonzero(as_tuple=True)
        unsure.append(torch.stack([row_P, torch.full_like(row_P, level), column_P]))
    return count_BK, torch.cat(unsure, dim=1)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use `count` CPU threads for a while: dividing small operations takes longer than they do, if other work runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute float32 products in float32, not TF32 or bfloat16, whatever the program has set; without gradients."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_float32_matmul_precision(before)
