"""Ranks by a cross-encoder: of sample-100's lists, and of all candidates by scoring row 5's first answers again.

Scores are kept a chunk of queries at a time, so that a killed evaluation goes on from there.

Shape suffixes: Q queries, M candidates of each, N candidates, T texts, I photos, D embedding width.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from eiclip.errors import CorruptOutputError
from eiclip.evaluation.embed import first_of_product
from eiclip.evaluation.embedding_tables import IMAGE, TEXT, TEXT_SAMPLE100
from eiclip.evaluation.pair_scores import PairScorer, require_cross, texts_of
from eiclip.evaluation.protocols import RANKS_SCHEMA, Groups, Items
from eiclip.evaluation.ranking import TIE, full_ranks
from eiclip.evaluation.relevance import Relevance
from eiclip.evaluation.score_counts import DEPTH
from eiclip.features.patches import PatchStore
from eiclip.features.reader import features_of
from eiclip.model.entity_clip import EntityClipModel
from eiclip.shards import read_samples
from eiclip.storage.files import digest, whole_file

QUERIES_AT_ONCE = 100
FULL, LISTED = "full", "sample100"
WAYS = ("i2t", "t2i")


@dataclass(frozen=True)
class Asked:
    """The queries of a protocol and direction: rows of queries and of their candidates, and which of these count."""

    protocol: str
    direction: str
    query_Q: np.ndarray
    candidate_QM: np.ndarray
    """-1 for padding."""
    relevant_QM: np.ndarray
    text_equal_QM: np.ndarray
    """Relevant, or with the query's text."""


class CrossEvaluation:
    """What one cross-encoder is asked, by the embeddings and lists of row 5.

    Args:
        scorers: of the texts of each protocol (sample-100's do without the group that its negatives share), in the
            order of `embeddings`' rows of that kind.
        embeddings: row 5's table of embeddings, whose first answers are scored again.
        candidate_lists: of the dataset.
        descriptions: by product.
        first: k, how many of row 5's first answers are scored again; of fewer candidates all are.
        queries: products whose queries are asked, of each direction; None: all.
    """

    def __init__(
        self,
        scorers: Mapping[str, PairScorer],
        embeddings: pa.Table,
        candidate_lists: pa.Table,
        descriptions: Mapping[str, str],
        *,
        first: int,
        queries: int | None = None,
    ) -> None:
        products = embeddings.filter(pc.equal(embeddings["kind"], TEXT))["product_id"].to_pylist()
        number_of = {product: number for number, product in enumerate(products)}
        self.items = {kind: Items(embeddings, kind, number_of) for kind in (IMAGE, TEXT, TEXT_SAMPLE100)}
        self.groups, self.scorers, self.lists = Groups(products, descriptions, None), scorers, candidate_lists
        self.first = first
        self.asked_P = asked_products(products, queries)
        model = scorers[FULL].model
        self.mix = require_cross(model).get_buffer("mix").tolist() if model.variant.cross == "rerank" else [0.0, 1.0]
        self.scale = model.scale.item()
        self.name = {"dataset": embeddings["dataset"][0].as_py(), "variant": model.variant.name}

    def ranks(self, folder: Path, key: str, protocols: Sequence[str] = (LISTED, FULL)) -> pa.Table:
        """Rank all queries; schema `RANKS_SCHEMA`.

        Args:
            folder: where the scores of chunks are kept meanwhile.
            key: of all that decides the scores: chunks of another are not read.
            protocols: which are asked.

        Raises:
            NonFiniteError: a score is NaN or infinite.
        """
        parts = []
        for asked in self.questions(protocols):
            score_QM = self._scores(asked, folder, key)
            columns = self._ranked(asked, score_QM)
            names = self.name | {"protocol": asked.protocol, "direction": asked.direction}
            fixed = {name: [value] * len(asked.query_Q) for name, value in names.items()}
            parts.append(pa.table(fixed | columns, schema=RANKS_SCHEMA))
        return pa.concat_tables(parts)

    def questions(self, protocols: Sequence[str]) -> Iterator[Asked]:
        """Yield the queries of protocols, both directions of each."""
        for protocol in protocols:
            for direction in WAYS:
                yield self._listed(direction) if protocol == LISTED else self._first(direction)

    def ceiling(self) -> dict[str, float]:
        """Share of queries, in percent, whose right answer is among those scored again: R@1 to 10 cannot be higher."""
        return {asked.direction: 100 * float(asked.relevant_QM.any(axis=1).mean()) for asked in self.questions([FULL])}

    def _sides(self, protocol: str, direction: str) -> tuple[Items, Items]:
        text = self.items[TEXT_SAMPLE100 if protocol == LISTED else TEXT]
        return (self.items[IMAGE], text) if direction == "i2t" else (text, self.items[IMAGE])

    def _listed(self, direction: str) -> Asked:
        queries, candidates = self._sides(LISTED, direction)
        wanted = pc.and_(pc.equal(self.lists["protocol"], LISTED), pc.equal(self.lists["direction"], direction))
        lists = self.lists.filter(wanted).combine_chunks()
        query_Q = queries.rows_of(lists["query_id"].combine_chunks())
        asked_Q = np.isin(queries.owner_N.numpy()[query_Q], self.asked_P)
        lists, query_Q = lists.filter(pa.array(asked_Q)).combine_chunks(), query_Q[asked_Q]
        positive_Q = candidates.rows_of(lists["positive_id"].combine_chunks())
        negative_ids = lists["negative_ids"].combine_chunks()
        length_Q = pc.list_value_length(negative_ids).to_numpy(zero_copy_only=False)
        candidate_QM = np.full((len(query_Q), 1 + int(length_Q.max(initial=0))), -1)
        candidate_QM[:, 0] = positive_Q
        candidate_QM[:, 1:][np.arange(candidate_QM.shape[1] - 1) < length_Q[:, None]] = candidates.rows_of(
            negative_ids.flatten()
        )
        return self._asked(LISTED, direction, query_Q, candidate_QM, only_first=True)

    def _first(self, direction: str) -> Asked:
        queries, candidates = self._sides(FULL, direction)
        query_Q = np.flatnonzero(np.isin(queries.owner_N.numpy(), self.asked_P))
        first = min(self.first, len(candidates.ids))
        found = [
            (queries.embeddings[torch.from_numpy(rows)] @ candidates.embeddings.T).topk(first, dim=1).indices
            for rows in np.array_split(query_Q, max(1, len(query_Q) // 512))
        ]
        return self._asked(FULL, direction, query_Q, torch.cat(found).numpy())

    def _asked(
        self, protocol: str, direction: str, query_Q: np.ndarray, candidate_QM: np.ndarray, *, only_first: bool = False
    ) -> Asked:
        queries, candidates = self._sides(protocol, direction)
        owner_Q1, owner_QM = queries.owner_N.numpy()[query_Q, None], candidates.owner_N.numpy()[candidate_QM]
        text_P, there_QM = self.groups.text.numpy(), candidate_QM >= 0
        relevant_QM = there_QM & (owner_QM == owner_Q1)
        if only_first:  # of a product's photos the one drawn
            relevant_QM = np.broadcast_to(np.arange(candidate_QM.shape[1]) == 0, candidate_QM.shape)
        text_equal_QM = relevant_QM | (there_QM & (text_P[owner_QM] == text_P[owner_Q1]))
        return Asked(protocol, direction, query_Q, candidate_QM, relevant_QM, text_equal_QM)

    def _scores(self, asked: Asked, folder: Path, key: str) -> np.ndarray:
        chunks = []
        for start in range(0, len(asked.query_Q), QUERIES_AT_ONCE):
            rows = slice(start, start + QUERIES_AT_ONCE)
            own = digest([key, asked.query_Q[rows].tolist(), asked.candidate_QM[rows].tolist()])
            place = folder / f"{asked.protocol}-{asked.direction}-{start:08d}-{own}.npy"
            if not place.is_file():
                with whole_file(place) as part, part.open("wb") as out:
                    np.save(out, self._chunk(asked, rows), allow_pickle=False)
            chunks.append(np.load(place, allow_pickle=False))
        return np.concatenate(chunks) if chunks else np.zeros((0, 1), dtype=np.float64)

    def _chunk(self, asked: Asked, rows: slice) -> np.ndarray:
        candidate_BM, there_BM = asked.candidate_QM[rows], asked.candidate_QM[rows] >= 0
        query_BM = np.broadcast_to(asked.query_Q[rows, None], candidate_BM.shape)
        pairs = (candidate_BM, query_BM) if asked.direction == "i2t" else (query_BM, candidate_BM)
        text_P, image_P = (rows_BM[there_BM] for rows_BM in pairs)
        score_BM = np.full(candidate_BM.shape, -np.inf)
        score_BM[there_BM] = self.mix[1] * self.scorers[asked.protocol].scores(text_P, image_P).astype(np.float64)
        if self.mix[0]:
            queries, candidates = self._sides(asked.protocol, asked.direction)
            left, right = torch.from_numpy(query_BM[there_BM]), torch.from_numpy(candidate_BM[there_BM])
            cosine_P = (queries.embeddings[left].double() * candidates.embeddings[right].double()).sum(dim=1).numpy()
            score_BM[there_BM] += self.mix[0] * self.scale * cosine_P
        return score_BM

    def _ranked(self, asked: Asked, score_QM: np.ndarray) -> dict[str, Any]:
        """The columns of `RANKS_SCHEMA` from `draw` on, but for the direction."""
        queries, _ = self._sides(asked.protocol, asked.direction)
        rank_Q, text_equal_Q = (rank_in(score_QM, own) for own in (asked.relevant_QM, asked.text_equal_QM))
        if asked.protocol == FULL:  # what is not scored again keeps its rank
            strict, lenient = self._row_5(asked)
            rank_Q = np.where(rank_Q > 0, rank_Q, strict)
            text_equal_Q = np.where(text_equal_Q > 0, text_equal_Q, lenient)
        names = {
            "draw": np.zeros(len(rank_Q), np.int32),
            "query_id": queries.ids.take(pa.array(asked.query_Q)),
            "product_id": [queries.products[row] for row in asked.query_Q.tolist()],
        }
        ndcg_Q = self._ndcg(asked, score_QM)
        return names | {"rank": rank_Q, "rank_text_equal": text_equal_Q, "ndcg10": ndcg_Q}

    def _row_5(self, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
        queries, candidates = self._sides(asked.protocol, asked.direction)
        rows = torch.from_numpy(asked.query_Q)

        def ranked(group_P: Tensor) -> np.ndarray:
            of = (group_P[queries.owner_N[rows]], group_P[candidates.owner_N])
            return full_ranks(queries.embeddings[rows], candidates.embeddings, Relevance.of(*of, *of)).numpy()

        return ranked(self.groups.own), ranked(self.groups.text)

    def _ndcg(self, asked: Asked, score_QM: np.ndarray) -> np.ndarray:
        """nDCG@10 (Q,), strict, ties against the model; relevant candidates that are not scored count nothing."""
        queries, candidates = self._sides(asked.protocol, asked.direction)
        relevant_Q = asked.relevant_QM.sum(axis=1)
        if asked.protocol == FULL:
            count_P = np.bincount(candidates.owner_N.numpy(), minlength=len(self.groups.own))
            relevant_Q = count_P[queries.owner_N.numpy()[asked.query_Q]]
        gains = np.zeros(len(score_QM))
        for row, (score_M, own_M) in enumerate(zip(score_QM, asked.relevant_QM, strict=True)):
            best = np.sort(score_M[own_M])[::-1][:DEPTH]
            above = (score_M[~own_M][None] >= best[:, None] - TIE).sum(axis=1)
            place = above + np.arange(1, len(best) + 1)
            gains[row] = (1 / np.log2(1 + place[place <= DEPTH])).sum()
        ideal = np.concatenate([[1.0], np.cumsum(1 / np.log2(1 + np.arange(1, DEPTH + 1)))])
        return gains / ideal[np.clip(relevant_Q, 1, DEPTH)]


def asked_products(products: Sequence[str], queries: int | None) -> np.ndarray:
    """The numbers of the products that are asked about: those of the smallest digests of their ids."""
    if queries is None or queries >= len(products):
        return np.arange(len(products))
    return np.sort(np.argsort([digest([product]) for product in products], kind="stable")[:queries])


def rank_in(score_QM: np.ndarray, relevant_QM: np.ndarray) -> np.ndarray:
    """Rank (Q,) of the best relevant candidate of each list, ties against it; 0 where a list has none."""
    best_Q1 = np.where(relevant_QM, score_QM, -np.inf).max(axis=1, keepdims=True)
    rank_Q = 1 + ((score_QM >= best_Q1 - TIE) & ~relevant_QM & np.isfinite(score_QM)).sum(axis=1)
    return np.where(relevant_QM.any(axis=1), rank_Q, 0)


def cross_evaluation(
    model: EntityClipModel,
    paths: Sequence[Path],
    shards: Path,
    patches: Path,
    embeddings: pa.Table,
    candidate_lists: pa.Table,
    descriptions: Mapping[str, str],
    *,
    excluded_group: str,
    first: int,
    queries: int | None = None,
    device: str = "cpu",
) -> CrossEvaluation:
    """What a model's cross-encoder is asked of a test split.

    Args:
        paths: shards of the split, below the folder `shards`.
        patches: folder where the patches of photos are kept.
        excluded_group: the entity group that sample-100's texts do without.

    Raises:
        CorruptOutputError: the embeddings are of other products or photos than the shards.
    """
    samples = list(read_samples(paths))
    features = features_of(PatchStore(patches, shards, model, device=device), paths)
    assert features is not None
    by_product = {product.product_id: product for product in first_of_product(samples)}

    def items(kind: str, column: str) -> list[str]:
        found: list[str] = embeddings.filter(pc.equal(embeddings["kind"], kind))[column].to_pylist()
        return found

    if missing := [product for product in items(TEXT, "product_id") if product not in by_product]:
        raise CorruptOutputError(
            f"embeddings/eiclip: {missing[0]!r} is not among the test shards; materialise it again"
        )
    products = [by_product[product] for product in items(TEXT, "product_id")]
    whole = PairScorer.of(model, products, items(IMAGE, "item_id"), features, device)
    listed = whole
    if excluded_group in model.vocabulary.groups:
        listed = PairScorer(model, texts_of(model, products, device, excluded_group), whole.image_NPH, device)
    scorers = {FULL: whole, LISTED: listed}
    return CrossEvaluation(scorers, embeddings, candidate_lists, descriptions, first=first, queries=queries)
