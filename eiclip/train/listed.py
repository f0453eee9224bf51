"""The validation split of a cross-encoder: short lists to rank, since all candidates would be too many pairs.

Shape suffixes: Q queries, M candidates of each, N photos, T texts, D embedding width.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from eiclip.errors import SettingsError
from eiclip.evaluation.embed import embed_samples, first_of_product
from eiclip.evaluation.pair_scores import PairScorer, require_cross
from eiclip.evaluation.ranking import TIE, recall_at
from eiclip.features.patches import PatchStore
from eiclip.features.reader import feature_store, features_of
from eiclip.model.entity_clip import EntityClipModel
from eiclip.shards import Sample
from eiclip.shards.verify import CheckedShard
from eiclip.train.job import TrainJob

QUERIES, CANDIDATES = 200, 30
"""Queries of each direction along a training, and wrong candidates of each."""
MIX_QUERIES, MIX_CANDIDATES = 400, 50
"""As many when the weight of a re-ranker is fitted, at the end."""
MIXES = (0.0, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
"""Weights that are tried."""
SALT = 15_485_863


class RankedLists(NamedTuple):
    """Ranks of the right candidate in lists of so many, of both directions."""

    ranks: dict[str, Tensor]
    candidates: int

    def recalls(self) -> dict[str, float]:
        """R@1/5/10 of both directions, in percent, and their sum `sum_r`."""
        values = {f"{way}_r{k}": recall_at(ranks, k) for way, ranks in self.ranks.items() for k in (1, 5, 10)}
        return values | {"sum_r": sum(values.values())}

    def chance(self) -> float:
        """The `sum_r` of a random order."""
        return sum(100 * min(1.0, k / self.candidates) for k in (1, 5, 10)) * len(self.ranks)


@dataclass(frozen=True)
class Lists:
    """Rows of the texts and photos of one direction's lists (Q, M), the right one first, and row 5's logits of them."""

    text_QM: np.ndarray
    image_QM: np.ndarray
    logit_QM: np.ndarray


@dataclass(frozen=True)
class ListedSplit:
    """Samples of the validation split, a list for each query."""

    samples: list[Sample]
    products: list[Sample]
    store: PatchStore
    paths: list[CheckedShard]
    lists: dict[str, Lists]
    device: str

    def embedded(self, model: EntityClipModel) -> RankedLists | None:
        """Ranks by a model's pair scores, which is left in training or not, as it was; None without samples."""
        if not self.lists:
            return None
        ranks = {way: ranks_of(score_QM) for way, score_QM in self.scores(model).items()}
        return RankedLists(ranks, next(iter(self.lists.values())).text_QM.shape[1])

    def scores(self, model: EntityClipModel) -> dict[str, np.ndarray]:
        """Pair scores (Q, M) of the lists of each direction."""
        was_training = model.training
        model.eval()
        try:
            features = features_of(self.store, [shard.path for shard in self.paths])
            assert features is not None
            ids = [sample.image_id for sample in self.samples]
            scorer = PairScorer.of(model, self.products, ids, features, self.device)
            return {
                way: scorer.scores(own.text_QM.ravel(), own.image_QM.ravel()).reshape(own.text_QM.shape)
                for way, own in self.lists.items()
            }
        finally:
            model.train(was_training)


def patch_store(model: EntityClipModel, job: TrainJob, device: str, *, tasks: bool = False) -> PatchStore:
    """Where the patches of a cross-encoder's photos lie.

    Raises:
        SettingsError: the job does not say, or the towers have no patches that can be read.
    """
    if job.patches is None:
        raise SettingsError(
            f"{job.dataset}/{job.variant}: name the folder for patches of photos in the job's `patches`"
        )
    return PatchStore(job.patches, job.shards, model, tasks=tasks, device=device)


def listed_split(
    model: EntityClipModel, job: TrainJob, samples: list[Sample], paths: list[CheckedShard], store: PatchStore,
    device: str, queries: int = QUERIES, candidates: int = CANDIDATES,
) -> ListedSplit:  # fmt: skip
    """Draw the lists of a validation split: for row 14 those that row 5 ranks first, else random ones.

    Queries and random candidates are a function of the seed.
    """
    products = first_of_product(samples)
    if len(products) < 2:
        return ListedSplit(samples, products, store, paths, {}, device)
    random = np.random.default_rng([job.seed, SALT])
    numbers = {product.product_id: number for number, product in enumerate(products)}
    owner_N = np.array([numbers[sample.product_id] for sample in samples])
    first_N = np.unique(owner_N, return_index=True)[1]
    asked_Q = np.sort(random.permutation(len(products))[:queries])
    count = min(candidates, len(products) - 1)
    other_QM = np.stack([_others(random, len(products), asked, count) for asked in asked_Q])
    logits = np.zeros((len(products), len(products)), dtype=np.float32)
    ways = {"i2t": other_QM, "t2i": other_QM}
    if model.variant.cross == "rerank":
        embeddings = embed_samples(model, samples, device, features_of(
            feature_store(model, job.features, job.shards, device), [shard.path for shard in paths]
        ))  # fmt: skip
        with torch.no_grad():
            scale = model.scale.item()
        logits = (scale * embeddings.text_PD @ embeddings.image_ND[torch.from_numpy(first_N)].T).numpy()
        ways = {"i2t": _hardest(logits.T[asked_Q], asked_Q, count), "t2i": _hardest(logits[asked_Q], asked_Q, count)}
    lists = {}
    for way, wrong_QM in ways.items():
        all_QM = np.concatenate([asked_Q[:, None], wrong_QM], axis=1)
        own_QM = np.broadcast_to(asked_Q[:, None], all_QM.shape)
        text_QM, photo_QM = (all_QM, own_QM) if way == "i2t" else (own_QM, all_QM)
        lists[way] = Lists(text_QM, first_N[photo_QM], logits[text_QM, photo_QM])
    return ListedSplit(samples, products, store, paths, lists, device)


def ranks_of(score_QM: np.ndarray) -> Tensor:
    """Ranks (Q,) of the first candidate among its list; ties count against it."""
    return torch.from_numpy((score_QM >= score_QM[:, :1] - TIE).sum(axis=1))


def fit_mix(model: EntityClipModel, split: ListedSplit) -> dict[str, float]:
    """Fit the weight of a re-ranker's score beside row 5's logit: the one of the highest mean reciprocal rank.

    The least of equal ones: where the re-ranker adds nothing, it changes nothing. Without lists it stays as it is.
    """
    if not split.lists:
        return {}
    cross, scores = require_cross(model), split.scores(model)
    found = {}
    for weight in MIXES:
        mixed = (own.logit_QM + weight * scores[way] for way, own in split.lists.items())
        found[weight] = float(np.mean([(1 / ranks_of(score_QM).double()).mean().item() for score_QM in mixed]))
    best = max(found, key=lambda weight: (found[weight], -weight))
    cross.get_buffer("mix").copy_(torch.tensor([1.0, best]))
    return {"weight": best, "mrr": round(found[best], 4), "mrr_without": round(found[0.0], 4)}


def _others(random: np.random.Generator, products: int, own: int, count: int) -> np.ndarray:
    drawn = random.choice(products - 1, count, replace=False)
    return drawn + (drawn >= own)


def _hardest(logit_QN: np.ndarray, own_Q: np.ndarray, count: int) -> np.ndarray:
    masked_QN = logit_QN.copy()
    masked_QN[np.arange(len(own_Q)), own_Q] = -np.inf
    return np.argsort(-masked_QN, axis=1, kind="stable")[:, :count]
